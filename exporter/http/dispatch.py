"""Dispatch: a matched request is checked, decoded and given to its handler, whose result becomes the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.http.auth import NO_SCOPE, SCOPES, require_scope
from exporter.http.body import body_headers, decode_json, decompressed, read_body, receive_body, require_json
from exporter.http.csv_table import csv_content
from exporter.http.envelope import UNCACHED, ClientGone, HttpError, send_content, success
from exporter.http.lists import page_asked, page_of_lists
from exporter.http.negotiate import BY_ACCEPT, negotiated, prefers_csv
from exporter.http.query import parse
from exporter.http.routing import MATCH, BoundRoute, Match, PathRoutes
from exporter.http.tables import table_asked
from exporter.http.threads import in_thread, kind_of
from exporter.http.types import AnyRoute, Backend, BodyHeaders, Call, Content, NoBody
from otel_measure.definitions.pages import FIRST_PAGE, Page

_NO_BODY: Final = NoBody()


class Dispatcher:
    """The middleware that answers for every row of the route table.

    It stands before Starlette's router, whose patterns and exception handling a route has no use for: a request
    without a match goes on to it.

    Args:
        app: what is behind it.
        backend: returns that of the running process.
    """

    def __init__(self, app: ASGIApp, backend: Callable[[], Awaitable[Backend]]) -> None:
        self._app = app
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that has a match; an exception becomes an answer of its error handler."""
        match: Match | None = scope.get(MATCH)
        if match is None:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        bound = match.routes.by_method.get(method)
        try:
            content = await self._answer(bound, match, scope, receive)
        except ClientGone:
            return
        except Exception as fault:
            content = match.routes.error_handler(fault, scope["headers"], _has_arguments(bound, scope))
        await send_content(content, send, head=method == "HEAD")

    async def _answer(self, bound: BoundRoute | None, match: Match, scope: Scope, receive: Receive) -> Content:
        if bound is None:
            return _other_method(scope["method"], match.routes)
        route = bound.route
        require_scope(scope.get(SCOPES, NO_SCOPE), route.access)
        query = parse(scope["query_string"], route.query)
        page = _part_asked(route, query)
        headers = scope["headers"]
        as_csv = bound.is_table and prefers_csv(headers)
        if bound.on_loop:
            body = _NO_BODY if route.body is NoBody else await _body(bound, scope, receive)
            backend = await self._backend() if route.needs_runtime else None
            call = Call(match.path_params, query, body, _backend=backend)
            return negotiated(_content(route, call, await cast("Awaitable[object]", route.handler(call))), headers)
        of_body = body_headers(headers)
        sent = b"" if route.body is NoBody else await receive_body(of_body, receive, route.max_bytes)
        backend = await self._backend() if route.needs_runtime else None

        def handle() -> Content:
            decoded = _NO_BODY if route.body is NoBody else _decoded(bound, of_body, sent)
            call = Call(match.path_params, query, decoded, page, backend)
            asks = route.method == "GET" and backend is not None
            pending = call.runtime.recorder.settle() if asks else 0
            return content_of(route, call, route.handler(call), pending, as_csv=as_csv)

        def answer() -> Content:
            try:
                return negotiated(handle(), headers)
            except Exception as fault:
                # On its way to the event loop it would keep the body, and all that was made of it, in a circle with
                # the future that brings it, until the collector of garbage comes by.
                return match.routes.error_handler(fault, headers, _has_arguments(bound, scope))

        return await in_thread(answer, kind_of(route))


async def _body(bound: BoundRoute, scope: Scope, receive: Receive) -> msgspec.Struct:
    headers = body_headers(scope["headers"])
    require_json(headers.content_type)
    return decode_json(await read_body(headers, receive, bound.route.max_bytes), bound.decode)


def _decoded(bound: BoundRoute, headers: BodyHeaders, sent: bytes) -> msgspec.Struct:
    route = bound.route
    if route.body_reader is not None:
        return route.body_reader(headers, sent, route.max_bytes)
    require_json(headers.content_type)
    return decode_json(decompressed(headers, sent, route.max_bytes), bound.decode)


def content_of(
    route: AnyRoute, call: Call[Any, Any], answer: object, pending: int = 0, *, as_csv: bool = False
) -> Content:
    """Return what a handler answered as it leaves.

    Args:
        route: of the handler.
        call: what it was given.
        answer: what it returned.
        pending: how many records of this process are not in it.
        as_csv: of an answer with lists or a series, a table.
    """
    if route.is_table:
        return _table(route, call, answer, pending, as_csv)
    return _content(route, call, answer, pending)


def _content(route: AnyRoute, call: Call[Any, Any], answer: object, pending: int = 0) -> Content:
    if isinstance(answer, Content):
        return answer
    return success(answer, route.status, is_updating=_is_updating(route, call), pending=pending)


def _part_asked(route: AnyRoute, query: msgspec.Struct) -> Page:
    """Return which part of an answer is asked for: a page of its lists, or one of its tables."""
    if route.lists:
        return page_asked(query, route.lists)
    return Page(of=table_asked(query, route.tables).key) if route.tables else FIRST_PAGE


def _table(route: AnyRoute, call: Call[Any, Any], answer: object, pending: int, as_csv: bool) -> Content:
    """Return the asked part of an answer with lists or tables, or a series, in the form that is asked for."""
    page = call.page
    listed = page_of_lists(answer, route.lists, page)
    if as_csv:
        return csv_content(listed, (*route.lists, *route.tables), page.of, route.path, (*UNCACHED, BY_ACCEPT))
    is_part = page != FIRST_PAGE or any(total.total > page.limit for total in listed.totals.values())
    content = success(
        listed.answer,
        route.status,
        is_updating=_is_updating(route, call),
        pending=pending,
        lists=listed.totals if listed.totals and is_part else None,
    )
    return content._replace(headers=(*content.headers, BY_ACCEPT))


def _is_updating(route: AnyRoute, call: Call[Any, Any]) -> bool:
    """Whether an answer comes from a store that did not count all of its facts by its definitions when it was asked."""
    store = call.runtime.store if route.method == "GET" and route.needs_runtime else None
    return store is not None and store.is_updating()


def _other_method(method: str, routes: PathRoutes) -> Content:
    allow = ((b"allow", routes.allow),)
    if method == "OPTIONS":
        return Content(b"", allow, 204)
    raise HttpError(405, f"{routes.path} does not answer {method}; allowed: {routes.allow.decode()}", allow)


def _has_arguments(bound: BoundRoute | None, scope: Scope) -> bool:
    """Whether the client gave any argument that a `ValueError` could be about."""
    in_request = bound is not None and (bound.route.body is not NoBody or "{" in bound.route.path)
    return in_request or bool(scope["query_string"])
