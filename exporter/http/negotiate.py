"""Content negotiation: plain or compressed, JSON or CSV, as a client takes it (RFC 9110, 12.5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from exporter.http.types import CSV, JSON, Content, Header

_VARY: Final = (b"vary", b"accept-encoding")
BY_ACCEPT: Final = (b"vary", b"accept")
_GZIP: Final = (b"content-encoding", b"gzip")
_COMPRESSED: Final = (JSON.encode(), CSV.encode())
_LEAST_BYTES: Final = 1024
_LEVEL: Final = 1  # the sixth takes 2.6 times the time, and leaves nine tenths of the bytes
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS


def negotiated(content: Content, headers: Iterable[Header]) -> Content:
    """Return what leaves of an answer: compressed beforehand, or now where it is JSON or CSV of over 1 kB.

    It takes some 15 ms a megabyte: where the body may be large it is not called on the event loop.

    Args:
        content: the answer.
        headers: of the request.
    """
    if not content.gzipped and not _is_worth_it(content):
        return content
    if not any(_takes_gzip(value) for name, value in headers if name == b"accept-encoding"):
        return Content(content.body, (*content.headers, _VARY), content.status)
    body = content.gzipped or zlib.compress(content.body, _LEVEL, wbits=_GZIP_FORMAT)
    return Content(body, (*content.headers, _VARY, _GZIP), content.status)


def _is_worth_it(content: Content) -> bool:
    """Whether to compress an answer; `/metrics` is not: who scrapes every few seconds would rather have it sooner."""
    if len(content.body) < _LEAST_BYTES:
        return False
    media = next((value for name, value in content.headers if name == b"content-type"), b"")
    return media.startswith(_COMPRESSED)


def _takes_gzip(accepted: bytes) -> bool:
    """Whether `gzip` is among the codings and not refused by a quality of 0 (RFC 9110, 12.5.3)."""
    for coding in accepted.lower().split(b","):
        name, _, quality = coding.replace(b" ", b"").partition(b";q=")
        if name == b"gzip":
            return quality.strip(b"0.") != b"" or not quality
    return False


def prefers_csv(headers: Iterable[Header]) -> bool:
    """Return whether a client would rather have CSV than JSON.

    Args:
        headers: of the request.
    """
    accepted = [part for name, value in headers if name == b"accept" for part in value.decode("latin-1").split(",")]
    return _quality(CSV, accepted) > _quality(JSON, accepted)


def _quality(media_type: str, accepted: Iterable[str]) -> float:
    """Return how much a client wants a media type: by the range that is closest to it; 0 is not at all."""
    wanted = dict(map(_range, accepted))
    main, _, _ = media_type.partition("/")
    return next((wanted[each] for each in (media_type, f"{main}/*", "*/*") if each in wanted), 0.0)


def _range(part: str) -> tuple[str, float]:
    media_range, *parameters = (word.strip().lower() for word in part.split(";"))
    quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
    try:
        return media_range, float(quality)
    except ValueError:
        return media_range, 0.0
