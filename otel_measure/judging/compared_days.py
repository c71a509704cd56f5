"""What days have, the last complete one against the same weekdays before: calls, active and converted users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.ai.kept_steps import KeptSteps
from otel_measure.definitions.changes import ChangeSubject, Compared
from otel_measure.definitions.days import Days, day_start
from otel_measure.definitions.steps import DAY_S, Steps
from otel_measure.definitions.windows import TimeSpan
from otel_measure.stats.drops import BASELINE_WEEKS, RATIO_DAYS, WEEK, weekday_drop
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelKey
from otel_measure.users.service import DEFAULT_CONVERSION

CallsOfDay: TypeAlias = Mapping[ModelKey, int]
KeptDays: TypeAlias = KeptSteps[CallsOfDay]
_HISTORY_DAYS: Final = max(RATIO_DAYS + WEEK, BASELINE_WEEKS * WEEK) + 1


def kept_days() -> KeptDays:
    """Return what keeps the calls of days until these change."""
    return KeptSteps[CallsOfDay]({}, len)


def compared_days(
    moment: Moment, span: TimeSpan, where: Filter, kept: KeptDays
) -> Iterator[tuple[ChangeSubject, Compared]]:
    """Yield every number of days.

    A model is compared while it was called in the last week: of one that nobody calls any more that is told for a week.

    Args:
        moment: of the store.
        span: the day of its end is the last one, where it is over.
        where: whose calls and users.
        kept: the calls of days as they were told before.
    """
    last = span.day - span.is_today
    days = Days(last - _HISTORY_DAYS + 1, last)
    of_models = _requests(moment, days, ZoneInfo(span.timezone), where, kept)
    yield from _compared("requests", "models", "", [sum(of_day.values()) for of_day in of_models])
    for model in sorted({model for of_day in of_models[-WEEK - 1 :] for model in of_day}):
        yield from _compared("requests", "model", " ".join(model), [of_day.get(model, 0) for of_day in of_models])
    active = moment.users.active_by_day(days)
    each_day = range(days.first, last + 1)
    yield from _compared("active_users", "users", "", [active.get(day, 0) for day in each_day])
    converted = [_converted(moment, day) if active.get(day) else 0 for day in each_day]
    yield from _compared("converted_users", "users", "", converted)


def _compared(key: str, kind: str, subject: str, counts: Sequence[int]) -> Iterator[tuple[ChangeSubject, Compared]]:
    first = next((i for i, count in enumerate(counts) if count), len(counts))
    drop = weekday_drop(counts[first:])
    if not isnan(drop.p_value):
        one = Compared(float(counts[-1]), drop.before, min(drop.p_value, 1.0))
        yield ChangeSubject(key, "", kind, subject), one


def _requests(moment: Moment, days: Days, zone: ZoneInfo, where: Filter, kept: KeptDays) -> list[CallsOfDay]:
    edges = tuple(day_start(day, zone) for day in range(days.first, days.last + 2))

    def tell(made: Steps) -> dict[int, CallsOfDay]:
        return {
            step: {model: of.requests for model, of in moment.calls.call_sums(*edges[step : step + 2]).items()}
            for step in made.asked or ()
        }

    return kept.of(where, moment, Steps(edges, DAY_S, ()), tell)


def _converted(moment: Moment, day: int) -> int:
    told = moment.users.conversions(Days(day, day), DEFAULT_CONVERSION)
    return told.converted if told is not None else 0
