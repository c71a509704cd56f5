"""Counts in bins of any edges: what the histograms of others leave behind, and the quantiles that can be read off them.

A bin ``(low, high]`` says how many values lie in it and no more. Histograms of different makers have different bins, so
nothing is moved between them: equal bins add, others stand side by side, and a quantile comes with the two values
between which it must lie.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import ceil, exp, inf, log, nan
from typing import Final, NamedTuple, Self

import msgspec

from otel_measure.stats.explicit import check_share
from otel_measure.stats.histograms import LATENCY_HIGH_MS, LATENCY_LOW_MS, ExponentialHistogram
from otel_measure.stats.intervals import UNKNOWN, Interval, quantile_ranks

Bin = tuple[float, float, int]
FINEST_SCALE: Final = 5  # bins of 2.2 %: finer ones of others are joined, so that a cell stays small
_LOWEST: Final = 1e-9
_HIGHEST: Final = 1e12


class Exponential(NamedTuple):
    """The buckets of an OTLP exponential histogram; values of 0 and below stand in `zero_count`."""

    scale: int
    zero_count: int
    offset: int
    counts: tuple[int, ...]

    def at(self, scale: int) -> Exponential:
        """Return the same counts at a coarser scale."""
        by = self.scale - scale
        if by <= 0 or not self.counts:
            return self._replace(scale=min(scale, self.scale))
        first = self.offset >> by
        counts = [0] * ((self.offset + len(self.counts) - 1 >> by) - first + 1)
        for k, n in enumerate(self.counts):
            counts[(self.offset + k >> by) - first] += n
        return Exponential(scale, self.zero_count, first, tuple(counts))

    def since(self, earlier: Exponential) -> Exponential | None:
        """Return what came after an earlier state of the same histogram; `None` when it is no earlier state."""
        scale = min(self.scale, earlier.scale)
        now, then = self.at(scale), earlier.at(scale)
        counts = {now.offset + k: n for k, n in enumerate(now.counts)}
        for k, n in enumerate(then.counts):
            counts[then.offset + k] = counts.get(then.offset + k, 0) - n
        zero_count = now.zero_count - then.zero_count
        if zero_count < 0 or any(n < 0 for n in counts.values()):
            return None
        return _from_counts(scale, zero_count, counts)

    def plus(self, other: Exponential) -> Exponential:
        """Return the counts of both."""
        scale = min(self.scale, other.scale)
        counts: dict[int, int] = {}
        for part in (self.at(scale), other.at(scale)):
            for k, n in enumerate(part.counts):
                counts[part.offset + k] = counts.get(part.offset + k, 0) + n
        return _from_counts(scale, self.zero_count + other.zero_count, counts)

    def explicit(self, bounds: Sequence[float]) -> list[int]:
        """Return the counts of explicit buckets; a bucket that a bound cuts is split log-linearly."""
        # The sum is not asked for: guessed from buckets that reach as far as numbers do it would be beyond them.
        histogram = ExponentialHistogram.from_otel(
            self.scale, self.offset, self.counts, self.zero_count, 0.0, low=_LOWEST, high=_HIGHEST, max_size=1 << 20
        )
        return histogram.explicit(bounds)

    def bins(self, unit: float = 1.0) -> Iterator[Bin]:
        """Yield every occupied bucket as a bin, its edges times `unit`."""
        if self.zero_count:
            yield 0.0, 0.0, self.zero_count
        coarse = self.at(FINEST_SCALE) if self.scale > FINEST_SCALE else self
        for k, n in enumerate(coarse.counts):
            if n:
                yield (
                    _edge(coarse.offset + k, coarse.scale) * unit,
                    _edge(coarse.offset + k + 1, coarse.scale) * unit,
                    n,
                )


def _from_counts(scale: int, zero_count: int, counts: dict[int, int]) -> Exponential:
    occupied = [index for index, n in counts.items() if n]
    if not occupied:
        return Exponential(scale, zero_count, 0, ())
    first, last = min(occupied), max(occupied)
    return Exponential(scale, zero_count, first, tuple(counts.get(i, 0) for i in range(first, last + 1)))


def _edge(index: int, scale: int) -> float:
    return float(2.0 ** max(-1022.0, min(index * 2.0**-scale, 1023.0)))


def explicit_bins(
    bounds: Sequence[float],
    counts: Sequence[int],
    minimum: float | None = None,
    maximum: float | None = None,
    unit: float = 1.0,
) -> Iterator[Bin]:
    """Yield the occupied explicit buckets as bins; the outer ones end at `minimum` and `maximum` where known."""
    lowest = 0.0 if minimum is None else minimum
    highest = inf if maximum is None else maximum
    for low, high, n in zip((-inf, *bounds), (*bounds, inf), counts, strict=True):
        if n:
            low, high = max(low, lowest), min(high, highest)
            yield min(low, high) * unit, max(low, high) * unit, n


class Estimate(NamedTuple):
    """A quantile, and the two values between which it lies for certain."""

    value: float
    low: float
    high: float

    @property
    def relative_error(self) -> float:
        """The most that `value` may be off, as a share of the true one."""
        over = self.value / self.low - 1.0 if self.low > 0.0 else inf
        return max(over, 1.0 - self.value / self.high if self.high > 0.0 else 0.0)


class Binned:
    """Latencies in milliseconds, counted in bins; sums in whole µs, so that addition is exact in any order.

    Edges are clamped to 1 µs … 7 days, as those of `ExponentialHistogram` are; minimum and maximum are not.

    Attributes:
        sum_us: of all values whose sum is known.
        without_sum: how many values there are of which no sum is known: the mean is unknown then.
        min, max: as far as known; `inf` and `-inf` when not.
    """

    __slots__ = ("_bins", "max", "min", "sum_us", "without_sum")

    def __init__(self) -> None:
        self._bins: dict[tuple[float, float], int] = {}
        self.sum_us = 0
        self.without_sum = 0
        self.min = inf
        self.max = -inf

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self._bins.values())

    @property
    def mean(self) -> float:
        """Sum over count; nan when empty, or where a part of the sum is unknown."""
        return self.sum_us / 1000 / self.count if self.count and not self.without_sum else nan

    def extend(
        self, bins: Iterable[Bin], sum_us: int | None, minimum: float | None = None, maximum: float | None = None
    ) -> None:
        """Add bins, the sum of what is in them, and the extremes where these are known (ms).

        Negative counts and a negative sum take off again what was added; extremes stay.
        """
        for low, high, n in bins:
            key = (_clamped(low), _clamped(high))
            self._bins[key] = self._bins.get(key, 0) + n
            if not self._bins[key]:
                del self._bins[key]
            self.without_sum += n if sum_us is None else 0
        self.sum_us += sum_us or 0
        self.min = self.min if minimum is None else min(self.min, minimum)
        self.max = self.max if maximum is None else max(self.max, maximum)

    def merge(self, other: Binned) -> None:
        """Add what another has counted."""
        self.extend(((low, high, n) for (low, high), n in other._bins.items()), other.sum_us, other.min, other.max)
        self.without_sum += other.without_sum

    def negated(self) -> Binned:
        """Return what takes these counts off again when it is added; it knows no extremes."""
        opposite = Binned()
        opposite._bins = {key: -n for key, n in self._bins.items()}
        opposite.sum_us = -self.sum_us
        opposite.without_sum = -self.without_sum
        return opposite

    def above(self, bound: float) -> int:
        """Return how many values are certainly above a bound: those of a bin that it cuts are not among them."""
        return max(sum(n for (low, _), n in self._bins.items() if low >= bound), 0)

    def take(self, histogram: ExponentialHistogram) -> None:
        """Add what an exponential histogram of milliseconds has counted."""
        if histogram.count:
            self.extend(histogram.bins(), histogram.sum_units, histogram.min, histogram.max)

    def quantile(self, q: float) -> Estimate:
        """Return the value of rank ``q * count``, taken as log-uniform inside each bin, between its certain bounds.

        Raises:
            ValueError: ``q`` is outside 0..1.
        """
        check_share(q)
        if not self._bins:
            return Estimate(nan, nan, nan)
        low, high = self._bounds(max(1, ceil(q * self.count)))
        return Estimate(min(max(self._log_uniform(q * self.count), low), high), low, high)

    def _bounds(self, nth: int) -> Interval:
        """Return between which values the ``nth`` certainly lies, of the values that are there."""
        low = _nth(((edge, n) for (edge, _), n in self._bins.items()), nth)
        high = _nth(((edge, n) for (_, edge), n in self._bins.items()), nth)
        return _within(low, high, self.min, self.max)

    def quantile_interval(self, q: float) -> Interval:
        """Return between which values the quantile of all that could come lies in 95 of 100 cases: order statistics.

        They are those of `quantile_ranks`, with the whole of the bins that they lie in; where so few values do not
        tell, the end is the smallest or the largest of them, which is missed more often.
        """
        if not self._bins:
            return UNKNOWN
        low, high = quantile_ranks(self.count, q)
        return self._bounds(max(low, 1))[0], self._bounds(min(high, self.count))[1]

    @staticmethod
    def interval_of(histogram: ExponentialHistogram, q: float) -> Interval:
        """Return what `quantile_interval` says of the bins of a histogram alone, in half the time."""
        bins = histogram.bins()
        if not bins:
            return UNKNOWN
        seen = list(accumulate(n for *_, n in bins))
        low, high = quantile_ranks(histogram.count, q)
        least, most = (bins[bisect_left(seen, nth)] for nth in (max(low, 1), min(high, histogram.count)))
        extremes = histogram.min, histogram.max
        return _within(*least[:2], *extremes)[0], _within(*most[:2], *extremes)[1]

    def _log_uniform(self, rank: float) -> float:
        """Return where the density of all bins together, flat in the logarithm, has this much to its left."""
        density: dict[float, float] = {}
        points: dict[float, int] = {}
        for (low, high), n in self._bins.items():
            if low == high or high == LATENCY_HIGH_MS:  # of a bin without an end the lower edge, as Prometheus does
                points[low] = points.get(low, 0) + n
                continue
            per_log = n / (log(high) - log(low))
            density[low] = density.get(low, 0.0) + per_log
            density[high] = density.get(high, 0.0) - per_log
        below, slope, before = 0.0, 0.0, nan
        for edge in sorted({*density, *points}):
            if slope > 0.0:
                here = slope * (log(edge) - log(before))
                if below + here >= rank:
                    return exp(log(before) + (rank - below) / slope)
                below += here
            below += points.get(edge, 0)
            if below >= rank:
                return edge
            slope, before = max(slope + density.get(edge, 0.0), 0.0), edge
        return before

    def to_json(self) -> bytes:
        """Return the state as JSON, equal for equal states."""
        bins = sorted((low, high, n) for (low, high), n in self._bins.items())
        extremes = [None if abs(edge) == inf else edge for edge in (self.min, self.max)]
        return msgspec.json.encode([self.sum_us, *extremes, bins, *([self.without_sum] if self.without_sum else ())])

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read what `to_json` wrote."""
        sum_us, minimum, maximum, bins, *rest = msgspec.json.decode(text)
        binned = cls()
        binned.extend(((low, high, n) for low, high, n in bins), sum_us, minimum, maximum)
        binned.without_sum = rest[0] if rest else 0
        return binned

    def __eq__(self, other: object) -> bool:
        """Equal bins, sums and extremes."""
        return isinstance(other, Binned) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # it is mutable


def _within(low: float, high: float, minimum: float, maximum: float) -> Interval:
    """Return the edges of a bin, no farther out than the extremes of all values, where these are known."""
    low, high = _clamped(low), _clamped(high)
    low = max(low, min(minimum, high)) if minimum < inf else low
    return low, min(high, max(maximum, low)) if maximum > -inf else high


def _clamped(edge: float) -> float:
    return min(max(edge, LATENCY_LOW_MS), LATENCY_HIGH_MS)


def _nth(edges: Iterable[tuple[float, int]], nth: int) -> float:
    seen = 0
    for edge, n in sorted(edges):
        seen += n
        if seen >= nth:
            return edge
    return nan
