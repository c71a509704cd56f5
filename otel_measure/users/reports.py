"""How engaged users are. Pure questions over a store."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Final

from otel_measure.store.base import EVERYTHING, Filter, Store
from otel_measure.windows import Span, Window

MAU_DAYS: Final = 28
WAU_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Engagement:
    """Active users and their sessions; `dau` is the last day of the window so far, `provisional` while it runs.

    `stickiness` is the mean DAU of the last 28 complete days over the MAU of the same 28.
    """

    dau: int
    wau: int
    mau: int
    mau_window_days: int
    stickiness: float
    sessions: int | None
    avg_session_duration_seconds: float
    avg_sessions_per_user: float
    avg_events_per_session: float
    bounce_rate: float
    return_rate: float
    provisional: bool
    window: Window


def engagement(store: Store, span: Span, where: Filter = EVERYTHING) -> Engagement:
    """Distinct active persons on the trailing 1, 7 and 28 local days (DEFINITIONS: DAU / WAU / MAU, stickiness)."""
    return Engagement(
        dau=store.active_persons(span.day, 1, where),
        wau=store.active_persons(span.day, WAU_DAYS, where),
        mau=store.active_persons(span.day, MAU_DAYS, where),
        mau_window_days=MAU_DAYS,
        stickiness=stickiness(store, span.day - 1 if span.is_today else span.day, where),
        sessions=None,
        avg_session_duration_seconds=nan,
        avg_sessions_per_user=nan,
        avg_events_per_session=nan,
        bounce_rate=nan,
        return_rate=nan,
        provisional=span.is_today,
        window=span.window,
    )


def stickiness(store: Store, last_complete_day: int, where: Filter = EVERYTHING) -> float:
    """Mean DAU over MAU of the 28 days that end with `last_complete_day`; `nan` without anybody."""
    monthly = store.active_persons(last_complete_day, MAU_DAYS, where)
    if not monthly:
        return nan
    daily = store.active_by_day(last_complete_day - MAU_DAYS + 1, last_complete_day, where)
    return sum(daily.values()) / MAU_DAYS / monthly
