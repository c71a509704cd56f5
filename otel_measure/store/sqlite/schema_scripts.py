"""The numbered scripts of the schema: which there are, what they make, and running them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files

# All tables but those of SQLite itself, such as its statistics.
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


@cache
def scripts() -> dict[int, str]:
    """Return every script by its number, ascending."""
    entries = (files("otel_measure.store.sqlite") / "schema").iterdir()
    return {int(e.name[:4]): e.read_text("utf-8") for e in sorted(entries, key=lambda e: e.name) if _is_script(e.name)}


def _is_script(name: str) -> bool:
    return name.endswith(".sql")


def latest() -> int:
    """Return the number of the last script, which is the version of the schema."""
    return max(scripts())


def run(connection: sqlite3.Connection, after: int, until: int) -> None:
    """Run the scripts after one version until another, inside the transaction that is open."""
    for number, script in scripts().items():
        if after < number <= until:
            _run(connection, script)


def _run(connection: sqlite3.Connection, script: str) -> None:
    # executescript would commit the transaction that makes a migration all or nothing.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


@cache
def tables_of(version: int) -> frozenset[str]:
    """Return the names of the tables that a store of a version of the schema has."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        run(connection, 0, version)
        return frozenset(name for (name,) in connection.execute(TABLES))
