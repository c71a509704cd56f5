"""Windows of time: "24h", "30d", as of now or of a day; half-open and in the project's zone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from otel_measure.definitions.days import day_finder, day_number, day_start, moment
from otel_measure.definitions.environments import UNNAMED

_FORM: Final = re.compile(r"([0-9]{1,6})(m|h|d|w)")
_MINUTES: Final = {"m": 1, "h": 60, "d": 1440, "w": 10_080}
_MAX_MINUTES: Final = 10 * 366 * 1440
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
LEVELS_S: Final = (60, 3600)
"""What is rolled up by time has cells of a minute and of an hour."""
MODEL_LEVELS_S: Final = (60, 300, 3600)
"""Calls of models have cells of five minutes as well, the step of a series over a day."""


CountedBy: TypeAlias = Literal["current", "earlier", "updating"]
"""By which definitions something is counted: those of the store; in part or whole by earlier ones, where the facts are
gone or only metrics told of it; or by earlier ones that are being replaced, with facts that wait to be counted."""


@dataclass(frozen=True, slots=True)
class Window:
    """What an answer covers: [start, end), the zone of its days, the environment, and by which definitions."""

    start: datetime
    end: datetime
    timezone: str
    definitions: CountedBy = "current"
    environment: str = UNNAMED


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A window in the store's terms.

    Attributes:
        start, end: microseconds, half-open.
        day: the last local day in it.
        is_today: whether that day is still running.
        definitions: by which it is counted, once that was asked.
        environment: in which it is counted, likewise.
    """

    start: int
    end: int
    day: int
    is_today: bool
    timezone: str
    definitions: CountedBy = "current"
    environment: str = UNNAMED

    @property
    def window(self) -> Window:
        """The window as answers show it."""
        return _window_of(self)


@lru_cache(maxsize=16)
def _window_of(span: TimeSpan) -> Window:
    """Return the window of a span, which every part of an answer about ten thousand models has."""
    return Window(moment(span.start), moment(span.end), span.timezone, span.definitions, span.environment)


def minutes(window: object) -> int:
    """Return the length of a window in minutes.

    Raises:
        ValueError: it is not of the form `<number><m|h|d|w>`, or longer than ten years.
    """
    found = _FORM.fullmatch(window) if isinstance(window, str) else None
    length = int(found[1]) * _MINUTES[found[2]] if found else 0
    if not 0 < length <= _MAX_MINUTES:
        raise ValueError(
            f'window must be a number and a unit (m, h, d, w) such as "24h", at most 10 years, not {window!r}'
        )
    return length


def time_span(window: object, now_us: int, timezone: str, as_of: date | None = None) -> TimeSpan:
    """Return the window that ends now, or with the end of the day `as_of`.

    Raises:
        ValueError: the window is malformed, or the day lies in the future.
    """
    length = minutes(window) * MINUTE_US
    zone = ZoneInfo(timezone)
    if as_of is not None and not isinstance(as_of, date):
        raise ValueError(f"as_of must be a date, not {as_of!r}")
    today = day_finder(zone)(now_us)
    day = today if as_of is None else day_number(as_of)
    if day > today:
        raise ValueError(f"as_of must not lie in the future, not {as_of}")
    if day < 0:
        raise ValueError(f"as_of must be a day from 1970-01-01 on, not {as_of}")
    end = now_us + 1 if day == today else day_start(day + 1, zone)
    return TimeSpan(max(end - length, 0), end, day, day == today, timezone)


@dataclass(frozen=True, slots=True)
class DaySpan:
    """A window of whole local days.

    Attributes:
        first_day, last_day: both included, as days since 1970-01-01.
        start, end: microseconds, half-open, from midnight to midnight of the zone.
        is_today: whether the last day is still running.
        definitions: by which they are counted, once that was asked.
        environment: in which they are counted, likewise.
    """

    first_day: int
    last_day: int
    start: int
    end: int
    is_today: bool
    timezone: str
    definitions: CountedBy = "current"
    environment: str = UNNAMED

    @property
    def last_complete_day(self) -> int:
        """The last day that is over."""
        return self.last_day - 1 if self.is_today else self.last_day

    @property
    def window(self) -> Window:
        """The window as answers show it."""
        return Window(moment(self.start), moment(self.end), self.timezone, self.definitions, self.environment)


def day_span(window: object, now_us: int, timezone: str, as_of: date | None = None) -> DaySpan:
    """Return the local days that end with today, or with `as_of`; a part of a day counts as a whole one.

    Raises:
        ValueError: the window is malformed, or the day lies in the future.
    """
    found = time_span(window, now_us, timezone, as_of)
    first_day = found.day + 1 - -(-minutes(window) // _MINUTES["d"])
    zone = ZoneInfo(timezone)
    return DaySpan(
        first_day, found.day, day_start(first_day, zone), day_start(found.day + 1, zone), found.is_today, timezone
    )


# ---------------------------------------------------------------- by which definitions, in which environment


class Counts(Protocol):
    """Tells in which environment it counts, and by which definitions."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which [start, end) is counted, microseconds."""


Span = TypeVar("Span", TimeSpan, DaySpan)


def counted(span: Span, ask: Counts) -> Span:
    """Return a window that says in which environment, and by which definitions, who is asked about it counts."""
    return replace(span, definitions=ask.counted_by(span.start, span.end), environment=ask.environment)


def counted_together(parts: Iterable[CountedBy]) -> CountedBy:
    """Return by which definitions several windows are counted: the first of "updating", "earlier", "current"."""
    said = set(parts)
    return "updating" if "updating" in said else "earlier" if "earlier" in said else "current"


# ---------------------------------------------------------------- cells of time


def whole_minutes(span: TimeSpan) -> tuple[int, int]:
    """Return from when to when the cells of a minute reach that cover a window, microseconds."""
    return span.start - span.start % MINUTE_US, span.end + -span.end % MINUTE_US


class CellRange(NamedTuple):
    """The cells of `seconds` that begin in [start, end), microseconds."""

    seconds: int
    start: int
    end: int


def cell_ranges(start: int, end: int, levels: Sequence[int] = LEVELS_S) -> list[CellRange]:
    """Return the fewest cells that cover a window, which begins and ends with the shortest: the longest are inside.

    Args:
        start: microseconds.
        end: microseconds, excluded.
        levels: how long cells may be, in seconds, ascending; each a multiple of the one before.
    """
    seconds, longer = levels[0], levels[1:]
    start -= start % (seconds * 1_000_000)
    end += -end % (seconds * 1_000_000)
    ranges = [CellRange(seconds, start, end)]
    if longer:
        whole_us = longer[0] * 1_000_000
        first, last = start + -start % whole_us, end - end % whole_us
        if first < last:
            inside = cell_ranges(first, last, longer)
            ranges = [CellRange(seconds, start, first), *inside, CellRange(seconds, last, end)]
    return [one for one in ranges if one.start < one.end]
