"""Retention: facts go, and what they added to the totals stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import product

from otel_measure.definitions.totals import summed
from otel_measure.definitions.windows import LEVELS_S
from otel_measure.store.sqlite import facts, models, quality, services, totals
from otel_measure.store.sqlite.chunks import change_in, chunks
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.names import Names


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
            kept = services.lasting(connection, horizon) if table is facts.SERVICE_STATE else set()
            keys = [key for (key,) in rows if key not in kept]
        for part in chunks(keys):
            removed += _remove(database, names, table, part)
    with database.write() as connection:
        services.forget_heartbeats(connection, horizon)
        for seconds, cells in product(LEVELS_S, (*models.CELLS, *quality.CELLS)):
            connection.execute(
                f"DELETE FROM {cells} WHERE seconds = ?1 AND start + ?1 * 1000000 <= ?2", (seconds, horizon)
            )
    return removed


def _remove(database: Database, names: Names, table: facts.Table, keys: Sequence[bytes | str]) -> int:
    with database.write(rolled_back=names.clear) as connection:
        names.connection = connection
        records = list(facts.read_by_id(connection, table, keys))
        totals.merge(connection, names, summed(records), into="total_base")
        change_in(connection, f"DELETE FROM {table.name} WHERE id IN", keys)
    return len(records)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the file that hold something; free pages are used again before the file grows."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def oldest_fact(connection: sqlite3.Connection) -> int | None:
    """Return the time of the oldest fact; states of services do not count, for those of a lasting outage stay."""
    tables = [table for table in facts.TABLES if table is not facts.SERVICE_STATE]
    times = [connection.execute(f"SELECT min(ts) FROM {table.name}").fetchone()[0] for table in tables]
    return min((ts for ts in times if ts is not None), default=None)
