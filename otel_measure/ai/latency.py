"""How long calls of models took: percentiles by log-linear interpolation in merged histograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Final, NamedTuple

from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.stats.intervals import UNKNOWN, Interval


@dataclass(frozen=True, slots=True)
class TimeToFirstChunk:
    """How long calls that were streamed took to their first chunk; as for `Latency`."""

    p50_ms: float
    p95_ms: float
    sample_count: int
    relative_error: float


@dataclass(frozen=True, slots=True)
class Latency:
    """How long calls took.

    Attributes:
        relative_error: the worst error of the percentiles (1 % is 0.01).
        p95_ms_ci: 95 % interval of `p95_ms`, which an alert has to lie beyond as a whole.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    sample_count: int
    relative_error: float
    time_to_first_chunk: TimeToFirstChunk
    p95_ms_ci: Interval
    window: Window


class P95(NamedTuple):
    """The percentile that models are judged by, with its interval; as of `Latency`."""

    p95_ms: float
    p95_ms_ci: Interval
    sample_count: int


_P95: Final = 0.95
_PERCENTILES: Final = (0.5, _P95, 0.99, 0.999)
_OF_FIRST_CHUNK: Final = (0.5, 0.95)
_NOTHING: Final = ExponentialHistogram()


def latency(use: ModelUse, span: TimeSpan) -> Latency:
    """Percentiles with what is known of their error (DEFINITIONS: latency percentiles)."""
    if _is_binned(use):
        return _binned_latency(use, span)
    histogram = use.latency
    first_chunk = _first_chunk(use)
    if histogram is None or not histogram.count:
        return Latency(nan, nan, nan, nan, nan, nan, nan, 0, nan, first_chunk, UNKNOWN, span.window)
    p50, p95, p99, p999 = histogram.quantiles(_PERCENTILES)
    return Latency(
        p50,
        p95,
        p99,
        p999,
        histogram.mean,
        histogram.min,
        histogram.max,
        histogram.count,
        max(histogram.quantile_error(q) for q in _PERCENTILES),
        first_chunk,
        Binned.interval_of(histogram, _P95),
        span.window,
    )


def p95(use: ModelUse) -> P95:
    """Return what `latency` says of this percentile, in a third of the time."""
    if _is_binned(use):
        merged = all_bins(use)
        return P95(merged.quantile(_P95).value, merged.quantile_interval(_P95), merged.count)
    histogram = use.latency
    if histogram is None or not histogram.count:
        return P95(nan, UNKNOWN, 0)
    return P95(histogram.quantile(_P95), Binned.interval_of(histogram, _P95), histogram.count)


def percentiles(use: ModelUse, shares: Sequence[float]) -> list[float]:
    """Return percentiles as `latency` tells them, without their errors, in a tenth of the time; milliseconds."""
    if _is_binned(use):
        merged = all_bins(use)
        return [merged.quantile(q).value for q in shares]
    return (use.latency or _NOTHING).quantiles(shares)


def slower_than(use: ModelUse, bound_ms: float) -> tuple[int, int]:
    """Return how many calls took longer than a bound, and of how many a latency is known.

    Of the bin that the bound cuts, ours count as they lie between its edges, and those of others not at all.
    """
    if _is_binned(use):
        merged = all_bins(use)
        return merged.above(bound_ms), merged.count
    histogram = use.latency or _NOTHING
    return histogram.explicit((bound_ms,))[1], histogram.count


def together(use: ModelUse, other: ModelUse, share: float) -> float:
    """Return a percentile of the calls of two uses together; milliseconds."""
    if _is_binned(use) or _is_binned(other):
        merged = all_bins(use)
        merged.merge(all_bins(other))
        return merged.quantile(share).value
    return ((use.latency or _NOTHING) + (other.latency or _NOTHING)).quantile(share)


def mean(use: ModelUse) -> float:
    """Return the mean as `latency` tells it; milliseconds."""
    return all_bins(use).mean if _is_binned(use) else (use.latency or _NOTHING).mean


def _is_binned(use: ModelUse) -> bool:
    return use.binned is not None and use.binned.count > 0


def all_bins(use: ModelUse) -> Binned:
    """Return the bins of others' histograms and the buckets of ours together."""
    merged = Binned()
    if use.binned is not None:
        merged.merge(use.binned)
    if use.latency is not None:
        merged.take(use.latency)
    return merged


def _first_chunk(use: ModelUse) -> TimeToFirstChunk:
    histogram = use.first_chunk
    if histogram is None or not histogram.count:
        return TimeToFirstChunk(nan, nan, 0, nan)
    p50, p95 = histogram.quantiles(_OF_FIRST_CHUNK)
    return TimeToFirstChunk(p50, p95, histogram.count, max(histogram.quantile_error(q) for q in _OF_FIRST_CHUNK))


def _binned_latency(use: ModelUse, span: TimeSpan) -> Latency:
    """Percentiles over the bins of others' histograms and the buckets of ours together; the worst error is said."""
    merged = all_bins(use)
    estimates = [merged.quantile(q) for q in _PERCENTILES]
    p50, p95, p99, p999 = (estimate.value for estimate in estimates)
    return Latency(
        p50,
        p95,
        p99,
        p999,
        merged.mean,
        merged.min if isfinite(merged.min) else nan,
        merged.max if isfinite(merged.max) else nan,
        merged.count,
        max(estimate.relative_error for estimate in estimates),
        _first_chunk(use),
        merged.quantile_interval(_P95),
        span.window,
    )
