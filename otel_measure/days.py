"""Local calendar days: the only clock that user reports know.

A day is a whole number, days since 1970-01-01 in the project's one zone; never `seconds / 86400`, which is wrong
twice a year.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_finder(zone: ZoneInfo) -> Callable[[int], int]:
    """Return the function from microseconds UTC to local day; UTC itself needs no calendar."""
    if zone.key in {"UTC", "Etc/UTC"}:
        return lambda ts_us: ts_us // _DAY_US

    def day_of(ts_us: int) -> int:
        return moment(ts_us).astimezone(zone).toordinal() - _EPOCH_ORDINAL

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
