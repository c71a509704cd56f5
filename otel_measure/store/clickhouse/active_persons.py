"""Who was active on which days: one reading of the days answers every question that is expected about them.

A person's active days become the bits of a number of 128, so that who was active in any of these days is one `AND`.
The first active days of all persons are a few hundred numbers, which are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, Protocol

from otel_measure.definitions.days import Days
from otel_measure.store.clickhouse.persons import JOIN, MERGED, USER_DAYS

ALL_DAYS: Final = Days(0, 2**16 - 1)
_BITS: Final = 128


def per_person(of_user: str, of_users: str) -> str:
    """Return the SQL of what persons did on days, made of what each of their users did.

    Args:
        of_user: an aggregate over the days `d` of a user and the times `first` of the first activity on each.
        of_users: an aggregate over the results `x` of a person's users.
    """
    return (
        f"(SELECT {MERGED} AS person, {of_users} AS x FROM"
        f" (SELECT user, {of_user} AS x FROM {USER_DAYS} GROUP BY user) AS u {JOIN} GROUP BY person)"
    )


def within_table(days: Days) -> Days:
    """Return those of some days that a table has."""
    first, last = (min(max(day, ALL_DAYS.first), ALL_DAYS.last) for day in days)
    return Days(first, last)


class Ask(Protocol):
    """Asks the server about some days."""

    def __call__(self, sql: str, days: Days, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Return the rows."""


class ActivePersons:
    """Counts of persons by their active days.

    Args:
        ask: the server.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._expected: set[Days] = set()
        self._active: dict[Days, int] = {}

    def expect(self, ranges: Iterable[Days]) -> None:
        """Be told which days are about to be asked for."""
        self._expected.update(ranges)

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""
        if days not in self._active:
            self._expected.add(days)
            for ranges in _within_bits(self._expected - self._active.keys()):
                self._count(ranges)
        return self._active[days]

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""
        self.expect(days.each())
        return {day.first: n for day in days.each() if (n := self.active(day))}

    def _count(self, ranges: Sequence[Days]) -> None:
        """Find how many persons were active on each of some ranges of days, which lie near each other."""
        span = Days(min(days.first for days in ranges), max(days.last for days in ranges))
        if span.length > _BITS:
            of_persons = per_person("count()", "sum(x)")
            ((self._active[span],),) = self._ask(f"SELECT count() FROM {of_persons}", span)
            return
        of_persons = per_person(f"groupBitOr(bitShiftLeft(toUInt128(1), d - {span.first:d}))", "groupBitOr(x)")
        masks = [((1 << days.length) - 1) << (days.first - span.first) for days in ranges]
        ((counts,),) = self._ask(
            f"SELECT sumForEach(arrayMap(days -> bitAnd(x, days) != 0, {{masks:Array(UInt128)}})) FROM {of_persons}",
            span,
            masks=masks,
        )
        self._active.update(zip(ranges, counts or [0] * len(ranges), strict=True))

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""
        return sum(n for day, n in self._first_days.items() if days.first <= day <= days.last)

    def first_day(self) -> int | None:
        """Return the day on which the second person was first seen; of one person alone theirs."""
        seen = 0
        for day, n in sorted(self._first_days.items()):
            seen += n
            if seen > 1:
                return day
        return max(self._first_days, default=None)

    @cached_property
    def _first_days(self) -> dict[int, int]:
        """How many persons were first active on each day."""
        of_persons = per_person("min(d)", "min(x)")
        rows = self._ask(f"SELECT x, count() FROM {of_persons} GROUP BY x", ALL_DAYS)
        return {int(day): int(n) for day, n in rows}


def _within_bits(ranges: Iterable[Days]) -> Iterator[list[Days]]:
    """Yield ranges of days, those together that lie within as many days as a mask has bits; longer ones alone."""
    group: list[Days] = []
    for days in sorted(ranges):
        if group and max(days.last, *(each.last for each in group)) - group[0].first >= _BITS:
            yield group
            group = []
        group.append(days)
    if group:
        yield group
