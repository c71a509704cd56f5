"""Local calendar days: the only clock that user reports know.

A day is a whole number, days since 1970-01-01 in the project's one zone; never `seconds / 86400`, which is wrong
twice a year.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
DAY_US: Final = 86_400_000_000
"""Of 24 hours; a day of a calendar may have another length."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Days(NamedTuple):
    """Local days, both ends included, as days since 1970-01-01."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def before(self) -> Days:
        """Return as many days, just before these."""
        return Days(self.first - self.length, self.first - 1)

    def compared(self) -> tuple[Days, Days, Days]:
        """Return these, as many before, and both together."""
        return self, self.before(), Days(self.before().first, self.last)

    def each(self) -> list[Days]:
        """Return each of them alone, ascending."""
        return [Days(day, day) for day in range(self.first, self.last + 1)]


def trailing(last_day: int, n: int) -> Days:
    """Return the n days that end with `last_day`."""
    return Days(last_day - n + 1, last_day)


def day_finder(zone: ZoneInfo) -> Callable[[int], int]:
    """Return the function from microseconds UTC to local day; UTC itself needs no calendar.

    Days follow each other, also where clocks were set back over midnight (in Newfoundland until 2010, from 00:01 to
    23:01): what has begun has begun.
    """
    if zone.key in {"UTC", "Etc/UTC"}:
        return lambda ts_us: ts_us // DAY_US

    @lru_cache(maxsize=4096)
    def start_of(day: int) -> int:
        return day_start(day, zone)

    def day_of(ts_us: int) -> int:
        day = moment(ts_us).astimezone(zone).toordinal() - _EPOCH_ORDINAL
        return day if ts_us < start_of(day + 1) else day + 1

    return day_of


def day_number(day: date) -> int:
    """Return the number of a calendar day."""
    return day.toordinal() - _EPOCH_ORDINAL


def day_date(number: int) -> date:
    """Return the calendar day of a number."""
    return date.fromordinal(number + _EPOCH_ORDINAL)


def day_start(number: int, zone: ZoneInfo) -> int:
    """Return the microsecond at which a local day begins; where midnight is skipped, the first that exists."""
    midnight = datetime.combine(day_date(number), time(0), zone)
    return micros(midnight.astimezone(UTC))


def moment(ts_us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=ts_us)


def micros(at: datetime) -> int:
    """Return an aware datetime as microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)
