from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import math

import msgspec
import pytest
from starlette.types import Message

from exporter.http.envelope import HttpError, error, explained, failure, send_content, success
from exporter.http.types import Content
from otel_measure.errors import ConfigurationError, Conflict, MeasureError, NoStore, NotFound, StoreUnavailable

JSON = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def test_success() -> None:
    """Data stands in its envelope; unknown numbers are null and times end in Z."""
    data = {"a": math.nan, "at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC)}
    body = b'{"status":"success","data":{"a":null,"at":"2026-01-02T00:00:00Z"}}'
    assert success(data, 201) == Content(body, JSON, 201)


def test_what_an_answer_is_without() -> None:
    """The envelope says that a store is being brought up to date, and how many records are not in the answer."""
    assert success({}, is_updating=True, pending=3).body == (
        b'{"status":"success","data":{},"definitions":"updating","pending":3}'
    )
    assert success({}, pending=0).body == b'{"status":"success","data":{}}'


def test_error() -> None:
    """An error stands in its envelope, with the headers of its status."""
    assert error(418, "no", ((b"a", b"b"),)) == Content(
        b'{"status":"error","message":"no"}', (*JSON, (b"a", b"b")), 418
    )


@pytest.mark.parametrize(
    ("fault", "status", "message", "more"),
    [
        (HttpError(413, "too much", ((b"a", b"b"),)), 413, "too much", ((b"a", b"b"),)),
        (ValueError("latency_ms must be at least 0, not -1"), 400, "latency_ms must be at least 0, not -1", ()),
        (NotFound("model", "m 1"), 404, "no model named 'm 1'", ()),
        (Conflict("another definition"), 409, "another definition", ()),
        (NoStore("engagement"), 503,
         "engagement needs a store and none is configured; call configure(store=...) or set OTEL_MEASURE_STORE", ()),
        (StoreUnavailable("locked", "s.db is locked", "wait"), 503,
         "store unavailable (locked): s.db is locked; wait", ((b"retry-after", b"1"),)),
    ],
)  # fmt: skip
def test_statuses(fault: Exception, status: int, message: str, more: tuple[tuple[bytes, bytes], ...]) -> None:
    """Each error becomes the status that its class names, and says what its message says."""
    content = failure(fault)
    assert (content.status, json.loads(content.body)) == (status, {"status": "error", "message": message})
    assert content.headers == JSON + more


@pytest.mark.parametrize("fault", [KeyError("secret"), MeasureError("secret"), RecursionError("secret")])
def test_internal(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours shows an id and nothing else; the log has the traceback under that id."""
    with caplog.at_level(logging.ERROR):
        content = failure(fault, error_id=lambda: "e1")
    body = b'{"status":"error","message":"internal error; the log of the server tells more under the id e1"}'
    assert content == Content(body, JSON, 500)
    assert [(r.getMessage(), r.exc_info and r.exc_info[1]) for r in caplog.records] == [
        ("internal error e1 while answering a request", fault)
    ]


@pytest.mark.parametrize("fault", [ValueError("x"), ConfigurationError("OTEL_MEASURE_PORT=x is no port")])
def test_unasked(fault: Exception) -> None:
    """Where the client gave no argument, an error about one is a fault of ours."""
    assert failure(fault, asked=False).status == 500


def test_error_ids_differ() -> None:
    """Each fault gets an id of its own."""
    assert failure(KeyError()).body != failure(KeyError()).body


@pytest.mark.parametrize(
    ("message", "explanation"),
    [
        ("Expected `int`, got `str` - at `$.a.b`", "a.b: expected `int`, got `str`"),
        ("Expected `int`, got `str` - at `$[...]`", "[...]: expected `int`, got `str`"),
        ("Expected `object`, got `array`", "body: expected `object`, got `array`"),
        ("Object contains unknown field `x\ny` - at `$.a`", "a.x\ny is unknown (field of the body)"),
        ("Object missing required field `x`", "x is required (field of the body)"),
    ],
)
def test_explained(message: str, explanation: str) -> None:
    """What a decoder says is turned round so that the argument comes first."""
    assert explained(msgspec.ValidationError(message), "body") == explanation


@pytest.mark.parametrize("head", [False, True])
def test_sent(head: bool) -> None:
    """An answer leaves with its length; to HEAD without its body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(send_content(Content(b"abc", ((b"a", b"b"),), 203), send, head=head))
    assert sent == [
        {"type": "http.response.start", "status": 203, "headers": [(b"a", b"b"), (b"content-length", b"3")]},
        {"type": "http.response.body", "body": b"" if head else b"abc"},
    ]
