"""What an experiment says. Pure: hourly cells in, rates, effects and a verdict out.

Every figure shown is valid however often one looks (`stats.sequential`, `stats.tests.sample_ratio`). The looks depend
on the facts alone: one after the persons first exposed in each UTC hour, in the order of these hours. Who looked, how
often, and in which order the facts came in changes nothing.

An effect is of conversions within one age: a person counts once the age is reached, by what happened until then. Rates
of what has happened so far would be of another quantity at each look while conversions come late, and looks at them
contradict each other without any change. The age is the largest that nine in ten of the persons have reached, so that
waiting for the others costs little; exposures alone decide it, which know nothing of effects. As a test grows older,
effects are of a greater age.

The interval decides: one confidence sequence per variant, cut with that of every look before it. Those of all variants
together cover the true effects at every look in 95 of 100 tests, so a variant whose interval lies above 0 is better,
whatever else is in the test. Nothing can be in an interval of which nothing is left: then the effect has changed while
the test ran, and no winner stands for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from math import nan
from typing import Final, NamedTuple

from otel_measure.definitions.contributions import AGES_HOURS, CROSSED_OVER
from otel_measure.definitions.days import moment
from otel_measure.definitions.windows import HOUR_US, CountedBy
from otel_measure.experiments.arms import MIN_CONVERSIONS, Arm, have_enough
from otel_measure.experiments.explanation import explanation, reasons
from otel_measure.experiments.still_needed import still_needed
from otel_measure.stats.ab_test import AbTest, Effect, Verdict
from otel_measure.stats.intervals import UNKNOWN, Interval, wilson_interval
from otel_measure.stats.sequential import confidence_sequence, proportion_sequence, published_p
from otel_measure.stats.tests import SRM_ALARM_P, difference, sample_ratio
from otel_measure.store.types.experiments import ArmHour, Experiment

ALPHA: Final = 0.05
OF_CONTROL: Final = 0.05
"""The share of ALPHA for the interval of the control's rate, of which the effects are shares."""
MATURE_SHARE: Final = 0.9
"""The share of the persons who have reached the age at which arms are compared."""


@dataclass(slots=True)
class _Looks:
    """What all looks at one variant so far say together, each at the error rate `alpha`.

    Looks count from 100 users in both arms and 10 conversions in the two together on: with fewer, a confidence sequence
    that rests on the central limit theorem does not hold. One of the two may have none: a variant that nobody converts
    in can lose.
    """

    alpha: float
    p_value: float = nan
    absolute: Interval = UNKNOWN

    def look(self, control: Arm, treatment: Arm) -> None:
        """Look once more."""
        if not have_enough(control, treatment):
            return
        absolute = confidence_sequence(difference(control.cautious_sample, treatment.cautious_sample), alpha=self.alpha)
        self.p_value = published_p(self.p_value, absolute.p_value)
        self.absolute = _intersection(self.absolute, (absolute.low, absolute.high))

    @property
    def has_changed(self) -> bool:
        """Whether no effect is left that all looks allow."""
        return self.absolute[0] > self.absolute[1]


@dataclass(slots=True)
class _Compared:
    """The persons of a test who have reached an age, by what they did until then, and what looks at them say."""

    age_hours: int
    arms: dict[str, Arm]
    looks: dict[str, _Looks]


class Look(NamedTuple):
    """What a test said at some time.

    Attributes:
        users: of each variant, exposed by then.
        within_hours: the age at which variants are compared.
        compared_users, compared_conversions: of each variant, who had reached it, and converted until then.
        effects: of each variant but the control.
    """

    users: dict[str, int]
    within_hours: int
    compared_users: dict[str, int]
    compared_conversions: dict[str, int]
    effects: dict[str, Effect]


def analyse(
    experiment: Experiment,
    cells: Iterable[ArmHour],
    definitions: CountedBy = "current",
    environment: str = "",
    now: int = 0,
) -> AbTest:
    """Return what an experiment says.

    Args:
        experiment: its definition.
        cells: what each hour added, in the order of hours.
        definitions: by which they are counted.
        environment: of which they are.
        now: the time of the question, microseconds; what the facts tell of is over in any case.
    """
    ours = set(experiment.variants)
    of_all = list(cells)
    of_arms = [cell for cell in of_all if cell.variant in ours]
    arms = {variant: Arm() for variant in experiment.variants}
    split_p_value = nan
    for _, hour in groupby(of_arms, key=lambda cell: cell.hour):
        _add(arms, hour)
        split = sample_ratio([arm.users for arm in arms.values()], experiment.weights)
        split_p_value = published_p(split_p_value, split.p_value)
    last_hour = _last_hour(experiment, of_arms, now)
    return _result(
        experiment,
        arms,
        _compare(experiment, of_arms, last_hour),
        split_p_value,
        exposed=((cell.hour, cell.users) for cell in of_arms),
        last_hour=last_hour,
        crossed_over=sum(cell.users for cell in of_all if cell.variant == CROSSED_OVER),
        excluded=sum(cell.users for cell in of_all if cell.variant not in ours | {CROSSED_OVER}),
        definitions=definitions,
        environment=environment,
    )


def _add(arms: Mapping[str, Arm], cells: Iterable[ArmHour]) -> None:
    for cell in cells:
        arms[cell.variant].users += cell.users
        arms[cell.variant].conversions += cell.conversions


def _last_hour(experiment: Experiment, cells: Sequence[ArmHour], now: int) -> int:
    """Return the hour until which conversions count: that of the stop, else of now."""
    if experiment.stopped is not None:
        return (experiment.stopped - 1) // HOUR_US
    return max([now // HOUR_US, *(cell.hour for cell in cells[-1:])])


def looks_at(experiment: Experiment, cells: Iterable[ArmHour], last_hours: Iterable[int]) -> dict[int, Look]:
    """Return what somebody was told who looked at the end of an hour, for each of some hours since 1970.

    A person is compared by what happened until an age that the person had reached by then: all of it was known.

    Args:
        experiment: its definition.
        cells: what each hour added, in the order of hours.
        last_hours: conversions count until each of them, and not beyond the stop of the test.
    """
    of_arms = [cell for cell in cells if cell.variant in experiment.variants]
    stop = _last_hour(experiment, of_arms, 0) if experiment.stopped is not None else None
    asked = {last: last if stop is None else min(last, stop) for last in last_hours}
    persons = {variant: _Persons([c for c in of_arms if c.variant == variant]) for variant in experiment.variants}
    compared = _compare_at(experiment, of_arms, set(asked.values()))
    return {
        last: Look(
            users={variant: of_variant.until(hour) for variant, of_variant in persons.items()},
            within_hours=compared[hour].age_hours,
            compared_users={variant: arm.users for variant, arm in compared[hour].arms.items()},
            compared_conversions={variant: arm.conversions for variant, arm in compared[hour].arms.items()},
            effects=_effects(compared[hour]),
        )
        for last, hour in asked.items()
    }


def _compare(experiment: Experiment, cells: Sequence[ArmHour], last_hour: int) -> _Compared:
    return _compare_at(experiment, cells, {last_hour})[last_hour]


def _compare_at(experiment: Experiment, cells: Sequence[ArmHour], last_hours: Set[int]) -> dict[int, _Compared]:
    """Return what looks until each of some hours say together; the looks of one age are taken once for all of them."""
    persons = _Persons(cells)
    of_age: dict[int, list[int]] = {}
    for last in sorted(last_hours):
        of_age.setdefault(persons.age_reached(last), []).append(last)
    return {last: told for age, lasts in of_age.items() for last, told in _look(experiment, cells, age, lasts)}


def _look(
    experiment: Experiment, cells: Sequence[ArmHour], age: int, last_hours: Sequence[int]
) -> Iterator[tuple[int, _Compared]]:
    """Look after each hour, and yield what that says at each of some hours, ascending."""
    control, *others = experiment.variants
    arms = {variant: Arm() for variant in experiment.variants}
    looks = {variant: _Looks(_alpha(others)) for variant in others}
    so_far, waiting = _Compared(age, arms, looks), deque(last_hours)
    for exposed, hour in groupby(cells, key=lambda cell: cell.hour):
        while waiting and exposed + age > waiting[0]:
            yield waiting.popleft(), deepcopy(so_far)
        if not waiting:
            return
        _add(arms, (cell for cell in hour if cell.within_hours <= age))
        for variant, each in looks.items():
            each.look(arms[control], arms[variant])
    for last in waiting:
        yield last, deepcopy(so_far)


def _alpha(others: Sequence[str]) -> float:
    """Return the error rate of the looks at each variant beside the control."""
    return ALPHA * (1.0 - OF_CONTROL) / len(others)


class _Persons:
    """How many persons were first exposed until an hour.

    Args:
        cells: what each hour added, in the order of hours.
    """

    def __init__(self, cells: Sequence[ArmHour]) -> None:
        self._hours = [cell.hour for cell in cells]
        self._until = [0, *accumulate(cell.users for cell in cells)]

    def until(self, hour: int) -> int:
        """Return how many there were by the end of an hour."""
        return self._until[bisect_right(self._hours, hour)]

    def age_reached(self, last_hour: int) -> int:
        """Return the largest age, of those at which persons are compared, that nine in ten of them had reached."""
        needed = MATURE_SHARE * self.until(last_hour)
        return max((age for age in AGES_HOURS if self.until(last_hour - age) >= needed > 0.0), default=0)


def _effects(compared: _Compared) -> dict[str, Effect]:
    (_, control), *_ = compared.arms.items()
    of_control = proportion_sequence(control.conversions, control.users, alpha=ALPHA * OF_CONTROL)
    return {
        variant: _effect(control, compared.arms[variant], looks, of_control)
        for variant, looks in compared.looks.items()
    }


def _effect(control: Arm, treatment: Arm, looks: _Looks, of_control: Interval) -> Effect:
    absolute, relative = (
        difference(control.sample, treatment.sample, relative=relative).estimate for relative in (False, True)
    )
    interval = UNKNOWN if looks.has_changed else _within(looks.absolute, -1.0, 1.0)
    is_known = control.conversions >= MIN_CONVERSIONS
    return Effect(
        absolute=absolute,
        absolute_ci=interval,
        relative=relative if is_known else nan,
        relative_ci=_as_share(interval, of_control) if is_known else UNKNOWN,
        p_value=looks.p_value,
        adjusted_p_value=min(1.0, looks.p_value * ALPHA / looks.alpha) if looks.p_value == looks.p_value else nan,
    )


def _intersection(before: Interval, now: Interval) -> Interval:
    """Return what two intervals have in common; where there is nothing, its low end lies above its high end."""
    if now[0] != now[0] or before[0] != before[0]:
        return before if now[0] != now[0] else now
    return max(before[0], now[0]), min(before[1], now[1])


def _as_share(absolute: Interval, of_control: Interval) -> Interval:
    """Return every effect of an interval as a share of every rate of another: it is on the side of 0 of the absolute.

    The delta method would be tighter, and misses the effect in up to 9.5 % of tests where conversions are rare.
    """
    (low, high), (least_rate, greatest_rate) = absolute, of_control
    if low != low:
        return UNKNOWN
    return (
        max(-1.0, low / (greatest_rate if low >= 0.0 else least_rate)),
        max(-1.0, high / (least_rate if high >= 0.0 else greatest_rate)),
    )


def _within(interval: Interval, least: float, most: float) -> Interval:
    """Return the interval without what no effect on a proportion can be."""
    low, high = interval
    return (max(low, least), min(high, most)) if low == low else UNKNOWN


def _result(
    experiment: Experiment,
    arms: Mapping[str, Arm],
    compared: _Compared,
    split_p_value: float,
    exposed: Iterable[tuple[int, int]],
    last_hour: int,
    crossed_over: int,
    excluded: int,
    definitions: CountedBy,
    environment: str,
) -> AbTest:
    control, *others = experiment.variants
    effects = _effects(compared)
    rates = {variant: arm.sample.mean for variant, arm in arms.items()}
    intervals = {variant: wilson_interval(arm.conversions, arm.users) for variant, arm in arms.items()}
    weights = dict(zip(experiment.variants, experiment.weights, strict=True))
    users = {variant: arm.users for variant, arm in arms.items()}
    stray = any(users[variant] for variant, weight in weights.items() if not weight)
    mismatch = stray or split_p_value <= SRM_ALARM_P
    best = _winner(control, effects, weights)
    verdict = _verdict(compared, weights, mismatch, best)
    runs = experiment.stopped is None
    test = AbTest(
        test_id=experiment.key,
        test_name=experiment.name,
        control_variant=control,
        control_conversion_rate=rates[control],
        control_conversion_rate_ci=intervals[control],
        control_users=users[control],
        variant_conversion_rates=rates,
        variant_conversion_rates_ci=intervals,
        variant_users=users,
        variant_conversions={variant: arm.conversions for variant, arm in arms.items()},
        variant_weights=weights,
        compared_within_hours=compared.age_hours,
        compared_users={variant: arm.users for variant, arm in compared.arms.items()},
        compared_conversions={variant: arm.conversions for variant, arm in compared.arms.items()},
        effects=effects,
        users=sum(users.values()),
        conversions=sum(arm.conversions for arm in arms.values()),
        crossed_over=crossed_over,
        excluded_users=excluded,
        sample_ratio_p_value=split_p_value,
        sample_ratio_mismatch=mismatch,
        p_value=min((e.adjusted_p_value for e in effects.values() if e.adjusted_p_value >= 0.0), default=nan),
        verdict=verdict,
        winner=best if verdict == "winner" else None,
        needs=still_needed(verdict, compared.arms, weights, _alpha(others), exposed, last_hour) if runs else None,
        explanation="",
        reasons=(),
        coverage=experiment.coverage,
        environment=environment,
        created_at=moment(experiment.created),
        stopped_at=None if experiment.stopped is None else moment(experiment.stopped),
        served_variant=experiment.served,
        definitions=definitions,
    )
    return replace(test, explanation=explanation(test), reasons=reasons(test))


def _winner(control: str, effects: Mapping[str, Effect], weights: Mapping[str, float]) -> str | None:
    """Return the variant with the most effect of those whose interval lies above 0; the control when all lie below."""
    better = [variant for variant, effect in effects.items() if effect.absolute_ci[0] > 0.0]
    if better:
        return max(better, key=lambda variant: effects[variant].absolute)
    rivals = [effect for variant, effect in effects.items() if weights[variant]]
    return control if rivals and all(effect.absolute_ci[1] < 0.0 for effect in rivals) else None


def _verdict(compared: _Compared, weights: Mapping[str, float], mismatch: bool, winner: str | None) -> Verdict:
    if mismatch:
        return "sample_ratio_mismatch"
    if any(each.has_changed for each in compared.looks.values()):
        return "effect_changed"
    if winner is not None:
        return "winner"
    (_, control), *others = compared.arms.items()
    rivals = [arm for variant, arm in others if weights[variant]]
    is_enough = all(have_enough(control, rival) for rival in rivals) if rivals else have_enough(control)
    return "no_winner_yet" if is_enough else "not_enough_data"
