"""Fixed-sample tests of experiments: Welch's t, sample ratio, and corrections for many comparisons.

They hold for one look at a size fixed beforehand. What is shown while an experiment runs is in ``sequential``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, nan, sqrt
from typing import Final, Literal, Self, TypeAlias

from otel_measure.stats.special import chi_square_sf, student_t_quantile, student_t_sf

Alternative: TypeAlias = Literal["two-sided", "greater", "less"]

SRM_ALARM_P: Final = 0.001


@dataclass(frozen=True, slots=True)
class Sample:
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


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether units came in the proportions asked for; ``p_value`` is nan where nothing can be compared."""

    p_value: float
    alarm: bool


def difference(control: Sample, treatment: Sample, *, relative: bool = False) -> Difference:
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


def welch_df(control: Sample, treatment: Sample) -> float:
    """Degrees of freedom by Welch and Satterthwaite; nan for less than two units in an arm or no variance at all."""
    a, b = control.squared_error, treatment.squared_error
    if min(control.n, treatment.n) < 2 or not a + b > 0.0:
        return nan
    return (a + b) ** 2 / (a**2 / (control.n - 1) + b**2 / (treatment.n - 1))


def welch_t(
    control: Sample,
    treatment: Sample,
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


def sample_ratio(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Chi-square test that units fell into the arms as the weights say; alarm below p = 0.001.

    Only arms with weight > 0 are compared, against their share of those weights. A unit in an arm of weight 0 is an
    alarm by itself.

    Raises:
        ValueError: lengths differ, or a count or weight is negative.
    """
    if len(observed) != len(weights) or any(not number >= 0 for number in (*observed, *weights)):
        raise ValueError(f"observed={list(observed)!r}, weights={list(weights)!r}: one count and weight >= 0 per arm")
    stray = any(n and not weight for n, weight in zip(observed, weights, strict=True))
    arms = [(n, weight) for n, weight in zip(observed, weights, strict=True) if weight]
    units, weight_sum = sum(n for n, _ in arms), sum(weight for _, weight in arms)
    if len(arms) < 2 or not units:
        return SampleRatio(nan, stray)
    expected = [units * weight / weight_sum for _, weight in arms]
    statistic = sum((n - e) ** 2 / e for (n, _), e in zip(arms, expected, strict=True))
    p_value = chi_square_sf(statistic, len(arms) - 1)
    return SampleRatio(p_value, stray or p_value < SRM_ALARM_P)


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
