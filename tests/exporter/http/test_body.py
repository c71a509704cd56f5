from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from exporter.http.body import body_headers, decode_json, read_body, require_json
from exporter.http.envelope import ClientGone, HttpError
from exporter.http.types import BodyHeaders


class ExampleBody(msgspec.Struct, forbid_unknown_fields=True):
    user_id: int | str
    props: dict[str, Any] | None = None


decode: Callable[[bytes | msgspec.Raw], ExampleBody] = msgspec.json.Decoder(ExampleBody).decode

NOTHING_SAID = BodyHeaders()


def read(messages: list[dict[str, Any]], headers: BodyHeaders = NOTHING_SAID, limit: int = 10) -> bytes:
    """Read a body from these messages; then nothing more comes."""
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nothing sets that event")

    return asyncio.run(read_body(headers, receive, limit, timeout_s=0.01))


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:
    """Return one piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def test_headers() -> None:
    """Type, encoding and length are found among the headers."""
    headers = [(b"content-encoding", b"gzip"), (b"x", b"y"), (b"content-type", b"a/b"), (b"content-length", b"3")]
    assert body_headers(headers) == BodyHeaders(b"a/b", b"gzip", b"3")


def test_chunks_are_joined() -> None:
    """A body may come in one piece or in many."""
    assert read([chunk(b"abc")]) == b"abc"
    assert read([chunk(b"abc", True), chunk(b"", True), chunk(b"def")]) == b"abcdef"
    assert read([{"type": "http.request"}]) == b""


@pytest.mark.parametrize("messages", [[chunk(bytes(11))], [chunk(bytes(10), True), chunk(b"1", True)]])
def test_too_large(messages: list[dict[str, Any]]) -> None:
    """Reading stops as soon as the limit is passed, whatever was still to come."""
    with pytest.raises(HttpError, match=r"the body must have at most 10 bytes \(after decompression\)") as caught:
        read(messages)
    assert caught.value.status == 413


def test_too_large_by_its_length() -> None:
    """A length over the limit is refused before anything is read."""
    with pytest.raises(HttpError) as caught:
        read([], BodyHeaders(length=b"11"))
    assert caught.value.status == 413
    assert read([chunk(b"x")], BodyHeaders(length=b"nonsense")) == b"x"


def test_compressed() -> None:
    """The limit counts what comes out of decompression."""
    assert read([chunk(gzip.compress(b"abc"))], BodyHeaders(encoding=b"gzip"), 100) == b"abc"
    with pytest.raises(HttpError) as caught:
        read([chunk(gzip.compress(bytes(101)))], BodyHeaders(encoding=b"gzip"), 100)
    assert caught.value.status == 413


def test_slow_client() -> None:
    """A client that stops in the middle is answered, and does not hold its connection for ever."""
    with pytest.raises(HttpError, match=r"the body must arrive within 0.01 s") as caught:
        read([chunk(b"a", True)])
    assert caught.value.status == 408


def test_client_gone() -> None:
    """A client that goes away is not answered."""
    with pytest.raises(ClientGone):
        read([chunk(b"a", True), {"type": "http.disconnect"}])


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON; charset=utf-8", b'application/json;charset="UTF-8"'],
)
def test_json(content_type: bytes) -> None:
    """JSON in UTF-8 is what a write declares."""
    require_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [b"", b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=latin-1", b"\xff"],
)
def test_no_json(content_type: bytes) -> None:
    """Any other declaration, which a form on another site can make, is refused."""
    with pytest.raises(
        HttpError, match=r"a write needs the header 'Content-Type: application/json' \(UTF-8\)"
    ) as caught:
        require_json(content_type)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"user_id": true}', "user_id: expected `int | str`, got `bool`"),
        (b"{}", "user_id is required (field of the body)"),
        (b'{"user_id": 1, "x": 2}', "x is unknown (field of the body)"),
        (b'{"user_id": 1, "props": 2}', "props: expected `object | null`, got `int`"),
        (b"[]", "body: expected `object`, got `array`"),
        (b"", "the body is not valid JSON: Input data was truncated"),
        (b'{"user_id": 1} x', "the body is not valid JSON: JSON is malformed: trailing characters (byte 16)"),
        (b'{"user_id": NaN}', "the body is not valid JSON: JSON is malformed: invalid character (byte 12)"),
        (b'{"user_id": "\xff"}', "the body is not valid JSON: it must be UTF-8"),
        (b'{"user_id": 1, "props": {"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}}", "the body is nested too deeply"),
    ],
)
def test_malformed(body: bytes, message: str) -> None:
    """What cannot be decoded is a 400 that names the field and the rule."""
    with pytest.raises(HttpError) as caught:
        decode_json(body, decode)
    assert (caught.value.status, caught.value.message) == (400, message)


def test_decoded() -> None:
    """A body of the right shape is decoded, also where it is a part of a larger one."""
    assert decode_json(msgspec.Raw(b'{"user_id": 7}'), decode) == ExampleBody(7)
