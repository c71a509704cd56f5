"""The envelope of every JSON answer, and the status that an exception becomes."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from starlette.types import Send

from exporter.http.lists import ListTotal
from exporter.http.types import Content, Header
from otel_measure.errors import MeasureError, StoreUnavailable

UNCACHED: Final[tuple[Header, ...]] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
JSON_HEADERS: Final[tuple[Header, ...]] = ((b"content-type", b"application/json"), *UNCACHED)
_PIECE_BYTES: Final = 64 * 1024
_RETRY: Final[tuple[Header, ...]] = ((b"retry-after", b"1"),)
_AT: Final = re.compile(r"(?P<what>.*) - at `\$\.?(?P<where>.*)`", re.DOTALL)
_FIELD: Final = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_log: Final = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


class HttpError(Exception):
    """An answer that says what was wrong with a request."""

    def __init__(self, status: int, message: str, headers: tuple[Header, ...] = ()) -> None:
        """Name the status, what was wrong with the way out, and the headers that belong to the status."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class ClientGone(Exception):  # noqa: N818 - nobody is left to whom it would be an error
    """The client went away before its request was complete: there is nobody to answer."""


class Success(msgspec.Struct, frozen=True):
    """`{"status": "success", "data": …}`."""

    status: Literal["success"]
    data: object
    definitions: Literal["updating"] | msgspec.UnsetType = msgspec.UNSET
    pending: int | msgspec.UnsetType = msgspec.UNSET
    lists: Mapping[str, ListTotal] | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True):
    """`{"status": "error", "message": …}`."""

    status: Literal["error"]
    message: str


def success(
    data: object,
    status: int = 200,
    *,
    is_updating: bool = False,
    pending: int = 0,
    lists: Mapping[str, ListTotal] | None = None,
) -> Content:
    """Return `data` in its envelope; not-a-number becomes `null`.

    Args:
        data: the answer.
        status: of HTTP.
        is_updating: whether there are facts that the store does not count yet by its definitions; the envelope says so.
        pending: how many records of this process are not committed yet, and not in the answer; likewise.
        lists: how long the lists are of which the answer has a part; likewise.
    """
    definitions: Literal["updating"] | msgspec.UnsetType = "updating" if is_updating else msgspec.UNSET
    answer = Success("success", data, definitions, pending or msgspec.UNSET, lists or msgspec.UNSET)
    return Content(_encode(answer), JSON_HEADERS, status)


def error(status: int, message: str, headers: tuple[Header, ...] = ()) -> Content:
    """Return an error in its envelope."""
    return Content(_encode(Failure("error", message)), JSON_HEADERS + headers, status)


def failure(
    fault: Exception, *, asked: bool = True, error_id: Callable[[], str] = lambda: secrets.token_hex(6)
) -> Content:
    """Return the answer that an exception becomes; what is a fault of ours is logged under an id and not shown.

    Args:
        fault: the exception.
        asked: whether the client gave any argument; where it gave none, no error can be about one.
        error_id: makes the id.
    """
    if isinstance(fault, HttpError):
        return error(fault.status, fault.message, fault.headers)
    status = _status(fault)
    if status == 500 or (status < 500 and not asked):
        return internal(fault, error_id())
    return error(status, str(fault), _RETRY if isinstance(fault, StoreUnavailable) else ())


def _status(fault: Exception) -> int:
    if isinstance(fault, MeasureError):
        return fault.http_status
    return 400 if isinstance(fault, ValueError) else 500


def internal(fault: Exception, error_id: str) -> Content:
    """Log a fault of ours under an id and return the answer that names the id alone."""
    _log.error("internal error %s while answering a request", error_id, exc_info=fault)
    return error(500, f"internal error; the log of the server tells more under the id {error_id}")


def explained(fault: msgspec.ValidationError, kind: str) -> str:
    """Return the message of a decoder, with the argument in front.

    Args:
        fault: of msgspec, whose messages are "Expected `int`, got `str` - at `$.user_id`".
        kind: what is decoded ("body", "query parameter").
    """
    at = _AT.fullmatch(str(fault))
    what, where = (at["what"], at["where"]) if at else (str(fault), "")
    field = _FIELD.fullmatch(what)
    if field:
        name = f"{where}.{field['name']}" if where else field["name"]
        return f"{name} is {'unknown' if 'unknown' in field['what'] else 'required'} (field of the {kind})"
    return f"{where or kind}: {what[:1].lower()}{what[1:]}"


async def send_content(content: Content, send: Send, *, head: bool = False) -> None:
    """Send an answer; `head` leaves the body away and keeps its length.

    A large body is sent in pieces, each when the one before it has left the server's memory: a server counts what its
    transport holds, and that of TLS does not tell of all that it was given at once.
    """
    body = content.body
    headers = [*content.headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": content.status, "headers": headers})
    at = 0
    while not head and len(body) - at > _PIECE_BYTES:
        await send({"type": "http.response.body", "body": body[at : at + _PIECE_BYTES], "more_body": True})
        at += _PIECE_BYTES
    await send({"type": "http.response.body", "body": b"" if head else body[at:]})
