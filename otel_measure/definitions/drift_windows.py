"""Where the windows of drift begin and end, among the records of a model in their order (time, id).

A window ends with its 1,000th record, and with the end of a period (24 h, counted from 1970 UTC) in which it has enough
of them. Enough are 200 records, or as many as tell what 200 independent ones tell: for these a window may have to grow,
to ten times its 1,000. After seven days at most it ends anyway: windows begin anew with each stretch of so many hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import ceil
from typing import Final, NamedTuple

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import HOUR_US

ENOUGH_RECORDS: Final = 200
MAX_GROWTH: Final = 10
MAX_HOURS: Final = 7 * 24
LEAST_RECORDS: Final = 50


class HourCount(NamedTuple):
    """How many records of a model are from the hour that begins at `start` (microseconds)."""

    start: int
    records: int


class RecordRange(NamedTuple):
    """Records of a stretch after the reference: the position of the first of them, and how many."""

    first: int
    records: int


class Cut(NamedTuple):
    """The windows of a stretch that are looked at: the last complete one, and the running one."""

    complete: RecordRange | None
    running: RecordRange


class WindowRule(NamedTuple):
    """When a window ends.

    Attributes:
        records: with so many records.
        enough: with the end of a period, from so many records on.
        period_us: how long a period is.
        stretch_us: with the end of a stretch, which is so long.
    """

    records: int
    enough: int
    period_us: int
    stretch_us: int

    def stretch_of(self, ts: int) -> int:
        """Return where the stretch of a time begins."""
        return ts - ts % self.stretch_us


def window_rule(definitions: Definitions, times: Iterable[float]) -> WindowRule:
    """Return when the windows of a model end.

    Args:
        definitions: how many records and hours a window has.
        times: the autocorrelation times of its prediction and features. One whose values depend on each other so much
            that no window could be large enough for a verdict on it is no reason for a larger one.
    """
    size = definitions.drift_window_records
    most = MAX_GROWTH * size
    slowest = max((time for time in times if most >= LEAST_RECORDS * time), default=1.0)
    enough = min(most, ceil(min(ENOUGH_RECORDS, size) * slowest))
    hours = definitions.drift_window_hours
    period_us = hours * HOUR_US
    return WindowRule(max(size, enough), enough, period_us, max(1, MAX_HOURS // hours) * period_us)


def cut(hours: Sequence[HourCount], skipped: int, rule: WindowRule, now_us: int) -> Cut:
    """Cut the records of one stretch into windows.

    Args:
        hours: the hours of the stretch that have records, in order.
        skipped: how many of the first records are none of a window: those up to the end of the reference.
        rule: when a window ends.
        now_us: what decides which periods are over.
    """
    complete, first, seen = None, 0, -skipped
    for period, in_period in groupby(hours, lambda hour: hour.start - hour.start % rule.period_us):
        seen += sum(hour.records for hour in in_period)
        while seen - first >= rule.records:
            complete = RecordRange(first, rule.records)
            first += rule.records
        if period + rule.period_us <= now_us and seen - first >= rule.enough:
            complete, first = RecordRange(first, seen - first), seen
    if hours and rule.stretch_of(hours[0].start) + rule.stretch_us <= now_us:
        if seen - first >= LEAST_RECORDS:
            complete = RecordRange(first, seen - first)
        first = max(seen, 0)
    return Cut(complete, RecordRange(first, max(seen, 0) - first))
