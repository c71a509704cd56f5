"""What an experiment says. Pure: hourly cells in, rates, effects and a verdict out.

Every figure shown is valid however often one looks (`stats.sequential`, `stats.tests.sample_ratio`). The looks depend
on the facts alone: one at the end of every UTC hour of the facts' own times, and one now. Who looked, how often, and in
which order the facts came in changes nothing. A late fact changes the looks from its hour on.

The interval decides: one confidence sequence per variant, at alpha / k for k variants beside the control, cut with that
of every look before it. All of them together cover the true effects at every look in 95 of 100 tests, so a variant
whose interval lies above 0 is better, whatever else is in the test. Nothing can be in an interval of which nothing is
left: then the effect has changed while the test ran, and no winner stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf, nan
from typing import Final

from otel_measure.definitions.contributions import CROSSED_OVER
from otel_measure.definitions.days import moment
from otel_measure.definitions.windows import CountedBy
from otel_measure.stats.ab_test import AbTest, Effect, Verdict
from otel_measure.stats.intervals import UNKNOWN, Interval, wilson_interval
from otel_measure.stats.sequential import confidence_sequence, published_p
from otel_measure.stats.tests import SRM_ALARM_P, SampleStatistics, difference, sample_ratio
from otel_measure.store.types.experiments import ArmHour, Experiment

ALPHA: Final = 0.05
MIN_USERS: Final = 100
MIN_CONVERSIONS: Final = 10
IMAGINED: Final = 3.0**2 / 2.0
"""z²/2 for the z of a confidence sequence, whose half-width is 3 standard errors where it is tightest."""


@dataclass(slots=True)
class Arm:
    """Users of one variant so far, and how many of them converted."""

    users: int = 0
    conversions: int = 0

    @property
    def sample(self) -> SampleStatistics:
        """The arm as a proportion."""
        return SampleStatistics.proportion(self.conversions, self.users)

    @property
    def cautious_sample(self) -> SampleStatistics:
        """The arm with the variance of z²/2 conversions and as many other users more (Agresti and Coull 1998).

        Its own variance is 0 while nobody has converted, as if the rate were known to be 0.
        """
        rate = (self.conversions + IMAGINED) / (self.users + 2.0 * IMAGINED)
        return replace(self.sample, variance=rate * (1.0 - rate))


@dataclass(slots=True)
class _Looks:
    """What all looks at one variant so far say together, each at the error rate `alpha`.

    Looks count from 100 users in both arms and 10 conversions in the two together on: with fewer, a confidence sequence
    that rests on the central limit theorem does not hold. One of the two may have none: a variant that nobody converts
    in can lose. The delta method of the relative effect needs 10 conversions in each.
    """

    alpha: float
    p_value: float = nan
    absolute: Interval = UNKNOWN
    relative: Interval = UNKNOWN

    def look(self, control: Arm, treatment: Arm) -> None:
        """Look once more."""
        if not _have_enough(control, treatment):
            return
        absolute = confidence_sequence(difference(control.cautious_sample, treatment.cautious_sample), alpha=self.alpha)
        self.p_value = published_p(self.p_value, absolute.p_value)
        self.absolute = _intersection(self.absolute, (absolute.low, absolute.high))
        if min(control.conversions, treatment.conversions) >= MIN_CONVERSIONS:
            ratio = difference(control.sample, treatment.sample, relative=True)
            relative = confidence_sequence(ratio, alpha=self.alpha)
            self.relative = _intersection(self.relative, (relative.low, relative.high))

    @property
    def has_changed(self) -> bool:
        """Whether no effect is left that all looks allow."""
        return self.absolute[0] > self.absolute[1]


def analyse(
    experiment: Experiment, cells: Iterable[ArmHour], definitions: CountedBy = "current", environment: str = ""
) -> AbTest:
    """Return what an experiment says.

    Args:
        experiment: its definition.
        cells: what each hour added, in the order of hours.
        definitions: by which they are counted.
        environment: of which they are.
    """
    control, *others = experiment.variants
    arms = {variant: Arm() for variant in experiment.variants}
    looks = {variant: _Looks(ALPHA / len(others)) for variant in others}
    crossed_over, excluded, split_p_value = 0, 0, nan
    for _, hour in groupby(cells, key=lambda cell: cell.hour):
        for cell in hour:
            arm = arms.get(cell.variant)
            if cell.variant == CROSSED_OVER:
                crossed_over += cell.users
            elif arm is None:
                excluded += cell.users
            else:
                arm.users += cell.users
                arm.conversions += cell.conversions
        for variant, each in looks.items():
            each.look(arms[control], arms[variant])
        split = sample_ratio([arm.users for arm in arms.values()], experiment.weights)
        split_p_value = published_p(split_p_value, split.p_value)
    return _result(experiment, arms, looks, split_p_value, crossed_over, excluded, definitions, environment)


def _have_enough(*arms: Arm) -> bool:
    """Tell whether anything may be concluded from arms that are compared."""
    return all(arm.users >= MIN_USERS for arm in arms) and sum(arm.conversions for arm in arms) >= MIN_CONVERSIONS


def _effect(control: Arm, treatment: Arm, looks: _Looks, comparisons: int) -> Effect:
    absolute, relative = (
        difference(control.sample, treatment.sample, relative=relative).estimate for relative in (False, True)
    )
    interval = UNKNOWN if looks.has_changed else _within(looks.absolute, -1.0, 1.0)
    return Effect(
        absolute=absolute,
        absolute_ci=interval,
        relative=relative if control.conversions >= MIN_CONVERSIONS else nan,
        relative_ci=_agreeing(_within(looks.relative, -1.0, inf), interval),
        p_value=looks.p_value,
        adjusted_p_value=min(1.0, comparisons * looks.p_value) if looks.p_value == looks.p_value else nan,
    )


def _intersection(before: Interval, now: Interval) -> Interval:
    """Return what two intervals have in common; where there is nothing, its low end lies above its high end."""
    if now[0] != now[0] or before[0] != before[0]:
        return before if now[0] != now[0] else now
    return max(before[0], now[0]), min(before[1], now[1])


def _agreeing(relative: Interval, absolute: Interval) -> Interval:
    """Return the relative interval on the side of 0 that the absolute one is on: it closes at 0, or holds it.

    The two come from different approximations and could disagree near 0; the absolute one decides.
    """
    (low, high), (absolute_low, absolute_high) = relative, absolute
    if low != low or absolute_low != absolute_low or low > high:
        return UNKNOWN
    if absolute_low > 0.0:
        return max(low, 0.0), max(high, 0.0)
    if absolute_high < 0.0:
        return min(low, 0.0), min(high, 0.0)
    return min(low, 0.0), max(high, 0.0)


def _within(interval: Interval, least: float, most: float) -> Interval:
    """Return the interval without what no effect on a proportion can be."""
    low, high = interval
    return (max(low, least), min(high, most)) if low == low else UNKNOWN


def _result(
    experiment: Experiment,
    arms: Mapping[str, Arm],
    looks: Mapping[str, _Looks],
    split_p_value: float,
    crossed_over: int,
    excluded: int,
    definitions: CountedBy,
    environment: str,
) -> AbTest:
    control = experiment.variants[0]
    effects = {variant: _effect(arms[control], arms[variant], each, len(looks)) for variant, each in looks.items()}
    rates = {variant: arm.sample.mean for variant, arm in arms.items()}
    intervals = {variant: wilson_interval(arm.conversions, arm.users) for variant, arm in arms.items()}
    weights = dict(zip(experiment.variants, experiment.weights, strict=True))
    users = {variant: arm.users for variant, arm in arms.items()}
    stray = any(users[variant] for variant, weight in weights.items() if not weight)
    mismatch = stray or split_p_value <= SRM_ALARM_P
    best = _winner(control, effects, rates, weights)
    verdict = _verdict(arms, weights, mismatch, looks, best)
    return AbTest(
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
        coverage=experiment.coverage,
        environment=environment,
        created_at=moment(experiment.created),
        stopped_at=None if experiment.stopped is None else moment(experiment.stopped),
        served_variant=experiment.served,
        definitions=definitions,
    )


def _winner(
    control: str, effects: Mapping[str, Effect], rates: Mapping[str, float], weights: Mapping[str, float]
) -> str | None:
    """Return the variant with the highest rate of those whose interval lies above 0; the control when all lie below."""
    better = [variant for variant, effect in effects.items() if effect.absolute_ci[0] > 0.0]
    if better:
        return max(better, key=rates.__getitem__)
    rivals = [effect for variant, effect in effects.items() if weights[variant]]
    return control if rivals and all(effect.absolute_ci[1] < 0.0 for effect in rivals) else None


def _verdict(
    arms: Mapping[str, Arm],
    weights: Mapping[str, float],
    mismatch: bool,
    looks: Mapping[str, _Looks],
    winner: str | None,
) -> Verdict:
    if mismatch:
        return "sample_ratio_mismatch"
    if any(each.has_changed for each in looks.values()):
        return "effect_changed"
    if winner is not None:
        return "winner"
    (_, control), *others = arms.items()
    rivals = [arm for variant, arm in others if weights[variant]]
    is_enough = all(_have_enough(control, rival) for rival in rivals) if rivals else _have_enough(control)
    return "no_winner_yet" if is_enough else "not_enough_data"
