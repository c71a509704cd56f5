"""What SQLite says, in words for the person at the console."""

from __future__ import annotations

import sqlite3

import pytest

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.sqlite.refusals import unavailable


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("database is locked", "locked"),
        ("database table is locked", "locked"),
        ("database or disk is full", "full"),
        ("attempt to write a readonly database", "read_only"),
        ("unable to open database file", "permission"),
        ("database disk image is malformed", "corrupt"),
        ("file is not a database", "corrupt"),
        ("disk I/O error", "io"),
    ],
)
def test_what_sqlite_says_becomes_a_cause_and_a_way_out(message: str, cause: str) -> None:
    """In words for the person at the console."""
    found = unavailable("x.db", sqlite3.OperationalError(message))
    assert isinstance(found, StoreUnavailable)
    assert (found.cause_name, found.what) == (cause, f"x.db: {message}")
    assert found.way_out


def test_what_sqlite_says_of_our_own_mistakes_is_another_error() -> None:
    """Trying again would not help."""
    found = unavailable("x.db", sqlite3.OperationalError("no such column: y"))
    assert (type(found), str(found)) == (StoreError, "store x.db: no such column: y")
