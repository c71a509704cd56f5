"""A test over time: at the end of each step, what whoever looked then was told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import nan
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from otel_measure.definitions.days import day_start
from otel_measure.definitions.series import Columns, Series, SeriesGroup
from otel_measure.definitions.steps import DaySteps
from otel_measure.definitions.windows import HOUR_US, DaySpan
from otel_measure.experiments.analyse import Look, looks_at
from otel_measure.stats.ab_test import Effect
from otel_measure.stats.intervals import UNKNOWN
from otel_measure.store.types.experiments import ArmHour, Experiment

_NO_EFFECT: Final = Effect(nan, UNKNOWN, nan, UNKNOWN, nan, nan)


class _Arm(NamedTuple):
    """One variant as one look tells it."""

    users: int
    compared_users: int
    compared_conversions: int
    effect: Effect


_COLUMNS: Final[Mapping[str, Callable[[_Arm], float]]] = {
    "users": lambda arm: arm.users,
    "compared_users": lambda arm: arm.compared_users,
    "compared_conversions": lambda arm: arm.compared_conversions,
    "compared_conversion_rate": lambda arm: (
        arm.compared_conversions / arm.compared_users if arm.compared_users else nan
    ),
    "effect": lambda arm: arm.effect.absolute,
    "effect_low": lambda arm: arm.effect.absolute_ci[0],
    "effect_high": lambda arm: arm.effect.absolute_ci[1],
    "relative_effect": lambda arm: arm.effect.relative,
    "relative_effect_low": lambda arm: arm.effect.relative_ci[0],
    "relative_effect_high": lambda arm: arm.effect.relative_ci[1],
    "p_value": lambda arm: arm.effect.p_value,
}


def experiment_series(
    experiment: Experiment, cells: Iterable[ArmHour], span: DaySpan, step: str | None, now_us: int
) -> Series:
    """Return the effect of each variant and its interval, step by step; the control has none.

    A step shows all that was known at its end, the running one what is known now: users add up over the test, not over
    the step. What ended before the test was created is unknown.

    Args:
        experiment: its definition.
        cells: what each hour added, in the order of hours.
        span: the window, whole local days.
        step: "1d" or "1w"; `None` leaves it to the length of the window.
        now_us: the time of the question.

    Raises:
        ValueError: there is no such step, or the window has over 400 of it.
    """
    made = DaySteps.of(span, step)
    zone = ZoneInfo(span.timezone)
    ends = [min(day_start(days.last + 1, zone), now_us + 1) for days in made.days]
    last_hours = [(end - 1) // HOUR_US if end > experiment.created else None for end in ends]
    looks = looks_at(experiment, cells, [hour for hour in last_hours if hour is not None])
    told = [None if hour is None else looks[hour] for hour in last_hours]
    groups = tuple(SeriesGroup({"variant": variant}, False, _columns(told, variant)) for variant in experiment.variants)
    together = {
        "users": tuple(nan if look is None else float(sum(look.users.values())) for look in told),
        "compared_within_hours": tuple(nan if look is None else float(look.within_hours) for look in told),
    }
    return Series(made.starts, made.seconds, made.partial, together, groups, None, span.window)


def _columns(told: Sequence[Look | None], variant: str) -> Columns:
    arms = [
        None
        if look is None
        else _Arm(
            look.users[variant],
            look.compared_users[variant],
            look.compared_conversions[variant],
            look.effects.get(variant, _NO_EFFECT),
        )
        for look in told
    ]
    return {
        name: tuple(nan if arm is None else float(column(arm)) for arm in arms) for name, column in _COLUMNS.items()
    }
