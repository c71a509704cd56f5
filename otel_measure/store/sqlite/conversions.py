"""Conversions as rows: a batch reads what was before it as far back as it changes what that means.

What conversions contribute to cells is told in `definitions/conversions.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from otel_measure.definitions.active_days import ActiveDay, with_changed
from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.conversions import (
    NO_PREDECESSOR,
    ConversionEvent,
    Goal,
    add_conversions,
    merged_conversions,
)
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.sqlite.persons import walk


class ConversionChange:
    """The conversions a batch changes; it reads what was before, so it runs before the days are written.

    Args:
        connection: within the transaction.
        environment: in which they are.
        definitions: of what converts, and of days.
    """

    def __init__(self, connection: sqlite3.Connection, environment: int, definitions: Definitions) -> None:
        self._connection = connection
        self._environment = environment
        self._definitions = definitions
        self._rows: list[tuple[int, int, str, int, str, int, int, int, int]] = []

    def merge(
        self,
        uid: int,
        last: ActiveDay | None,
        hit_ts: int | None,
        days: Mapping[int, int],
        conversions: Mapping[Goal, Sequence[ConversionEvent]],
        changes: CellChanges,
    ) -> None:
        """Merge what is new of one person.

        Args:
            uid: the person.
            last: the last active day known before.
            hit_ts: the last conversion known before.
            days: days whose first activity is new or earlier than before, with its time.
            conversions: new conversions by goal.
            changes: the cells.
        """
        day_of = self._definitions.day_of
        goals = set(conversions)
        if days and hit_ts is not None and hit_ts >= (first := min(days.values())):
            goals.update(self._goals_since(uid, first))
        for goal in sorted(goals):
            new = conversions.get(goal, ())
            since = min([h.ts for h in new] + list(days.values()))
            before = NO_PREDECESSOR if hit_ts is None else self._last_before(uid, goal, since)
            stored = [] if hit_ts is None or hit_ts < since else self._since(uid, goal, since)
            old_days = self._back_to(uid, last, before)
            if stored:
                add_conversions(changes, goal, old_days, stored, day_of, sign=-1, after=before)
            new_days = with_changed(old_days, days) if days else old_days
            add_conversions(changes, goal, new_days, merged_conversions((*stored, *new)), day_of, after=before)
            self._rows.extend((self._environment, uid, goal, *one) for one in new)

    def _back_to(self, uid: int, last: ActiveDay | None, ts: int) -> Sequence[ActiveDay]:
        """Return the known days from the end back to one that had begun at `ts`."""
        if last is not None and last.first_ts <= ts:
            return (last,)
        return walk(self._connection, self._environment, uid, last.day if last else None, since_ts=ts)

    def _goals_since(self, uid: int, ts: int) -> list[str]:
        """Return the goals of which a conversion is not earlier: a change of days before it changes what it means."""
        return [
            goal
            for goal in self._definitions.key_event_types
            if self._connection.execute(
                "SELECT 1 FROM goal_hit WHERE environment = ? AND uid = ? AND goal = ? AND ts >= ? LIMIT 1",
                (self._environment, uid, goal, ts),
            ).fetchone()
        ]

    def _last_before(self, uid: int, goal: str, ts: int) -> int:
        row = self._connection.execute(
            "SELECT max(ts) FROM goal_hit WHERE environment = ? AND uid = ? AND goal = ? AND ts < ?",
            (self._environment, uid, goal, ts),
        ).fetchone()
        return NO_PREDECESSOR if row[0] is None else int(row[0])

    def _since(self, uid: int, goal: str, ts: int) -> list[ConversionEvent]:
        rows = self._connection.execute(
            "SELECT ts, currency, n, valued, amount, nanos FROM goal_hit"
            " WHERE environment = ? AND uid = ? AND goal = ? AND ts >= ? ORDER BY ts, currency",
            (self._environment, uid, goal, ts),
        )
        return [ConversionEvent(*row) for row in rows]

    def write(self) -> None:
        """Write the new conversions."""
        write_conversions(self._connection, self._rows)


def write_conversions(
    connection: sqlite3.Connection, rows: Iterable[tuple[int, int, str, int, str, int, int, int, int]]
) -> None:
    """Add conversions to the stored ones."""
    connection.executemany(
        "INSERT INTO goal_hit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (uid, environment, goal, ts, currency) DO UPDATE SET n = n + excluded.n,"
        " valued = valued + excluded.valued, amount = amount + excluded.amount, nanos = nanos + excluded.nanos",
        rows,
    )


def conversions_of(connection: sqlite3.Connection, environment: int, uid: int) -> dict[Goal, list[ConversionEvent]]:
    """Return all conversions of a person in an environment by goal, ascending."""
    conversions: dict[Goal, list[ConversionEvent]] = {}
    for goal, *rest in connection.execute(
        "SELECT goal, ts, currency, n, valued, amount, nanos FROM goal_hit WHERE environment = ? AND uid = ?"
        " ORDER BY goal, ts, currency",
        (environment, uid),
    ):
        conversions.setdefault(goal, []).append(ConversionEvent(*rest))
    return conversions
