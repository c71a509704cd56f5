"""How long a test that has no winner yet still needs, at the rate at which people meet it.

Everything is told by one number: how many times as many persons have to be compared, with arms that keep their shares.
How many days that takes follows from how many persons met the test in each of the last seven days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, inf, isfinite, nan, sqrt
from typing import Final, NamedTuple

from otel_measure.experiments.arms import MIN_CONVERSIONS, MIN_USERS, Arm
from otel_measure.stats.ab_test import StillNeeded, Verdict
from otel_measure.stats.intervals import UNKNOWN, Interval, wilson_interval
from otel_measure.stats.sequential import growth_until_told
from otel_measure.stats.special import student_t_quantile
from otel_measure.stats.tests import difference

DAYS: Final = 7
"""Whole days that the rate is the mean of: as many of each weekday."""
AS_IT_SEEMS: Final = "if the variants differ by what they do so far; if they do not, no number of days is enough"
LONGEST_DAYS: Final = 3650.0
_DAY_HOURS: Final = 24
_EACH: Final = 0.975
"""The confidence of an interval of which two hold together at 95 % (Bonferroni)."""


class _Known(NamedTuple):
    """A number with its interval."""

    value: float
    interval: Interval


def still_needed(
    verdict: Verdict,
    arms: Mapping[str, Arm],
    weights: Mapping[str, float],
    alpha: float,
    exposed: Iterable[tuple[int, int]],
    last_hour: int,
) -> StillNeeded | None:
    """Return what a test that runs still needs; `None` of one whose verdict more persons do not change.

    Args:
        verdict: so far.
        arms: that are compared, the control first.
        weights: of them.
        alpha: the error rate of the confidence sequence of each variant.
        exposed: the hour of their first exposure, and how many persons; hours since 1970 UTC, ascending.
        last_hour: that of the question, which is not over.
    """
    if verdict not in ("not_enough_data", "no_winner_yet"):
        return None
    control, *others = arms
    taking_part = {variant: arms[variant] for variant in (control, *(each for each in others if weights[each]))}
    per_day = _per_day(list(exposed), last_hour)
    growth = _until_enough(taking_part) if verdict == "not_enough_data" else _until_told(taking_part, alpha)
    compared = sum(arm.users for arm in arms.values())
    users = (growth.value - 1.0) * compared
    days = users / per_day.value if per_day.value else inf
    reason = _unknown(growth.value, per_day.value, days)
    return StillNeeded(
        users=ceil(users) if isfinite(users) else None,
        users_per_day=per_day.value,
        users_per_day_ci=per_day.interval,
        days=nan if reason else days,
        days_ci=UNKNOWN if reason else _days(growth.interval, compared, per_day.interval),
        provided_that=AS_IT_SEEMS if verdict == "no_winner_yet" else "",
        unknown_because=reason,
    )


def _days(growth: Interval, compared: int, per_day: Interval) -> Interval:
    """Return how many days so many times the persons compared take; without a least rate nobody knows how many at most.

    The least of one belongs to the most of the other.
    """
    (low, high), (least, most) = growth, per_day
    at_most = (high - 1.0) * compared / least if least > 0.0 else inf
    return (low - 1.0) * compared / most, at_most if isfinite(at_most) else nan


def _unknown(growth: float, per_day: float, days: float) -> str:
    """Return why nobody knows how many days it takes; "" where somebody does."""
    if growth != growth:
        return "nobody who is compared has converted yet"
    if per_day != per_day:
        return "no whole day has passed since the first met the test"
    if not per_day:
        return f"nobody met the test in the last {DAYS} days"
    if growth == inf:
        return "the variants convert alike so far"
    return "" if days <= LONGEST_DAYS else "at this rate it would be more than ten years"


def _per_day(exposed: Sequence[tuple[int, int]], last_hour: int) -> _Known:
    """Return how many persons met the test in a day: the mean of up to seven whole days, by Student's t of the days."""
    if not exposed:
        return _Known(nan, UNKNOWN)
    whole_days = min(DAYS, (last_hour - exposed[0][0]) // _DAY_HOURS)
    if whole_days < 1:
        return _Known(nan, UNKNOWN)
    of_day = [0] * whole_days
    for hour, users in exposed:
        day = (last_hour - 1 - hour) // _DAY_HOURS
        if 0 <= day < whole_days:
            of_day[day] += users
    mean = sum(of_day) / whole_days
    if whole_days < 2:
        return _Known(mean, UNKNOWN)
    variance = sum((users - mean) ** 2 for users in of_day) / (whole_days - 1)
    # Days that are all alike are no less by chance than a count is: its variance is its mean (Poisson).
    margin = student_t_quantile(0.5 + _EACH / 2.0, whole_days - 1) * sqrt(max(variance, mean) / whole_days)
    return _Known(mean, (max(0.0, mean - margin), mean + margin))


def _until_enough(arms: Mapping[str, Arm]) -> _Known:
    """Return how many times as many persons make looks count: 100 in each variant, 10 conversions with the control."""
    control, *others = arms.values()
    # Of a test in which the control alone takes part, that has to have enough.
    pairs: list[tuple[Arm, ...]] = [(control, other) for other in others] or [(control,)]
    of_users = max(MIN_USERS / arm.users if arm.users else nan for arm in arms.values())
    value, low, high = of_users, of_users, of_users
    for pair in pairs:
        users, conversions = sum(arm.users for arm in pair), sum(arm.conversions for arm in pair)
        if conversions >= MIN_CONVERSIONS:
            continue
        least, most = wilson_interval(conversions, users, _EACH)
        value = _larger(value, MIN_CONVERSIONS / conversions if conversions else nan)
        low = _larger(low, MIN_CONVERSIONS / (most * users) if users else nan)
        high = _larger(high, MIN_CONVERSIONS / (least * users) if conversions else inf)
    return _Known(_larger(value, 1.0), (_larger(low, 1.0), _larger(high, 1.0)))


def _larger(one: float, other: float) -> float:
    """The larger of two numbers; unknown where one is."""
    return nan if one != one or other != other else max(one, other)


def _until_told(arms: Mapping[str, Arm], alpha: float) -> _Known:
    """Return how many times as many persons make a winner, if the variants differ by what they do so far.

    The first variant that is better wins; where none is, the control wins when all are told to be worse.
    """
    control, *others = arms.values()
    effects = [difference(control.cautious_sample, other.cautious_sample) for other in others]
    growths = [(effect.estimate > 0.0, growth_until_told(effect, alpha=alpha)) for effect in effects]
    better = [growth for is_better, growth in growths if is_better]
    growth = min(better) if better else max((growth for _, growth in growths), default=inf)
    return _Known(growth, (growth, growth))
