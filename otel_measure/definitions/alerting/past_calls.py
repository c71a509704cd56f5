"""What was called in the weeks before, and what a part of that time held: by the hour, at its edges by the minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.definitions.days import DAY_US, micros, moment
from otel_measure.definitions.windows import HOUR_US, MINUTE_US

_FIVE_MINUTES_US: Final = 5 * MINUTE_US
_RAMP: Final = 10  # an hour that holds more than so many times what the hour before it held comes after a pause
_TRIMMED_SHARE: Final = 0.05
_LARGEST_KEPT: Final = NormalDist().inv_cdf(1.0 - _TRIMMED_SHARE / 2.0)
_KEPT_SQUARE: Final = 1.0 - 2.0 * _LARGEST_KEPT * NormalDist().pdf(_LARGEST_KEPT) / (1.0 - _TRIMMED_SHARE)
"""The mean of the squares that are kept of standard normal numbers."""

Span: TypeAlias = tuple[int, int]
"""A time, microseconds, half-open; it begins and ends with a minute."""


class Rhythm(NamedTuple):
    """Which times before are compared with a time: whole days before it, so that the time of day is the same.

    Attributes:
        days: from one of them to the next.
        times: how many.
        name: of them, in a sentence.
    """

    days: int
    times: int
    name: str

    @property
    def us(self) -> int:
        """From one of them to the next, but for an hour where clocks are changed."""
        return self.days * DAY_US


DAILY: Final = Rhythm(1, 7, "each of the 7 days before")
WEEKLY: Final = Rhythm(7, 4, "the same weekday of each of the 4 weeks before")
RHYTHMS: Final = (DAILY, WEEKLY)
REACH_US: Final = WEEKLY.us * (WEEKLY.times + 1)
"""How far back it is looked: a week without a call, and the times that it is compared with."""


MinutesOf: TypeAlias = Callable[[int], Mapping[int, int]]
"""Returns the calls of each minute of an hour that had any; takes and returns when they begin, microseconds."""


class _Hours:
    """Calls of hours without a gap, added up from the first on."""

    def __init__(self, hours: Sequence[int]) -> None:
        self._hours = hours
        self._sums = [0, *accumulate(hours)]

    def __getitem__(self, hour: int) -> int:
        return self._hours[hour] if 0 <= hour < len(self._hours) else 0

    def between(self, first: int, end: int) -> int:
        """Return how many calls the hours [first, end) held."""
        first, end = (min(max(hour, 0), len(self._hours)) for hour in (first, end))
        return self._sums[end] - self._sums[first] if first < end else 0


class PastCalls:
    """The calls of one subject by the hour.

    Of a time that is asked about, hours that come after a pause in all days or weeks of a rhythm can be left out: the
    ramps of that rhythm.

    Args:
        first_us: when the first hour begins.
        hours: how many calls each hour had, without a gap.

    Attributes:
        first_call_us: the hour of the first call; `None` without one.
        active_hours_a_day: how many hours of a day had calls, in the mean of the week that ends with the last one.
        calls_together: how many calls come together, as those of one session do; 1 where each comes by itself.
    """

    def __init__(self, first_us: int, hours: Sequence[int]) -> None:
        active = [hour for hour, calls in enumerate(hours) if calls]
        ends = active[-1] + 1 if active else 0
        self.first_call_us: Final = first_us + active[0] * HOUR_US if active else None
        self.active_hours_a_day: Final = sum(hour >= ends - 7 * 24 for hour in active) / 7
        self.calls_together: Final = _calls_together(hours[max(ends - 7 * 24, 0) : ends])
        self._first_us = first_us
        self._hours: dict[Rhythm | None, _Hours] = {None: _Hours(hours)}
        for rhythm in RHYTHMS:
            ramps = _after_pauses(hours[:ends], rhythm)
            n = 24 * rhythm.days
            self._hours[rhythm] = _Hours([0 if hour % n in ramps else calls for hour, calls in enumerate(hours)])

    def at_most(self, span: Span, without_ramps_of: Rhythm | None = None) -> int:
        """Return how many calls a time can have held, by its hours alone."""
        start, end = (at - self._first_us for at in span)
        return self._hours[without_ramps_of].between(start // HOUR_US, -(-end // HOUR_US))

    def between(self, span: Span, minutes_of: MinutesOf, without_ramps_of: Rhythm | None = None) -> int:
        """Return how many calls a time held; of hours of which only a part belongs to it, the minutes tell."""
        hours = self._hours[without_ramps_of]
        start, end = (at - self._first_us for at in span)
        edges = {at // HOUR_US for at in (start, end) if at % HOUR_US}
        of_edges = sum(sum(self._minutes(span, hour, minutes_of).values()) for hour in edges if hours[hour])
        return hours.between(-(-start // HOUR_US), end // HOUR_US) + of_edges

    def times(self, span: Span, minutes_of: MinutesOf, most: int, without_ramps_of: Rhythm | None = None) -> int:
        """Return at how many different times there were calls, told apart by five minutes; `most` where it is more."""
        hours = self._hours[without_ramps_of]
        start, end = (at - self._first_us for at in span)
        times = 0
        for hour in range(start // HOUR_US, -(-end // HOUR_US)):
            if hours[hour]:
                times += len({at // _FIVE_MINUTES_US for at in self._minutes(span, hour, minutes_of)})
            if times >= most:
                return most
        return times

    def _minutes(self, span: Span, hour: int, minutes_of: MinutesOf) -> dict[int, int]:
        minutes = minutes_of(self._first_us + hour * HOUR_US)
        return {at: calls for at, calls in minutes.items() if span[0] <= at < span[1] and calls}


def _after_pauses(hours: Sequence[int], rhythm: Rhythm) -> frozenset[int]:
    """Return which hours of a day or week, counted from the first, come after a pause in all times of a rhythm."""
    n = 24 * rhythm.days
    profile = [0] * n
    for hour in range(max(len(hours) - n * rhythm.times, 0), len(hours)):
        profile[hour % n] += hours[hour]
    return frozenset(hour for hour in range(n) if profile[hour] > _RAMP * profile[hour - 1])


def _calls_together(hours: Sequence[int]) -> float:
    """Return the index of dispersion of three hours in a row: sum (x - 2y + z)^2 / sum 2 (x + y + z), 1 at least.

    It is 1 of calls that come by themselves (Poisson), and k of such that come k at once: the mean square second
    difference over the mean, in which a rate that rises or falls steadily makes no difference (after the successive
    difference of von Neumann, 1941). Where a pause begins or ends every day nothing is told. The largest twentieth of
    the squares is left out, so that one hour with a load test does not decide; what is left is divided by what it is of
    normally distributed ones.
    """
    n = 24 * DAILY.days
    profile = [sum(hours[hour::n]) for hour in range(n)]
    is_edge = [max(one, other) > _RAMP * min(one, other) for one, other in pairwise((*profile, profile[0]))]
    squares = sorted(
        ((x - 2 * y + z) ** 2 / (x + y + z), x + y + z)
        for hour, (x, y, z) in enumerate(zip(hours, hours[1:], hours[2:], strict=False))
        if x + y + z and not (is_edge[hour % n] or is_edge[(hour + 1) % n])
    )
    kept = squares[: len(squares) - int(len(squares) * _TRIMMED_SHARE)]
    calls = sum(of_three for _, of_three in kept)
    return max(sum(square * of_three for square, of_three in kept) / (2 * calls) / _KEPT_SQUARE, 1.0) if calls else 1.0


def by_minute(span: Span, minutes_of: MinutesOf) -> int:
    """Return how many calls a time held."""
    hours = range(span[0] - span[0] % HOUR_US, span[1], HOUR_US)
    minutes = (minute for hour in hours for minute in minutes_of(hour).items())
    return sum(calls for at, calls in minutes if span[0] <= at < span[1])


def times_before(spans: Iterable[Span], days: int, zone: ZoneInfo) -> Iterator[list[Span]]:
    """Yield the same time some days before, by the hours that passed, and by the local clock where that differs."""
    passed = [(start - days * DAY_US, end - days * DAY_US) for start, end in spans]
    yield passed
    local = [(_on_the_clock(start, days, zone), _on_the_clock(end, days, zone)) for start, end in spans]
    if local != passed:
        yield local


def _on_the_clock(at_us: int, days: int, zone: ZoneInfo) -> int:
    """Return when the local clock said the same some days before."""
    local = moment(at_us).astimezone(zone)
    before = (local.replace(tzinfo=None) - timedelta(days=days)).replace(tzinfo=zone, fold=local.fold)
    return micros(before.astimezone(UTC))
