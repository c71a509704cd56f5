"""Conversions in cells: exact for every window of days, in a few hundred additions.

A person counts as converted in a window [S, D] of local days when a conversion (an event that converts) lies in it at
or after the person's first activity in it. That activity is on the first active day `a >= S`, and `a` is that day for
every S after the active day `b` before it, up to `a`. So with h(a) = the day of the first conversion at or after the
first activity of day a, adding 1 to cell (h(a), a) and taking it away from cell (h(a), b) makes the sum over `hit_day
<= D, day >= S` count every person who converted in [S, D] once; the waiting time from that activity to that
conversion adds up alike. A conversion itself counts in every window that begins on or before the last active day
whose first activity it follows.
"""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from otel_measure.records.limits import MAX_VALUE
from otel_measure.store.sqlite.tally import GOAL_SUMS, GOALS, Tally

TRACKED: Final = frozenset({"conversion", "purchase", "signup", "form_submit"})
_NANO: Final = 10**9
NO_PREDECESSOR: Final = -(2**62)


class Day(NamedTuple):
    """An active day of a person, and its first activity."""

    day: int
    first_ts: int


class Conversion(NamedTuple):
    """Conversions of one person at one time in one currency ('' for none given)."""

    ts: int
    currency: str
    n: int
    valued: int
    amount: int
    nanos: int


Goal: TypeAlias = str


def conversion(ts: int, value: float | None, currency: str | None) -> Conversion:
    """Return one conversion; a value that no currency has (beyond ±1e12) is no value."""
    if value is None or not math.isfinite(value) or abs(value) > MAX_VALUE:
        return Conversion(ts, currency or "", 1, 0, 0, 0)
    whole, part = divmod(value, 1)
    return Conversion(ts, currency or "", 1, 1, int(whole), round(part * _NANO))


def added(conversions: Iterable[Conversion]) -> list[Conversion]:
    """Return conversions with those of one time and currency added up, ascending."""
    found: dict[tuple[int, str], Conversion] = {}
    for one in conversions:
        key = one[:2]
        old = found.get(key)
        found[key] = one if old is None else Conversion(*key, *(a + b for a, b in zip(old[2:], one[2:], strict=True)))
    return [found[key] for key in sorted(found)]


def tally_goal(
    tally: Tally,
    goal: Goal,
    days: Sequence[Day],
    conversions: Sequence[Conversion],
    day_of: Callable[[int], int],
    *,
    sign: int = 1,
    after: int = NO_PREDECESSOR,
) -> None:
    """Add what one person's conversions contribute.

    Args:
        tally: the cells.
        goal: what was reached.
        days: active days, ascending.
        conversions: ascending; those after `after` only.
        day_of: the local day of a time.
        sign: -1 takes away.
        after: days whose first activity is not later only precede others; nothing of theirs changes.
    """
    times = [h.ts for h in conversions]
    firsts = [d.first_ts for d in days]
    for i, (day, first_ts) in enumerate(days):
        at = bisect_left(times, first_ts)
        if first_ts <= after or at == len(times):
            continue
        reached = (1, times[at] - first_ts)
        hit_day = day_of(times[at])
        tally.add(GOALS, (goal, hit_day, day), reached, sign)
        if i:
            tally.add(GOALS, (goal, hit_day, days[i - 1].day), reached, -sign)
    for one in conversions:
        known = bisect_right(firsts, one.ts)
        if known:
            tally.add(GOAL_SUMS, (goal, day_of(one.ts), days[known - 1].day, one.currency), one[2:], sign)


class GoalChange:
    """The conversions a batch changes; it reads what was before, so it runs before the days are written.

    Args:
        connection: within the transaction.
        day_of: the local day of a time.
    """

    def __init__(self, connection: sqlite3.Connection, day_of: Callable[[int], int]) -> None:
        self._connection = connection
        self._day_of = day_of
        self._hits: list[tuple[int, str, int, str, int, int, int, int]] = []

    def merge(
        self,
        uid: int,
        last: Day | None,
        hit_ts: int | None,
        days: Mapping[int, int],
        conversions: Mapping[Goal, Sequence[Conversion]],
        tally: Tally,
    ) -> None:
        """Merge what is new of one person.

        Args:
            uid: the person.
            last: the last active day known before.
            hit_ts: the last conversion known before.
            days: days whose first activity is new or earlier than before, with its time.
            conversions: new conversions by goal.
            tally: the cells.
        """
        goals = set(conversions)
        if days and hit_ts is not None and hit_ts >= (first := min(days.values())):
            goals.update(self._goals_since(uid, first))
        for goal in sorted(goals):
            new = conversions.get(goal, ())
            since = min([h.ts for h in new] + list(days.values()))
            before = NO_PREDECESSOR if hit_ts is None else self._last_before(uid, goal, since)
            old_hits = [] if hit_ts is None or hit_ts < since else self._since(uid, goal, since)
            old_days = self._back_to(uid, last, before)
            if old_hits:
                tally_goal(tally, goal, old_days, old_hits, self._day_of, sign=-1, after=before)
            new_days = _with(old_days, days) if days else old_days
            tally_goal(tally, goal, new_days, added((*old_hits, *new)), self._day_of, after=before)
            self._hits.extend((uid, goal, *one) for one in new)

    def _back_to(self, uid: int, last: Day | None, ts: int) -> Sequence[Day]:
        """Return the known days from the end back to one that had begun at `ts`."""
        if last is not None and last.first_ts <= ts:
            return (last,)
        return walk(self._connection, uid, last.day if last else None, since_ts=ts)

    def _goals_since(self, uid: int, ts: int) -> list[str]:
        """Return the goals of which a conversion is not earlier: a change of days before it changes what it means."""
        return [
            goal
            for goal in TRACKED
            if self._connection.execute(
                "SELECT 1 FROM goal_hit WHERE uid = ? AND goal = ? AND ts >= ? LIMIT 1", (uid, goal, ts)
            ).fetchone()
        ]

    def _last_before(self, uid: int, goal: str, ts: int) -> int:
        row = self._connection.execute(
            "SELECT max(ts) FROM goal_hit WHERE uid = ? AND goal = ? AND ts < ?", (uid, goal, ts)
        ).fetchone()
        return NO_PREDECESSOR if row[0] is None else int(row[0])

    def _since(self, uid: int, goal: str, ts: int) -> list[Conversion]:
        rows = self._connection.execute(
            "SELECT ts, currency, n, valued, amount, nanos FROM goal_hit WHERE uid = ? AND goal = ? AND ts >= ?"
            " ORDER BY ts, currency",
            (uid, goal, ts),
        )
        return [Conversion(*row) for row in rows]

    def write(self) -> None:
        """Write the new conversions."""
        write_hits(self._connection, self._hits)


def _with(known: Iterable[Day], changed: Mapping[int, int]) -> list[Day]:
    first_ts = {**dict(known), **changed}
    return [Day(day, first_ts[day]) for day in sorted(first_ts)]


def write_hits(connection: sqlite3.Connection, rows: Iterable[tuple[int, str, int, str, int, int, int, int]]) -> None:
    """Add conversions to the stored ones."""
    connection.executemany(
        "INSERT INTO goal_hit VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uid, goal, ts, currency) DO UPDATE SET"
        " n = n + excluded.n, valued = valued + excluded.valued, amount = amount + excluded.amount,"
        " nanos = nanos + excluded.nanos",
        rows,
    )


def walk(
    connection: sqlite3.Connection,
    uid: int,
    last_day: int | None,
    *,
    since_day: int = NO_PREDECESSOR,
    since_ts: int = NO_PREDECESSOR,
) -> list[Day]:
    """Return a person's active days, ascending, read from the last one back to one that tells enough.

    That is the first one met that lies before `since_day`, or whose first activity is not after `since_ts`.
    """
    days: list[Day] = []
    day = last_day
    while day is not None:
        prev, first_ts = connection.execute(
            "SELECT prev, first_ts FROM person_day WHERE day=? AND uid=?", (day, uid)
        ).fetchone()
        days.append(Day(day, first_ts))
        day = None if day < since_day or first_ts <= since_ts else prev
    return days[::-1]


def conversions_of(connection: sqlite3.Connection, uid: int) -> dict[Goal, list[Conversion]]:
    """Return all conversions of a person by goal, ascending."""
    found: dict[Goal, list[Conversion]] = {}
    for goal, *rest in connection.execute(
        "SELECT goal, ts, currency, n, valued, amount, nanos FROM goal_hit WHERE uid = ? ORDER BY goal, ts, currency",
        (uid,),
    ):
        found.setdefault(goal, []).append(Conversion(*rest))
    return found
