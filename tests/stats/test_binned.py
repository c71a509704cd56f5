from __future__ import annotations

from math import ceil, inf, isnan, log2

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otel_measure.stats.binned import Binned, Estimate, Exponential, explicit_bins
from otel_measure.stats.explicit import bucket_index
from otel_measure.stats.histograms import ExponentialHistogram

BOUNDS = (1.0, 2.0, 4.0, 8.0, 100.0)
latencies = st.lists(st.floats(0.2, 3_000_000), min_size=1, max_size=60)


def explicit(values: list[float]) -> list[int]:
    """Return how many values each explicit bucket has."""
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bucket_index(BOUNDS, value)] += 1
    return counts


def binned(values: list[float], *, extremes: bool = True) -> Binned:
    """Return what an explicit histogram of values leaves."""
    edges = (min(values), max(values)) if extremes and values else (None, None)
    found = Binned()
    found.extend(explicit_bins(BOUNDS, explicit(values), *edges), round(sum(values) * 1000), *edges)
    return found


def exponential(values: list[float], scale: int = 3) -> Exponential:
    """Return an exponential histogram of positive values."""
    indices: dict[int, int] = {}
    for value in values:
        index = ceil(log2(value) * 2**scale) - 1
        indices[index] = indices.get(index, 0) + 1
    first, last = min(indices), max(indices)
    return Exponential(scale, 0, first, tuple(indices.get(i, 0) for i in range(first, last + 1)))


@given(latencies, st.floats(0, 1), st.booleans())
def test_a_quantile_lies_between_its_bounds(values: list[float], q: float, extremes: bool) -> None:
    """And so does the value that it stands for: the error is what it says, whatever the values."""
    estimate = binned(values, extremes=extremes).quantile(q)
    nth = sorted(values)[max(1, -int(-q * len(values) // 1)) - 1]
    assert estimate.low <= estimate.value <= estimate.high
    assert estimate.low * (1 - 1e-12) <= nth <= estimate.high * (1 + 1e-12)
    if nth > 0:
        assert abs(estimate.value - nth) / nth <= estimate.relative_error + 1e-9


@given(st.lists(latencies, max_size=5), st.randoms(use_true_random=False))
def test_merging_is_adding(parts: list[list[float]], random: object) -> None:
    """In any order: the same as all values at once, also after a stay in the store."""
    merged = Binned()
    for part in sorted(parts, key=str):
        merged.merge(Binned.from_json(binned(part, extremes=False).to_json()))
    backwards = Binned()
    for part in sorted(parts, key=str, reverse=True):
        backwards.merge(binned(part, extremes=False))
    assert merged == backwards
    assert merged.count == sum(len(part) for part in parts)


@pytest.mark.parametrize("scale", [-10, 0, 20])
@pytest.mark.parametrize(("offset", "buckets"), [(2**31 - 1, [0, 0, 5]), (-(2**31), [5, 0, 0])])
def test_buckets_beyond_numbers(scale: int, offset: int, buckets: list[int]) -> None:
    """They count in the outer buckets, as the largest and the smallest numbers do."""
    found = Exponential(scale, 0, offset, (5,))
    assert found.explicit([1.0, 2.0]) == buckets
    ((low, high, n),) = found.bins()
    assert (0.0 < low <= high < inf, n) == (True, 5)


@given(latencies, latencies, st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_bins_of_different_makers_stand_side_by_side(ours: list[float], theirs: list[float], q: float) -> None:
    """Exponential buckets and explicit ones overlap; the quantile of both together lies within its bounds."""
    histogram = ExponentialHistogram()
    histogram.extend(ours)
    both = binned(theirs)
    both.take(histogram)
    nth = sorted(ours + theirs)[max(1, -int(-q * (len(ours) + len(theirs)) // 1)) - 1]
    estimate = both.quantile(q)
    assert estimate.low * (1 - 1e-9) <= nth <= estimate.high * (1 + 1e-9)
    assert both.count == len(ours) + len(theirs)


def test_the_quantile_of_one_kind_of_bins_is_log_linear() -> None:
    """As that of the histograms of ours: half of the values between 2 and 8 lie below 4."""
    found = Binned()
    found.extend([(2.0, 8.0, 100)], 0)
    estimate = found.quantile(0.5)
    assert pytest.approx(estimate.value) == 4.0
    assert (estimate.low, estimate.high) == (2.0, 8.0)
    assert estimate.relative_error == pytest.approx(1.0)


def test_what_nothing_is_known_of() -> None:
    """Nothing counted: not a number; a last bucket without an end: at most all of the value is missing."""
    empty = Binned()
    assert isnan(empty.mean)
    assert all(isnan(part) for part in empty.quantile(0.5))
    open_ended = Binned()
    open_ended.extend(explicit_bins((10.0,), (0, 3)), 0)
    assert open_ended.quantile(0.5) == Estimate(10.0, 10.0, 604_800_000.0)
    assert Estimate(1.0, 0.0, 2.0).relative_error == inf
    assert Estimate(0.0, 0.0, 0.0).relative_error == inf


@given(latencies, latencies, st.integers(-4, 8), st.integers(-4, 8))
def test_exponential_buckets_add_and_subtract(before: list[float], after: list[float], one: int, other: int) -> None:
    """What came since is what was added, at the coarser of the two scales."""
    then, more = exponential(before, one), exponential(after, other)
    both = then.plus(more)
    assert sum(both.counts) == len(before) + len(after)
    since = both.since(then)
    assert since is not None
    assert since == more.at(both.scale)


def test_what_is_no_earlier_state() -> None:
    """A histogram that has fewer of a value than before has begun anew."""
    assert Exponential(0, 0, 0, (1,)).since(Exponential(0, 0, 0, (2,))) is None
    assert Exponential(0, 0, 0, (5,)).since(Exponential(0, 1, 0, ())) is None
    assert Exponential(0, 2, 0, ()).since(Exponential(0, 2, 0, ())) == Exponential(0, 0, 0, ())


@given(latencies)
def test_exponential_buckets_as_explicit_ones_and_as_bins(values: list[float]) -> None:
    """All are counted; what is split is split within its bucket."""
    assume(max(values) / min(values) < 1e5)
    found = exponential(values, 8)
    assert sum(found.explicit(BOUNDS)) == len(values)
    bins = list(found.bins(1000.0))
    assert sum(n for _, _, n in bins) == len(values)
    assert all(low < high <= low * 2 ** (2**-5) * (1 + 1e-9) for low, high, _ in bins)


def test_zeros_have_a_bin_of_their_own() -> None:
    """At zero, which counts as the smallest latency there is."""
    assert list(Exponential(0, 2, 0, (1,)).bins()) == [(0.0, 0.0, 2), (1.0, 2.0, 1)]
    found = Binned()
    found.extend(Exponential(0, 2, 0, ()).bins(), 0)
    assert found.quantile(0.5).value == 0.001


def test_the_mean_of_values_without_a_sum_is_not_known() -> None:
    """Of all of them, whatever the others say; taken off again, it is known again, and it is kept."""
    summed, without, both = Binned(), Binned(), Binned()
    summed.extend([(1.0, 2.0, 2)], 3000)
    without.extend([(1.0, 2.0, 2)], None)
    both.merge(summed)
    both.merge(without)
    assert (summed.mean, isnan(without.mean), isnan(both.mean), both.count) == (1.5, True, True, 4)
    assert Binned.from_json(both.to_json()) == both
    both.merge(without.negated())
    assert both == summed


def test_what_is_certainly_above_a_bound() -> None:
    """A bin that the bound cuts has nothing above it for certain; what was taken off again is not below 0."""
    binned = Binned()
    binned.extend([(1.0, 2.0, 3), (2.0, 4.0, 5), (4.0, 8.0, 7)], None)
    assert [binned.above(bound) for bound in (0.5, 1.0, 2.0, 3.0, 4.0, 5.0)] == [15, 15, 12, 7, 7, 0]
    assert binned.negated().above(1.0) == 0


@given(st.lists(st.sampled_from([0.0, 1e-9, 0.001, 1e12]) | st.floats(0, 1e13), max_size=60), st.floats(0, 1))
def test_the_interval_of_one_histogram_is_that_of_its_bins(values: list[float], q: float) -> None:
    """Also where values lie beyond what buckets tell apart, and where there are none."""
    histogram, bins = ExponentialHistogram(), Binned()
    histogram.extend(values)
    bins.take(histogram)
    assert repr(Binned.interval_of(histogram, q)) == repr(bins.quantile_interval(q))  # where `nan` is `nan`
