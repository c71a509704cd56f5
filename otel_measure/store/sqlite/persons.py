"""Roll-ups of activity: which person was active on which local day, and the cells that answer from it.

`cells()` is the definition: what a person's list of active days contributes. A day after the last one is appended
without reading the list; any other change is the difference of the cells before and after, so a late event, a
back-fill and an erasure take the same road and cannot disagree.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

from otel_measure.records import UserEvent
from otel_measure.store.sqlite.facts import EVENT
from otel_measure.store.sqlite.transaction import Accepted, Transaction

Row: TypeAlias = tuple[Any, ...]
FIRST: Final = -1
PAGE_VIEW: Final = "page_view"
_UID: Final = EVENT.columns.index("uid")
_ACTIVE: Final = EVENT.columns.index("active")


class Seen(NamedTuple):
    """One accepted event as activity: who, on which local day, whether it was a page view."""

    uid: int
    day: int
    is_view: bool


class Cells(NamedTuple):
    """Changes to the cells: (day, gap) and (cohort, offset) to a number of persons."""

    gaps: Counter[tuple[int, int]]
    cohorts: Counter[tuple[int, int]]


def cells(days: Sequence[int]) -> Cells:
    """Return what one person's active days, ascending, contribute."""
    gaps = Counter({(day, day - before): 1 for before, day in pairwise(days)})
    cohorts = Counter({(days[0], day - days[0]): 1 for day in days})
    if days:
        gaps[days[0], FIRST] += 1
    return Cells(gaps, cohorts)


class PersonRow(NamedTuple):
    """The ends of a person's list of days; both `None` before the first."""

    first_day: int | None
    last_day: int | None


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge the activity among newly accepted facts into the persons, their days and the cells."""
    seen = [
        Seen(row[_UID], transaction.day_of(record.ts), record.type == PAGE_VIEW)
        for record, row in new
        if isinstance(record, UserEvent) and row[_ACTIVE]
    ]
    if seen:
        _add(transaction.connection, seen)


def _add(connection: sqlite3.Connection, seen: Iterable[Seen]) -> None:
    by_person: dict[int, set[int]] = {}
    per_day: dict[int, list[int]] = {}
    for uid, day, is_view in seen:
        by_person.setdefault(uid, set()).add(day)
        counted = per_day.setdefault(day, [0, 0])
        counted[0] += 1
        counted[1] += is_view
    connection.executemany(
        "INSERT INTO day_cell VALUES (?, ?, ?) ON CONFLICT (day)"
        " DO UPDATE SET events = events + excluded.events, views = views + excluded.views",
        [(day, events, views) for day, (events, views) in per_day.items()],
    )
    change = _Change(connection)
    rows = _persons(connection, list(by_person))
    for uid, days in by_person.items():
        change.include(uid, rows[uid], days)
    change.write()


def _persons(connection: sqlite3.Connection, uids: list[int]) -> dict[int, PersonRow]:
    found: dict[int, PersonRow] = {}
    for i in range(0, len(uids), 500):
        part = uids[i : i + 500]
        marks = ",".join("?" * len(part))
        rows = connection.execute(f"SELECT uid, first_day, last_day FROM person WHERE uid IN ({marks})", part)
        found.update((uid, PersonRow(first, last)) for uid, first, last in rows)
    return found


class _Change:
    """Everything a batch changes, written at once: a statement per table, not per event."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cells = Cells(Counter(), Counter())
        self._days: list[Row] = []
        self._persons: list[Row] = []

    def include(self, uid: int, person: PersonRow, days: set[int]) -> None:
        """Make a person active on some days."""
        last = person.last_day
        new = sorted(day for day in days if last is None or day > last)
        late = [day for day in days if last is not None and day < last]
        if late:
            self._rewrite(uid, person, days)
        elif new:
            self._append(uid, person, new)

    def _append(self, uid: int, person: PersonRow, new: list[int]) -> None:
        first, last = person
        for day in new:
            first = day if first is None else first
            self._days.append((day, uid, last))
            self._cells.gaps[day, FIRST if last is None else day - last] += 1
            self._cells.cohorts[first, day - first] += 1
            last = day
        self._persons.append((first, last, uid))

    def _rewrite(self, uid: int, person: PersonRow, days: set[int]) -> None:
        before = days_of(self._connection, uid, person.last_day)
        after = sorted(days.union(before))
        if len(after) == len(before):
            return
        old, new = cells(before), cells(after)
        for total, minus, plus in zip(self._cells, old, new, strict=True):
            total.subtract(minus)
            total.update(plus)
        self._days.extend(
            (day, uid, prev) for prev, day in zip([None, *after], after, strict=False) if day >= min(days)
        )
        self._persons.append((after[0], after[-1], uid))

    def write(self) -> None:
        """Write the changes."""
        run = self._connection.executemany
        run("INSERT OR REPLACE INTO person_day VALUES (?, ?, ?)", self._days)
        run("UPDATE person SET first_day=?, last_day=? WHERE uid=?", self._persons)
        for table, columns, counter in (
            ("gap_cell", "day, gap", self._cells.gaps),
            ("cohort_cell", "cohort, day_offset", self._cells.cohorts),
        ):
            run(
                f"INSERT INTO {table} VALUES (?, ?, ?) ON CONFLICT ({columns}) DO UPDATE SET n = n + excluded.n",
                [(*key, n) for key, n in counter.items() if n],
            )


def days_of(connection: sqlite3.Connection, uid: int, last_day: int | None) -> list[int]:
    """Return a person's active days, ascending, by walking the list from its end."""
    days: list[int] = []
    day = last_day
    while day is not None:
        days.append(day)
        (day,) = connection.execute("SELECT prev FROM person_day WHERE day=? AND uid=?", (day, uid)).fetchone()
    return days[::-1]


def clear(transaction: Transaction, frozen_before: int) -> None:
    """Forget the days whose facts are still there."""
    for table in ("person_day", "day_cell"):
        transaction.connection.execute(f"DELETE FROM {table} WHERE day >= ?", (frozen_before,))


def rebuild(transaction: Transaction) -> None:
    """Compute days, ends and cells from the facts in SQL: another road than `add`, to the same figures."""
    connection = transaction.connection
    connection.create_function("local_day", 1, transaction.day_of, deterministic=True)
    for statement in _REBUILD:
        connection.execute(statement)


_REBUILD: Final = (
    "INSERT OR IGNORE INTO person_day (day, uid) SELECT DISTINCT local_day(ts), uid FROM event WHERE active",
    # A sweep that was cut short leaves facts of days whose cells are final.
    f"INSERT OR IGNORE INTO day_cell SELECT local_day(ts), count(*), sum(type = '{PAGE_VIEW}')"
    " FROM event WHERE active GROUP BY 1",
    "INSERT OR REPLACE INTO person_day SELECT day, uid, lag(day) OVER (PARTITION BY uid ORDER BY day) FROM person_day",
    "CREATE TEMP TABLE ends (uid INTEGER PRIMARY KEY, first_day, last_day)",
    "INSERT INTO ends SELECT uid, min(day), max(day) FROM person_day GROUP BY uid",
    "UPDATE person SET (first_day, last_day) = (SELECT first_day, last_day FROM ends WHERE ends.uid = person.uid)",
    "DROP TABLE ends",
    "DELETE FROM gap_cell",
    f"INSERT INTO gap_cell SELECT day, coalesce(day - prev, {FIRST}), count(*) FROM person_day GROUP BY 1, 2",
    "DELETE FROM cohort_cell",
    "INSERT INTO cohort_cell SELECT p.first_day, d.day - p.first_day, count(*)"
    " FROM person_day d JOIN person p USING (uid) GROUP BY 1, 2",
)


def active(connection: sqlite3.Connection, last_day: int, days: int) -> int:
    """Return the distinct persons active on the `days` days that end with `last_day`, exactly.

    Each is counted at the first active day inside the window: the one whose gap reaches back to before it.
    """
    before = last_day - days
    row = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM gap_cell WHERE day > ? AND day <= ? AND (gap = ? OR gap >= day - ?)",
        (before, last_day, FIRST, before),
    ).fetchone()
    return int(row[0])


def active_by_day(connection: sqlite3.Connection, first_day: int, last_day: int) -> dict[int, int]:
    """Return the distinct persons active on each day."""
    rows = connection.execute(
        "SELECT day, sum(n) FROM gap_cell WHERE day BETWEEN ? AND ? GROUP BY day HAVING sum(n) > 0",
        (first_day, last_day),
    )
    return {day: int(n) for day, n in rows}


def active_in_facts(
    connection: sqlite3.Connection,
    start: int,
    end: int,
    condition: str,
    parameters: Sequence[object],
    day_of: Callable[[int], int],
) -> dict[int, set[int]]:
    """Return who was active on each day by reading the facts: slower, and open to any filter."""
    rows = connection.execute(
        "SELECT e.uid, e.ts FROM event e JOIN origin o ON o.id = e.origin"
        f" WHERE e.ts >= ? AND e.ts < ? AND e.active {condition}",
        (start, end, *parameters),
    )
    found: dict[int, set[int]] = {}
    for uid, ts in rows:
        found.setdefault(day_of(ts), set()).add(uid)
    return found
