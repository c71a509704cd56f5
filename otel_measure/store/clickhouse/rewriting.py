"""Rows that were written by other definitions than those of their store, written anew.

What definitions say of a record stands beside it: the day that it lies in, and whether it is activity. A row of which
they say something else now is copied with what they say, and then removed; of both the copy is the first, for its rank
is larger by one. Doing it again completes what ended in the middle.

What somebody writes in between as it was before is removed and not copied. Whoever writes therefore looks afterwards,
before he says that it is stored (`writing`, `final_calls`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from otel_measure.definitions.days import day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.faults import LOOK
from otel_measure.store.clickhouse.settled_days import note_removal
from otel_measure.store.clickhouse.tables import EVENT, FactTable
from otel_measure.store.clickhouse.times import LAST_DAY
from otel_measure.store.sqlite.chunks import chunks

_DAYS_AT_ONCE: Final = 1000  # whose beginnings a statement names
_ROWS_COPIED_AT_ONCE: Final = 1_000_000
_FARTHEST: Final = 2  # days between those that two zones call the same time by; zones differ by 26 hours at most
_LOOK_AGAIN_S: Final = 0.05
_WITHIN_S: Final = 3600.0


def rewrite(
    database: ClickHouseDatabase,
    table: FactTable,
    definitions: Definitions,
    where: str = "true",
    within_s: float = _WITHIN_S,
) -> None:
    """Write anew the rows of a table, on one server, of which definitions say something else than they do.

    Args:
        database: of the store.
        table: of facts.
        definitions: by which the store is counted.
        where: which rows.
        within_s: how long the server may take to remove those of some years; it goes on afterwards.

    Raises:
        StoreUnavailable: the server has not done all of it; to do it again completes it.
    """
    rows = database.rows(f"SELECT DISTINCT toUInt16(day) AS d FROM {{db}}.{table.name} WHERE {where} ORDER BY d")
    for days in chunks([day for (day,) in rows], _DAYS_AT_ONCE):
        if _rewrite_days(database, table, _Said.of(table, definitions, days), days, where):
            _wait(database, table, within_s)


def _rewrite_days(database: ClickHouseDatabase, table: FactTable, said: _Said, days: Sequence[int], where: str) -> bool:
    """Return whether there were any such rows."""
    facts = f"{{db}}.{table.name}"
    otherwise = f"{said.otherwise} AND {where}"
    rows = database.rows(
        f"SELECT toUInt16(day) AS d, count() FROM {facts} WHERE {_on(days)} AND {otherwise} GROUP BY d ORDER BY d"
    )
    if not rows:
        return False
    left = [day for day, _ in rows]
    if table is EVENT:
        note_removal(database, left)
    columns = {name: name for name in table.all_columns} | said.columns | {"rank": "rank + 1"}
    for some in _together(rows):
        copied, beside = f"{_on(some)} AND {otherwise}", f"{_on(_near(some, _FARTHEST))} AND NOT {said.otherwise}"
        have_copies = f"(SELECT id FROM {facts} WHERE {beside} AND id IN (SELECT id FROM {facts} WHERE {copied}))"
        database.run(
            f"INSERT INTO {facts} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {facts}"
            f" WHERE {copied} AND id NOT IN {have_copies}"
        )
    # Once for all days: the server makes a new part of each that there is, whatever is deleted.
    database.delete(table.name, f"{_on(left)} AND {otherwise}", is_awaited=False)
    return True


def _wait(database: ClickHouseDatabase, table: FactTable, within_s: float) -> None:
    end_s, left = time.monotonic() + within_s, database.mutations(table.name)
    while left := left & database.mutations(table.name):
        if time.monotonic() > end_s:
            raise StoreUnavailable("slow", f"{database.name}: rows of {table.name} are still being removed", LOOK)
        time.sleep(_LOOK_AGAIN_S)


def _together(rows: Iterable[Sequence[int]]) -> Iterator[list[int]]:
    """Yield days, given with their numbers of rows, of which a statement copies the rows."""
    some, n = list[int](), 0
    for day, more in rows:
        if some and n + more > _ROWS_COPIED_AT_ONCE:
            yield some
            some, n = [], 0
        some.append(day)
        n += more
    yield some


def _on(days: Sequence[int]) -> str:
    return f"day IN ({', '.join(f'toDate({day:d})' for day in days)})"


def _near(days: Sequence[int], far: int) -> list[int]:
    near = {day + each for day in days for each in range(-far, far + 1)}
    return [day for day in sorted(near) if 0 <= day <= LAST_DAY]


class _Said(NamedTuple):
    """What definitions say of the rows of some days.

    Attributes:
        columns: those that hold it, and what they are to hold.
        otherwise: the condition that a row has something else there.
    """

    columns: dict[str, str]
    otherwise: str

    @classmethod
    def of(cls, table: FactTable, definitions: Definitions, days: Sequence[int]) -> _Said:
        """Return it for the rows that lie in these days by whatever definitions, or beside them by the same ones."""
        begun = {day_start(day, definitions.zone): day for day in _near(days, 2 * _FARTHEST)}
        # Of a day that a zone has left out the next one begins at the same time, and is the day of that time.
        edges = f"CAST({list(begun)} AS Array(Int64))"
        of_day = f"roundDown(toUnixTimestamp64Micro(ts), {edges})"
        columns = {"day": f"toDate(transform({of_day}, {edges}, {list(begun.values())}, 0))"}
        if table is EVENT:
            passive = ", ".join(f"'{each}'" for each in sorted(definitions.passive_event_types))
            columns["active"] = f"toUInt8(background = 0 AND NOT has(CAST([{passive}] AS Array(String)), type))"
        otherwise = " OR ".join(f"{name} != {value}" for name, value in columns.items())
        return cls(columns, f"({otherwise})")
