from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.http.decompress import first_module, inflate_bounded, inflater
from exporter.http.envelope import HttpError

LIMIT = 1000
ZSTD = first_module(("compression.zstd", "backports.zstd"))


def raw_deflate(body: bytes) -> bytes:
    """Compress as clients do that leave the zlib frame away."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


COMPRESS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b" Deflate": raw_deflate,
}
if ZSTD is not None:
    COMPRESS[b"zstd"] = ZSTD.compress


def inflated(encoding: bytes, body: bytes, limit: int = LIMIT) -> bytes:
    """Decompress a body."""
    inflate = inflater(encoding)
    if inflate is None:
        raise AssertionError("nothing to decompress")
    return inflate(body, limit)


def refused(encoding: bytes, body: bytes, limit: int = LIMIT) -> tuple[int, str]:
    """Return the status and message of a refusal."""
    with pytest.raises(HttpError) as caught:
        inflated(encoding, body, limit)
    return caught.value.status, caught.value.message


@pytest.mark.parametrize("encoding", list(COMPRESS))
@given(body=st.binary(max_size=LIMIT))
def test_round_trip(encoding: bytes, body: bytes) -> None:
    """What was compressed comes out again, up to exactly the limit."""
    assert inflated(encoding, COMPRESS[encoding](body)) == body


@pytest.mark.parametrize("encoding", list(COMPRESS))
def test_bomb(encoding: bytes) -> None:
    """A body that grows beyond the limit is refused after the memory of the limit, not of the bomb."""
    bomb = COMPRESS[encoding](bytes(64 * 2**20))
    tracemalloc.start()
    refusal = refused(encoding, bomb, 2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal == (413, "the body must have at most 1048576 bytes (after decompression)")
    assert peak < 4 * 2**20


@pytest.mark.parametrize("encoding", list(COMPRESS))
def test_one_byte_over(encoding: bytes) -> None:
    """The limit is a limit to the byte."""
    assert refused(encoding, COMPRESS[encoding](bytes(LIMIT + 1)))[0] == 413


@pytest.mark.parametrize("encoding", list(COMPRESS))
def test_cut_short(encoding: bytes) -> None:
    """A body that ends in the middle is malformed."""
    status, message = refused(encoding, COMPRESS[encoding](bytes(range(256)) * 3)[:-3])
    assert (status, message.partition(":")[0]) == (400, "the body cannot be decompressed")


@pytest.mark.parametrize("encoding", list(COMPRESS))
@given(body=st.binary(max_size=200))
def test_garbage(encoding: bytes, body: bytes) -> None:
    """Any bytes at all are either a body or a 400 or 413."""
    try:
        inflated(encoding, body)
    except HttpError as fault:
        assert fault.status in {400, 413}  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("encoding", [b"deflate", b" Deflate"])
def test_bytes_after_the_end(encoding: bytes) -> None:
    """Bytes after a deflate stream are malformed."""
    assert refused(encoding, COMPRESS[encoding](b"x") + b"y") == (
        400, "the body cannot be decompressed: bytes follow its end",
    )  # fmt: skip


def test_members() -> None:
    """A gzip body may have several members, and not so many that they cost without growing."""
    assert inflated(b"gzip", gzip.compress(b"a") + gzip.compress(b"b")) == b"ab"
    assert refused(b"gzip", gzip.compress(b"") * 17) == (400, "the gzip body must have at most 16 members")


@pytest.mark.parametrize("encoding", [b"", b"identity", b"Identity"])
def test_identity(encoding: bytes) -> None:
    """Nothing is decompressed where nothing was compressed."""
    assert inflater(encoding) is None


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"\xff"])
def test_unsupported(encoding: bytes) -> None:
    """Another encoding is a 415 that says what is supported."""
    with pytest.raises(HttpError) as caught:
        inflater(encoding)
    names = "gzip, deflate, zstd" if ZSTD else "gzip, deflate"
    assert (caught.value.status, caught.value.message, caught.value.headers) == (
        415,
        f"content encoding {encoding.decode('latin-1')!r} is not supported; use one of {names}, identity",
        ((b"accept-encoding", names.encode()),),
    )


def test_first_module() -> None:
    """The first module that exists is taken; none is no error."""
    assert first_module(("no_such_module", "zlib")) is zlib
    assert first_module(("no_such_module",)) is None


def test_a_body_that_grows_too_much() -> None:
    """Up to 1 MiB any ratio is let pass; beyond, 200 times what was sent is, and no more."""
    inflate = inflater(b"gzip")
    assert inflate is not None
    small = gzip.compress(b"\0" * 1024 * 1024, 9)
    assert len(inflate_bounded(inflate, small, 16 * 1024 * 1024)) == 1024 * 1024
    with pytest.raises(HttpError, match="must not grow more than 200 times") as refused:
        inflate_bounded(inflate, gzip.compress(b"\0" * 2 * 1024 * 1024, 9), 16 * 1024 * 1024)
    assert refused.value.status == 413
    honest = gzip.compress(random.Random(1).randbytes(12_000) * 160, 1)
    assert len(inflate_bounded(inflate, honest, 16 * 1024 * 1024)) == 12_000 * 160
    with pytest.raises(HttpError, match="at most 1048576 bytes"):
        inflate_bounded(inflate, honest, 1024 * 1024)
