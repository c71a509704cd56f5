"""From a request to a row of the route table, and from what its handler returns to an answer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, cast

import msgspec
from anyio import to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.http.auth import GRANTS, NOTHING, permit
from exporter.http.body import body_headers, decode_json, read_body, require_json
from exporter.http.envelope import ClientGone, HttpError, send_content, success
from exporter.http.query import parse
from exporter.http.routing import FOUND, Bound, Found, Place
from exporter.http.types import AnyEndpoint, Call, Content, NoBody
from exporter.running import Running

_NO_BODY: Final = NoBody()


class Endpoints:
    """The middleware that answers for every row of the route table.

    It stands before Starlette's router, whose patterns and exception handling a row has no use for: what no row is
    for goes on to it.
    """

    def __init__(self, app: ASGIApp, running: Running) -> None:
        self._app = app
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for which the guard has found a row, whatever happens."""
        found: Found | None = scope.get(FOUND)
        if found is None:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        bound = found.place.bound.get(method)
        try:
            content = await self._answer(bound, found, scope, receive)
        except ClientGone:
            return
        except Exception as fault:
            content = found.place.fails(fault, scope["headers"], _asks(bound, found, scope))
        await send_content(content, send, head=method == "HEAD")

    async def _answer(self, bound: Bound | None, found: Found, scope: Scope, receive: Receive) -> Content:
        if bound is None:
            return _other_method(scope["method"], found.place)
        endpoint = bound.endpoint
        permit(scope.get(GRANTS, NOTHING), endpoint.access)
        query = parse(scope["query_string"], endpoint.query)
        body: msgspec.Struct = _NO_BODY
        if endpoint.body is not NoBody:
            headers = body_headers(scope["headers"])
            if endpoint.reads is not None:
                body = await endpoint.reads(headers, receive, endpoint.max_bytes)
            else:
                require_json(headers.content_type)
                body = decode_json(await read_body(headers, receive, endpoint.max_bytes), bound.decode)
        live = await self._running.live() if endpoint.runtime else None
        call = Call(found.path, query, body, live)
        if bound.on_loop:
            return _content(await cast("Awaitable[object]", endpoint.handler(call)), endpoint.status)
        return await to_thread.run_sync(_handled, endpoint, call)


def _handled(endpoint: AnyEndpoint, call: Call[Any, Any]) -> Content:
    return _content(endpoint.handler(call), endpoint.status)


def _content(answer: object, status: int) -> Content:
    return answer if isinstance(answer, Content) else success(answer, status)


def _other_method(method: str, place: Place) -> Content:
    allow = ((b"allow", place.allow),)
    if method == "OPTIONS":
        return Content(b"", allow, 204)
    raise HttpError(405, f"{place.path} does not answer {method}; allowed: {place.allow.decode()}", allow)


def _asks(bound: Bound | None, found: Found, scope: Scope) -> bool:
    """Whether the client gave any argument that a `ValueError` could be about."""
    has_body = bound is not None and bound.endpoint.body is not NoBody
    return has_body or bool(found.path) or bool(scope["query_string"])
