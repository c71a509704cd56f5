"""Steps of a series: which lengths there are, where each step begins, and which are not whole.

A series over a window begins and ends with it, on whole minutes as its report does, so that its steps add up to the
report. Steps of up to an hour begin on whole minutes and hours of UTC, those of 6 hours and of days with the local day,
those of a week with the local Monday: a day on which clocks change is one step, of 23 or 25 hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

from otel_measure.definitions.days import Days, day_finder, day_start, micros, moment
from otel_measure.definitions.windows import MINUTE_US, CellRange, DaySpan, TimeSpan, cell_ranges, time_span

DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
LADDER: Final = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "1d": DAY_S, "1w": WEEK_S}
"""The lengths of steps, in seconds, by the names that ask for them."""

DEFAULT_POINTS: Final = 300
MAX_POINTS: Final = 1500
MAX_DAY_POINTS: Final = 400
_MAX_DAYS_BY_DEFAULT: Final = 92
_DAYS: Final = {"1d": 1, "1w": 7}
_US: Final = 1_000_000
_MONDAY: Final = 4  # 1970-01-05


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a window.

    Attributes:
        edges: microseconds; step k is [edges[k], edges[k + 1]).
        seconds: how long a whole step is; of days and weeks, as the calendar counts them.
        partial: the steps that the window cuts, and the one that is still running.
        asked: the steps that are to be read; `None` for all.
    """

    edges: tuple[int, ...]
    seconds: int
    partial: tuple[int, ...]
    asked: frozenset[int] | None = None

    @property
    def starts(self) -> tuple[datetime, ...]:
        """When each step begins."""
        return tuple(moment(edge) for edge in self.edges[:-1])

    def only(self, steps: frozenset[int]) -> Steps:
        """Return the same steps, of which these alone are to be read."""
        return replace(self, asked=steps)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the begin and the end of each step that is to be read, microseconds."""
        for step, span in enumerate(pairwise(self.edges)):
            if self.asked is None or step in self.asked:
                yield span

    def stretches(self) -> list[tuple[int, int]]:
        """Return the times that are to be read, those that meet as one."""
        stretches: list[tuple[int, int]] = []
        for start, end in self.spans():
            if stretches and stretches[-1][1] == start:
                start, _ = stretches.pop()
            stretches.append((start, end))
        return stretches

    def cells(self, levels: Sequence[int]) -> list[CellRange]:
        """Return the fewest cells of some lengths (see `cell_ranges`) of which each lies in one step to be read."""
        ranges: list[CellRange] = []
        for first, last in self.spans():
            for cells in cell_ranges(first, last, levels):
                if ranges and (ranges[-1].seconds, ranges[-1].end) == (cells.seconds, cells.start):
                    ranges[-1] = ranges[-1]._replace(end=cells.end)
                else:
                    ranges.append(cells)
        return ranges

    def step_of(self, at: int) -> int:
        """Return the step that a time within the window lies in."""
        return bisect_right(self.edges, at) - 1


class SeriesWindow(NamedTuple):
    """What a series is asked about: a window that ends now ("24h"), or the time from `start` (to `end`, else now)."""

    window: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def series_span(asked: SeriesWindow, now_us: int, timezone: str, default: str) -> TimeSpan:
    """Return the window of a series; a part of a minute counts as a whole one, and nothing lies in the future.

    Raises:
        ValueError: the window is malformed, stands beside `start` or `end`, an end has no start, a time is without a
            zone, or nothing lies between the two.
    """
    window, start, end = asked
    if start is None and end is None:
        return time_span(window or default, now_us, timezone)
    if window is not None:
        raise ValueError(f"window={window!r} and start or end exclude each other: give one of them")
    if start is None:
        raise ValueError("end needs a start; window alone ends now")
    for name, at in (("start", start), ("end", end)):
        if at is not None and at.tzinfo is None:
            raise ValueError(f"{name} must say its zone, such as 2026-01-31T12:00:00Z, not {at.isoformat()}")
    first = max(micros(start), 0)
    last = now_us + 1 if end is None else min(micros(end), now_us + 1)
    if first >= last:
        raise ValueError(f"start must lie before end, and before now, not {start.isoformat()}")
    now = time_span("1m", now_us, timezone)
    today = day_finder(ZoneInfo(timezone))(last - 1)
    return TimeSpan(first, last, today, today == now.day, timezone)


def earlier(span: TimeSpan) -> TimeSpan:
    """Return the equally long time just before a window."""
    day = day_finder(ZoneInfo(span.timezone))(span.start - 1)
    return replace(span, start=max(span.start - (span.end - span.start), 0), end=span.start, day=day, is_today=False)


def step_for(span: TimeSpan, ladder: Mapping[str, int] = LADDER) -> str:
    """Return the shortest step of which a window has at most 300, a cut one at an end aside."""
    length = span.end - span.start
    return next((name for name, seconds in ladder.items() if length <= seconds * _US * DEFAULT_POINTS), "1w")


def steps(span: TimeSpan, now_us: int, step: str, ladder: Mapping[str, int] = LADDER) -> Steps:
    """Return the steps of a window.

    Raises:
        ValueError: there is no such step, or the window has over 1,500 of it.
    """
    if step not in ladder:
        raise ValueError(f"step must be one of {', '.join(ladder)}, not {step!r}")
    seconds = ladder[step]
    start, end = span.start - span.start % MINUTE_US, span.end + -span.end % MINUTE_US
    if span.end - span.start > seconds * _US * MAX_POINTS:
        raise ValueError(f"step={step!r} would make over {MAX_POINTS:,} points: ask for a longer step or less time")
    whole = list(_whole(start, end, seconds, ZoneInfo(span.timezone)))
    edges = (start, *(edge for edge in whole if start < edge < end), end)
    cut = {0} if whole[0] < start else set()
    if end < whole[-1] or now_us < end:
        cut.add(len(edges) - 2)
    return Steps(edges, seconds, tuple(sorted(cut)))


@dataclass(frozen=True, slots=True)
class DaySteps:
    """The steps of a window of whole local days.

    Attributes:
        days: of each step.
        starts: when each begins.
        seconds: how long a whole step is, as the calendar counts it.
        partial: the weeks that the window cuts, and the step that is still running.
    """

    days: tuple[Days, ...]
    starts: tuple[datetime, ...]
    seconds: int
    partial: tuple[int, ...]

    @classmethod
    def of(cls, span: DaySpan, step: str | None) -> Self:
        """Return the days of a window or its weeks, which begin on Monday; without a step days up to 92 of them.

        Raises:
            ValueError: there is no such step, or the window has over 400 of it.
        """
        length = span.last_day - span.first_day + 1
        step = step or ("1d" if length <= _MAX_DAYS_BY_DEFAULT else "1w")
        if step not in _DAYS:
            raise ValueError(f"step must be one of {', '.join(_DAYS)}, not {step!r}: persons are counted by local days")
        if length > _DAYS[step] * MAX_DAY_POINTS:
            raise ValueError(f"step={step!r} would make over {MAX_DAY_POINTS} points: ask for less time, or for weeks")
        firsts = [
            day
            for day in range(span.first_day, span.last_day + 1)
            if step == "1d" or day == span.first_day or (day - _MONDAY) % 7 == 0
        ]
        days = tuple(Days(a, b - 1) for a, b in pairwise((*firsts, span.last_day + 1)))
        cut = {k for k in (0, len(days) - 1) if days[k].length < _DAYS[step]}
        zone = ZoneInfo(span.timezone)
        return cls(
            days,
            tuple(moment(day_start(of.first, zone)) for of in days),
            _DAYS[step] * DAY_S,
            tuple(sorted(cut | ({len(days) - 1} if span.is_today else set()))),
        )


def days_before(span: DaySpan) -> DaySpan:
    """Return as many whole days just before a window."""
    first, last = Days(span.first_day, span.last_day).before()
    start = day_start(first, ZoneInfo(span.timezone))
    return replace(span, first_day=first, last_day=last, start=start, end=span.start, is_today=False)


def _whole(start: int, end: int, seconds: int, zone: ZoneInfo) -> Iterator[int]:
    """Yield the edges of whole steps, from the last one at or before `start` to the first one at or after `end`."""
    edges = _of_clock(start, seconds) if seconds <= LADDER["1h"] else _of_calendar(start, seconds, zone)
    last = next(edges)
    for edge in edges:
        if edge > start:
            yield last
        last = edge
        if edge >= end:
            yield edge
            return


def _of_clock(start: int, seconds: int) -> Iterator[int]:
    """Yield the multiples of a step, from the last one at or before `start`."""
    edge = start - start % (seconds * _US)
    while True:
        yield edge
        edge += seconds * _US


def _of_calendar(start: int, seconds: int, zone: ZoneInfo) -> Iterator[int]:
    """Yield the beginnings of local days, of their quarters or of weeks, from the last day at or before `start`."""
    day = day_finder(zone)(start)
    if seconds == WEEK_S:
        day -= (day - _MONDAY) % 7
    while True:
        begins = day_start(day, zone)
        yield begins
        if seconds < DAY_S:
            # Of a day of 23 or 25 hours the last quarter is the odd one.
            yield from (begins + k * seconds * _US for k in range(1, DAY_S // seconds))
        day += 7 if seconds == WEEK_S else 1
