from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from exporter.http.auth import AuthMiddleware
from exporter.http.dispatch import Dispatcher
from exporter.http.routing import Router
from exporter.http.types import AnyRoute, Call, NoBody, NoQuery, PlainCall, get, post
from exporter.running import RuntimeOnDemand
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore, kept


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    n: int


def broken(call: PlainCall) -> None:
    """Fail."""
    raise KeyError("a secret")


def wrong(call: PlainCall) -> None:
    """Fail with what is no fault of the caller's."""
    raise ValueError("max() of nothing")


def named(call: PlainCall) -> dict[str, str]:
    """Answer with the name, or fail on it."""
    if call.path_params["name"] == "bad":
        raise ValueError("name must not be 'bad'")
    return dict(call.path_params)


class Large:
    """What a request was made into, which takes memory."""


made: list[weakref.ref[Large]] = []


def large(call: PlainCall) -> None:
    """Fail in the middle of something large."""
    something = Large()
    made.append(weakref.ref(something))
    raise ValueError("too large")


async def doubled(call: Call[NoQuery, Payload]) -> dict[str, int]:
    """Answer with twice the number."""
    return {"n": call.body.n * 2}


async def on_the_loop(call: PlainCall) -> str:
    """Answer on the event loop."""
    return "done"


def greedy(call: PlainCall) -> object:
    """Ask for the runtime that its row says it does not need."""
    return call.runtime


ROWS: tuple[AnyRoute, ...] = (
    get("/loop", on_the_loop, NoQuery, "s", "r"),
    get("/broken", broken, NoQuery, "s", "r"),
    get("/large/{name}", large, NoQuery, "s", "r"),
    get("/wrong", wrong, NoQuery, "s", "r"),
    get("/greedy", greedy, NoQuery, "s", "r", needs_runtime=False),
    get("/named/{name}", named, NoQuery, "s", "r"),
    post("/doubled", doubled, Payload, "s", "r", max_bytes=20),
    get("/admin", named, NoQuery, "s", "r", access="admin"),
)
ERROR = "internal error; the log of the server tells more under the id "


def application(runtime: Runtime) -> Starlette:
    """Return an application of the rows above."""
    on_demand = RuntimeOnDemand(lambda: runtime)
    return Starlette(
        middleware=[
            Middleware(AuthMiddleware, Router(ROWS), on_demand.authenticator),
            Middleware(Dispatcher, on_demand.backend),
        ]
    )


@pytest.fixture
def rows_client(runtime: Runtime) -> TestClient:
    """A client of the rows above."""
    app = application(runtime)
    return TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1), raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["/broken", "/wrong", "/greedy"])
def test_internal_error(rows_client: TestClient, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """A forced internal error shows an id and no traceback, and the log has the traceback under the id."""
    with caplog.at_level(logging.ERROR):
        answer = rows_client.get(path)
    body = answer.json()
    assert (answer.status_code, body["status"], body["message"][:-12]) == (500, "error", ERROR)
    assert [(r.getMessage(), r.exc_info is not None) for r in caplog.records if r.name.startswith("exporter")] == [
        (f"internal error {body['message'][-12:]} while answering a request", True)
    ]


def test_error_about_an_argument(rows_client: TestClient) -> None:
    """Where the caller gave an argument, what a handler says is wrong with it is a 400."""
    assert rows_client.get("/named/good").json() == {"status": "success", "data": {"name": "good"}}
    answer = rows_client.get("/named/bad")
    assert (answer.status_code, answer.json()) == (400, {"status": "error", "message": "name must not be 'bad'"})


def test_what_a_refused_request_was_made_into_is_gone_at_once(rows_client: TestClient) -> None:
    """Nothing of it waits for the collector of garbage, which for large bodies would come much too late."""
    gc.collect()
    gc.disable()
    try:
        assert [rows_client.get("/large/x").status_code for _ in range(3)] == [400] * 3
        assert [each() for each in made] == [None] * 3
    finally:
        gc.enable()


def test_body(rows_client: TestClient) -> None:
    """A write is decoded and answered with the status of its row."""
    answer = rows_client.post("/doubled", json={"n": 21})
    assert (answer.status_code, answer.json()) == (201, {"status": "success", "data": {"n": 42}})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b'{"n": 1}', {}, 415, "a write needs the header 'Content-Type: application/json' (UTF-8)"),
        (b'{"n": 1, "m": 22222}', {"content-type": "application/json"}, 400, "m is unknown (field of the body)"),
        (b'{"n": 1, "mm": 22222}', {"content-type": "application/json"}, 413,
         "the body must have at most 20 bytes (after decompression)"),
    ],
)  # fmt: skip
def test_refused_body(
    rows_client: TestClient, content: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    """A body that is no JSON, of the wrong shape or too large is refused in the envelope."""
    answer = rows_client.post("/doubled", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"status": "error", "message": message})


def test_other_methods(rows_client: TestClient) -> None:
    """HEAD is GET without a body, OPTIONS tells the methods, and any other is a 405 that tells them too."""
    head = rows_client.head("/named/x")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "40")
    options = rows_client.options("/doubled")
    assert (options.status_code, options.headers["allow"], options.content) == (204, "OPTIONS, POST", b"")
    other = rows_client.delete("/doubled")
    assert (other.status_code, other.headers["allow"], other.json()) == (
        405, "OPTIONS, POST", {"status": "error", "message": "/doubled does not answer DELETE; allowed: OPTIONS, POST"},
    )  # fmt: skip


def test_stranger(runtime: Runtime) -> None:
    """A stranger learns neither what there is nor what there is not."""
    app = application(runtime)
    stranger = TestClient(app, base_url="http://localhost", client=("10.0.0.1", 1))
    assert [stranger.get(path).status_code for path in ("/named/x", "/nothing")] == [403, 403]


def test_client_gone(runtime: Runtime) -> None:
    """A client that goes away in the middle of its body is not answered."""
    app = application(runtime)
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/doubled", "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }  # fmt: skip
    sent: list[object] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent == []


def test_rows_without_body_are_not_read(rows_client: TestClient) -> None:
    """A GET with a body is answered as one without."""
    assert rows_client.request("GET", "/named/x", content=b"x").status_code == 200
    assert ROWS[0].body is NoBody


def test_an_answer_says_that_the_store_is_behind(
    rows_client: TestClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was made on a thread or on the event loop; a write says nothing of it."""
    store = runtime.store
    assert isinstance(store, SqliteStore)
    monkeypatch.setattr(store, "bring_up_to_date", lambda holder, now: False)  # whenever the background comes to it
    said = [rows_client.get(path).json() for path in ("/named/x", "/loop")]
    assert said == [{"status": "success", "data": {"name": "x"}}, {"status": "success", "data": "done"}]
    with store._database.write() as connection:
        kept.mark(connection, "other 1")
    with store.asking():
        pass
    said = [rows_client.get(path).json() for path in ("/named/x", "/loop")]
    assert [answer["definitions"] for answer in said] == ["updating"] * 2
    assert "definitions" not in rows_client.post("/doubled", json={"n": 1}).json()
