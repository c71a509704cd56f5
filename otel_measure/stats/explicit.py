"""Explicit-bucket histograms: counting by Prometheus' ``le`` and reading quantiles back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import nan


def bucket_index(bounds: Sequence[float], value: float) -> int:
    """Index of the explicit bucket that counts ``value``, in 0..len(bounds): Prometheus' ``le``, value <= bound."""
    return bisect_left(bounds, value)


def explicit_quantile(
    bounds: Sequence[float], counts: Sequence[int], q: float, minimum: float = nan, maximum: float = nan
) -> float:
    """The quantile of explicit buckets, log-linear inside a bucket (linear in one that starts at 0 or below).

    The outer buckets end at ``minimum`` and ``maximum`` where these are known. Without them the first one starts at
    min(0, its bound), and a quantile in the last one is the highest bound, which is then only known to be too low.

    Returns:
        The quantile; nan without counts. It lies in the same bucket ``(l, u]`` as the value of rank
        ``ceil(q * sum(counts))``: the relative error is at most ``u / l - 1`` (100 % where buckets double).

    Raises:
        ValueError: ``q`` is outside 0..1, or there are not ``len(bounds) + 1`` counts.
    """
    check_share(q)
    if len(counts) != len(bounds) + 1:
        raise ValueError(f"{len(counts)} counts for {len(bounds)} bounds: one more count than bounds is needed")
    cumulative = list(accumulate(counts))
    if not cumulative[-1]:
        return nan
    rank = q * cumulative[-1]
    k = next(k for k, (n, up_to) in enumerate(zip(counts, cumulative, strict=True)) if n and up_to >= rank)
    lower = bounds[k - 1] if k else min(0.0, *bounds[:1])
    upper = bounds[k] if k < len(bounds) else max(maximum, lower) if maximum == maximum else lower
    lower, upper = max(lower, minimum), min(upper, maximum)  # a nan as second argument changes nothing
    share = (rank - (cumulative[k] - counts[k])) / counts[k]
    if lower > 0.0:
        return min(upper, float(lower * (upper / lower) ** share))
    return lower + (upper - lower) * share


def check_share(q: float) -> None:
    """Raise ``ValueError`` unless ``q`` is in 0..1."""
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"q={q!r}: a quantile is asked for as a share in 0..1")
