"""What an experiment says. Pure: hourly cells in, rates, effects and a verdict out.

The p-value shown is valid however often one looks (`stats.sequential`), and is published as its running minimum over
looks that depend on the facts alone: one at the end of every UTC hour of the facts' own times, and one now. Who looked,
how often, and in which order the facts came in changes nothing. A late fact changes the looks from its hour on; once an
hour is over, later facts can only lower the p-value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import inf, nan
from typing import Final

from otel_measure.definitions.days import moment
from otel_measure.stats.ab_test import AbTest, Effect, Verdict
from otel_measure.stats.intervals import UNKNOWN, Interval, wilson_interval
from otel_measure.stats.sequential import AnytimeEffect, confidence_sequence, published_p
from otel_measure.stats.tests import Sample, difference, holm, sample_ratio
from otel_measure.store.types.experiments import Cell, Experiment

ALPHA: Final = 0.05
MIN_USERS: Final = 100
MIN_CONVERSIONS: Final = 10
MIN_EXPECTED_USERS: Final = 5  # of an arm, below which a chi-square test is off (Cochran's rule)


@dataclass(slots=True)
class Arm:
    """Users of one variant so far, and how many of them converted."""

    users: int = 0
    conversions: int = 0

    @property
    def sample(self) -> Sample:
        """The arm as a proportion."""
        return Sample.proportion(self.conversions, self.users)


@dataclass(slots=True)
class _Published:
    """The running minimum of one variant, and which way the effect pointed when it was reached."""

    p_value: float = nan
    direction: float = nan

    def look(self, found: AnytimeEffect) -> None:
        p_value = published_p(self.p_value, found.p_value)
        if p_value != self.p_value and p_value == p_value:
            self.p_value, self.direction = p_value, found.estimate


def analyse(experiment: Experiment, cells: Iterable[Cell]) -> AbTest:
    """Return what an experiment says.

    Args:
        experiment: its definition.
        cells: what each hour added, in the order of hours.
    """
    control, *others = experiment.variants
    arms = {variant: Arm() for variant in experiment.variants}
    published = {variant: _Published() for variant in others}
    excluded = 0
    for _, hour in groupby(cells, key=lambda cell: cell.hour):
        for cell in hour:
            arm = arms.get(cell.variant)
            if arm is None:
                excluded += cell.users
            else:
                arm.users += cell.users
                arm.conversions += cell.conversions
        sample = arms[control].sample
        for variant, look in published.items():
            look.look(confidence_sequence(difference(sample, arms[variant].sample), alpha=ALPHA))
    return _result(experiment, arms, _effects(arms, control, published), published, excluded)


def _effects(arms: Mapping[str, Arm], control: str, published: Mapping[str, _Published]) -> dict[str, Effect]:
    known = {variant: found.p_value for variant, found in published.items() if found.p_value == found.p_value}
    adjusted = dict(zip(known, holm(list(known.values())), strict=True))
    return {
        variant: _effect(arms[control].sample, arms[variant].sample, found.p_value, adjusted.get(variant, nan))
        for variant, found in published.items()
    }


def _effect(control: Sample, treatment: Sample, p_value: float, adjusted: float) -> Effect:
    absolute, relative = (
        confidence_sequence(difference(control, treatment, relative=relative), alpha=ALPHA)
        for relative in (False, True)
    )
    return Effect(
        absolute=absolute.estimate,
        absolute_ci=_within(absolute, -1.0, 1.0),
        relative=relative.estimate,
        relative_ci=_within(relative, -1.0, inf),
        p_value=p_value,
        adjusted_p_value=adjusted,
    )


def _within(found: AnytimeEffect, least: float, most: float) -> Interval:
    """Return the interval without what no effect on a proportion can be."""
    if found.low != found.low:
        return UNKNOWN
    return max(found.low, least), min(found.high, most)


def _result(
    experiment: Experiment,
    arms: Mapping[str, Arm],
    effects: dict[str, Effect],
    published: Mapping[str, _Published],
    excluded: int,
) -> AbTest:
    control = experiment.variants[0]
    rates = {variant: arm.sample.mean for variant, arm in arms.items()}
    intervals = {variant: wilson_interval(arm.conversions, arm.users) for variant, arm in arms.items()}
    weights = dict(zip(experiment.variants, experiment.weights, strict=True))
    users = {variant: arm.users for variant, arm in arms.items()}
    ratio = sample_ratio(list(users.values()), experiment.weights)
    mismatch = ratio.alarm and _comparable(users, weights)
    best = _winner(control, effects, published, rates, weights)
    verdict = _verdict(arms, weights, mismatch, best)
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
        excluded_users=excluded,
        sample_ratio_p_value=ratio.p_value,
        sample_ratio_mismatch=mismatch,
        p_value=min((e.adjusted_p_value for e in effects.values() if e.adjusted_p_value >= 0.0), default=nan),
        verdict=verdict,
        winner=best if verdict == "winner" else None,
        coverage=experiment.coverage,
        created_at=moment(experiment.created),
    )


def _comparable(users: Mapping[str, int], weights: Mapping[str, float]) -> bool:
    """Whether an alarm may be believed: users in a variant of weight 0, or enough of them expected in every other."""
    stray = any(users[variant] for variant, weight in weights.items() if not weight)
    least = min(weight for weight in weights.values() if weight)
    return stray or sum(users.values()) * least >= MIN_EXPECTED_USERS


def _winner(
    control: str,
    effects: Mapping[str, Effect],
    published: Mapping[str, _Published],
    rates: Mapping[str, float],
    weights: Mapping[str, float],
) -> str | None:
    """Return the variant that wins; an effect that has turned round since its best look wins nothing."""
    found = {variant for variant, effect in effects.items() if effect.adjusted_p_value <= ALPHA}
    better = [v for v in effects if v in found and min(effects[v].absolute, published[v].direction) > 0]
    worse = {v for v in found if max(effects[v].absolute, published[v].direction) < 0}
    if better:
        return max(better, key=rates.__getitem__)
    rivals = {variant for variant in effects if weights[variant]}
    return control if rivals and rivals <= worse else None


def _verdict(arms: Mapping[str, Arm], weights: Mapping[str, float], mismatch: bool, winner: str | None) -> Verdict:
    if mismatch:
        return "sample_ratio_mismatch"
    taking_part = [arm for variant, arm in arms.items() if weights[variant]]
    if any(arm.users < MIN_USERS or arm.conversions < MIN_CONVERSIONS for arm in taking_part):
        return "not_enough_data"
    return "winner" if winner is not None else "no_winner_yet"
