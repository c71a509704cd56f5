"""Databases of tests: a table of numbers."""

from __future__ import annotations

from otel_measure.store.sqlite.connection import Database


def numbers(database: Database) -> list[int]:
    """Return what table t holds."""
    with database.read() as connection:
        return [n for (n,) in connection.execute("SELECT n FROM t ORDER BY n")]


def put(database: Database, n: int) -> None:
    """Add a number to table t."""
    with database.write() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER NOT NULL)")
        connection.execute("INSERT INTO t VALUES (?)", (n,))
