"""Requests of a web application, whichever framework it uses: how long they take, which fail, and what users look at.

    app = AsgiMiddleware(app)                                          # Starlette, FastAPI, Quart, Django (asgi.py)
    app = WsgiMiddleware(app, page_views=True, user=lambda environ: environ.get("REMOTE_USER"))    # Flask, Django

Requests become `http.server.request.duration`. With `page_views`, each HTML page that a known user was shown is an
event of theirs: what a browser fetches in advance, or as a part of a page, is none (`definitions.page_views`), and that
of an id that names nobody ("undefined", "anonymous") is dropped and counted. Nothing
here changes an answer, and an exception passes unchanged.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final, TypeAlias

from otel_measure import process
from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.page_views import is_looked_at
from otel_measure.records import checks
from otel_measure.records.enums import EventType
from otel_measure.records.kinds import UserEvent
from otel_measure.records.limits import MAX_LABEL_CHARS, MAX_NAME_CHARS
from otel_measure.runtime import Runtime

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Callable[[bytes], object]]
WsgiApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Header: TypeAlias = Callable[[str], str | None]
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_HTML: Final = "text/html"


class _Requests:
    """What both kinds of middleware record."""

    def __init__(self, page_views: bool, user: Callable[[Any], object]) -> None:
        self._page_views = page_views
        self._user = user

    def begin(self, method: str, scheme: str, path: str, header: Header) -> _Request:
        """Start the clock of a request."""
        return _Request(self, method, scheme, path, header)

    def end(self, request: _Request, whose: Any, route: str | None) -> None:
        """Record a request; never raise."""
        current = process.current()
        try:
            current.telemetry.measure(
                instruments.HTTP_SERVER_REQUEST_DURATION, request.took_s, request.attributes(route)
            )
            if self._page_views and request.is_page:
                self._view(current, request, whose, route)
        except Exception as error:
            current.recorder.fault("middleware", f"a request was not measured: {error!r}", error)

    def _view(self, current: Runtime, request: _Request, whose: Any, route: str | None) -> None:
        user = self._user(whose)
        if checks.names_nobody(user):
            current.recorder.leave_out(UserEvent, "placeholder_user")
        elif user is not None:
            name = (route or request.path or "/")[:MAX_NAME_CHARS]
            current.users.track_event(user, EventType.PAGE_VIEW, name, page_url=request.path or "/")


class _Request:
    """One request on its way."""

    def __init__(self, requests: _Requests, method: str, scheme: str, path: str, header: Header) -> None:
        self._requests = requests
        self._method = method
        self._scheme = scheme
        self._header = header
        self.path = path
        self._began_s = time.perf_counter()
        self.took_s = 0.0
        self._status: int | None = None
        self._content_type = ""
        self._error: str | None = None

    def answered(self, status: int, content_type: str) -> None:
        """Note how it was answered."""
        self._status, self._content_type = status, content_type

    def failed(self, error: BaseException) -> None:
        """Note that the application raised."""
        self._error = type(error).__qualname__[:MAX_LABEL_CHARS]

    def end(self, whose: Any, route: str | None) -> None:
        """Stop the clock and record it."""
        self.took_s = time.perf_counter() - self._began_s
        self._requests.end(self, whose, route)

    @property
    def is_page(self) -> bool:
        """Whether somebody was shown an HTML page."""
        is_good = self._status is not None and 200 <= self._status < 300 and self._error is None
        is_html = self._method == "GET" and self._content_type.lower().startswith(_HTML)
        return is_good and is_html and is_looked_at(self._header)

    def attributes(self, route: str | None) -> dict[str, str | int]:
        """Return the attributes of the convention: none of them holds what a client can make up at will."""
        attributes: dict[str, str | int] = {
            semconv.ATTR_HTTP_REQUEST_METHOD: self._method if self._method in METHODS else semconv.OTHER,
            semconv.ATTR_URL_SCHEME: self._scheme if self._scheme in ("http", "https") else semconv.OTHER,
        }
        if route:
            attributes[semconv.ATTR_HTTP_ROUTE] = route[:MAX_NAME_CHARS]
        if self._status is not None:
            attributes[semconv.ATTR_HTTP_RESPONSE_STATUS_CODE] = self._status
        if self._error is not None:
            attributes[semconv.ATTR_ERROR_TYPE] = self._error
        elif self._status is not None and self._status >= 500:
            attributes[semconv.ATTR_ERROR_TYPE] = str(self._status)
        return attributes


def _nobody(_: object) -> None:
    return None


class AsgiMiddleware:
    """Measures the HTTP requests of an ASGI application; other connections pass.

    Args:
        app: the application.
        page_views: record the HTML pages that users are shown.
        user: the id of who asks, from the ASGI scope; `None` for somebody who is not known.
    """

    def __init__(self, app: AsgiApp, *, page_views: bool = False, user: Callable[[Scope], object] = _nobody) -> None:
        self._app = app
        self._requests = _Requests(page_views, user)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope.get("headers", ())
        request = self._requests.begin(
            scope["method"], scope.get("scheme", "http"), scope["path"], lambda name: _header(headers, name.encode())
        )

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.answered(message["status"], _header(message.get("headers", ()), b"content-type") or "")
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except BaseException as error:
            request.failed(error)
            raise
        finally:
            request.end(scope, getattr(scope.get("route"), "path", None))


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == wanted), None)


class WsgiMiddleware:
    """Measures the requests of a WSGI application, until the last byte of each answer.

    Args:
        app: the application.
        page_views: record the HTML pages that users are shown.
        user: the id of who asks, from the WSGI environment; `None` for somebody who is not known.
        route: the pattern that a request was matched with, from the WSGI environment; `None` when unknown.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        page_views: bool = False,
        user: Callable[[Environ], object] = _nobody,
        route: Callable[[Environ], str | None] = _nobody,
    ) -> None:
        self._app = app
        self._requests = _Requests(page_views, user)
        self._route = route

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the application does."""
        request = self._requests.begin(
            environ["REQUEST_METHOD"],
            environ.get("wsgi.url_scheme", "http"),
            environ.get("PATH_INFO", ""),
            lambda name: environ.get(f"HTTP_{name.upper().replace('-', '_')}"),
        )

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            code = status.partition(" ")[0]
            kind = next((value for name, value in headers if name.lower() == "content-type"), "")
            request.answered(int(code) if code.isdigit() else 500, kind)
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            body = self._app(environ, started)
        except BaseException as error:
            request.failed(error)
            self._end(request, environ)
            raise
        return _Body(body, request, lambda: self._end(request, environ))

    def _end(self, request: _Request, environ: Environ) -> None:
        request.end(environ, self._route(environ))


class _Body:
    """The body of an answer: as it is, and it says when it is over."""

    def __init__(self, body: Iterable[bytes], request: _Request, end: Callable[[], None]) -> None:
        self._body = body
        self._request = request
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception as error:  # a GeneratorExit is a client that has gone, and no error of the application
            self._request.failed(error)
            raise

    def close(self) -> None:
        """Close the application's body, as a server does when it is done or the client has gone."""
        try:
            close = getattr(self._body, "close", None)
            if callable(close):
                close()
        finally:
            end, self._end = self._end, None
            if end is not None:
                end()
