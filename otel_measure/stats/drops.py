"""Whether a number has dropped by more than chance explains: a day of active users, and a share of persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, nan, sqrt
from statistics import NormalDist
from typing import Final

from otel_measure.stats.special import student_t_sf

WEEK: Final = 7
BASELINE_WEEKS: Final = 4
RATIO_DAYS: Final = 28
MIN_HISTORY_DAYS: Final = 14
COMPARABLE_SHARE: Final = 0.25
TRIMMED_SHARE: Final = 1.0 / 7.0
KEPT_DEGREES_OF_FREEDOM: Final = 0.75
_LARGEST_KEPT: Final = NormalDist().inv_cdf(1.0 - TRIMMED_SHARE / 2.0)
_KEPT_SQUARE: Final = 1.0 - 2.0 * _LARGEST_KEPT * NormalDist().pdf(_LARGEST_KEPT) / (1.0 - TRIMMED_SHARE)
"""The mean of the squares that are kept of standard normal numbers."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A drop and how sure one may be of it.

    Attributes:
        share: 1 - now / before; nan where there is nothing before, or too little history.
        before: what it is compared with.
        p_value: the chance of a drop at least as large when nothing has changed; nan when unknown.
    """

    share: float
    before: float
    p_value: float


UNKNOWN_DROP: Final = Drop(nan, nan, nan)


def weekday_drop(days: Sequence[int]) -> Drop:
    """The last day against the mean of the same weekdays of the last four weeks, as far as there was anybody.

    Weekdays are compared with themselves, so a weekly season is no drop. How much a day strays is read off the history:
    with r_t = ln(x_t / x_(t-7)) over the last 28 days before the one in question, a single day has the variance
    mean(r^2) / 2 (the mean square successive difference of von Neumann, 1941, weekdays apart). Of it the part
    mean(1 / x_t + 1 / x_(t-7)) / 2 is that of Poisson counts of these days; the day in question has the rest, and 1 / x
    of its own for the x expected of it. So ln(x / mean of k weekdays) has that variance times 1 + 1/k. The drop over
    its standard error is compared with Student's t, two-sided; m = 7 w ratios have m 2w / (3w - 1) degrees of freedom,
    as neighbours in time share a day. The mean ratio is not taken away: steady growth or decline makes the test more
    careful.

    A day with nobody is one on which nothing was collected, and no day to compare with. It also makes two ratios that
    tell nothing of other days, as one with a part of the persons does, so the largest seventh of the squares is left
    out, and what is left is divided by what it is of normally distributed ratios; that leaves three quarters of the
    degrees of freedom (simulated). Weekdays with less than a quarter of the persons are left out too: few persons stray
    by more than their Poisson part tells.

    Args:
        days: a count for each day, the last one in question, without gaps.

    Returns:
        The drop; unknown under 14 days of history or without anybody on the weekdays before.
    """
    *history, now = days if days else (0,)
    if len(history) < MIN_HISTORY_DAYS:
        return UNKNOWN_DROP
    same_weekdays = [count for count in history[-WEEK::-WEEK][:BASELINE_WEEKS] if count]
    if not same_weekdays:
        return UNKNOWN_DROP
    before = sum(same_weekdays) / len(same_weekdays)
    pairs = _comparable_pairs(history, before)
    error = sqrt(_day_variance(pairs, before) * (1.0 + 1.0 / len(same_weekdays)))
    t = -log(_at_least_one_half(now) / before) / error
    weeks = len(pairs) / WEEK
    degrees_of_freedom = max(1.0, KEPT_DEGREES_OF_FREEDOM * len(pairs) * 2.0 * weeks / max(3.0 * weeks - 1.0, weeks))
    p_value = 2.0 * min(student_t_sf(t, degrees_of_freedom), 0.5)
    return Drop(1.0 - now / before, before, p_value)


def _comparable_pairs(history: Sequence[int], before: float) -> list[tuple[float, float]]:
    """Days of the last 28 and those a week before them, of the weekdays that have a quarter of the persons."""
    lags = range(1, min(RATIO_DAYS, len(history) - WEEK) + 1)
    of_weekday = [history[-lag::-WEEK][: BASELINE_WEEKS + 1] for lag in range(1, WEEK + 1)]
    is_comparable = [sum(counts) / len(counts) >= COMPARABLE_SHARE * before for counts in of_weekday]
    return [
        (_at_least_one_half(history[-lag]), _at_least_one_half(history[-lag - WEEK]))
        for lag in lags
        if is_comparable[(lag - 1) % WEEK]
    ]


def _day_variance(pairs: Sequence[tuple[float, float]], expected: float) -> float:
    """The variance of the logarithm of a day's count, of which so many persons are expected."""
    squares = sorted((log(x / y) ** 2, 1.0 / x + 1.0 / y) for x, y in pairs)
    kept = squares[: len(squares) - int(len(squares) * TRIMMED_SHARE)]
    of_ratios = sum(square for square, _ in kept) / len(kept) / _KEPT_SQUARE
    of_counts = sum(poisson for _, poisson in kept) / len(kept)
    # A day of n persons strays by 1 / n at least, even where the history happens to be smooth.
    return max(0.0, of_ratios - of_counts) / 2.0 + 1.0 / expected


def _at_least_one_half(count: int) -> float:
    return max(float(count), 0.5)


def proportion_drop(now: int, of_now: int, before: int, of_before: int) -> Drop:
    """A proportion against the one before, by Fisher's exact test of "not lower" (one-sided).

    Args:
        now: successes now.
        of_now: persons now.
        before: successes before.
        of_before: persons before.

    Returns:
        The drop of the proportion; unknown where nobody was there in either period, or nobody succeeded before.

    Raises:
        ValueError: successes are negative or more than the persons.
    """
    if not (0 <= now <= of_now and 0 <= before <= of_before):
        raise ValueError(f"now={now!r} of {of_now!r}, before={before!r} of {of_before!r}: must be in 0..persons")
    if not (of_now and of_before and before):
        return UNKNOWN_DROP
    rate = before / of_before
    return Drop(1.0 - (now / of_now) / rate, rate, _hypergeometric_cdf(now, of_now, now + before, of_now + of_before))


def _hypergeometric_cdf(k: int, drawn: int, successes: int, total: int) -> float:
    """P(X <= k) for the successes among `drawn` of `total`, of which `successes` are successes."""
    least = max(0, drawn - (total - successes))
    term = exp(_log_choose(successes, k) + _log_choose(total - successes, drawn - k) - _log_choose(total, drawn))
    result = 0.0
    for i in range(k, least - 1, -1):
        result += term
        if not term > result * 1e-17:
            break
        term *= i * (total - successes - drawn + i) / ((successes - i + 1) * (drawn - i + 1))
    return min(1.0, result)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
