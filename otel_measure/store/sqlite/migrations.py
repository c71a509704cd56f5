"""The schema, brought up to date: numbered files of SQL, one after another."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from otel_measure.errors import StoreError
from otel_measure.store.sqlite.connection import Database


def scripts() -> list[tuple[int, str]]:
    """Return number and SQL of every file, ascending."""
    return sorted(
        (int(entry.name[:4]), entry.read_text("utf-8"))
        for entry in (files("otel_measure.store.sqlite") / "schema").iterdir()
        if entry.name.endswith(".sql")
    )


def latest_version() -> int:
    """Return the version of the schema that this otel-measure knows."""
    return scripts()[-1][0]


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a file's schema; 0 when it has none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(database: Database) -> None:
    """Bring the schema up to date, all in one transaction.

    Raises:
        StoreError: the file was written by a newer version.
    """
    numbered = scripts()
    latest = numbered[-1][0]
    with database.read() as connection:
        if version_of(connection) == latest:
            return
    with database.write(durable=True) as connection:
        version = version_of(connection)
        if version > latest:
            raise StoreError(
                f"store {database.path} has schema {version}, this otel-measure knows {latest}: upgrade otel-measure"
            )
        for number, script in numbered:
            if number > version:
                _run(connection, script)
        connection.execute(f"PRAGMA user_version={latest}")


def _run(connection: sqlite3.Connection, script: str) -> None:
    # executescript would commit the transaction that makes a migration all or nothing.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
