"""The route table, indexed: which rows a path belongs to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, cast
from urllib.parse import unquote

import msgspec
from starlette.types import Scope

from exporter.http.envelope import failure
from exporter.http.types import Access, AnyEndpoint, Content, Fails

FOUND: Final = "exporter.found"


class Bound(NamedTuple):
    """An endpoint with what can be made ready before the first request."""

    endpoint: AnyEndpoint
    decode: Callable[[bytes | msgspec.Raw], msgspec.Struct]
    on_loop: bool


class Place(NamedTuple):
    """All endpoints of one path."""

    path: str
    bound: Mapping[str, Bound]
    access: Access | None
    allow: bytes
    fails: Fails


class Found(NamedTuple):
    """The place that a request goes to, with the parameters of its path."""

    place: Place
    path: Mapping[str, str]


class Places:
    """The route table, indexed: a dict for paths without parameters, then patterns in the order of their rows."""

    def __init__(self, endpoints: Iterable[AnyEndpoint]) -> None:
        by_path: dict[str, list[AnyEndpoint]] = {}
        for endpoint in endpoints:
            by_path.setdefault(endpoint.path, []).append(endpoint)
        places = [_place(path, rows) for path, rows in by_path.items()]
        self._fixed = {place.path: Found(place, {}) for place in places if "{" not in place.path}
        self._patterns = [(place.path.split("/"), place) for place in places if "{" in place.path]

    def find(self, scope: Scope) -> Found | None:
        """Return where a request goes, or `None`."""
        found = self._fixed.get(own_path(scope))
        return found or self._find_pattern(segments(scope))

    def _find_pattern(self, given: list[str]) -> Found | None:
        for pattern, place in self._patterns:
            parameters = _matched(pattern, given)
            if parameters is not None:
                return Found(place, parameters)
        return None


def _place(path: str, rows: list[AnyEndpoint]) -> Place:
    bound: dict[str, Bound] = {row.method: _bound(row) for row in rows}
    methods = sorted({*bound, "OPTIONS"} | ({"HEAD"} if "GET" in bound else set()))
    shared = {row.access for row in rows}
    access = shared.pop() if len(shared) == 1 else None
    bound |= {"HEAD": bound["GET"]} if "GET" in bound else {}
    fails = next((row.fails for row in rows if row.fails is not None), enveloped)
    return Place(path, bound, access, ", ".join(methods).encode(), fails)


def enveloped(fault: Exception, headers: object, asked: bool) -> Content:
    """Return the answer that an exception becomes where nothing else is said: an error in the envelope."""
    return failure(fault, asked=asked)


def _bound(endpoint: AnyEndpoint) -> Bound:
    decode = cast("Callable[[bytes | msgspec.Raw], msgspec.Struct]", msgspec.json.Decoder(endpoint.body).decode)
    return Bound(endpoint, decode, inspect.iscoroutinefunction(endpoint.handler))


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
