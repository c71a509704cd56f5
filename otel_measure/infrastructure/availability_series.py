"""Availability over time: each step is the report of that very step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import nan
from typing import Final, NamedTuple

from otel_measure.definitions.series import Columns, Compare, EarlierSeries, Series, check_compare
from otel_measure.definitions.steps import SeriesWindow, Steps, earlier, series_span, step_for, steps
from otel_measure.definitions.windows import TimeSpan
from otel_measure.infrastructure.availability import Availability, Interval

COLUMNS: Final = (
    "availability_percent", "availability_percent_low", "availability_percent_high",
    "uptime_seconds", "downtime_seconds", "unknown_seconds", "maintenance_seconds", "coverage_ratio", "incidents",
)  # fmt: skip


class Reckoned(NamedTuple):
    """The environment that was asked, and how available a service of it was in each of some intervals."""

    environment: str
    reports: list[Availability]


def availability_series(
    reckon: Callable[[Sequence[Interval]], Reckoned],
    asked: SeriesWindow,
    step: str | None,
    compare: Compare | None,
    default: str,
    now_us: int,
    timezone: str,
) -> Series:
    """Return how available a service was, step by step.

    Args:
        reckon: returns the reports of intervals, microseconds, none of them empty.
        asked: the window.
        step: how long a step is; the shortest that makes at most 300 when not given.
        compare: whether the equally long time before stands beside it.
        default: the window where none is asked for.
        now_us: states are known until then.
        timezone: of windows and days.

    Raises:
        ValueError: an argument breaks its rule; the message names it.
    """
    check_compare(compare)
    span = series_span(asked, now_us, timezone, default)
    step = step or step_for(span)
    made = steps(span, now_us, step)
    environment, columns = _columns(reckon, made, span, now_us)
    previous = None
    if compare is not None:
        before = replace(earlier(span), environment=environment)
        made_before = steps(before, now_us, step)
        previous = EarlierSeries(made_before.starts, _columns(reckon, made_before, before, now_us)[1], before.window)
    window = replace(span, environment=environment).window
    return Series(made.starts, made.seconds, made.partial, columns, (), previous, window)


def _columns(
    reckon: Callable[[Sequence[Interval]], Reckoned], made: Steps, span: TimeSpan, now_us: int
) -> tuple[str, Columns]:
    """Return the environment, and a number per column and step; a step is only that part of it which was asked for."""
    last = min(span.end, now_us)
    parts = [(max(start, span.start), min(end, last)) for start, end in pairwise(made.edges)]
    environment, reports = reckon([part for part in parts if part[0] < part[1]])
    answers = iter(reports)
    told = [next(answers) if start < end else None for start, end in parts]
    return environment, {
        name: tuple(nan if report is None else float(getattr(report, name)) for report in told) for name in COLUMNS
    }
