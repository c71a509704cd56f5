"""A store moved from a file into ClickHouse, and back: facts a part at a time, then the small state at once.

What ended in the middle goes on where it was when it is begun again; a fact that is there already is known by its id.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from otel_measure.errors import StoreError
from otel_measure.records.ids import id_key, id_text
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import WrittenBy
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import epochs_of
from otel_measure.store.clickhouse.kept import keep, last_kept
from otel_measure.store.clickhouse.log import LogPosition, OperationLog
from otel_measure.store.clickhouse.measured import sums_of_final_calls
from otel_measure.store.clickhouse.moving_past import move_past_in, move_past_out
from otel_measure.store.clickhouse.one_at_a_time import alone_at_file, alone_in_database
from otel_measure.store.clickhouse.operations import SeeNames
from otel_measure.store.clickhouse.ranks import in_batches_until
from otel_measure.store.clickhouse.reading import facts_where
from otel_measure.store.clickhouse.restored import refuse_restored
from otel_measure.store.clickhouse.snapshots import Snapshots
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.tables import FACT_TABLES, INFERENCE, FactTable
from otel_measure.store.clickhouse.writing import (
    FactWriter,
    create,
    create_tables,
    first_definitions,
    has_other_key,
    is_half_rebuilt,
    kept_definitions,
    moving_from,
    note_moved,
    note_moving,
    refuse_half_moved,
    store_key,
)
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.parting import MANY, PartedStore, count_facts, writes_noticed
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.backups import Progress
from otel_measure.store.types.moves import Moved

_MOVED_SO_FAR: Final = "moved so far of"
_ROUNDS: Final = 2  # what was written while the first was moved is, once; more of it has no end
_AT_ONCE: Final = 5000
_OUT: Final = ".moving"
_ANY_NUMBER_OF_BYTES: Final = 2**60
IsAlike: TypeAlias = Callable[[str], None]
"""Raises where the store at a place answers otherwise than the one that is moved."""
_TABLES: Final = {table.name: table for table in FACT_TABLES}


def from_file(source: Path, url: str, now_us: Callable[[], int], progress: Progress, is_alike: IsAlike) -> Moved:
    """Move the store in a file into the database of a server; nobody is to write to the file meanwhile.

    Args:
        source: the file, of which a copy is made beside it.
        url: of the database.
        now_us: the wall clock, microseconds.
        progress: is told how far it is.
        is_alike: raises where the store at a place answers otherwise than the source.

    Raises:
        StoreError: the database has a store already; see `move_in`; or somebody wrote to the file while it was moved,
            and again while what had changed was.
        StoreUnavailable: a store cannot be used, or another process moves one there.
    """
    with ClickHouseDatabase.of_url(url) as database:
        create_tables(database)
        with alone_in_database(database, f"it moves {source} there") as refuse_lost:
            with closing(PartedStore(str(source))) as unmoved:
                # The secret is made before the file is copied: what goes on later has the same numbers of users.
                _claim(database, str(source), unmoved.secret)

            def told(what: str, done: int, total: int) -> None:
                refuse_lost()
                progress(what, done, total)

            return _move_until_alike(source, url, database, now_us, told, is_alike)


def _move_until_alike(
    source: Path,
    url: str,
    database: ClickHouseDatabase,
    now_us: Callable[[], int],
    progress: Progress,
    is_alike: IsAlike,
) -> Moved:
    with closing(SqliteStore(str(source))) as used, writes_noticed(source) as was_written:
        for _ in range(_ROUNDS):
            moved = _move_copy(used, source, database, now_us, progress)
            if not was_written():
                is_alike(url)
                note_moved(database)
                return moved
    raise _written_meanwhile(str(source))


def _move_copy(
    used: SqliteStore, source: Path, database: ClickHouseDatabase, now_us: Callable[[], int], progress: Progress
) -> Moved:
    with _place_of_copy(source) as path:
        used.backup(path, progress)
        with closing(PartedStore(str(path), max_bytes=_ANY_NUMBER_OF_BYTES)) as copy:
            while copy.bring_up_to_date("migrate", now_us()):
                pass
            return move_in(copy, str(source), database, now_us, progress)


@contextmanager
def _place_of_copy(source: Path) -> Iterator[Path]:
    """Yield where a copy of a file may be meanwhile; those that commands left which were killed are removed."""
    with alone_at_file(source.with_name(f".{source.name}.copied"), f"it moves {source}"):
        for left in source.parent.glob(f".{escape(source.name)}{_OUT}*"):
            shutil.rmtree(left)
        with TemporaryDirectory(prefix=f".{source.name}{_OUT}", dir=source.parent) as folder:
            yield Path(folder) / source.name


def _written_meanwhile(source: str) -> StoreError:
    return StoreError(
        f"{source} was written to while it was moved: stop every process that writes to it, and give the command again,"
        " which goes on where it was"
    )


def to_file(url: str, target: Path, progress: Progress, is_alike: IsAlike) -> Moved:
    """Move the store in the database of a server into a file; see `move_out`."""
    with ClickHouseDatabase.of_url(url) as database:
        refuse_restored(database)
        return move_out(database, target, progress, is_alike)


def move_in(
    source: PartedStore, place: str, database: ClickHouseDatabase, now_us: Callable[[], int], progress: Progress
) -> Moved:
    """Move a store into a database that was claimed for it; `note_moved` is to follow.

    Args:
        source: a copy of the store, of one moment, that nobody else uses; in the end it is without its facts.
        place: where the store is.
        database: of the server.
        now_us: the wall clock, microseconds.
        progress: is told how far it is.

    Raises:
        StoreError: somebody else has begun a store there, or not all facts arrived.
        StoreUnavailable: the server does not answer; to begin again goes on.
    """
    create(database, source.definitions, source.secret)
    if store_key(database) != source.secret:
        raise _has_a_store(database)
    expected = {table.name: source.count(table) for table in MANY}
    if not all(_is_there(database, name, n) for name, n in expected.items()):
        _move_facts(source, database, now_us, progress, expected)
    if not all(_is_there(database, name, n) for name, n in expected.items()):  # what came since has earlier ids
        _forget_places(database)
        _move_facts(source, database, now_us, progress, expected)
    if wrong := [f"{name} of {n:,}" for name, n in expected.items() if not _is_there(database, name, n)]:
        raise StoreError(
            f"{database.name} has not as many facts as {place} ({', '.join(wrong)}): begin again; where some were"
            f" removed from {place} meanwhile, drop the database before"
        )
    progress("past", 0, 1)
    move_past_in(database, source, _written_by(source))
    progress("past", 1, 1)
    progress("small state", 0, 1)
    waiting, contents = _waiting(source), source.small_state()
    snapshots = Snapshots(database)
    state = ReplicatedState(OperationLog(database), Replica(source.definitions, source.secret), snapshots)
    state.do(SeeNames((), ()))
    snapshots.write(state.snapshot()._replace(contents=contents))
    state.close()
    progress("small state", 1, 1)
    return Moved(expected, waiting)


def _claim(database: ClickHouseDatabase, place: str, secret: bytes) -> None:
    known = moving_from(database)
    if known is None:
        is_used = database.rows("SELECT 1 FROM {db}.log LIMIT 1") or any(_count(database, t) for t in FACT_TABLES)
        if is_used or has_other_key(database, secret):
            raise _has_a_store(database)
        note_moving(database, place)
    elif not known:
        raise StoreError(f"a store was moved into the database {database.name} already: name another one")
    elif known != place:
        raise StoreError(f"the store {known} is being moved into the database {database.name}: name another one")


def _has_a_store(database: ClickHouseDatabase) -> StoreError:
    return StoreError(f"the database {database.name} has a store already: name another one")


def _move_facts(
    source: PartedStore,
    database: ClickHouseDatabase,
    now_us: Callable[[], int],
    progress: Progress,
    expected: Mapping[str, int],
) -> None:
    writer, epochs = FactWriter(database, source.definitions, now_us), _written_by(source).epochs
    done, total = sum(_count(database, table) for table in FACT_TABLES), sum(expected.values())
    for table in MANY:
        place = last_kept(database, _place(table.name))
        for last, facts in source.facts(table, id_key(place) if place else None):
            writer.accept(facts, epochs)
            keep(database, _place(table.name), id_text(last))
            done = min(done + len(facts), total)
            progress("facts", done, total)


def _written_by(store: PartedStore) -> WrittenBy:
    return WrittenBy(store.definitions, store.secret, epochs_of(each.users for each in store.erasures()))


def _forget_places(database: ClickHouseDatabase) -> None:
    for table in MANY:
        keep(database, _place(table.name), "")


def _place(table: str) -> str:
    return f"{_MOVED_SO_FAR} {table}"


def _is_there(database: ClickHouseDatabase, name: str, n: int) -> bool:
    return _count(database, _TABLES[name]) == n


def _count(database: ClickHouseDatabase, table: FactTable, where: str = "true") -> int:
    return int(database.rows(f"SELECT count() FROM {{db}}.{table.name} FINAL WHERE {where}")[0][0])


# ---------------------------------------------------------------- the way back


def move_out(database: ClickHouseDatabase, target: Path, progress: Progress, is_alike: IsAlike) -> Moved:
    """Move a store out of ClickHouse into a file that is not there; nobody is to write to it meanwhile.

    Args:
        database: of the store.
        target: the file; it has its name when all is in it.
        progress: is told how far it is.
        is_alike: raises where the store at a place answers otherwise than the source.

    Raises:
        StoreError: the file is there, not all facts arrived, or retention is at work; or somebody wrote to the store
            while it was moved, and again while it was moved anew.
        StoreUnavailable: the server does not answer, and to begin again goes on; or another process moves one there.
    """
    _refuse_file(target)
    refuse_half_moved(database)
    if is_half_rebuilt(database):
        raise StoreError(f"the store in the database {database.name} is being counted anew: complete that before")
    unfinished, begun_at, begun_by = (target.with_name(f"{target.name}{_OUT}{end}") for end in ("", ".at", ".by"))
    with alone_at_file(begun_by, f"it moves a store to {target}"):
        _refuse_file(target)
        for _ in range(_ROUNDS):
            expected, waiting, at = _begin(database, unfinished, begun_at)
            _take_facts(database.hiding, unfinished, expected, progress)
            if _begin(database, unfinished, begun_at) == (expected, waiting, at):
                is_alike(str(unfinished))
                os.replace(unfinished, target)
                begun_at.unlink()
                return Moved(expected, waiting)
    raise _written_meanwhile(database.name)


def _refuse_file(target: Path) -> None:
    if os.path.lexists(target):
        raise StoreError(f"{target} is there already: name a file that is not")


def _begin(database: ClickHouseDatabase, unfinished: Path, begun_at: Path) -> tuple[dict[str, int], int, LogPosition]:
    """Return how many facts there are, how many are to leave, and of when that is; have a file begun that is of then.

    A file that was begun earlier, of another moment, is put away: its small state is no more that of the store.
    """
    replica = Replica(first_definitions(database), store_key(database))
    with closing(ReplicatedState(OperationLog(database), replica, Snapshots(database))) as state:
        at = state.snapshot().position
        expected, waiting = state.ask(lambda replica: (count_facts(replica), _waiting(replica)))
        final_calls = state.ask(lambda replica: replica.final_calls)
        _refuse_half_swept(database, state.ask(lambda replica: replica.horizon))
        if not unfinished.exists() or not begun_at.exists() or begun_at.read_text("ascii") != str(at):
            unfinished.unlink(missing_ok=True)
            state.ask(lambda replica: replica.write_to(unfinished))
            begun_at.write_text(str(at), "ascii")
    for table in FACT_TABLES:
        expected[table.name] += _count(database.hiding, table, _ended(table, final_calls))
    return expected, waiting, at


def _refuse_half_swept(database: ClickHouseDatabase, horizon: int) -> None:
    """Refuse a store from which retention has not yet removed all that it is about to: no file takes that in."""
    before = f"ts < fromUnixTimestamp64Micro({horizon:d})"
    if horizon and any(_count(database.hiding, table, before) for table in FACT_TABLES):
        raise StoreError(
            f"retention is at work in the database {database.name}, or ended half-way: leave `otel-measure serve`"
            " running on it until facts that are too old are gone, stop it, and give the command again"
        )


def _waiting(store: SqliteStore) -> int:
    with store.asking() as moment:
        return moment.outbox.length()


def _take_facts(database: ClickHouseDatabase, file: Path, expected: Mapping[str, int], progress: Progress) -> None:
    with_facts = PartedStore(str(file), definitions=kept_definitions(database), max_bytes=_ANY_NUMBER_OF_BYTES)
    final_calls = with_facts.final_calls
    try:
        done, total = 0, sum(expected.values())
        for table in FACT_TABLES:
            for (day,) in database.rows(f"SELECT DISTINCT toUInt16(day) AS d FROM {{db}}.{table.name} ORDER BY d"):
                for facts in _of_day(database, table, day, _ended(table, final_calls)):
                    with_facts.accept(facts)
                    done += len(facts)
                    progress("facts", done, total)
        move_past_out(database, with_facts, _written_by(with_facts))
        with_facts.note_erased_facts(_erased_facts(database))
        with_facts.take_final_calls(sums_of_final_calls(database, final_calls))
        arrived = count_facts(with_facts)
    finally:
        with_facts.close()
    if arrived != expected:
        raise StoreError(f"{file} has not all facts ({arrived} of {dict(expected)}): begin again")


def _ended(table: FactTable, final_calls: int) -> str:
    """Return the condition that a fact is not in the small state as well."""
    return in_batches_until(final_calls) if table is INFERENCE else "true"


def _of_day(database: ClickHouseDatabase, table: FactTable, day: int, where: str) -> list[list[Record]]:
    facts = list(facts_where(database, table, f"day = toDate({day:d}) AND {where}"))
    return [facts[i : i + _AT_ONCE] for i in range(0, len(facts), _AT_ONCE)]


def _erased_facts(database: ClickHouseDatabase) -> list[bytes]:
    return [int(number).to_bytes(16) for (number,) in database.rows("SELECT DISTINCT tombstone FROM {db}.erased_fact")]
