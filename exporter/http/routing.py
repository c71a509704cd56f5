"""The route table, indexed: which routes a path belongs to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgspec
from starlette.types import Scope

from exporter.http.envelope import failure
from exporter.http.types import Access, AnyRoute, Content, ErrorHandler

MATCH: Final = "exporter.match"


class BoundRoute(NamedTuple):
    """A route with what can be made ready before the first request.

    Attributes:
        decode: the decoder of its bodies.
        on_loop: whether its handler is a coroutine function, which runs on the event loop.
        is_table: whether its answer may leave as CSV.
    """

    route: AnyRoute
    decode: Callable[[bytes | msgspec.Raw], msgspec.Struct]
    on_loop: bool
    is_table: bool


class PathRoutes(NamedTuple):
    """The routes of one path, by method.

    Attributes:
        access: the scope that all of them need; `None` where they differ.
        allow: the methods, as the header `Allow` lists them.
    """

    path: str
    by_method: Mapping[str, BoundRoute]
    access: Access | None
    allow: bytes
    error_handler: ErrorHandler


class Match(NamedTuple):
    """The routes that the path of a request leads to, and the parameters in that path."""

    routes: PathRoutes
    path_params: Mapping[str, str]


class Router:
    """Finds the routes of a path: a dict for paths without parameters, then patterns in the order of their rows.

    A path without parameters also answers the methods that only a pattern has which it is an example of: the users
    `summary` and `alice` are erased alike, although one of them is a report as well.
    """

    def __init__(self, routes: Iterable[AnyRoute]) -> None:
        by_path: dict[str, list[AnyRoute]] = {}
        for route in routes:
            by_path.setdefault(route.path, []).append(route)
        patterns = {path: rows for path, rows in by_path.items() if "{" in path}
        self._patterns = [(path.split("/"), _path_routes(path, rows)) for path, rows in patterns.items()]
        self._most_slashes = max((path.count("/") for path in patterns), default=0)
        self._fixed = {path: _fixed(path, rows, patterns) for path, rows in by_path.items() if path not in patterns}

    def match(self, scope: Scope) -> Match | None:
        """Return where the path of a request leads to, or `None`."""
        if not _has_encoded_slash(scope) and (fixed := self._fixed.get(own_path(scope))):
            return fixed
        # Decoding thousands of segments takes longer than answering.
        return None if _slashes(scope) > self._most_slashes else self._match_pattern(segments(scope))

    def _match_pattern(self, segments: list[str]) -> Match | None:
        for pattern, routes in self._patterns:
            path_params = _matched(pattern, segments)
            if path_params is not None:
                return Match(routes, path_params)
        return None


def _fixed(path: str, rows: list[AnyRoute], patterns: Mapping[str, list[AnyRoute]]) -> Match:
    """Return where a path without parameters leads to, the methods of a pattern that matches it included."""
    for pattern, others in patterns.items():
        path_params = _matched(pattern.split("/"), path.split("/"))
        if path_params is not None:
            own = {row.method for row in rows}
            return Match(_path_routes(path, [*rows, *(row for row in others if row.method not in own)]), path_params)
    return Match(_path_routes(path, rows), {})


def _path_routes(path: str, rows: list[AnyRoute]) -> PathRoutes:
    by_method: dict[str, BoundRoute] = {row.method: _bound(row) for row in rows}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]
    accesses = {row.access for row in rows}
    access = accesses.pop() if len(accesses) == 1 else None
    allow = ", ".join(sorted({*by_method, "OPTIONS"})).encode()
    error_handler = next((row.error_handler for row in rows if row.error_handler is not None), enveloped)
    return PathRoutes(path, by_method, access, allow, error_handler)


def enveloped(fault: Exception, headers: object, asked: bool) -> Content:
    """Return the answer that an exception becomes where a route has no error handler: an error in the envelope."""
    return failure(fault, asked=asked)


def _bound(route: AnyRoute) -> BoundRoute:
    return BoundRoute(
        route, msgspec.json.Decoder(route.body).decode, inspect.iscoroutinefunction(route.handler), route.is_table
    )


def _matched(pattern: list[str], given: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(given):
        return None
    parameters = {}
    for expected, segment in zip(pattern, given, strict=True):
        if expected.startswith("{") and segment:
            parameters[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return parameters


def _has_encoded_slash(scope: Scope) -> bool:
    """Whether a segment of the path holds a slash, which no path without parameters does."""
    raw = scope.get("raw_path")
    return isinstance(raw, bytes) and b"%2f" in raw.lower()


def _slashes(scope: Scope) -> int:
    """Return how many slashes a path has at least, below where the application is mounted, encoded ones excepted."""
    decoded, raw = own_path(scope).count("/"), scope.get("raw_path")
    if not isinstance(raw, bytes) or not raw:
        return decoded
    return min(decoded, raw.count(b"/") - str(scope.get("root_path", "")).count("/"))


def own_path(scope: Scope) -> str:
    """Return the decoded path below the place where the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    # Some servers and test clients leave the root path away from `path`.
    return path[len(root) :] if root and path.startswith(root) and path[len(root) :].startswith("/") else path


def segments(scope: Scope) -> list[str]:
    """Return the decoded segments of a path below the place where the application is mounted.

    The path is split before it is decoded, so that a model name may hold a `/` (`%2F`). Where the raw path is absent,
    or is not that of `path` because something on the way rewrote one of the two, the decoded path is split.
    """
    raw = scope.get("raw_path")
    text = raw.decode("latin-1") if isinstance(raw, bytes) else ""
    path = scope["path"]
    if not text or unquote(text) != path:
        return own_path(scope).split("/")
    parts = text.split("/")
    mounted_at = path[: len(path) - len(own_path(scope))]
    return ["", *(unquote(part) for part in parts[_parts_of(mounted_at, parts) :])]


def _parts_of(prefix: str, parts: list[str]) -> int:
    """Return how many raw segments a decoded prefix takes up."""
    counts = range(1, len(parts))
    return next((count for count in counts if unquote("/".join(parts[:count])) == prefix), 1)
