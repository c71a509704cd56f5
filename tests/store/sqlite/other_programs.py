"""Databases as other programs make and leave them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from otel_measure.store.sqlite.schema_scripts import run


def database(path: Path, *statements: str) -> None:
    """Make a database as another program does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def log_with_content(path: Path, *statements: str, first: str = "") -> None:
    """Make a database whose program was killed: what the statements did is in its log alone."""
    source = path.with_name("source")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        if first:
            connection.execute(first)
        connection.execute("PRAGMA journal_mode=WAL")
        for statement in statements:
            connection.execute(statement)
        shutil.copyfile(source, path)
        shutil.copyfile(f"{source}-wal", f"{path}-wal")
    source.unlink()
    assert path.with_name(path.name + "-wal").stat().st_size > 0


def one_table_more(path: Path) -> None:
    """A database with all our tables, and one of somebody."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        run(connection, 0, 8)
        connection.execute("CREATE TABLE recipe (name)")
        connection.execute("PRAGMA user_version=8")


def in_the_log_alone(path: Path) -> None:
    """A database whose tables are in its log, and nothing in the file."""
    log_with_content(path, "CREATE TABLE recipe (name)", "INSERT INTO recipe VALUES ('bread')")
