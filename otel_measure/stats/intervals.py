"""Normal distribution, and intervals for proportions and for the net promoter score."""

from __future__ import annotations

from math import erfc, nan, sqrt
from statistics import NormalDist
from typing import Final, TypeAlias

Interval: TypeAlias = tuple[float, float]
"""Lower and upper end; both nan where nothing is known."""

UNKNOWN: Final[Interval] = (nan, nan)

_STANDARD: Final = NormalDist()


def normal_cdf(z: float) -> float:
    """P(Z <= z) of the standard normal, accurate in relative terms in the lower tail."""
    return erfc(-z / sqrt(2.0)) / 2.0


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


def nps_margin(promoters: int, detractors: int, responses: int) -> float:
    """95 % margin of a net promoter score in points: ``100 * 1.96 * sqrt((p + d - (p - d)**2) / n)``.

    Args:
        promoters: answers of 9 and 10.
        detractors: answers of 0 to 6.
        responses: all answers.

    Returns:
        The margin; nan without answers.

    Raises:
        ValueError: a count is negative, or promoters and detractors are more than the responses.
    """
    if min(promoters, detractors) < 0 or promoters + detractors > responses:
        raise ValueError(f"promoters={promoters!r}, detractors={detractors!r}: must be >= 0 and fit in {responses!r}")
    if responses == 0:
        return nan
    p, d = promoters / responses, detractors / responses
    return 100.0 * normal_quantile(0.975) * sqrt(max(p + d - (p - d) ** 2, 0.0) / responses)
