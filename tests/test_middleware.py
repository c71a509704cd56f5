from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.testclient import TestClient

from otel_measure.definitions.exposition import Sample
from otel_measure.middleware import AsgiMiddleware, Environ, StartResponse, WsgiMiddleware
from otel_measure.testing import Capture

DURATION = "http.server.request.duration"


@pytest.fixture
def measured() -> Iterator[Capture]:
    """A runtime of the test's own."""
    with Capture() as capture:
        yield capture


def requests(capture: Capture) -> dict[str, int]:
    """Return how many requests were measured, by their labels but for the service's."""
    family = capture.families().get(DURATION)
    samples: list[Sample] = family.samples if family is not None else []
    return {sample.labels.replace(',service_name="unknown_service"', ""): sample.count for sample in samples}


def pages(capture: Capture) -> list[tuple[object, ...]]:
    """Return user, label and URL of the events that were recorded."""
    names = ("user.id", "otel_measure.event.label", "url.full")
    return [tuple(event.attributes.get(name) for name in names) for event in capture.events()]


# ---------------------------------------------------------------- ASGI


@pytest.fixture
def web(measured: Capture) -> TestClient:
    """A client of a FastAPI application whose pages are views of user 7."""
    app = FastAPI()

    @app.get("/items/{item}", response_class=HTMLResponse)
    def item(item: str) -> str:
        return f"<p>{item}</p>"

    @app.get("/data")
    def data() -> dict[str, int]:
        return {"a": 1}

    @app.post("/pay")
    def pay() -> None:
        raise LookupError("no money")

    wrapped = AsgiMiddleware(app, page_views=True, user=lambda scope: 7 if b"known" in dict(scope["headers"]) else None)
    return TestClient(wrapped, raise_server_exceptions=False)


def test_requests_of_an_asgi_application(web: TestClient, measured: Capture) -> None:
    """By method, route and status; a path that no route matches is none, a method nobody knows is one of many."""
    web.get("/items/1")
    web.get("/items/2")
    web.get("/nowhere/1")
    web.request("BREW", "/data")
    assert requests(measured) == {
        'http_request_method="GET",http_response_status_code="200",http_route="/items/{item}",url_scheme="http"': 2,
        'http_request_method="GET",http_response_status_code="404",url_scheme="http"': 1,
        'http_request_method="_OTHER",http_response_status_code="405",http_route="/data",url_scheme="http"': 1,
    }


def test_an_exception_passes_unchanged(web: TestClient, measured: Capture) -> None:
    """And is the type of the error."""
    assert web.post("/pay").status_code == 500
    ((labels, n),) = requests(measured).items()
    assert n == 1
    assert 'error_type="LookupError"' in labels
    assert 'http_route="/pay"' in labels


def test_pages_that_known_users_are_shown(web: TestClient, measured: Capture) -> None:
    """HTML that went well, of a user who is known, without what follows the question mark."""
    web.get("/items/1?token=secret", headers={"known": "1"})
    web.get("/items/1")
    web.get("/data", headers={"known": "1"})
    web.get("/nowhere", headers={"known": "1"})
    web.head("/items/1", headers={"known": "1"})
    assert pages(measured) == [("7", "/items/{item}", "/items/1")]


def test_pages_that_nobody_looks_at_are_no_views(web: TestClient, measured: Capture) -> None:
    """What a browser fetches in advance or as a part of a page; a long path is cut and says so, and raises nothing."""
    web.get("/items/1", headers={"known": "1", "Sec-Purpose": "prefetch;prerender"})
    web.get("/items/2", headers={"known": "1", "HX-Request": "true"})
    web.get(f"/items/{'x' * 9000}", headers={"known": "1", "Sec-Fetch-Dest": "document"})
    assert pages(measured) == [("7", "/items/{item}", f"/items/{'x' * 8184}…")]


def test_other_connections_pass(measured: Capture) -> None:
    """The lifespan and web sockets are the application's alone."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> Any:
        return {}

    middleware = AsgiMiddleware(app)
    for kind in ("lifespan", "websocket"):
        asyncio.run(middleware({"type": kind}, nothing, nothing))
    assert (seen, requests(measured)) == (["lifespan", "websocket"], {})


def test_an_application_that_never_answers(measured: Capture) -> None:
    """Has no status."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answer nothing."""

    async def nothing(*_: object) -> Any:
        return {}

    asyncio.run(AsgiMiddleware(app)({"type": "http", "method": "GET", "path": "/", "scheme": "ws"}, nothing, nothing))
    assert requests(measured) == {'http_request_method="GET",url_scheme="_OTHER"': 1}


def test_a_fault_of_ours_costs_the_host_nothing(web: TestClient, measured: Capture) -> None:
    """It is counted; the answer is the application's."""
    measured.runtime.recorder._raise_faults = False
    app = AsgiMiddleware(FastAPI(), page_views=True, user=lambda scope: True)
    broken = AsgiMiddleware(_html, page_views=True, user=lambda scope: True)
    assert TestClient(app).get("/").status_code == 404
    assert TestClient(broken).get("/").text == "hi"
    errors = measured.families()["otel_measure.self.errors"].samples
    assert [('error_type="middleware"' in sample.labels, sample.value) for sample in errors] == [(True, 1.0)]


async def _html(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/html; charset=utf-8")]}
    )
    await send({"type": "http.response.body", "body": b"hi"})


def test_middleware_outlives_a_runtime() -> None:
    """It measures for whoever is there."""
    client = TestClient(AsgiMiddleware(_html))
    for _ in range(2):
        with Capture() as capture:
            client.get("/")
            assert sum(requests(capture).values()) == 1


# ---------------------------------------------------------------- WSGI


def ask(app: Any, **environ: Any) -> tuple[bytes, list[Any]]:
    """Ask a WSGI application as a server does; return the body and what it started the answer with."""
    started: list[Any] = []

    def start_response(*args: Any) -> Callable[[bytes], object]:
        started.append(args)
        return lambda data: None

    given: Environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "https", **environ}
    body = app(given, start_response)
    try:
        return b"".join(body), started
    finally:
        if hasattr(body, "close"):
            body.close()


def answering(
    status: str = "200 OK", kind: str = "text/html", body: Iterable[bytes] = (b"hi",), **_: Any
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """Return a WSGI application that answers so."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [("Content-Type", kind)])
        return body

    return app


def test_requests_of_a_wsgi_application(measured: Capture) -> None:
    """Until the last byte; the answer is the application's own."""
    assert ask(WsgiMiddleware(answering())) == (b"hi", [("200 OK", [("Content-Type", "text/html")])])
    ask(WsgiMiddleware(answering("503 Busy"), route=lambda environ: "/busy"))
    ask(WsgiMiddleware(answering("odd")))
    assert requests(measured) == {
        'http_request_method="GET",http_response_status_code="200",url_scheme="https"': 1,
        'error_type="503",http_request_method="GET",http_response_status_code="503",'
        'http_route="/busy",url_scheme="https"': 1,
        'error_type="500",http_request_method="GET",http_response_status_code="500",url_scheme="https"': 1,
    }


def test_pages_of_a_wsgi_application(measured: Capture) -> None:
    """As those of ASGI."""
    app = WsgiMiddleware(answering(), page_views=True, user=lambda environ: environ.get("REMOTE_USER"))
    ask(app, REMOTE_USER="ann", PATH_INFO="/home")
    ask(app)
    ask(app, REMOTE_USER="ann", PATH_INFO="/next", HTTP_SEC_PURPOSE="prefetch")
    assert pages(measured) == [("ann", "/home", "/home")]


def test_the_view_of_a_placeholder_is_dropped_and_counted(measured: Capture) -> None:
    """An id that names nobody is no fault of ours, and makes no visitor of all who have none."""
    app = WsgiMiddleware(answering(), page_views=True, user=lambda environ: environ.get("REMOTE_USER"))
    for user in ("undefined", "", "Anonymous", "-1", "0"):
        ask(app, REMOTE_USER=user, PATH_INFO="/home")
    assert pages(measured) == [("0", "/home", "/home")]
    records = measured.families()["otel_measure.self.records"].samples
    assert [(sample.labels, sample.value) for sample in records if "dropped" in sample.labels] == [
        (
            'otel_measure_drop_reason="placeholder_user",otel_measure_record_kind="user_event",'
            'otel_measure_record_outcome="dropped",service_name="unknown_service"',
            4.0,
        )
    ]


def test_errors_of_a_wsgi_application(measured: Capture) -> None:
    """At the call, and while its body is read; `exc_info` is passed on."""

    def raising(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        raise LookupError

    def breaking(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [], ("kind", "error", None))
        yield b"a"
        raise KeyError

    with pytest.raises(LookupError):
        ask(WsgiMiddleware(raising))
    with pytest.raises(KeyError):
        ask(WsgiMiddleware(breaking))
    assert sorted(labels.partition(",")[0] for labels in requests(measured)) == [
        'error_type="KeyError"',
        'error_type="LookupError"',
    ]


def test_a_body_is_closed_once_and_a_client_may_go(measured: Capture) -> None:
    """The application's `close` is called, and a body that nobody reads to its end is no error."""
    closed: list[int] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append(1)

    body: Any = WsgiMiddleware(answering(body=Body()))({"REQUEST_METHOD": "GET"}, lambda *args: lambda data: None)
    reading = iter(body)
    next(reading)
    reading.close()
    body.close()
    body.close()
    assert closed == [1, 1]
    assert list(requests(measured).values()) == [1]
    assert "error_type" not in next(iter(requests(measured)))
