"""Tests of experiments: Welch's t, the split between the arms, and corrections for many comparisons.

Welch's test holds for one look at a size fixed beforehand; what is shown of an effect while an experiment runs is in
``sequential``. The test of the split may be looked at after every unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, inf, lgamma, log, nan, sqrt
from typing import Final, Literal, Self, TypeAlias

from otel_measure.stats.special import student_t_quantile, student_t_sf

Alternative: TypeAlias = Literal["two-sided", "greater", "less"]

SRM_ALARM_P: Final = 0.001
SRM_CONCENTRATION: Final = 1000.0
"""How closely the alternative lies around the weights, as a number of units; fixed before the first look."""


@dataclass(frozen=True, slots=True)
class SampleStatistics:
    """Sufficient statistics of one arm.

    Attributes:
        n: units.
        mean: mean over units.
        variance: variance of one unit (not of the mean).
    """

    n: int
    mean: float
    variance: float

    @classmethod
    def from_sums(cls, n: int, total: float, total_squares: float) -> Self:
        """From the sums of values and of their squares; the variance has n - 1 below, nan for less than two units."""
        mean = total / n if n else nan
        return cls(n, mean, max(0.0, total_squares - total * mean) / (n - 1) if n > 1 else nan)

    @classmethod
    def proportion(cls, successes: int, n: int) -> Self:
        """Of units that did or did not: variance ``p (1 - p)``."""
        p = successes / n if n else nan
        return cls(n, p, p * (1.0 - p))

    @property
    def squared_error(self) -> float:
        """Squared standard error of the mean, ``variance / n``; nan without units."""
        return self.variance / self.n if self.n else nan


@dataclass(frozen=True, slots=True)
class Difference:
    """How far treatment is from control: ``estimate`` and its ``standard_error``, over ``n`` units of both arms."""

    estimate: float
    standard_error: float
    n: int


@dataclass(frozen=True, slots=True)
class TTest:
    """Outcome of Welch's test; ``low`` and ``high`` are the 1 - alpha interval, one of them infinite when one-sided."""

    estimate: float
    standard_error: float
    degrees_of_freedom: float
    p_value: float
    low: float
    high: float


def difference(control: SampleStatistics, treatment: SampleStatistics, *, relative: bool = False) -> Difference:
    """Absolute or relative effect of the treatment.

    Absolute: ``d = m_B - m_A``, ``se**2 = v_A / n_A + v_B / n_B``. Relative, by the delta method:
    ``d = (m_B - m_A) / abs(m_A)``, ``se**2 = v_B / (n_B m_A**2) + v_A m_B**2 / (n_A m_A**4)``,
    nan where the control's mean is 0.
    """
    a, b, n = control, treatment, control.n + treatment.n
    if not relative:
        return Difference(b.mean - a.mean, sqrt(a.squared_error + b.squared_error), n)
    if a.mean == 0.0:
        return Difference(nan, nan, n)
    ratio = b.mean / a.mean
    error = sqrt(b.squared_error + a.squared_error * ratio**2) / abs(a.mean)
    return Difference((b.mean - a.mean) / abs(a.mean), error, n)


def welch_df(control: SampleStatistics, treatment: SampleStatistics) -> float:
    """Degrees of freedom by Welch and Satterthwaite; nan for less than two units in an arm or no variance at all."""
    a, b = control.squared_error, treatment.squared_error
    if min(control.n, treatment.n) < 2 or not a + b > 0.0:
        return nan
    return (a + b) ** 2 / (a**2 / (control.n - 1) + b**2 / (treatment.n - 1))


def welch_t(
    control: SampleStatistics,
    treatment: SampleStatistics,
    *,
    relative: bool = False,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> TTest:
    """Welch's t-test of "no effect" (Welch 1947), p from the survival function.

    Args:
        control: the arm compared with.
        treatment: the arm in question.
        relative: effect as a share of the control's mean.
        alpha: error rate of the interval, inside 0..1.
        alternative: the effect looked for is any, above 0 or below 0.

    Returns:
        The test; all but the estimate nan where the variance is unknown or 0.
    """
    effect = difference(control, treatment, relative=relative)
    d, se, df = effect.estimate, effect.standard_error, welch_df(control, treatment)
    if df != df or not se > 0.0:
        return TTest(d, se, df, nan, nan, nan)
    t = d / se
    two_sided = alternative == "two-sided"
    margin = se * student_t_quantile(1.0 - alpha / (1.0 + two_sided), df)
    tail = {"two-sided": 2.0 * student_t_sf(abs(t), df), "greater": student_t_sf(t, df), "less": student_t_sf(-t, df)}
    low = -inf if alternative == "less" else d - margin
    high = inf if alternative == "greater" else d + margin
    return TTest(d, se, df, tail[alternative], low, high)


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """How surprising a split is.

    Attributes:
        log_e: natural logarithm of the e-value against the weights; 0 without units.
        p_value: ``min(1, 1 / e)`` of this look, nan where there is nothing to compare. The smallest of all looks holds
            for all of them together.
        stray: whether any unit is in an arm of weight 0, which is an alarm by itself.
    """

    log_e: float
    p_value: float
    stray: bool

    @property
    def alarm(self) -> bool:
        """Whether the split is a mismatch beyond doubt."""
        return self.stray or self.p_value <= SRM_ALARM_P


def sample_ratio(
    observed: Sequence[int], weights: Sequence[float], *, concentration: float = SRM_CONCENTRATION
) -> SampleRatio:
    """Tell whether units fell into the arms as the weights say, by a test that may be looked at after every unit.

    The Dirichlet-multinomial martingale of Lindon and Malek, "Anytime-Valid Inference For Multinomial Count Data"
    (NeurIPS 2022): the likelihood of the assignments when the shares are drawn from a Dirichlet distribution around the
    weights, over their likelihood when the shares are the weights. While the weights are right its expectation is 1 at
    every sample size, so the chance that it ever reaches 1,000 is at most 0.001 (Ville's inequality). A chi-square test
    holds for one look: looked at 200 times it raises a false alarm in 1.75 % of fair tests.

    With n units, k_i of them in arm i, weights w_i that add to 1 and c the concentration:
    ``log e = lnG(c) - lnG(c + n) + sum(lnG(c w_i + k_i) - lnG(c w_i) - k_i ln w_i)``, lnG the log gamma function.
    Only arms with weight > 0 are compared, against their share of those weights.

    Raises:
        ValueError: lengths differ, or a count or weight is negative.
    """
    if len(observed) != len(weights) or any(not number >= 0 for number in (*observed, *weights)):
        raise ValueError(f"observed={list(observed)!r}, weights={list(weights)!r}: one count and weight >= 0 per arm")
    stray = any(count and not weight for count, weight in zip(observed, weights, strict=True))
    arms = [(count, weight) for count, weight in zip(observed, weights, strict=True) if weight]
    units, weight_sum = sum(count for count, _ in arms), sum(weight for _, weight in arms)
    if len(arms) < 2 or not units:
        return SampleRatio(0.0, nan, stray)
    log_e = lgamma(concentration) - lgamma(concentration + units)
    for count, weight in arms:
        share = weight / weight_sum
        log_e += lgamma(concentration * share + count) - lgamma(concentration * share) - count * log(share)
    return SampleRatio(log_e, exp(min(0.0, -log_e)), stray)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the chance of any false find (Holm 1979), in the order given.

    Raises:
        ValueError: a p-value is not in 0..1.
    """
    order = _ascending(p_values)
    k = len(order)
    stepped = accumulate(((k - rank) * p_values[i] for rank, i in enumerate(order)), max)
    return _in_input_order(order, list(stepped))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the share of false finds (Benjamini and Hochberg 1995), in the order given.

    Raises:
        ValueError: a p-value is not in 0..1.
    """
    order = _ascending(p_values)[::-1]
    k = len(order)
    stepped = accumulate((k / (k - rank) * p_values[i] for rank, i in enumerate(order)), min)
    return _in_input_order(order, list(stepped))


def _ascending(p_values: Sequence[float]) -> list[int]:
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"p_values={list(p_values)!r}: each must be in 0..1; leave out what is unknown")
    return sorted(range(len(p_values)), key=p_values.__getitem__)


def _in_input_order(order: list[int], adjusted: list[float]) -> list[float]:
    return [p for _, p in sorted(zip(order, (min(1.0, p) for p in adjusted), strict=True))]
