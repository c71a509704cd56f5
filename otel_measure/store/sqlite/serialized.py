"""A whole store as bytes, and a store in memory that becomes what such bytes are."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.place import make_file


def serialized(database: Database) -> bytes:
    """Return a store as a database of SQLite, in which no byte is left of what was removed."""
    with closing(sqlite3.connect(MEMORY)) as copy:
        with database.read() as connection:
            connection.backup(copy)
        copy.execute("VACUUM")
        return copy.serialize()


def load(database: Database, contents: bytes) -> None:
    """Have a store in memory be what `serialized` returned, whatever it was."""
    with closing(sqlite3.connect(MEMORY)) as source:
        source.deserialize(contents)
        with database.read() as connection:
            source.backup(connection)


def give_back_room(connection: sqlite3.Connection) -> None:
    """Give back the memory of what was removed from a store, where that is as much as what is left."""
    (free,), (pages,) = (connection.execute(f"PRAGMA {each}").fetchone() for each in ("freelist_count", "page_count"))
    if 2 * free > pages:
        connection.execute("VACUUM")


def write_to(database: Database, target: Path) -> None:
    """Write a store in memory to a new file, for its owner alone.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = target.with_name(f"{target.name}.part")
    unfinished.unlink(missing_ok=True)
    make_file(unfinished)
    with closing(sqlite3.connect(unfinished)) as file, database.read() as connection:
        connection.backup(file)
    os.replace(unfinished, target)
