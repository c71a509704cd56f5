"""Users over time: each step is the report of its own days, so that persons are counted once in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan
from typing import Final, Literal, TypeAlias

from otel_measure.definitions.days import Days, day_date
from otel_measure.definitions.series import Columns, Compare, EarlierSeries, Series, SeriesGroup
from otel_measure.definitions.steps import DaySteps, days_before
from otel_measure.definitions.windows import DaySpan, counted
from otel_measure.store.questions import UserQuestions
from otel_measure.store.types.users import Cohort
from otel_measure.users import reports

_US: Final = 1_000_000
MAX_COHORT_DAYS: Final = 92
UserGroupBy: TypeAlias = Literal["cohort"]
VIEWED: Final = "viewed_sessions"
ENTERED: Final = "entered_users"
_COLUMNS: Final = (
    "active", "new", "returning", "resurrecting", "dormant",
    "sessions", "avg_session_duration_seconds", "bounce_rate",
    "converted_users", "conversion_rate", "total_conversions", "conversion_value",
    "nps_score", "nps_responses",
)  # fmt: skip


def check_user_group(group_by: str | None) -> None:
    """Check what a series about users is told apart by.

    Raises:
        ValueError: there is no such thing.
    """
    if group_by not in (None, "cohort"):
        raise ValueError(f"group_by must be 'cohort', not {group_by!r}")


def user_series(
    ask: UserQuestions,
    span: DaySpan,
    step: str | None,
    compare: Compare | None,
    event: str,
    now_us: int,
    group_by: UserGroupBy | None = None,
) -> Series:
    """Return how users of one environment were, step by step.

    Args:
        ask: the store, at one moment.
        span: the window, whole local days.
        step: "1d" or "1w"; `None` leaves it to the length of the window.
        compare: whether the equally long time before stands beside it.
        event: type or name of what converts.
        now_us: sessions that may still go on then are in no bounce rate.
        group_by: "cohort" tells apart whose first active day is the same.

    Raises:
        ValueError: there is no such step, or the window has over 400 of it, or over 92 days of cohorts.
    """
    span, made = counted(span, ask), DaySteps.of(span, step)
    previous = None
    if compare is not None:
        before = counted(days_before(span), ask)
        steps_before = DaySteps.of(before, step)
        previous = EarlierSeries(steps_before.starts, _columns(ask, steps_before, before, event, now_us), before.window)
    return Series(
        start=made.starts,
        step_seconds=made.seconds,
        partial=made.partial,
        columns=_columns(ask, made, span, event, now_us),
        groups=() if group_by is None else _cohorts(ask, span, made),
        previous=previous,
        window=span.window,
    )


def _columns(ask: UserQuestions, made: DaySteps, span: DaySpan, event: str, now_us: int) -> Columns:
    """Return a number per column and step; all of a step that ends before the first day is unknown."""
    ask.expect((each for days in made.days for each in days.compared()), made.days)
    first_day = ask.first_day()
    told = [
        values_of(ask, days, span, event, now_us, first_day) if first_day is not None and days.last >= first_day else {}
        for days in made.days
    ]
    return {name: tuple(step.get(name, nan) for step in told) for name in _COLUMNS}


def _cohorts(ask: UserQuestions, span: DaySpan, made: DaySteps) -> tuple[SeriesGroup, ...]:
    """Return the cohorts of a window, by their first day: who of each was active on each day, and which share.

    Raises:
        ValueError: the steps are weeks, or the window has over 92 days.
    """
    days = span.last_day - span.first_day + 1
    if days > MAX_COHORT_DAYS or len(made.days) != days:
        raise ValueError(f"group_by='cohort' needs days: step='1d' and a window of at most {MAX_COHORT_DAYS} of them")
    cohorts = ask.cohorts(Days(span.first_day, span.last_day), tuple(range(1, days)) or (1,))
    return tuple(
        SeriesGroup({"first_day": day_date(cohort.day).isoformat()}, False, _triangle(cohort, span))
        for cohort in cohorts
    )


def _triangle(cohort: Cohort, span: DaySpan) -> Columns:
    """Return who of a cohort was active on each day of a window: unknown before it began, and until a day is over."""
    active = tuple(
        float(cohort.returned[day - cohort.day] if day > cohort.day else cohort.size)
        if cohort.day <= day <= span.last_complete_day
        else nan
        for day in range(span.first_day, span.last_day + 1)
    )
    return {"active": active, "retention": tuple(n / cohort.size for n in active)}


def values_of(
    ask: UserQuestions, days: Days, span: DaySpan, event: str, now_us: int, first_day: int
) -> Mapping[str, float]:
    """Return every column of a series over some days, and on how many the shares among them rest.

    Args:
        ask: the store, at one moment.
        days: of the step.
        span: the window that they lie in.
        event: type or name of what converts.
        now_us: sessions that may still go on then are in no bounce rate.
        first_day: the one on which the store begins; who came back is unknown without all of the time before.
    """
    of_days = replace(span, first_day=days.first, last_day=days.last)
    persons, totals = reports.lifecycle(ask, days), ask.sessions(days, now_us)
    conversion, nps = reports.conversion(ask, of_days, event), reports.nps(ask, of_days)
    told: dict[str, float] = {
        "active": persons.new + persons.returning + persons.resurrecting,
        "new": persons.new,
        "sessions": totals.sessions,
        "avg_session_duration_seconds": reports.ratio(totals.duration_us / _US, totals.sessions),
        VIEWED: totals.viewed,
        ENTERED: conversion.entered_users,
        "bounce_rate": reports.ratio(totals.bounced, totals.viewed),
        "converted_users": conversion.converted_users,
        "conversion_rate": conversion.conversion_rate,
        "total_conversions": conversion.total_conversions,
        "conversion_value": conversion.conversion_value,
        "nps_score": nps.nps_score,
        "nps_responses": nps.responses,
    }
    if days.before().first >= first_day:  # who came back, and who stayed away, needs all of the time before
        told |= {
            "returning": persons.returning,
            "resurrecting": persons.resurrecting,
            "dormant": persons.dormant,
        }
    return told
