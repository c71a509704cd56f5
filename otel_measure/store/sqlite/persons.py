"""Persons and their active days, as rows: a list linked from the last day back.

A batch reads a person's days from the end back to where it changes something, so appending costs nothing and a late
event takes the same road. What days contribute to cells is told in `definitions/active_days.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from otel_measure.definitions.active_days import FIRST, ActiveDay, add_days, with_changed
from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.conversions import NO_PREDECESSOR
from otel_measure.store.sqlite.chunks import rows_in

Row: TypeAlias = tuple[Any, ...]


class Person(NamedTuple):
    """The ends of what is known of a person in an environment; `None` before the first.

    Attributes:
        first_day, last_day: active days.
        day_ts: the first activity on `last_day`.
        hit_ts: the last conversion.
    """

    uid: int
    first_day: int | None = None
    last_day: int | None = None
    day_ts: int | None = None
    hit_ts: int | None = None

    @property
    def last(self) -> ActiveDay | None:
        """The last active day."""
        return None if self.last_day is None or self.day_ts is None else ActiveDay(self.last_day, self.day_ts)


def roots(
    connection: sqlite3.Connection, environment: int, uids: Iterable[int]
) -> tuple[dict[int, int], dict[int, Person]]:
    """Return the person of each merged user, and the persons of all as they are known in an environment."""
    merged: dict[int, int] = {}
    persons: dict[int, Person] = {}
    wanted = set(uids)
    while wanted:
        some, wanted = wanted, set()
        select = (
            "SELECT p.uid, e.first_day, e.last_day, e.day_ts, e.hit_ts, p.merged_into"
            f" FROM person p LEFT JOIN person_end e ON e.uid = p.uid AND e.environment = {environment} WHERE p.uid IN"
        )
        for *row, into in rows_in(connection, select, some):
            if into is None:
                persons[row[0]] = Person(*row)
            else:
                merged[row[0]] = into
                if into not in persons:
                    wanted.add(into)
    return merged, persons


class DayChange:
    """The active days that a batch changes in an environment."""

    def __init__(self, connection: sqlite3.Connection, environment: int) -> None:
        self._connection = connection
        self._environment = environment
        self._days: list[Row] = []
        self._persons: list[Row] = []

    def changed(self, person: Person, days: Mapping[int, int]) -> dict[int, int]:
        """Return those of the days, with the time of their first activity, that are new or begin earlier."""
        last = person.last_day
        if last is None or person.day_ts is None:
            return dict(days)
        if len(days) == 1 and days.get(last, -1) >= person.day_ts:
            return {}
        late = any(day < last for day in days)
        known: dict[int, int] = {}
        if late:
            known = dict(walk(self._connection, self._environment, person.uid, last, since_day=min(days)))
        known[last] = person.day_ts
        return {day: ts for day, ts in days.items() if day not in known or ts < known[day]}

    def merge(self, person: Person, days: Mapping[int, int], hit_ts: int | None, changes: CellChanges) -> None:
        """Merge changed days, and the last conversion, into what is known of a person."""
        if not days:
            if hit_ts != person.hit_ts:
                self._persons.append((self._environment, *person[:4], hit_ts))
            return
        before = self._from(person, min(days))
        merged = with_changed(before, days)
        after = [day for day, _ in merged]
        # The day before the first change stays as it is, unless the person's first day moves and with it every cohort.
        given = sum(day < min(days) for day in after)
        first = person.first_day
        new_first = after[0] if first is None else min(first, after[0])
        if first is not None:
            add_days(changes, [day for day, _ in before], first, -1, given=given)
        add_days(changes, after, new_first, given=given)
        self._days.extend(
            (self._environment, day, person.uid, after[i - 1] if i else None, ts)
            for i, (day, ts) in enumerate(merged)
            if i >= given
        )
        self._persons.append((self._environment, person.uid, new_first, after[-1], merged[-1].first_ts, hit_ts))

    def _from(self, person: Person, day: int) -> list[ActiveDay]:
        """Return the known days from `day` on, with the one before it."""
        last = person.last
        if last is not None and day > last.day:
            return [last]
        return walk(self._connection, self._environment, person.uid, person.last_day, since_day=day)

    def write(self) -> None:
        """Write the changes."""
        self._connection.executemany("INSERT OR REPLACE INTO person_day VALUES (?, ?, ?, ?, ?)", self._days)
        self._connection.executemany("INSERT OR REPLACE INTO person_end VALUES (?, ?, ?, ?, ?, ?)", self._persons)


def walk(
    connection: sqlite3.Connection,
    environment: int,
    uid: int,
    last_day: int | None,
    *,
    since_day: int = NO_PREDECESSOR,
    since_ts: int = NO_PREDECESSOR,
) -> list[ActiveDay]:
    """Return a person's active days in an environment, ascending, read from the last one back to one that tells enough.

    That is the first one met that lies before `since_day`, or whose first activity is not after `since_ts`.
    """
    days: list[ActiveDay] = []
    day = last_day
    while day is not None:
        prev, first_ts = connection.execute(
            "SELECT prev, first_ts FROM person_day WHERE environment=? AND day=? AND uid=?", (environment, day, uid)
        ).fetchone()
        days.append(ActiveDay(day, first_ts))
        day = None if day < since_day or first_ts <= since_ts else prev
    return days[::-1]


def first_day(connection: sqlite3.Connection, environment: int) -> int | None:
    """Return the day on which the second person was first seen; that of the only person, `None` without anybody."""
    rows = connection.execute(
        "SELECT day, n FROM gap_cell WHERE environment = ? AND gap = ? ORDER BY day LIMIT 2", (environment, FIRST)
    ).fetchall()
    return next((int(day) for day, n in rows if n > 1 or day == rows[-1][0]), None)


def active(connection: sqlite3.Connection, environment: int, last_day: int, days: int) -> int:
    """Return the distinct persons active on the `days` days that end with `last_day`, exactly.

    Each is counted at the first active day inside the window: the one whose gap reaches back to before it.
    """
    before = last_day - days
    row = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM gap_cell WHERE environment = ? AND day > ? AND day <= ?"
        " AND (gap = ? OR gap >= day - ?)",
        (environment, before, last_day, FIRST, before),
    ).fetchone()
    return int(row[0])


def first_seen(connection: sqlite3.Connection, environment: int, last_day: int, days: int) -> int:
    """Return the persons whose first active day is one of the `days` days that end with `last_day`."""
    row = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM gap_cell WHERE environment = ? AND day > ? AND day <= ? AND gap = ?",
        (environment, last_day - days, last_day, FIRST),
    ).fetchone()
    return int(row[0])


def back_after(connection: sqlite3.Connection, environment: int, last_day: int, days: int, gap: int) -> int:
    """Return the persons who came back after `gap` days or more, on one of the `days` days that end with `last_day`."""
    row = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM gap_cell WHERE environment = ? AND day > ? AND day <= ? AND gap >= ?",
        (environment, last_day - days, last_day, gap),
    ).fetchone()
    return int(row[0])


def active_by_day(connection: sqlite3.Connection, environment: int, first_day: int, last_day: int) -> dict[int, int]:
    """Return the distinct persons active on each day."""
    rows = connection.execute(
        "SELECT day, sum(n) FROM gap_cell WHERE environment = ? AND day BETWEEN ? AND ? GROUP BY day",
        (environment, first_day, last_day),
    )
    return {day: int(n) for day, n in rows}


def frequent(
    connection: sqlite3.Connection, environment: int, first_day: int, last_day: int, at_least: int, since: int
) -> int:
    """Return the persons active on at least so many of the days, the last of them on `since` or later."""
    row = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM person_day WHERE environment = ? AND day BETWEEN ? AND ? GROUP BY uid"
        " HAVING count(*) >= ? AND max(day) >= ?)",
        (environment, first_day, last_day, at_least, since),
    ).fetchone()
    return int(row[0])
