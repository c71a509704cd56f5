"""What is wrong at a server, said to the person at the console: its errors as those of the protocol."""

from __future__ import annotations

import re
from typing import Final

from otel_measure.errors import StoreUnavailable

LOOK: Final = "look at the server, then try again"
FREE_SPACE: Final = "free disk space on the server; recording goes on by itself afterwards"
_WRITE: Final = "use a user whose profile has readonly = 0 (2 is enough to ask)"
_START: Final = "start the server, or give its address; it is tried again"
_WHY_READ_ONLY: Final = "find out why the server has made its table read-only"
# (code of the server's error, cause, what the reader can do)
_CAUSES: Final = (
    (516, "permission", "give the right user and password: clickhouse://user:password@host:port/database"),
    (497, "permission", "grant this user what it lacks; docs/scale.md has the statement"),
    (164, "read_only", _WRITE),
    (242, "read_only", _WHY_READ_ONLY),
    (243, "full", FREE_SPACE),
    (252, "busy", "let the server merge its parts; it is tried again by itself"),
    (241, "busy", "give the server more memory; it is tried again by itself"),
    (159, "slow", LOOK),
    (279, "away", "start every server of the cluster; it is tried again by itself"),
)
# (what an error without such a code says, cause, what the reader can do); these come with many codes, or with none
_SAID: Final = (
    ("No space left on device", "full", FREE_SPACE),
    ("Read-only file system", "read_only", _WHY_READ_ONLY),
    ("is readonly", "read_only", _WRITE),
    ("timed out", "slow", LOOK),
    ("Max retries exceeded", "away", _START),
    ("Connection", "away", _START),
)
NO_ANSWER: Final = frozenset({"slow", "away"})
"""Causes for which nobody knows whether the server is there."""
_CODE: Final = re.compile(r"\bcode: (\d+)", re.IGNORECASE)
_NOISE: Final = re.compile(
    r"^Received ClickHouse exception, code: \d+, server response: | with url: \S*| \(for url [^)]*\)| \(version [^)]*\)"
    r"| executing HTTP request attempt \d+"
)
_MOST_CHARS: Final = 400


def unavailable(where: str, error: Exception) -> StoreUnavailable:
    """Return what an error of the client's means to the person at the console.

    Args:
        where: the database or address, without what is secret.
        error: of the client's.
    """
    said = _NOISE.sub("", (str(error).strip().splitlines() or [type(error).__name__])[0])[:_MOST_CHARS]
    code = _CODE.search(said)
    for number, cause, way_out in _CAUSES:
        if code is not None and int(code[1]) == number:
            return StoreUnavailable(cause, f"{where}: {said}", way_out)
    for words, cause, way_out in _SAID:
        if words in said:
            return StoreUnavailable(cause, f"{where}: {said}", way_out)
    return StoreUnavailable("clickhouse", f"{where}: {said}", LOOK)
