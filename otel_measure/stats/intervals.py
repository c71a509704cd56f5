"""Normal distribution, and intervals: of proportions, quantiles, differences, ratios and the net promoter score."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, count
from math import erfc, exp, floor, hypot, log, nan, sqrt
from statistics import NormalDist
from typing import Final, TypeAlias

Interval: TypeAlias = tuple[float, float]
"""Lower and upper end; both nan where nothing is known."""

UNKNOWN: Final[Interval] = (nan, nan)

_STANDARD: Final = NormalDist()


def normal_sf(z: float) -> float:
    """P(Z > z) of the standard normal, accurate in relative terms in the upper tail (1 - cdf would print 0)."""
    return erfc(z / sqrt(2.0)) / 2.0


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = ``p``.

    Raises:
        ValueError: ``p`` is not inside 0..1.
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"p={p!r}: must be inside 0..1, the ends excluded")
    return _STANDARD.inv_cdf(p)


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927): sane at 0, at ``n`` and for few persons.

    Returns:
        Its ends within 0..1; both nan when ``n`` is 0.

    Raises:
        ValueError: ``successes`` is not in 0..n, or ``confidence`` not inside 0..1.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes={successes!r}: must be in 0..n, n={n!r}")
    z = normal_quantile(0.5 + confidence / 2.0)
    if n == 0:
        return UNKNOWN
    p, share = successes / n, z * z / n
    center = p + share / 2.0
    half = z * sqrt(p * (1.0 - p) / n + share / n / 4.0)
    low = (center - half) / (1.0 + share) if successes else 0.0
    high = (center + half) / (1.0 + share) if successes < n else 1.0
    return low, high


def difference_interval(first: tuple[int, int], second: tuple[int, int], confidence: float = 0.95) -> Interval:
    """Interval of the difference of two independent proportions, each (successes, n): Newcombe (1998), method 10.

    Returns:
        Its ends within -1..1; both nan when one ``n`` is 0.

    Raises:
        ValueError: successes are not in 0..n.
    """
    each, other = (wilson_interval(*one, confidence) for one in (first, second))
    if not first[1] or not second[1]:
        return UNKNOWN
    return square_and_add(first[0] / first[1], each, second[0] / second[1], other)


def square_and_add(value: float, interval: Interval, other: float, of_other: Interval) -> Interval:
    """Interval of ``value - other`` of two independent estimates, each with its own interval of the same confidence.

    The distances of the ends from the estimates are added as squares, as Newcombe (1998) does for proportions; for any
    estimates: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27
    (2008). It is as skewed as the intervals are.

    Returns:
        Its ends; both nan where an estimate or an end is.
    """
    (low, high), (other_low, other_high) = interval, of_other
    distance = value - other
    return distance - hypot(value - low, other_high - other), distance + hypot(high - value, other - other_low)


def ratio_interval(value: float, interval: Interval, other: float, of_other: Interval) -> Interval:
    """Interval of ``value / other``, both above 0, by `square_and_add` of their logarithms.

    Returns:
        Its ends above 0; both nan where an estimate or an end is unknown or not above 0.
    """
    if not min(value, other, *interval, *of_other) > 0.0 or any(end != end for end in (*interval, *of_other)):
        return UNKNOWN
    logs, logs_of_other = ((log(low), log(high)) for low, high in (interval, of_other))
    low, high = square_and_add(log(value), logs, log(other), logs_of_other)
    return exp(low), exp(high)


def quantile_ranks(n: int, q: float, confidence: float = 0.95) -> tuple[int, int]:
    """Between which of ``n`` sorted values the ``q`` quantile of what they are drawn from lies: order statistics.

    How many values lie below the quantile is binomial, whatever the distribution. Its quantiles are taken by their
    Cornish-Fisher expansion, n q + (1 - 2 q)(z**2 - 1) / 6 ± z sqrt(n q (1 - q)); at 95 % no end is missed in more than
    2.5 of 100 cases at any n whose ranks lie inside.

    Returns:
        Two ranks, counted from 1; a low one below 1 or a high one above ``n`` where so few values do not tell.
    """
    z = normal_quantile(0.5 + confidence / 2.0)
    center = n * q + (1.0 - 2.0 * q) * (z * z - 1.0) / 6.0 + 0.5
    half = z * sqrt(n * q * (1.0 - q))
    return floor(center - half), floor(center + half) + 1


def widest_difference(proportions: Iterable[tuple[int, int]], confidence: float = 0.95) -> Interval:
    """Interval of the largest difference between any two of several proportions, each (successes, n).

    The differences of all pairs have their intervals together (Bonferroni), so that the widest is in its own.

    Returns:
        Its ends within 0..1; both nan with fewer than two proportions of anything.
    """
    pairs = list(combinations([each for each in proportions if each[1]], 2))
    if not pairs:
        return UNKNOWN
    each = 1.0 - (1.0 - confidence) / len(pairs)
    differences = [difference_interval(*pair, each) for pair in pairs]
    low = max(max(low, -high) for low, high in differences)
    return max(0.0, low), max(max(-low, high) for low, high in differences)


def fewest_values(q: float, confidence: float = 0.95) -> int:
    """Return how many values it takes until both ranks of `quantile_ranks` are there: 76 for the 0.95 quantile."""
    ranks = ((n, *quantile_ranks(n, q, confidence)) for n in count(1))
    return next(n for n, low, high in ranks if low >= 1 and high <= n)


def nps_score(promoters: int, detractors: int, responses: int) -> float:
    """Return 100 (promoters − detractors) / n to one decimal, half away from zero; `nan` without answers."""
    if responses == 0:
        return nan
    difference = promoters - detractors
    tenths = (2000 * abs(difference) + responses) // (2 * responses)
    return (tenths if difference >= 0 else -tenths) / 10


def nps_interval(promoters: int, detractors: int, responses: int, confidence: float = 0.95) -> Interval:
    """Interval of a net promoter score in points, honest for few answers and for answers that all agree.

    The adjusted Wald interval of Rocks, "Interval Estimation for the Net Promoter Score", The American Statistician 70
    (2016): a Wald interval after 3 answers more, 3/4 promoters, 3/2 passives and 3/4 detractors. It is widened to the
    score itself where that lies outside, as it does when all answers agree.

    Args:
        promoters: answers of 9 and 10.
        detractors: answers of 0 to 6.
        responses: all answers.
        confidence: inside 0..1.

    Returns:
        Its ends within -100..100; both nan without answers.

    Raises:
        ValueError: a count is negative, promoters and detractors are more than the responses, or ``confidence`` is not
            inside 0..1.
    """
    if min(promoters, detractors) < 0 or promoters + detractors > responses:
        raise ValueError(f"promoters={promoters!r}, detractors={detractors!r}: must be >= 0 and fit in {responses!r}")
    z = normal_quantile(0.5 + confidence / 2.0)
    if responses == 0:
        return UNKNOWN
    n = responses + 3.0
    p, d = (promoters + 0.75) / n, (detractors + 0.75) / n
    center, half = 100.0 * (p - d), 100.0 * z * sqrt((p + d - (p - d) ** 2) / n)
    score = 100.0 * (promoters - detractors) / responses
    return max(-100.0, min(center - half, score)), min(100.0, max(center + half, score))
