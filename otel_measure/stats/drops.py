"""Whether a number has dropped by more than chance explains: a day of active users, and a share of persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, nan, sqrt
from typing import Final

from otel_measure.stats.special import student_t_sf

WEEK: Final = 7
BASELINE_WEEKS: Final = 4
RATIO_DAYS: Final = 28
MIN_HISTORY_DAYS: Final = 14


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
    """The last day against the mean of the same weekdays of the last four weeks, as far as there are any.

    Weekdays are compared with themselves, so a weekly season is no drop. How much a day strays is read off the history:
    with r_t = ln(x_t / x_(t-7)) over the last 28 days before the one in question, a single day has the variance
    s^2 = mean(r^2) / 2 (the mean square successive difference of von Neumann, 1941, weekdays apart), and
    ln(x / mean of k weekdays) the variance s^2 (1 + 1/k). The drop over its standard error is compared with Student's
    t, two-sided; m = 7 w ratios have m 2w / (3w - 1) degrees of freedom, as neighbours in time share a day. The mean
    ratio is not taken away: steady growth or decline makes the test more careful.

    Args:
        days: a count for each day, the last one in question, without gaps.

    Returns:
        The drop; unknown under 14 days of history or without anybody on the weekdays before.
    """
    *history, now = days if days else (0,)
    if len(history) < MIN_HISTORY_DAYS:
        return UNKNOWN_DROP
    same_weekdays = history[-WEEK::-WEEK][:BASELINE_WEEKS]
    before = sum(same_weekdays) / len(same_weekdays)
    if not before:
        return UNKNOWN_DROP
    ratios = [
        log(_at_least_one_half(history[-i]) / _at_least_one_half(history[-i - WEEK]))
        for i in range(1, min(RATIO_DAYS, len(history) - WEEK) + 1)
    ]
    # A day of n persons strays by 1 / n at least, even where the history happens to be smooth.
    variance = max(sum(r * r for r in ratios) / len(ratios) / 2.0, 1.0 / before)
    error = sqrt(variance * (1.0 + 1.0 / len(same_weekdays)))
    t = -log(_at_least_one_half(now) / before) / error
    weeks = len(ratios) / WEEK
    p_value = 2.0 * min(student_t_sf(t, len(ratios) * 2.0 * weeks / (3.0 * weeks - 1.0)), 0.5)
    return Drop(1.0 - now / before, before, p_value)


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
