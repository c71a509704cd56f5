"""Request bodies: read up to a limit of bytes after decompression, and decoded as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec
from starlette.types import Receive

from exporter.http.decompress import inflate_bounded, inflater, too_large
from exporter.http.envelope import ClientGone, HttpError, explained
from exporter.http.types import BodyHeaders

T = TypeVar("T")
# A client that stops in the middle of a body must not hold its connection for ever.
BODY_TIMEOUT_S: Final = 30.0
_JSON: Final = b"application/json"


def body_headers(headers: Iterable[tuple[bytes, bytes]]) -> BodyHeaders:
    """Return what the headers of a request say about its body."""
    content_type = encoding = length = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = value
        elif name == b"content-encoding":
            encoding = value
    return BodyHeaders(content_type, encoding, length)


def require_json(content_type: bytes) -> None:
    """Refuse a body that is not declared as JSON, which a form on another site cannot do.

    Raises:
        HttpError: 415 for anything else.
    """
    if content_type == _JSON:
        return
    media_type, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if media_type.strip() != "application/json" or charset not in {"", "utf-8", "utf8"}:
        raise HttpError(415, "a write needs the header 'Content-Type: application/json' (UTF-8)")


async def read_body(headers: BodyHeaders, receive: Receive, max_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> bytes:
    """Return a body, decompressed; reading and decompressing stop at the limit.

    Raises:
        HttpError: 413 over the limit, 415 for an encoding that is not supported, 400 for one that is broken, 408 when
            the body takes too long to arrive.
        ClientGone: the client went away.
    """
    return decompressed(headers, await receive_body(headers, receive, max_bytes, timeout_s), max_bytes)


async def receive_body(
    headers: BodyHeaders, receive: Receive, max_bytes: int, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """Return a body as it was sent.

    Raises:
        HttpError: 413 over the limit, 415 for an encoding that is not supported, 408 when it takes too long to arrive.
        ClientGone: the client went away.
    """
    if headers.length.isdigit() and int(headers.length) > max_bytes:
        raise too_large(max_bytes)
    inflater(headers.encoding)
    body, more = await _chunk(receive, max_bytes)
    if more:
        # Most bodies come in one piece, and a timer costs as much as all the rest of reading one.
        try:
            async with asyncio.timeout(timeout_s):
                body = await _joined(body, receive, max_bytes)
        except TimeoutError:
            raise HttpError(408, f"the body must arrive within {timeout_s:g} s") from None
    return body


def decompressed(headers: BodyHeaders, body: bytes, max_bytes: int) -> bytes:
    """Return what a body holds, up to a limit and up to a ratio.

    Raises:
        HttpError: 413 over the limit or the ratio, 415 for an encoding that is not supported, 400 for a broken one.
    """
    inflate = inflater(headers.encoding)
    return body if inflate is None else inflate_bounded(inflate, body, max_bytes)


async def _joined(start: bytes, receive: Receive, max_bytes: int) -> bytes:
    body = bytearray(start)
    more = True
    while more:
        chunk, more = await _chunk(receive, max_bytes, len(body))
        body += chunk
    return bytes(body)


async def _chunk(receive: Receive, max_bytes: int, taken: int = 0) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if taken + len(body) > max_bytes:
        raise too_large(max_bytes)
    return body, message.get("more_body", False)


def decode_json(body: bytes | msgspec.Raw, decode: Callable[[bytes | msgspec.Raw], T], what: str = "body") -> T:
    """Return a decoded body, or a decoded item of one.

    Raises:
        HttpError: 400, it is no JSON or not of the shape asked for; the message names the field.
    """
    try:
        return decode(body)
    except msgspec.ValidationError as fault:
        raise HttpError(400, explained(fault, what)) from None
    except msgspec.DecodeError as fault:
        raise HttpError(400, f"the {what} is not valid JSON: {fault}") from None
    except UnicodeDecodeError:
        raise HttpError(400, f"the {what} is not valid JSON: it must be UTF-8") from None
    except RecursionError:
        raise HttpError(400, f"the {what} is nested too deeply") from None
