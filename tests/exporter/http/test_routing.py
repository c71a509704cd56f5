from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.http.routing import Router, segments
from exporter.http.types import AnyRoute, NoBody, NoQuery, PlainCall, get, post


def answer(call: PlainCall) -> None:
    """Answer nothing."""


async def write(call: PlainCall) -> None:
    """Write nothing."""


ROWS: tuple[AnyRoute, ...] = (
    get("/models", answer, NoQuery, "s", "r"),
    post("/models", write, NoBody, "s", "r"),
    get("/models/detail", answer, NoQuery, "s", "r", access="open"),
    get("/models/{name}/{version}", answer, NoQuery, "s", "r"),
    get("/models/{name}/{version}/cost", answer, NoQuery, "s", "r"),
)
ROUTER = Router(ROWS)


def scope(path: str, raw_path: bytes | None = None, root_path: str = "") -> dict[str, Any]:
    """Return what a server says about a path."""
    return {"type": "http", "path": path, "root_path": root_path, "raw_path": raw_path}


def matched(scope: dict[str, Any]) -> tuple[str, dict[str, str]] | None:
    """Return the pattern and the parameters that a path leads to."""
    match = ROUTER.match(scope)
    return match and (match.routes.path, dict(match.path_params))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/models", ("/models", {})),
        ("/models/detail", ("/models/detail", {})),
        ("/models/gpt-4/1.0", ("/models/{name}/{version}", {"name": "gpt-4", "version": "1.0"})),
        ("/models/gpt-4/1.0/cost", ("/models/{name}/{version}/cost", {"name": "gpt-4", "version": "1.0"})),
        ("/models/", None),
        ("/models//1.0", None),
        ("/models/a/1/latency", None),
        ("/other", None),
        ("", None),
    ],
)
def test_match(path: str, expected: tuple[str, dict[str, str]] | None) -> None:
    """A path without parameters is matched by itself, others by their pattern; an empty segment matches nothing."""
    assert matched(scope(path)) == expected
    assert matched(scope(path, path.encode())) == expected


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(name=texts, version=texts, root=st.sampled_from(["", "/measure", "/a b/ü"]))
def test_names(name: str, version: str, root: str) -> None:
    """Any name and version, with a slash or whatever else, comes out of a path as it was put in."""
    path = f"{root}/models/{name}/{version}"
    raw_path = f"{quote(root)}/models/{quote(name, safe='')}/{quote(version, safe='')}".encode()
    assert matched(scope(path, raw_path, root)) == ("/models/{name}/{version}", {"name": name, "version": version})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (scope("/m/a/b", b"/m/a%2Fb"), ["", "m", "a/b"]),
        (scope("/m/a/b"), ["", "m", "a", "b"]),
        # The raw path of before a rewrite says nothing about the path of after it.
        (scope("/m/a/b", b"/other/a%2Fb"), ["", "m", "a", "b"]),
        # A mount whose own prefix holds an encoded slash.
        (scope("/x/y/m/a/b", b"/x%2Fy/m/a%2Fb", "/x/y"), ["", "m", "a/b"]),
        # A server or test client that leaves the root path away from both.
        (scope("/m/a/b", b"/m/a%2Fb", "/root"), ["", "m", "a/b"]),
        (scope("/rooted/a", b"/rooted/a", "/root"), ["", "rooted", "a"]),
        (scope("/root", b"/root", "/root"), ["", "root"]),
    ],
)
def test_segments(asked: dict[str, Any], expected: list[str]) -> None:
    """A path is split before it is decoded, below where the application is mounted."""
    assert segments(asked) == expected


def test_methods() -> None:
    """The routes of a path know their methods, and the scope they need where all of them agree."""
    both = ROUTER.match(scope("/models"))
    one = ROUTER.match(scope("/models/detail"))
    if both is None or one is None:
        raise AssertionError("both are rows of the table")
    assert (both.routes.allow, both.routes.access, sorted(both.routes.by_method)) == (
        b"GET, HEAD, OPTIONS, POST", None, ["GET", "HEAD", "POST"],
    )  # fmt: skip
    assert (one.routes.allow, one.routes.access, sorted(one.routes.by_method)) == (
        b"GET, HEAD, OPTIONS", "open", ["GET", "HEAD"],
    )  # fmt: skip
    assert {method: bound.on_loop for method, bound in both.routes.by_method.items()} == {
        "GET": False, "HEAD": False, "POST": True,
    }  # fmt: skip
