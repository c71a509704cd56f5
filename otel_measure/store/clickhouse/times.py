"""The time that a question is about, as its query reads it: by the time of rows, and by the days that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.parameters import Definitions

LAST_DAY: Final = 2**16 - 1
"""The last day that the server's type `Date` has, in the year 2149."""
END_US: Final = LAST_DAY * DAY_US
"""Behind all times that a store may have."""
TIMES_ASKED: Final = (
    "day BETWEEN toDate({first_day:UInt32}) AND toDate({last_day:UInt32})"
    " AND ts >= fromUnixTimestamp64Micro({start:Int64}) AND ts < fromUnixTimestamp64Micro({end:Int64})"
)
"""A condition for rows of a time; its parameters are those of `times_asked`. Days are what tables are parted by."""


def times_asked(definitions: Definitions, start: int, end: int) -> Mapping[str, int]:
    """Return the parameters of a question about [start, end), microseconds.

    Args:
        definitions: which say what days those are.
        start: the first microsecond.
        end: the one after the last; may lie behind all time.
    """
    start, end = (min(max(time, 0), END_US) for time in (start, end))
    return {
        "start": start,
        "end": end,
        "first_day": max(definitions.day_of(start), 0),
        "last_day": min(max(definitions.day_of(max(end - 1, 0)), 0), LAST_DAY),
    }
