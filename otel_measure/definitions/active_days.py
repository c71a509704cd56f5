"""Active days: on which local days a person was active, and the cells that answer from it.

An active day is kept with the days since the one before it. Each person active in a window is counted at the one day
whose gap reaches back to before the window, so distinct persons of any window are a sum of cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from otel_measure.definitions.cells import COHORTS, GAPS, CellChanges
from otel_measure.definitions.days import Days, day_date

FIRST: Final = -1
"""The gap of a person's first active day."""
_ONE: Final = (1,)


class ActiveDay(NamedTuple):
    """An active day of a person, and its first activity."""

    day: int
    first_ts: int


def add_days(changes: CellChanges, days: Sequence[int], first_day: int, sign: int = 1, *, given: int = 0) -> None:
    """Add what the active days of one person contribute.

    Args:
        changes: the cells.
        days: ascending.
        first_day: the first one ever, which may lie before `days`.
        sign: -1 takes away.
        given: so many of the first days only precede the others.
    """
    for i in range(given, len(days)):
        day = days[i]
        changes.add(GAPS, (day, day - days[i - 1] if i else FIRST), _ONE, sign)
        changes.add(COHORTS, (first_day, day - first_day), _ONE, sign)


def with_changed(known: Iterable[ActiveDay], changed: Mapping[int, int]) -> list[ActiveDay]:
    """Return days, ascending, with those that are new or whose first activity is another; `changed` is by day."""
    first_ts = {**dict(known), **changed}
    return [ActiveDay(day, first_ts[day]) for day in sorted(first_ts)]


def unknown_before(first_day: int | None, **needed: Days) -> dict[str, str]:
    """Return which fields look at days before the first one that is known, and why they are unknown, as a sentence.

    Args:
        first_day: `None` where nobody was ever active.
        needed: the days that each field looks at.
    """
    return {
        field: f"needs every day since {day_date(days.first)}; the first one is {day_date(first_day)}"
        for field, days in needed.items()
        if first_day is not None and days.first < first_day
    }
