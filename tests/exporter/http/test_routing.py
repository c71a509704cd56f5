from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.app import ROUTES
from exporter.http.routing import Router, segments
from exporter.http.types import AnyRoute, NoBody, NoQuery, PlainCall, delete, get, post


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


USERS = Router((
    get("/users/summary", answer, NoQuery, "s", "r"),
    post("/users/nps/record", write, NoBody, "s", "r"),
    delete("/users/{user_id}", answer, NoQuery, "s", "r", access="admin"),
))  # fmt: skip


@pytest.mark.parametrize(
    "user_id", ["summary", "nps/record", "nps", ".", "..", "a%2Fb", "%73ummary", "ü", "a?b#c", " "]
)
def test_an_id_may_be_a_word_of_the_table(user_id: str) -> None:
    """A path that is also an example of a pattern answers that pattern's methods, whatever is encoded in it."""
    raw = f"/users/{quote(user_id, safe='')}"
    match = USERS.match(scope(f"/users/{user_id}", raw.encode()))
    if match is None:
        raise AssertionError("every id is one segment")
    deleted = match.routes.by_method["DELETE"].route
    assert (deleted.path, match.path_params) == ("/users/{user_id}", {"user_id": user_id})


def test_a_word_of_the_table_keeps_its_own_methods() -> None:
    """What a path without parameters answers itself it goes on to answer, and the scopes of both are asked for."""
    match = USERS.match(scope("/users/summary"))
    if match is None:
        raise AssertionError("it is a row of the table")
    assert {method: bound.route.path for method, bound in match.routes.by_method.items()} == {
        "GET": "/users/summary", "HEAD": "/users/summary", "DELETE": "/users/{user_id}",
    }  # fmt: skip
    assert (match.routes.access, match.routes.allow) == (None, b"DELETE, GET, HEAD, OPTIONS")


def test_no_path_of_the_table_takes_one_away_from_a_pattern() -> None:
    """No method of a pattern is answered by a path without parameters, or by another pattern, in its place."""
    of_patterns = [row for row in ROUTES if "{" in row.path]
    taken = [
        (row.method, row.path, other.path)
        for row in of_patterns
        for other in ROUTES
        if other is not row and row.method == other.method and is_example(row.path, other.path)
    ]
    assert taken == []


def is_example(pattern: str, path: str) -> bool:
    """Return whether some path is one of both: a parameter may be any word."""
    one, other = pattern.split("/"), path.split("/")
    return len(one) == len(other) and all(a == b or "{" in a or "{" in b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("root_path", ["", "/app"])
def test_a_path_of_thousands_of_segments_is_not_decoded(root_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is none of ours, which its slashes tell; to decode them all would take milliseconds of the event loop."""

    def decode(text: str) -> str:
        raise AssertionError("decoded")

    monkeypatch.setattr("exporter.http.routing.unquote", decode)
    raw = root_path.encode() + b"/%61" * 2000
    assert matched(scope(root_path + "/a" * 2000, raw, root_path)) is None


def test_slashes_in_a_name_are_no_segments() -> None:
    """A name may have any number of them, encoded, and a path that something on the way rewrote is the decoded one."""
    name = "a/" * 50
    raw = f"/models/{quote(name, safe='')}/1".encode()
    expected = ("/models/{name}/{version}", {"name": name, "version": "1"})
    assert matched(scope(f"/models/{name}/1", raw)) == expected
    assert matched(scope("/models/a/1", b"/x" * 50)) == ("/models/{name}/{version}", {"name": "a", "version": "1"})
