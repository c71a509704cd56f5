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
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.active_days import ActiveDay
from otel_measure.definitions.cells import GOAL_SUMS, GOALS, CellChanges
from otel_measure.records.limits import MAX_VALUE

Goal: TypeAlias = str
"""The type or name of the events that convert."""
ConversionSum: TypeAlias = tuple[str, int, int, int, int]
"""Currency, conversions, those with a value, and the value: whole units and nano-units."""
NO_PREDECESSOR: Final = -(2**62)
_NANO: Final = 10**9


class ConversionEvent(NamedTuple):
    """Conversions of one person at one time in one currency ('' for none given); `valued` of the `n` have a value."""

    ts: int
    currency: str
    n: int
    valued: int
    amount: int
    nanos: int


def conversion(ts: int, value: float | None, currency: str | None) -> ConversionEvent:
    """Return one conversion; a value that no currency has (beyond ±1e12) is no value."""
    if value is None or not math.isfinite(value) or abs(value) > MAX_VALUE:
        return ConversionEvent(ts, currency or "", 1, 0, 0, 0)
    whole, part = divmod(value, 1)
    return ConversionEvent(ts, currency or "", 1, 1, int(whole), round(part * _NANO))


def merged_conversions(conversions: Iterable[ConversionEvent]) -> list[ConversionEvent]:
    """Return conversions with those of one time and currency added up, ascending."""
    merged: dict[tuple[int, str], ConversionEvent] = {}
    for one in conversions:
        key = one[:2]
        old = merged.get(key)
        merged[key] = (
            one if old is None else ConversionEvent(*key, *(a + b for a, b in zip(old[2:], one[2:], strict=True)))
        )
    return [merged[key] for key in sorted(merged)]


def add_conversions(
    changes: CellChanges,
    goal: Goal,
    days: Sequence[ActiveDay],
    conversions: Sequence[ConversionEvent],
    day_of: Callable[[int], int],
    *,
    sign: int = 1,
    after: int = NO_PREDECESSOR,
) -> None:
    """Add what one person's conversions contribute.

    Args:
        changes: the cells.
        goal: what was reached.
        days: active days, ascending.
        conversions: ascending; those after `after` only.
        day_of: the local day of a time.
        sign: -1 takes away.
        after: days whose first activity is not later only precede others; nothing of theirs changes.
    """
    times = [one.ts for one in conversions]
    firsts = [day.first_ts for day in days]
    for i, (day, first_ts) in enumerate(days):
        at = bisect_left(times, first_ts)
        if first_ts <= after or at == len(times):
            continue
        reached = (1, times[at] - first_ts)
        hit_day = day_of(times[at])
        changes.add(GOALS, (goal, hit_day, day), reached, sign)
        if i:
            changes.add(GOALS, (goal, hit_day, days[i - 1].day), reached, -sign)
    for one in conversions:
        known = bisect_right(firsts, one.ts)
        if known:
            changes.add(GOAL_SUMS, (goal, day_of(one.ts), days[known - 1].day, one.currency), one[2:], sign)


def total_value(sums: Iterable[ConversionSum]) -> tuple[int, float | None]:
    """Return how many conversions there are, and their value; `None` without one, or in several currencies."""
    conversions = 0
    values: dict[str, int] = {}
    for currency, n, valued, amount, nanos in sums:
        conversions += n
        if valued:
            values[currency] = values.get(currency, 0) + amount * _NANO + nanos
    return conversions, next(iter(values.values())) / _NANO if len(values) == 1 else None


def first_after_entry(entered: Mapping[int, int], conversions: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the time of each person's first conversion at or after their first activity.

    Args:
        entered: the first activity in the window by person.
        conversions: (person, time), in any order.
    """
    converted: dict[int, int] = {}
    for person, ts in conversions:
        if person in entered and ts >= entered[person]:
            converted[person] = min(ts, converted.get(person, ts))
    return converted
