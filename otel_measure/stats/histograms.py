"""Histograms whose state depends on the values alone: never on their order, their batches or the shape of the merge.

A base-2 exponential histogram (OpenTelemetry data model, "ExponentialHistogram") at scale ``s`` has the buckets
``(base**i, base**(i+1)]`` with ``base = 2**(2**-s)``. Every value gets its index once, at scale 20; an index at a
coarser scale is that index shifted right, so however a histogram came to its scale, each value sits in the same bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import ceil, inf, isnan, log2, nan
from typing import Final, Self

from otel_measure.stats import histogram_bytes
from otel_measure.stats.explicit import check_share

LATENCY_LOW_MS: Final = 0.001  # 1 µs
LATENCY_HIGH_MS: Final = 604_800_000.0  # 7 days
MAX_SCALE: Final = 20
MIN_SCALE: Final = -10
MAX_SIZE: Final = 320

_NOWHERE: Final = 1 << 62  # no index lies there
_FINEST: Final = float(1 << MAX_SCALE)
_LARGEST: Final = 1e300  # leaves room for the sum in units


class ExponentialHistogram:
    """Counts of non-negative values in at most ``max_size`` buckets, at the finest scale that holds them all.

    Values are clamped to ``[low, high]`` for bucketing only; minimum and maximum are exact. The sum is an integer
    number of units, so addition is exact in any order. Equal sets of values give equal ``to_bytes()``, whatever the
    order, the batches and the tree of merges; an empty histogram is the identity of ``+``.

    Attributes:
        count: number of values.
        sum_units: sum of ``round(value * units_per_value)``.
    """

    __hash__ = None  # type: ignore[assignment]  # it is mutable
    __slots__ = ("_counts", "_first", "_last", "_layout", "_max", "_min", "_shift", "count", "sum_units")

    def __init__(
        self,
        low: float = LATENCY_LOW_MS,
        high: float = LATENCY_HIGH_MS,
        units_per_value: int = 1000,
        max_size: int = MAX_SIZE,
    ) -> None:
        """Make an empty histogram; the defaults are for latencies in ms, summed in whole µs.

        Args:
            low: smallest value told apart by bucket, > 0.
            high: largest value told apart by bucket, > ``low``.
            units_per_value: resolution of the sum, units per 1.0 of value.
            max_size: most buckets from the lowest to the highest occupied one, >= 2.

        Raises:
            ValueError: an argument breaks its rule.
        """
        if not 0.0 < low < high < inf:
            raise ValueError(f"low={low!r}, high={high!r}: must be finite with 0 < low < high")
        if units_per_value < 1 or max_size < 2:
            raise ValueError(f"units_per_value={units_per_value!r} must be >= 1 and max_size={max_size!r} >= 2")
        self._layout = (low, high, units_per_value, max_size)
        self.count = 0
        self.sum_units = 0
        self._counts: dict[int, int] = {}
        self._shift = 0  # MAX_SCALE - scale
        self._first, self._last = _NOWHERE, -_NOWHERE
        self._min = inf
        self._max = -inf

    @classmethod
    def from_otel(
        cls,
        scale: int,
        offset: int,
        counts: Sequence[int],
        zero_count: int = 0,
        total: float | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
        *,
        low: float = LATENCY_LOW_MS,
        high: float = LATENCY_HIGH_MS,
        units_per_value: int = 1000,
        max_size: int = MAX_SIZE,
    ) -> Self:
        """Take over the positive buckets of an OTLP exponential data point (or of the difference of two).

        ``counts[k]`` are values in ``(base**(offset+k), base**(offset+k+1)]``; zeros go to the bucket of ``low``. What
        the point leaves out is read off its occupied buckets: the outer edges for ``minimum`` and ``maximum``, the
        geometric middles for ``total``; each is within ``relative_error``. A point without values is empty.

        Raises:
            ValueError: the scale is outside -10..20 (what SDKs emit), a count is negative, or total, minimum or
                maximum is outside 0..1e300.
        """
        histogram = cls(low, high, units_per_value, max_size)
        if not MIN_SCALE <= scale <= MAX_SCALE:
            raise ValueError(f"scale={scale!r}: must be in {MIN_SCALE}..{MAX_SCALE}")
        if zero_count < 0 or any(n < 0 for n in counts):
            raise ValueError(f"counts={list(counts)!r}, zero_count={zero_count!r}: must be >= 0")
        for name, number in (("total", total), ("minimum", minimum), ("maximum", maximum)):
            if number is not None and not 0.0 <= number <= _LARGEST:
                raise ValueError(f"{name}={number!r}: must be in 0..{_LARGEST}, as durations and costs are")
        shift = MAX_SCALE - scale
        buckets = {offset + k: n for k, n in enumerate(counts) if n}
        lowest, highest = finest_index(low) >> shift, finest_index(high) >> shift
        histogram._shift = shift
        for index, n in ((lowest, zero_count), *buckets.items()):
            if n:
                histogram._open(min(max(index, lowest), highest) >> histogram._shift - shift, n)
        histogram.count = zero_count + sum(buckets.values())
        if histogram.count:
            edges = [0.0] * (zero_count > 0) + [_edge(index + k, shift) for index in buckets for k in (0, 1)]
            histogram._min = (min(edges) if minimum is None else minimum) + 0.0
            histogram._max = (max(edges) if maximum is None else maximum) + 0.0
            if total is None:
                total = sum(n * _edge(index + 0.5, shift) for index, n in buckets.items())
            histogram.sum_units = round(total * units_per_value)
        else:
            histogram._shift = 0
        return histogram

    def add(self, value: float, n: int = 1) -> None:
        """Count ``value`` ``n`` times (n >= 1).

        Raises:
            ValueError: ``value`` is negative, NaN or above 1e300, or ``n`` is below 1.
        """
        if not 0.0 <= value <= _LARGEST or n < 1:
            raise ValueError(f"value={value!r}, n={n!r}: a histogram takes numbers in 0..{_LARGEST}, each n >= 1 times")
        low, high, units_per_value, _ = self._layout
        clamped = low if value < low else high if value > high else value
        index = ceil(log2(clamped) * _FINEST) - 1 >> self._shift
        counts = self._counts
        if index in counts:
            counts[index] += n
        else:
            self._open(index, n)
        self.count += n
        self.sum_units += n * round(value * units_per_value)
        if value < self._min:
            self._min = value + 0.0  # makes -0.0 and ints plain floats, so that equal sets have equal bytes
        if value > self._max:
            self._max = value + 0.0

    def extend(self, values: Iterable[float]) -> None:
        """Count each of ``values`` once; about twice as fast as as many calls of ``add``.

        Raises:
            ValueError: a value is negative, NaN or above 1e300; nothing is counted then.
        """
        batch = values if isinstance(values, list) else list(values)
        if not batch:
            return
        smallest, largest = min(batch), max(batch)
        if not (smallest >= 0.0 and largest <= _LARGEST) or isnan(sum(batch)):  # min and max may overlook a NaN
            value = next(value for value in batch if not 0.0 <= value <= _LARGEST)
            raise ValueError(f"value={value!r}: a histogram takes numbers in 0..{_LARGEST}")
        low, high, units_per_value, _ = self._layout
        finest = [ceil(log2(low if v < low else high if v > high else v) * _FINEST) - 1 for v in batch]
        self._cover(min(finest) >> self._shift, max(finest) >> self._shift)
        shift, counts = self._shift, self._counts
        for index, n in Counter([index >> shift for index in finest]).items():
            counts[index] = counts.get(index, 0) + n
        self.count += len(batch)
        self.sum_units += sum([round(value * units_per_value) for value in batch])
        self._min = min(self._min, smallest + 0.0)
        self._max = max(self._max, largest + 0.0)

    def merge(self, other: ExponentialHistogram) -> None:
        """Add what ``other`` has counted to this histogram; the coarser scale wins, an empty one changes nothing.

        Raises:
            ValueError: the two differ in ``low``, ``high``, ``units_per_value`` or ``max_size``.
        """
        if self._layout != other._layout:
            raise ValueError(f"cannot merge layouts {self._layout} and {other._layout}: build both alike")
        if not other.count:
            return
        self._take(other._counts, other._shift)
        self.sum_units += other.sum_units
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)

    def __add__(self, other: ExponentialHistogram) -> ExponentialHistogram:
        """The histogram of both sets of values: commutative and associative."""
        both = ExponentialHistogram(*self._layout)
        both.merge(self)
        both.merge(other)
        return both

    def __eq__(self, other: object) -> bool:
        """Equal layout and equal bytes."""
        if not isinstance(other, ExponentialHistogram):
            return NotImplemented
        return self._layout == other._layout and self.to_bytes() == other.to_bytes()

    def __repr__(self) -> str:
        """Shows what one wants to know at a prompt."""
        return f"ExponentialHistogram(count={self.count}, scale={self.scale}, min={self.min!r}, max={self.max!r})"

    @property
    def scale(self) -> int:
        """Scale of the buckets now; ``MAX_SCALE`` when empty (and then without meaning)."""
        return MAX_SCALE - self._shift

    @property
    def min(self) -> float:
        """Smallest value, exact (not clamped); nan when empty."""
        return self._min if self.count else nan

    @property
    def max(self) -> float:
        """Largest value, exact (not clamped); nan when empty."""
        return self._max if self.count else nan

    @property
    def mean(self) -> float:
        """Sum over count; nan when empty."""
        return self.sum_units / self._layout[2] / self.count if self.count else nan

    @property
    def relative_error(self) -> float:
        """Worst relative error of a value read from one bucket: ``base - 1 = 2**(2**-scale) - 1``; nan when empty.

        A bucket ``(l, l * base]`` holds the value of rank ``ceil(q * count)`` that ``quantile`` stands for, and the
        answer lies in the same bucket, so ``|answer - value| / value <= base - 1``. This holds for values within
        ``[low, high]``; ``quantile_error`` holds for all.
        """
        return _edge(1, self._shift) - 1.0 if self.count else nan

    def quantile_error(self, q: float) -> float:
        """The most that ``quantile(q)`` may be off, as a share of the true value; inf where that may be 0.

        It is ``relative_error``, but for an outer bucket that holds values beyond ``[low, high]``: these are only known
        to lie between its inner edge and ``min`` or ``max``.
        """
        if not self.count or (self._min >= self._layout[0] and self._max <= self._layout[1]):
            return self.relative_error
        indices = sorted(self._counts)
        answer, index = self._locate(q, indices, list(accumulate(map(self._counts.__getitem__, indices))))
        below, above = index == self._first and self._min < self._layout[0], self._max > self._layout[1]
        if not below and not (above and index == self._last):
            return self.relative_error
        least = self._min if below else _edge(index, self._shift)
        most = self._max if above and index == self._last else min(_edge(index + 1, self._shift), self._max)
        return max(0.0, answer / least - 1.0 if least else inf, 1.0 - answer / most) if answer else 0.0

    def quantile(self, q: float) -> float:
        """The value of rank ``q * count``, log-linear inside its bucket and clamped to ``[min, max]``.

        Raises:
            ValueError: ``q`` is outside 0..1.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """The ``quantile`` of each share, for which the buckets are sorted once.

        Raises:
            ValueError: a share is outside 0..1.
        """
        for q in shares:
            check_share(q)
        if not self.count:
            return [nan] * len(shares)
        indices = sorted(self._counts)
        cumulative = list(accumulate(map(self._counts.__getitem__, indices)))
        return [self._locate(q, indices, cumulative)[0] for q in shares]

    def _locate(self, q: float, indices: list[int], cumulative: list[int]) -> tuple[float, int]:
        """Return a quantile of the values, which are there, and the index of its bucket."""
        rank = q * self.count
        k = bisect_left(cumulative, rank)
        index, n = indices[k], self._counts[indices[k]]
        value = _edge(index + (rank - cumulative[k] + n) / n, self._shift)
        return max(self._min, min(self._max, value)), index

    def bins(self) -> list[tuple[float, float, int]]:
        """Every occupied bucket as (lower, upper edge, count), ascending; the outer ones end at ``min`` and ``max``."""
        edges = [
            (_edge(index, self._shift), _edge(index + 1, self._shift), self._counts[index])
            for index in sorted(self._counts)
        ]
        return [(max(low, min(self._min, high)), min(high, max(self._max, low)), n) for low, high, n in edges]

    def explicit(self, bounds: Sequence[float]) -> list[int]:
        """Counts for the explicit buckets ``<= bounds[0]``, …, ``> bounds[-1]``: ``len(bounds) + 1`` integers.

        A bucket that a bound cuts is split log-linearly and rounded down, so cumulative counts never fall along the
        bounds and all counts add to ``count``. Where raw values are at hand count them with ``bucket_index`` instead.

        Raises:
            ValueError: ``bounds`` are not strictly increasing.
        """
        if any(a >= b for a, b in pairwise(bounds)):
            raise ValueError(f"bounds={list(bounds)!r}: must be strictly increasing")
        indices = sorted(self._counts)
        cumulative = [0, *accumulate(self._counts[index] for index in indices)]
        at_or_below = [self._at_or_below(bound, indices, cumulative) for bound in bounds]
        return [after - before for before, after in zip([0, *at_or_below], [*at_or_below, self.count], strict=True)]

    def _at_or_below(self, bound: float, indices: list[int], cumulative: list[int]) -> int:
        if bound >= self._max:
            return self.count
        if bound < self._min or bound <= 0.0:
            return 0
        position = log2(bound) * 2.0**self.scale
        index = ceil(position) - 1
        k = bisect_left(indices, index)
        inside = self._counts.get(index, 0)
        return cumulative[k] + int(inside * (position - index))

    def to_bytes(self) -> bytes:
        """The histogram as bytes that depend on its values only, typically 50 to 300; the layout is not in them."""
        return histogram_bytes.write(self.scale, self.sum_units, self._min, self._max, self._counts)

    @classmethod
    def from_bytes(
        cls,
        *blobs: bytes,
        low: float = LATENCY_LOW_MS,
        high: float = LATENCY_HIGH_MS,
        units_per_value: int = 1000,
        max_size: int = MAX_SIZE,
    ) -> Self:
        """Read what ``to_bytes`` of histograms with the same layout wrote: of several, all of their values together.

        Raises:
            ValueError: the bytes are cut off or of another format.
        """
        histogram = cls(low, high, units_per_value, max_size)
        by_scale, histogram.sum_units, histogram._min, histogram._max = histogram_bytes.read(*blobs)
        for scale, counts in by_scale.items():
            histogram._take(counts, MAX_SCALE - scale)
        return histogram

    def _take(self, counts: Mapping[int, int], shift: int) -> None:
        """Add the counts of buckets, of which there are some; the coarser scale wins."""
        if self.count:
            self._coarsen(max(0, shift - self._shift))
        else:
            self._shift = shift
        first, last = min(counts), max(counts)
        by = self._shift - shift
        self._cover(first >> by, last >> by)
        by, own = self._shift - shift, self._counts
        for index, n in counts.items():
            own[index >> by] = own.get(index >> by, 0) + n
        self.count += sum(counts.values())

    def _open(self, index: int, n: int) -> None:
        """Count ``n`` values in a bucket that may lie outside the range covered so far."""
        shift = self._shift
        self._cover(index, index)
        index >>= self._shift - shift
        self._counts[index] = self._counts.get(index, 0) + n

    def _cover(self, first: int, last: int) -> None:
        """Widen the occupied range, halving the resolution until it fits: only the extreme values decide how often."""
        first, last = min(first, self._first), max(last, self._last)
        by, max_size = 0, self._layout[3]
        while (last >> by) - (first >> by) >= max_size:
            by += 1
        self._first, self._last = first, last
        self._coarsen(by)

    def _coarsen(self, by: int) -> None:
        if not by:
            return
        coarse: dict[int, int] = {}
        for index, n in self._counts.items():
            coarse[index >> by] = coarse.get(index >> by, 0) + n
        self._counts = coarse
        self._shift += by
        self._first >>= by
        self._last >>= by


def finest_index(value: float) -> int:
    """Return the bucket of a value above 0 at `MAX_SCALE`."""
    return ceil(log2(value) * _FINEST) - 1


def latency_index(latency_ms: float) -> int:
    """Return the bucket of a latency at `MAX_SCALE`; those outside the bounds of histograms are in the outer ones."""
    return finest_index(min(max(latency_ms, LATENCY_LOW_MS), LATENCY_HIGH_MS))


def _edge(index: float, shift: int) -> float:
    """Lower edge of bucket ``index`` (which may be a fraction) at scale ``MAX_SCALE - shift``, saturating."""
    return float(2.0 ** min(index * 2.0 ** (shift - MAX_SCALE), 1023.0))
