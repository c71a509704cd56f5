"""A store moved from a file into ClickHouse, and back: facts a part at a time, then the small state at once.

What ended in the middle goes on where it was when it is begun again; a fact that is there already is known by its id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from otel_measure.errors import StoreError
from otel_measure.records.ids import id_key, id_text
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import epochs_of
from otel_measure.store.clickhouse.log import OperationLog
from otel_measure.store.clickhouse.measured import sums_of_final_calls
from otel_measure.store.clickhouse.operations import SeeNames
from otel_measure.store.clickhouse.ranks import in_batches_until
from otel_measure.store.clickhouse.reading import facts_where
from otel_measure.store.clickhouse.snapshots import Snapshots, StateSnapshot
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.tables import FACT_TABLES, INFERENCE, FactTable
from otel_measure.store.clickhouse.writing import FactWriter, create, kept_definitions, last_kept, store_key
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.parting import MANY, PartedStore, count_facts
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.backups import Progress
from otel_measure.store.types.moves import Moved

_MOVING: Final = "moving"
_DONE: Final = "done"
_AT_ONCE: Final = 5000
_OUT: Final = ".moving"
_ANY_NUMBER_OF_BYTES: Final = 2**60
_TABLES: Final = {table.name: table for table in FACT_TABLES}


def from_file(source: Path, url: str, now_us: Callable[[], int], progress: Progress) -> Moved:
    """Move the store in a file into the database of a server; others may go on using the file.

    Args:
        source: the file, of which a copy is made beside it.
        url: of the database.
        now_us: the wall clock, microseconds.
        progress: is told how far it is.

    Raises:
        StoreError: see `move_in`.
        StoreUnavailable: a store cannot be used.
    """
    with TemporaryDirectory(prefix=f".{source.name}.moving", dir=source.parent) as folder:
        path = Path(folder) / source.name
        with closing(SqliteStore(str(source))) as used:
            used.backup(path, progress)
        with (
            ClickHouseDatabase.of_url(url) as database,
            closing(PartedStore(str(path), max_bytes=_ANY_NUMBER_OF_BYTES)) as copy,
        ):
            while copy.bring_up_to_date("migrate", now_us()):
                pass
            return move_in(copy, database, now_us, progress)


def to_file(url: str, target: Path, progress: Progress) -> Moved:
    """Move the store in the database of a server into a file; see `move_out`."""
    with ClickHouseDatabase.of_url(url) as database:
        return move_out(database, target, progress)


def move_in(source: PartedStore, database: ClickHouseDatabase, now_us: Callable[[], int], progress: Progress) -> Moved:
    """Move a store into a database that has none, or in which this began before.

    Args:
        source: a copy of the store, of one moment, that nobody else uses; in the end it is without its facts.
        database: of the server.
        now_us: the wall clock, microseconds.
        progress: is told how far it is.

    Raises:
        StoreError: the database has a store already, or not all facts arrived.
        StoreUnavailable: the server does not answer; to begin again goes on.
    """
    create(database, source.definitions, source.secret)
    _claim(database)
    expected = {table.name: source.count(table) for table in MANY}
    if not all(_is_there(database, name, n) for name, n in expected.items()):
        _move_facts(source, database, now_us, progress, expected)
    if not all(_is_there(database, name, n) for name, n in expected.items()):  # what came since has earlier ids
        _forget_places(database)
        _move_facts(source, database, now_us, progress, expected)
    if missing := [f"{name} of {n:,}" for name, n in expected.items() if not _is_there(database, name, n)]:
        raise StoreError(f"{database.name} has not all facts ({', '.join(missing)}): begin again")
    progress("small state", 0, 1)
    contents = source.small_state()
    snapshots = Snapshots(database)
    state = ReplicatedState(OperationLog(database), Replica(source.definitions, source.secret), snapshots)
    state.do(SeeNames((), ()))
    snapshots.write(StateSnapshot(state.snapshot().position, contents))
    state.close()
    _keep(database, _MOVING, _DONE)
    progress("small state", 1, 1)
    return Moved(expected)


def _claim(database: ClickHouseDatabase) -> None:
    known = last_kept(database, _MOVING)
    if known is None:
        is_used = database.rows("SELECT 1 FROM {db}.log LIMIT 1") or any(_count(database, t) for t in FACT_TABLES)
        if is_used:
            raise StoreError(f"the database {database.name} has a store already: name another one")
        _keep(database, _MOVING, "")
    elif known == _DONE:
        raise StoreError(f"a store was moved into the database {database.name} already: name another one")


def _move_facts(
    source: PartedStore,
    database: ClickHouseDatabase,
    now_us: Callable[[], int],
    progress: Progress,
    expected: Mapping[str, int],
) -> None:
    writer, epochs = FactWriter(database, source.definitions, now_us), epochs_of(e.users for e in source.erasures())
    done, total = sum(_count(database, table) for table in FACT_TABLES), sum(expected.values())
    for table in MANY:
        place = last_kept(database, _place(table.name))
        for last, facts in source.facts(table, id_key(place) if place else None):
            writer.accept(facts, epochs)
            _keep(database, _place(table.name), id_text(last))
            done = min(done + len(facts), total)
            progress("facts", done, total)


def _forget_places(database: ClickHouseDatabase) -> None:
    for table in MANY:
        _keep(database, _place(table.name), "")


def _place(table: str) -> str:
    return f"{_MOVING} {table}"


def _keep(database: ClickHouseDatabase, name: str, value: str) -> None:
    database.insert("kept", {"name": [name], "value": [value]})


def _is_there(database: ClickHouseDatabase, name: str, n: int) -> bool:
    return _count(database, _TABLES[name]) == n


def _count(database: ClickHouseDatabase, table: FactTable, where: str = "true") -> int:
    return int(database.rows(f"SELECT count() FROM {{db}}.{table.name} FINAL WHERE {where}")[0][0])


# ---------------------------------------------------------------- the way back


def move_out(database: ClickHouseDatabase, target: Path, progress: Progress) -> Moved:
    """Move a store, which nobody writes to meanwhile, out of ClickHouse into a file that is not there.

    Args:
        database: of the store.
        target: the file; it has its name when all is in it.
        progress: is told how far it is.

    Raises:
        StoreError: the file is there, or not all facts arrived.
        StoreUnavailable: the server does not answer; to begin again goes on.
    """
    if os.path.lexists(target):
        raise StoreError(f"{target} is there already: name a file that is not")
    unfinished = target.with_name(f"{target.name}{_OUT}")
    definitions = kept_definitions(database)
    with closing(
        ReplicatedState(OperationLog(database), Replica(definitions, store_key(database)), Snapshots(database))
    ) as state:
        expected = state.ask(count_facts)
        final_calls = state.ask(lambda replica: replica.final_calls)
        if not unfinished.exists():
            state.ask(lambda replica: replica.write_to(unfinished))
    for table in FACT_TABLES:
        expected[table.name] += _count(database, table, _ended(table, final_calls))
    with_facts = PartedStore(str(unfinished), definitions=definitions, max_bytes=_ANY_NUMBER_OF_BYTES)
    try:
        done, total = 0, sum(expected.values())
        for table in FACT_TABLES:
            for (day,) in database.rows(f"SELECT DISTINCT toUInt16(day) AS d FROM {{db}}.{table.name} ORDER BY d"):
                for facts in _of_day(database, table, day, _ended(table, final_calls)):
                    with_facts.accept(facts)
                    done += len(facts)
                    progress("facts", done, total)
        with_facts.note_erased_facts(_erased_facts(database))
        with_facts.take_final_calls(sums_of_final_calls(database, final_calls))
        arrived = count_facts(with_facts)
    finally:
        with_facts.close()
    if arrived != expected:
        raise StoreError(f"{unfinished} has not all facts ({arrived} of {expected}): begin again")
    os.replace(unfinished, target)
    return Moved(expected)


def _ended(table: FactTable, final_calls: int) -> str:
    """Return the condition that a fact is not in the small state as well."""
    return in_batches_until(final_calls) if table is INFERENCE else "true"


def _of_day(database: ClickHouseDatabase, table: FactTable, day: int, where: str) -> list[list[Record]]:
    facts = list(facts_where(database, table, f"day = toDate({day:d}) AND {where}"))
    return [facts[i : i + _AT_ONCE] for i in range(0, len(facts), _AT_ONCE)]


def _erased_facts(database: ClickHouseDatabase) -> list[bytes]:
    return [int(number).to_bytes(16) for (number,) in database.rows("SELECT DISTINCT tombstone FROM {db}.erased_fact")]
