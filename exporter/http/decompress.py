"""Content encodings of bodies; each stops decompressing at the limit, so a bomb costs no more than an honest body."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, TypeAlias

from exporter.http.envelope import HttpError

Inflate: TypeAlias = Callable[[bytes, int], bytes]

_GZIP_WBITS: Final = 31
_ZLIB_WBITS: Final = 15
_RAW_DEFLATE_WBITS: Final = -15
_ANY_RATIO_BYTES: Final = 1024 * 1024
_MAX_RATIO: Final = 200
# A body of empty gzip members grows nothing and still takes time.
_MAX_MEMBERS: Final = 16
_ZSTD_WINDOW_LOG_MAX: Final = 23  # 8 MiB, what RFC 9659 asks a receiver to support
_ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd")


def inflater(encoding: bytes) -> Inflate | None:
    """Return what decompresses a content encoding, or `None` for an identical body.

    Raises:
        HttpError: 415 for an encoding that is not supported here.
    """
    if not encoding:
        return None
    name = encoding.decode("latin-1").strip().lower()
    if name == "identity":
        return None
    known = _encodings()
    if name not in known:
        names = ", ".join(known)
        message = f"content encoding {name!r} is not supported; use one of {names}, identity"
        raise HttpError(415, message, ((b"accept-encoding", names.encode()),))
    return known[name]


def inflate_bounded(inflate: Inflate, body: bytes, max_bytes: int) -> bytes:
    """Return what a body holds; beyond 1 MiB that may be 200 times what was sent (of telemetry it is some 50 to 90).

    Raises:
        HttpError: 413 over the limit or the ratio, 400 for a body that is broken.
    """
    most = max(_ANY_RATIO_BYTES, _MAX_RATIO * len(body))
    if most >= max_bytes:
        return inflate(body, max_bytes)
    try:
        return inflate(body, most)
    except HttpError as fault:
        if fault.status != 413:
            raise
        raise HttpError(413, f"a body must not grow more than {_MAX_RATIO} times by decompression") from None


def too_large(max_bytes: int) -> HttpError:
    """Return the error for a body over the limit."""
    return HttpError(413, f"the body must have at most {max_bytes} bytes (after decompression)")


@lru_cache(maxsize=1)
def _encodings() -> Mapping[str, Inflate]:
    known: dict[str, Inflate] = {"gzip": _gunzip, "deflate": _inflate}
    zstd = first_module(_ZSTD_MODULES)
    return known if zstd is None else known | {"zstd": _zstd_inflate(zstd)}


def first_module(names: tuple[str, ...]) -> ModuleType | None:
    """Return the first module that can be imported."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    members, left = list[bytes](), max_bytes
    for _ in range(_MAX_MEMBERS):
        member, body = _zlib_member(body, _GZIP_WBITS, left)
        members.append(member)
        left -= len(member)
        if left < 0:
            raise too_large(max_bytes)
        if not body:
            return b"".join(members)  # which copies nothing where there is one, as there nearly always is
    raise HttpError(400, f"the gzip body must have at most {_MAX_MEMBERS} members")


def _inflate(body: bytes, max_bytes: int) -> bytes:
    # RFC 9110 means the zlib format; some clients send deflate without its frame.
    framed = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    content, rest = _zlib_member(body, _ZLIB_WBITS if framed else _RAW_DEFLATE_WBITS, max_bytes)
    if len(content) > max_bytes:
        raise too_large(max_bytes)
    if rest:
        raise _malformed("bytes follow its end")
    return content


def _zlib_member(body: bytes, wbits: int, max_bytes: int) -> tuple[bytes, bytes]:
    """Return what a body holds, at most one byte more than it may, and what follows it."""
    stream = zlib.decompressobj(wbits)
    try:
        content = stream.decompress(body, max_bytes + 1)
    except zlib.error as fault:
        raise _malformed(str(fault)) from None
    if len(content) <= max_bytes and not stream.eof:
        raise _malformed("it ends too early")
    return content, stream.unused_data


def _zstd_inflate(zstd: ModuleType) -> Inflate:
    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX}

    def inflate(body: bytes, max_bytes: int) -> bytes:
        stream = zstd.ZstdDecompressor(options=options)
        try:
            inflated: bytes = stream.decompress(body, max_bytes + 1)
        except zstd.ZstdError as fault:
            raise _malformed(str(fault)) from None
        if len(inflated) > max_bytes:
            raise too_large(max_bytes)
        if not stream.eof or stream.unused_data:
            raise _malformed("it must be one whole frame")
        return inflated

    return inflate


def _malformed(why: str) -> HttpError:
    return HttpError(400, f"the body cannot be decompressed: {why}")
