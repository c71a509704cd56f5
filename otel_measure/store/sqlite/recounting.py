"""Counting a store anew by other definitions: at once in one transaction, or beside those who use the store.

Beside them: one process marks the store, and from then on everybody notes facts in the journal instead of rolling them
up, while answers come from the old roll-ups. It reads what was stored until then in one read transaction and counts it
in a scratch file, copies the result into new tables in small transactions, and one short transaction puts these in the
place of the old ones, which then go a part at a time. The journal has the rest. Killed anywhere before, it leaves the
old roll-ups as they are, and the mark.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from otel_measure.definitions.days import moment
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError
from otel_measure.store.sqlite import journal, kept, quality, roll_ups, totals
from otel_measure.store.sqlite.call_changes import note_change_of_all
from otel_measure.store.sqlite.chunks import marks
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.transaction import Transaction

_ROWS_AT_ONCE: Final = 5000
_NEW: Final = "new_"
_OLD: Final = "old_"


def in_place(transaction: Transaction, wanted: Definitions, *, with_totals: bool) -> None:
    """Count everything anew in one transaction, which others wait for.

    Args:
        transaction: a durable one.
        wanted: what the store is counted by from then on.
        with_totals: the running totals too, which else stay as they are.
    """
    connection = transaction.connection
    frozen = roll_ups.frozen_before(connection, wanted)
    roll_ups.keep_frozen(connection, frozen)
    counting = replace(transaction, definitions=wanted, rolls_up=True)
    for _ in roll_ups.restore(counting, frozen):
        pass
    for _ in journal.apply_to_frozen(counting, frozen):
        pass
    for _ in roll_ups.recount(counting, frozen):
        pass
    if with_totals:
        totals.recount(counting)
    _conclude(connection, wanted, journal.last(connection))
    drop_leftovers(connection)


def _conclude(connection: sqlite3.Connection, wanted: Definitions, counted_up_to: int) -> None:
    """Let the store be one that was counted by these definitions, up to a place in the journal."""
    journal.forget(connection, counted_up_to)
    quality.forget_found_references(connection, kept.kept(connection), wanted)
    kept.change(connection, wanted, roll_ups.frozen_before(connection, wanted).ts)
    kept.unmark(connection)
    note_change_of_all(connection)


def leftovers(connection: sqlite3.Connection) -> list[str]:
    """Return the new tables of a count that did not come to its end, and the old ones of one that did."""
    names = [f"{prefix}{table}" for prefix in (_NEW, _OLD) for table in roll_ups.TABLES]
    select = f"SELECT name FROM sqlite_master WHERE type = 'table' AND name IN {marks(len(names))} ORDER BY name"
    return [name for (name,) in connection.execute(select, names)]


def drop_leftovers(connection: sqlite3.Connection) -> None:
    """Remove them all at once, which takes long where they are large."""
    for table in leftovers(connection):
        connection.execute(f"DROP TABLE {table}")


def remove_leftovers(database: Database, mark: str | None = None) -> Generator[None, None, None]:
    """Remove them some thousand rows at a time, as long as the store has this mark.

    Raises:
        Superseded: the store has another mark: what is there belongs to who left it.
    """
    while True:
        with database.write() as connection:
            tables = leftovers(connection)
            if not tables:
                return
            if kept.state(connection).updating != mark:
                raise Superseded
            _remove_some(connection, tables[0])
        yield


def _remove_some(connection: sqlite3.Connection, table: str) -> None:
    """Remove some rows of a table, and the table when none is left."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    key = ",".join(name for _, name, *_, place_in_key in columns if place_in_key)
    some = f"SELECT {key} FROM {table} LIMIT {_ROWS_AT_ONCE}"
    if connection.execute(f"DELETE FROM {table} WHERE ({key}) IN ({some})").rowcount < _ROWS_AT_ONCE:
        connection.execute(f"DROP TABLE {table}")


def token(holder: str, now: int) -> str:
    """Return what marks a store as being counted anew by a process, since a time in microseconds."""
    return f"{holder} {now}"


def began(mark: str) -> datetime:
    """Return since when the process that left the mark counts."""
    return moment(int(mark.rpartition(" ")[2]))


def is_being_copied(connection: sqlite3.Connection) -> bool:
    """Tell whether what was counted anew is being copied into new tables: the last part of it."""
    new_table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(new_table, (_NEW + roll_ups.TABLES[0],)).fetchone() is not None


class Superseded(Exception):  # noqa: N818 - nothing is wrong
    """What was being counted is of no use any more: the store was rebuilt, or another process has begun anew."""


class Recount:
    """Counting a store anew beside those who use it; nobody else does meanwhile.

    Args:
        database: the store, a file.
        wanted: what it is counted by in the end.
        token: marks the store as being counted by this process.
    """

    def __init__(self, database: Database, wanted: Definitions, token: str) -> None:
        self._database = database
        self._wanted = wanted
        self._token = token
        self._scratch_file = Path(f"{database.path}-recount")
        self._process = os.getpid()
        self._counted_up_to = 0

    def steps(self) -> Generator[None, None, None]:
        """Do it; between two steps, of which none takes long, the caller may do something else.

        Raises:
            Superseded: the store was rebuilt meanwhile, or another process has begun anew.
        """
        try:
            with closing(self._opened()) as scratch:
                self._begin(scratch)
                yield
                yield from remove_leftovers(self._database, self._token)
                yield from self._count(scratch)
                scratch.execute("COMMIT")  # of the reading, too: the log of the store may begin anew
                yield from self._copy(scratch)
            self._take_over()
            yield
            yield from remove_leftovers(self._database)
        finally:
            if os.getpid() == self._process:  # and not a child that has let go of it
                self._remove_scratch_file()

    # ------------------------------------------------------------ counting

    def _opened(self) -> sqlite3.Connection:
        """Return a connection that has the roll-ups in the scratch file, and reads everything else in the store."""
        self._remove_scratch_file()
        connection = sqlite3.connect(
            f"{self._scratch_file.absolute().as_uri()}?mode=rwc",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", "cache_size=-65536"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("ATTACH ? AS store", (f"{Path(self._database.path).absolute().as_uri()}?mode=ro",))
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove_scratch_file(self) -> None:
        with suppress(OSError):
            self._scratch_file.unlink(missing_ok=True)

    def _begin(self, scratch: sqlite3.Connection) -> None:
        """Mark the store, and see it as it is at that moment."""
        with self._database.write(durable=True) as connection:
            # Nobody commits meanwhile: what comes later finds the mark, and comes after this place in the journal.
            scratch.execute("BEGIN")
            self._counted_up_to = journal.last(scratch)
            kept.mark(connection, self._token)

    def _count(self, scratch: sqlite3.Connection) -> Iterator[None]:
        for table in roll_ups.TABLES:
            for statement in _definition_of(scratch, table, "table"):
                scratch.execute(statement)
        names = Names()
        names.connection = scratch
        counting = Transaction(scratch, names, self._wanted)
        frozen = roll_ups.frozen_before(scratch, self._wanted)
        yield from roll_ups.copy_frozen(scratch, frozen, "store")
        yield from roll_ups.restore(counting, frozen)
        yield from journal.apply_to_frozen(counting, frozen)
        yield from roll_ups.recount(counting, frozen)

    # ------------------------------------------------------------ taking over

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._database.write(durable=True) as connection:
            if kept.state(connection).updating != self._token:
                raise Superseded
            yield connection

    def _copy(self, scratch: sqlite3.Connection) -> Iterator[None]:
        with self._writing() as connection:
            for table in roll_ups.TABLES:
                for kind in ("table", "index"):
                    for statement in _definition_of(connection, table, kind):
                        connection.execute(_renamed(statement, table))
        for table in roll_ups.TABLES:
            rows = scratch.execute(f"SELECT * FROM {table}")
            values = marks(len(rows.description))
            while part := rows.fetchmany(_ROWS_AT_ONCE):
                with self._writing() as connection:
                    connection.executemany(f"INSERT INTO {_NEW}{table} VALUES {values}", part)
                yield

    def _take_over(self) -> None:
        with self._writing() as connection:
            for table in roll_ups.TABLES:
                connection.execute(f"ALTER TABLE {table} RENAME TO {_OLD}{table}")
                connection.execute(f"ALTER TABLE {_NEW}{table} RENAME TO {table}")
            _conclude(connection, self._wanted, self._counted_up_to)


def _definition_of(connection: sqlite3.Connection, table: str, kind: str) -> list[str]:
    """Return the statements that made a table of the store, or its indexes."""
    master = "store.sqlite_master" if _is_scratch(connection) else "sqlite_master"
    rows = connection.execute(
        f"SELECT sql FROM {master} WHERE type = ? AND tbl_name = ? AND sql IS NOT NULL", (kind, table)
    )
    return [sql for (sql,) in rows]


def _is_scratch(connection: sqlite3.Connection) -> bool:
    return any(name == "store" for _, name, _ in connection.execute("PRAGMA database_list"))


def _renamed(statement: str, table: str) -> str:
    """Return the statement that makes a new table of the same form, or its index.

    SQLite does not rename indexes: those of every other count have the prefix.
    """
    is_table = re.fullmatch(rf'CREATE TABLE "?{table}"?\s*(\(.*)', statement, re.DOTALL)
    if is_table:
        return f"CREATE TABLE {_NEW}{table} {is_table[1]}"
    is_index = re.fullmatch(rf'CREATE INDEX "?(\w+)"? ON "?{table}"?\s*(\(.*)', statement, re.DOTALL)
    if is_index is None:
        raise StoreError(f"cannot make a new table of {table} by {statement!r}")
    name = is_index[1].removeprefix(_NEW) if is_index[1].startswith(_NEW) else _NEW + is_index[1]
    return f"CREATE INDEX {name} ON {_NEW}{table} {is_index[2]}"
