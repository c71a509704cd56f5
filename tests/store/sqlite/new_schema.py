"""The schema of a new store in a test: what the numbered scripts come to, without the tables on the way there.

Outside tests a new store runs every script since the first. They take 70 ms of CPU, most of it for tables that a
later one renames or drops. Nobody notices that in one store; tests open thousands. What they run instead makes the same
schema in 5 ms, which `test_new_schema.py` holds. The processes that tests start run the scripts.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

from otel_measure.store.sqlite import schema_scripts

# What SQLite makes itself has no text, or is named so.
_OBJECTS = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)


def run(connection: sqlite3.Connection, after: int, until: int) -> None:
    """Do what `schema_scripts.run` does; for a new store, at once."""
    if (after, until) == (0, schema_scripts.latest()):
        for statement in _last_state():
            connection.execute(statement)
    else:
        schema_scripts.run(connection, after, until)


@cache
def _last_state() -> tuple[str, ...]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, schema_scripts.latest())
        return tuple(sql for (sql,) in connection.execute(_OBJECTS))
