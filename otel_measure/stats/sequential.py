"""Anytime-valid inference: an experiment may be looked at after every unit and still errs in at most alpha of cases.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences" (2021), and the e-value of the same normal mixture: the sequence excludes
0 exactly when the e-value reaches 1 / alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from math import exp, inf, lgamma, log, log1p, nan, sqrt
from typing import Final

from otel_measure.stats.intervals import UNKNOWN, Interval
from otel_measure.stats.tests import Difference

TUNING_UNITS: Final = 5000
_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class AnytimeEffect:
    """What may be said of an effect now, however often one has looked before.

    Attributes:
        estimate: the effect.
        low: lower end of the 1 - alpha confidence sequence.
        high: upper end.
        log_e: natural logarithm of the e-value, the evidence against "no effect".
        p_value: ``min(1, 1 / e)`` of this look; publish ``running_minimum`` of all looks.
    """

    estimate: float
    low: float
    high: float
    log_e: float
    p_value: float


def tuning_rho(alpha: float = 0.05, tuning_units: int = TUNING_UNITS) -> float:
    """The rho whose sequence is tightest near ``tuning_units``: ``sqrt((-2 ln a + ln(-2 ln a + 1)) / N*)``.

    Raises:
        ValueError: ``alpha`` is not inside 0..1, or ``tuning_units`` is below 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha={alpha!r}: must be inside 0..1")
    if tuning_units < 1:
        raise ValueError(f"tuning_units={tuning_units!r}: must be >= 1")
    surprise = -2.0 * log(alpha)
    return sqrt((surprise + log(surprise + 1.0)) / tuning_units)


def confidence_sequence(effect: Difference, *, alpha: float = 0.05, tuning_units: int = TUNING_UNITS) -> AnytimeEffect:
    """Confidence sequence, e-value and p-value of an effect.

    With n units, ``r = n rho**2`` and ``s**2 = se**2 n``:
    half-width ``s sqrt(2 (r + 1) / (n rho)**2 ln(sqrt(r + 1) / alpha))`` and
    ``e = exp(rho**2 n d**2 / se**2 / (2 (r + 1))) / sqrt(r + 1)``.

    Args:
        effect: from ``tests.difference``, absolute or relative.
        alpha: error rate over all looks together, inside 0..1.
        tuning_units: where the sequence is tightest; fixed before the first look.

    Returns:
        The effect; ends, evidence and p are nan while its standard error is unknown or 0.

    Raises:
        ValueError: ``alpha`` or ``tuning_units`` breaks its rule.
    """
    rho = tuning_rho(alpha, tuning_units)
    d, se = effect.estimate, effect.standard_error
    if not 0.0 < se < inf:
        return AnytimeEffect(d, nan, nan, nan, nan)
    r = effect.n * rho**2
    half_width = se * sqrt(2.0 * (r + 1.0) / r * (log(r + 1.0) / 2.0 - log(alpha)))
    log_e = r * (d / se) ** 2 / (2.0 * (r + 1.0)) - log(r + 1.0) / 2.0
    return AnytimeEffect(d, d - half_width, d + half_width, log_e, exp(min(0.0, -log_e)))


def growth_until_told(effect: Difference, *, alpha: float = 0.05, tuning_units: int = TUNING_UNITS) -> float:
    """How many times as many units tell an effect from 0 that stays as it is estimated.

    With f times as many units the standard error is ``se / sqrt(f)`` and r is f times as large: the f from which on
    ``f r (d sqrt(f) / se)**2 / (2 (f r + 1)) - ln(f r + 1) / 2`` of `confidence_sequence` reaches ``-ln alpha``.

    Returns:
        At least 1; infinite where the estimate is 0, and nan where it or its standard error is unknown.

    Raises:
        ValueError: ``alpha`` or ``tuning_units`` breaks its rule.
    """
    r = effect.n * tuning_rho(alpha, tuning_units) ** 2
    d, se = effect.estimate, effect.standard_error
    if d != d or not 0.0 < se < inf:
        return nan
    if not d:
        return inf

    def is_told(growth: float) -> bool:
        of_all = growth * r
        return of_all * growth * (d / se) ** 2 / (2.0 * (of_all + 1.0)) - log(of_all + 1.0) / 2.0 >= -log(alpha)

    if is_told(1.0):
        return 1.0
    told = 2.0
    while not is_told(told):
        told *= 2.0
    return _edge(is_told, told, told / 2.0)


def proportion_sequence(successes: int, n: int, *, alpha: float) -> Interval:
    """Confidence sequence of a proportion, exact at every n: it misses it at any look in at most alpha of cases.

    The rates p at which the likelihood of the order in which x of n succeeded, mixed over Jeffreys' distribution, is
    less than 1 / alpha times as large as at p (Robbins 1970, Ville's inequality):
    ``ln B(x + 1/2, n - x + 1/2) - ln B(1/2, 1/2) - x ln p - (n - x) ln(1 - p) < -ln alpha``.

    Args:
        successes: x, in 0..n.
        n: units.
        alpha: error rate over all looks together, inside 0..1.

    Returns:
        The interval; unknown without units.
    """
    if not n:
        return UNKNOWN
    x, failures = successes, n - successes
    mixture = lgamma(x + 0.5) + lgamma(failures + 0.5) - lgamma(n + 1.0) - 2.0 * lgamma(0.5)

    def is_held(p: float) -> bool:
        log_likelihood = (x * log(p) if x else 0.0) + (failures * log1p(-p) if failures else 0.0)
        return mixture - log_likelihood < -log(alpha)

    rate = x / n
    return _edge(is_held, rate, 0.0) if x else 0.0, _edge(is_held, rate, 1.0) if failures else 1.0


def _edge(is_held: Callable[[float], bool], held: float, not_held: float) -> float:
    """Where what holds at one number and not at the other ends, by bisection."""
    for _ in range(_HALVINGS):
        middle = (held + not_held) / 2.0
        held, not_held = (middle, not_held) if is_held(middle) else (held, middle)
    return not_held


def running_minimum(p_values: Iterable[float]) -> list[float]:
    """The smallest p-value up to each look, which is what may be published; nan until one is known."""
    return list(accumulate(p_values, published_p))


def published_p(before: float, now: float) -> float:
    """One step of ``running_minimum``: the smaller of what was published and what is found now, nan giving way."""
    return now if before != before or now < before else before
