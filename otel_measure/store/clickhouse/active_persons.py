"""Who was active on which days: one reading of the days answers every question that is expected about them.

A person's active days become the bits of a number, so that who was active in any of these days is one `AND`.
The first active days of all persons are a few hundred numbers, which are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

from otel_measure.definitions.days import Days
from otel_measure.store.clickhouse.persons import JOIN, MERGED, USER_DAYS
from otel_measure.store.types.users import Cohort

ALL_DAYS: Final = Days(0, 2**16 - 1)
_BITS: Final = 256


class _Mask(NamedTuple):
    """Days as the bits of a number, which is as small as they fit in: large ones take several times as long.

    Attributes:
        first: the day of the lowest bit.
        bits: 64, 128 or 256.
    """

    first: int
    bits: int

    @classmethod
    def of(cls, days: Days) -> _Mask:
        """Return the one that has some days, 256 at most."""
        return cls(days.first, next(bits for bits in (64, 128, _BITS) if days.length <= bits))

    @property
    def sql(self) -> str:
        """The aggregate over the days `d`, of which some may lie outside."""
        one, bit = f"toUInt{self.bits}(1)", f"toUInt8(least(greatest(d - {self.first:d}, 0), {self.bits - 1}))"
        is_in = f"d BETWEEN {self.first:d} AND {self.first + self.bits - 1:d}"
        return f"groupBitOr(if({is_in}, bitShiftLeft({one}, {bit}), toUInt{self.bits}(0)))"

    def in_ranges(self, mask: str) -> str:
        """Return the SQL of how many persons were active in each range, which are the parameter `masks`."""
        return f"sumForEach(arrayMap(days -> bitAnd({mask}, days) != 0, {{masks:Array(UInt{self.bits})}}))"

    def of_ranges(self, ranges: Iterable[Days]) -> list[int]:
        """Return ranges of days as numbers."""
        return [((1 << days.length) - 1) << (days.first - self.first) for days in ranges]


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
        is_anybody_merged: whether there are users that are somebody else.
    """

    def __init__(self, ask: Ask, *, is_anybody_merged: bool) -> None:
        self._ask = ask
        self._is_anybody_merged = is_anybody_merged
        self._expected: set[Days] = set()
        self._active: dict[Days, int] = {}

    def expect(self, ranges: Iterable[Days]) -> None:
        """Be told which days are about to be asked for."""
        self._expected.update(ranges)

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""
        if days not in self._active:
            self._expected.add(days)
            for ranges in self._pending():
                self._count(ranges)
        return self._active[days]

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""
        self.expect(days.each())
        return {day.first: n for day in days.each() if (n := self.active(day))}

    def _count(self, ranges: Sequence[Days]) -> None:
        """Find how many persons were active on each of some ranges of days, which lie near each other."""
        span = _spanned(ranges)
        if span.length > _BITS:
            of_persons = self._per_person("count()", "sum(x)")
            ((self._active[span],),) = self._ask(f"SELECT count() FROM {of_persons}", span)
            return
        mask = _Mask.of(span)
        of_persons = self._per_person(mask.sql, "groupBitOr(x)")
        sql = f"SELECT {mask.in_ranges('x')} FROM {of_persons}"
        ((counts,),) = self._ask(sql, span, masks=mask.of_ranges(ranges))
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
        """How many persons were first active on each day; what is expected of a mask's days is counted with it."""
        groups = [group for group in self._pending() if _spanned(group).length <= _BITS]
        ranges = max(groups, key=len, default=[])
        mask = _Mask.of(_spanned(ranges) if ranges else Days(0, 0))
        sql = f"SELECT x.1, count(), {mask.in_ranges('x.2')} FROM {self._first_and(mask)} GROUP BY x.1"
        rows = self._ask(sql, ALL_DAYS, masks=mask.of_ranges(ranges))
        of_ranges = [counts for _, _, counts in rows if counts] or [[0] * len(ranges)]
        self._active.update(zip(ranges, map(sum, zip(*of_ranges, strict=True)), strict=True))
        return {int(day): int(n) for day, n, _ in rows}

    def _pending(self) -> Iterator[list[Days]]:
        return _within_bits(self._expected - self._active.keys())

    def back_after(self, days: Days, gap: int) -> int:
        """Return how often persons came back on one of these days after `gap` days or more, which are under 256."""
        back = 0
        for asked in _chunks(days, _BITS - gap):
            mask = _Mask.of(Days(asked.first - gap + 1, asked.last))
            number = f"Array(UInt{mask.bits})"
            sql = (
                "SELECT sum(arrayCount((day, is_day, between) -> bitAnd(x.2, is_day) != 0 AND bitAnd(x.2, between) = 0"
                f" AND x.1 <= day - {gap:d}, {{asked:Array(Int32)}}, {{is_day:{number}}},"
                f" {{between:{number}}})) FROM {self._first_and(mask)}"
            )
            numbers = [day.first for day in asked.each()]
            between = mask.of_ranges(Days(day - gap + 1, day - 1) for day in numbers)
            given = {"asked": numbers, "is_day": mask.of_ranges(asked.each()), "between": between}
            back += int(self._ask(sql, Days(0, asked.last), **given)[0][0])
        return back

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, under 256, the last of them among `lately`."""
        of_persons = self._per_person(_Mask.of(days).sql, "groupBitOr(x)")
        is_frequent = f"bitCount(x) >= {at_least:d} AND bitShiftRight(x, {lately.first - days.first:d}) != 0"
        return int(self._ask(f"SELECT countIf({is_frequent}) FROM {of_persons}", days)[0][0])

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending; offsets are under 256."""
        found = []
        for asked in _chunks(days, _BITS - max(offsets)):
            mask = _Mask.of(Days(asked.first, asked.last + max(offsets)))
            returned = "".join(
                f", countIf(bitAnd(bitShiftRight(x.2, toUInt8(day - {asked.first - offset:d})), 1) != 0)"
                for offset in offsets
            )
            rows = self._ask(
                f"SELECT x.1 AS day, count(){returned} FROM {self._first_and(mask)}"
                f" WHERE day BETWEEN {asked.first:d} AND {asked.last:d} GROUP BY day ORDER BY day",
                ALL_DAYS,
            )
            found += [Cohort(day, size, dict(zip(offsets, back, strict=True))) for day, size, *back in rows]
        return found

    def _first_and(self, mask: _Mask) -> str:
        """Return the SQL of the first active day of each person, and the mask of some."""
        return self._per_person(f"(min(d), {mask.sql})", "(min(x.1), groupBitOr(x.2))")

    def _per_person(self, of_user: str, of_users: str) -> str:
        """Return the SQL of what persons did on days, made of what each of their users did.

        Args:
            of_user: an aggregate over the days `d` of a user and the times `first` of the first activity on each.
            of_users: an aggregate over the results `x` of a person's users.
        """
        per_user = f"(SELECT user, {of_user} AS x FROM {USER_DAYS} GROUP BY user)"
        if not self._is_anybody_merged:
            return per_user
        return f"(SELECT {MERGED} AS person, {of_users} AS x FROM {per_user} AS u {JOIN} GROUP BY person)"


def _chunks(days: Days, most: int) -> Iterator[Days]:
    """Yield some days in pieces of at most so many, as far as a table has them."""
    first, last = within_table(days)
    for day in range(first, last + 1, most):
        yield Days(day, min(day + most - 1, last))


def _spanned(ranges: Sequence[Days]) -> Days:
    """Return the days from the first of all to the last."""
    return Days(min(days.first for days in ranges), max(days.last for days in ranges))


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
