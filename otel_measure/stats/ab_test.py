"""What the statistics of an experiment amount to; who computes it is `otel_measure.experiments.analyse`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from otel_measure.stats.intervals import Interval

Verdict: TypeAlias = Literal["not_enough_data", "sample_ratio_mismatch", "no_winner_yet", "winner", "effect_changed"]


@dataclass(frozen=True, slots=True)
class Effect:
    """How a variant differs from the control.

    Attributes:
        absolute: difference of the conversion rates, of the users and within the age that are compared.
        absolute_ci: what the confidence sequences of all looks have in common, at 95 % for all variants of the test
            together; unknown before both arms have 100 users and the two 10 conversions together, and when nothing
            is left of it.
        relative: the difference as a share of the control's rate; unknown under 10 conversions of the control.
        relative_ci: `absolute_ci` as a share of the confidence sequence of the control's rate, likewise.
        p_value: the smallest of all looks.
        adjusted_p_value: for all that holds together: it is at most 0.05 exactly when some look's interval excluded 0.
    """

    absolute: float
    absolute_ci: Interval
    relative: float
    relative_ci: Interval
    p_value: float
    adjusted_p_value: float


@dataclass(frozen=True, slots=True)
class StillNeeded:
    """What a test that runs and has no winner yet still needs, at the rate at which people meet it.

    Attributes:
        users: how many more have to be compared, of all variants together; `None` where nobody knows.
        users_per_day: how many met the test for the first time, in the mean of the last seven whole days (of all of
            them while there are fewer).
        users_per_day_ci: its interval at 97.5 %, by how the days differ; unknown of a single day.
        days: how many it takes at that rate.
        days_ci: at 95 % or more; of a verdict `no_winner_yet` under the condition `provided_that`.
        provided_that: the condition under which it holds; "" for none.
        unknown_because: why `days` is unknown; "" where it is known.
    """

    users: int | None
    users_per_day: float
    users_per_day_ci: Interval
    days: float
    days_ci: Interval
    provided_that: str
    unknown_because: str


@dataclass(frozen=True, slots=True)
class AbTest:
    """What an experiment says so far, of one environment.

    Attributes:
        control_conversion_rate_ci, variant_conversion_rates_ci: 95 % Wilson intervals.
        variant_conversion_rates, variant_users, variant_conversions: of every variant, the control too.
        compared_within_hours: the age within which conversions are compared, the largest that nine in ten of the users
            have reached; 0 is the hour of the exposure.
        compared_users, compared_conversions: of every variant, those who have reached it, and converted by then.
        effects: of every variant but the control, among those.
        crossed_over: of `users`, those who met a second variant later; they stay in the first.
        excluded_users: first seen in a variant that the test does not have; they count nowhere else.
        sample_ratio_p_value: of users falling into the variants as the weights say, the smallest of all looks.
        sample_ratio_mismatch: whether they do not (p <= 0.001, or anybody in a variant of weight 0).
        p_value: the smallest adjusted one of the effects.
        verdict: `sample_ratio_mismatch` before anything else, since then no other figure means what it says;
            `effect_changed` when no effect is left that all looks allow; `winner`; `not_enough_data` while some
            variant that takes part has under 100 users or under 10 conversions together with the control; else
            `no_winner_yet`.
        winner: the variant with the most effect among those whose `absolute_ci` lies above 0; the control when that
            of every other lies below; `None` without one.
        needs: what it still needs until looks count (`not_enough_data`) or a winner shows (`no_winner_yet`);
            `None` with any other verdict, and of a test that was stopped.
        explanation: the verdict as a sentence with its reasons, and what it still needs.
        reasons: what the verdict rests on, a sentence each.
        stopped_at: from when on nothing is counted any more; `None` while the test runs.
        served_variant: what everybody gets of a test that was stopped, else `None`.
        definitions: by which it is counted: "current", "earlier" or "updating", as `CountedBy` has it.
    """

    test_id: str
    test_name: str
    control_variant: str
    control_conversion_rate: float
    control_conversion_rate_ci: Interval
    control_users: int
    variant_conversion_rates: dict[str, float]
    variant_conversion_rates_ci: dict[str, Interval]
    variant_users: dict[str, int]
    variant_conversions: dict[str, int]
    variant_weights: dict[str, float]
    compared_within_hours: int
    compared_users: dict[str, int]
    compared_conversions: dict[str, int]
    effects: dict[str, Effect]
    users: int
    conversions: int
    crossed_over: int
    excluded_users: int
    sample_ratio_p_value: float
    sample_ratio_mismatch: bool
    p_value: float
    verdict: Verdict
    winner: str | None
    needs: StillNeeded | None
    explanation: str
    reasons: tuple[str, ...]
    coverage: float
    environment: str
    created_at: datetime
    stopped_at: datetime | None
    served_variant: str | None
    definitions: str
