"""Rebuild and retention: roll-ups and totals are a function of the facts, and of what removed facts left behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from otel_measure.records import Record
from otel_measure.store.sqlite import facts, models, persons, totals
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.names import Names

CHUNK: Final = 5000
T = TypeVar("T")


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


# ---------------------------------------------------------------- rebuild


def rebuild(connection: sqlite3.Connection, names: Names, day_of: Callable[[int], int], frozen_before: int) -> None:
    """Recompute every roll-up and total from the facts.

    Args:
        connection: inside a write transaction.
        names: bound to the same transaction.
        day_of: the local day of a time.
        frozen_before: local day before which facts are gone; what was rolled up from them stays.
    """
    _rebuild_totals_and_models(connection, names)
    _rebuild_persons(connection, day_of, frozen_before)


def _rebuild_totals_and_models(connection: sqlite3.Connection, names: Names) -> None:
    connection.execute("DELETE FROM total")
    connection.execute("INSERT INTO total SELECT * FROM total_base")
    connection.execute("DELETE FROM model_cell")
    for inferences in chunks(facts.read_inferences(connection)):
        totals.add(connection, names, totals.summed(inferences))
        models.add(connection, models.summed(inferences, names))
    for events in chunks(facts.read_events(connection)):
        totals.add(connection, names, totals.summed(events))


def _rebuild_persons(connection: sqlite3.Connection, day_of: Callable[[int], int], frozen_before: int) -> None:
    connection.create_function("local_day", 1, day_of, deterministic=True)
    for statement in _REBUILD_PERSONS:
        connection.execute(statement, {"frozen": frozen_before, "first": persons.FIRST})


_REBUILD_PERSONS: Final = (
    "DELETE FROM person_day WHERE day >= :frozen",
    "DELETE FROM day_cell WHERE day >= :frozen",
    "INSERT OR IGNORE INTO person_day (day, uid) SELECT DISTINCT local_day(ts), uid FROM event WHERE active",
    "INSERT INTO day_cell SELECT local_day(ts), count(*), sum(type = 'page_view') FROM event WHERE active GROUP BY 1",
    "INSERT OR REPLACE INTO person_day SELECT day, uid, lag(day) OVER (PARTITION BY uid ORDER BY day) FROM person_day",
    "CREATE TEMP TABLE ends (uid INTEGER PRIMARY KEY, first_day, last_day)",
    "INSERT INTO ends SELECT uid, min(day), max(day) FROM person_day GROUP BY uid",
    "UPDATE person SET (first_day, last_day) ="
    " (SELECT first_day, last_day FROM ends WHERE ends.uid = person.uid)",
    "DROP TABLE ends",
    "DELETE FROM gap_cell",
    "INSERT INTO gap_cell SELECT day, coalesce(day - prev, :first), count(*) FROM person_day GROUP BY 1, 2",
    "DELETE FROM cohort_cell",
    "INSERT INTO cohort_cell SELECT p.first_day, d.day - p.first_day, count(*)"
    " FROM person_day d JOIN person p USING (uid) GROUP BY 1, 2",
)


# ---------------------------------------------------------------- retention


def purge(database: Database, names: Names, horizon: int) -> int:
    """Remove the facts before `horizon`, some thousands at a time, and keep what they added to the totals.

    Every step is a transaction of its own that leaves totals and facts in agreement, so a crash loses nothing.

    Returns:
        The number of facts removed.
    """
    removed = 0
    for table in facts.TABLES:
        with database.read() as connection:
            rows = connection.execute(f"SELECT id FROM {table.name} WHERE ts < ?", (horizon,))
            keys = [key for (key,) in rows]
        for part in chunks(keys, 500):
            removed += _remove(database, names, table, part)
    with database.write() as connection:
        for level_us in models.LEVELS_US:
            connection.execute(
                "DELETE FROM model_cell WHERE seconds = ? AND start + ? <= ?",
                (level_us // 1_000_000, level_us, horizon),
            )
    return removed


def _remove(database: Database, names: Names, table: facts.Table, keys: Sequence[bytes | str]) -> int:
    marks = ",".join("?" * len(keys))
    with database.write() as connection:
        names.connection = connection
        records: list[Record]
        if table is facts.INFERENCE:
            records = list(facts.read_inferences(connection, f"WHERE id IN ({marks})", tuple(keys)))
        else:
            records = list(facts.read_events(connection, f"WHERE e.id IN ({marks})", tuple(keys)))
        totals.add(connection, names, totals.summed(records), into="total_base")
        connection.execute(f"DELETE FROM {table.name} WHERE id IN ({marks})", tuple(keys))
    return len(records)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file that hold something; free pages are used again before the file grows."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def oldest_fact(connection: sqlite3.Connection) -> int | None:
    """Return the time of the oldest fact."""
    times = [connection.execute(f"SELECT min(ts) FROM {table.name}").fetchone()[0] for table in facts.TABLES]
    return min((ts for ts in times if ts is not None), default=None)

