"""The incomplete beta function, and the tail of Student's t made of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import copysign, exp, inf, lgamma, log, log1p, nan
from typing import Final

from otel_measure.stats.intervals import normal_quantile, normal_sf

_TINY: Final = 1e-300
_PRECISION: Final = 1e-15
_LARGE: Final = 30.0
_NORMAL_DF: Final = 1e8  # beyond, the tails of t and normal differ by a share of t**4 / (4 df) only


def regularised_beta(a: float, b: float, x: float, complement: float) -> float:
    """I_x(a, b) for a, b > 0 and x in 0..1 (DLMF 8.17.22).

    Args:
        a: first shape.
        b: second shape.
        x: upper limit.
        complement: 1 - x, given apart since near 1 the difference has lost what makes a tail.
    """
    if not (x > 0.0 and complement > 0.0):
        return nan if x != x else float(x > 0.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - regularised_beta(b, a, complement, x)
    log_x = log(x) if x < 0.5 else log1p(-complement)
    log_complement = log(complement) if complement < 0.5 else log1p(-x)
    front = exp(a * log_x + b * log_complement - _log_beta(a, b)) / a
    return front / _continued_fraction(_beta_terms(a, b, x))


def student_t_sf(t: float, df: float) -> float:
    """P(T > t) of Student's t with ``df`` > 0 degrees of freedom; nan where t or df is."""
    if t != t or df != df:
        return nan
    if df > _NORMAL_DF:
        return normal_sf(t)
    if t < 0.0:
        return 1.0 - student_t_sf(-t, df)
    square = t * t
    return regularised_beta(df / 2.0, 0.5, df / (df + square), square / (df + square)) / 2.0 if square < inf else 0.0


def student_t_quantile(p: float, df: float) -> float:
    """The t with P(T <= t) = ``p``, by bisection; accurate to some 12 digits.

    Raises:
        ValueError: ``p`` is not inside 0..1.
    """
    guess = abs(normal_quantile(p))
    tail = min(p, 1.0 - p)
    low, high = 0.0, max(2.0 * guess, 1.0)
    while student_t_sf(high, df) > tail:
        high *= 4.0
    for _ in range(200):
        middle = (low + high) / 2.0
        if not low < middle < high or high - low <= 1e-14 * high:
            break
        low, high = (middle, high) if student_t_sf(middle, df) > tail else (low, middle)
    return copysign((low + high) / 2.0 if tail < 0.5 else 0.0, p - 0.5)


def _log_beta(a: float, b: float) -> float:
    a, b = max(a, b), min(a, b)
    if a < _LARGE:
        return lgamma(a) + lgamma(b) - lgamma(a + b)
    # ln Gamma(a) - ln Gamma(a + b) by Stirling's series: both are huge and their difference is not.
    ratio = (a - 0.5) * log1p(b / a) + b * log(a + b) - b + _stirling(a + b) - _stirling(a)
    return lgamma(b) - ratio


def _stirling(a: float) -> float:
    square = a * a
    return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / a


def _beta_terms(a: float, b: float, x: float) -> Iterator[tuple[float, float]]:
    yield 0.0, 1.0
    for m in count():
        if m:
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0
        yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0


def _continued_fraction(terms: Iterator[tuple[float, float]]) -> float:
    """b0 + a1/(b1 + a2/(b2 + …)) by the modified Lentz algorithm (Thompson and Barnett 1986)."""
    _, value = next(terms)
    c, d = value, 0.0
    for numerator, denominator in terms:
        d = 1.0 / (denominator + numerator * d or _TINY)
        c = denominator + numerator / c or _TINY
        value *= c * d
        if abs(c * d - 1.0) <= _PRECISION:
            break
    return value
