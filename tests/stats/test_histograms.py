from __future__ import annotations

import math
import random
from functools import reduce
from itertools import pairwise
from operator import add
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ExponentialHistogram as ExponentialHistogramData
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_measure.stats.explicit import bucket_index, explicit_quantile
from otel_measure.stats.histograms import LATENCY_HIGH_MS, LATENCY_LOW_MS, ExponentialHistogram
from tests.vectors import load

LATENCIES = st.lists(
    st.one_of(
        st.floats(0.0, 1e7),
        st.floats(math.log(1e-4), math.log(1e10)).map(math.exp),
        st.integers(-3, 22).map(lambda k: 2.0**k),
        st.integers(0, 5000),
        st.sampled_from([0.0, -0.0, 0.001, 1e-300, 1e300, 604_800_000.0]),
    ),
    max_size=60,
)


def histogram_of(values: list[float], **layout: int) -> ExponentialHistogram:
    """A histogram of ``values``."""
    histogram = ExponentialHistogram(**layout)
    histogram.extend(values)
    return histogram


def lognormal(n: int) -> list[float]:
    """The quantiles of a lognormal distribution, median 50."""
    return [math.exp(math.log(50) + NormalDist().inv_cdf((i + 0.5) / n)) for i in range(n)]


@given(
    values=LATENCIES,
    cuts=st.lists(st.integers(0, 60), max_size=5),
    seed=st.randoms(),
    size=st.sampled_from([2, 7, 320]),
)
def test_bytes_depend_on_the_values_alone(values: list[float], cuts: list[int], seed: random.Random, size: int) -> None:
    """Any order, any batching and any tree of merges of the same values gives the same bytes."""
    whole = histogram_of(values, max_size=size)
    shuffled = seed.sample(values, len(values))
    one_by_one = ExponentialHistogram(max_size=size)
    for value in shuffled:
        one_by_one.add(value)
    edges = sorted({0, len(values), *(min(cut, len(values)) for cut in cuts)})
    parts = [histogram_of(shuffled[a:b], max_size=size) for a, b in pairwise(edges)]
    parts += [ExponentialHistogram(max_size=size)] * 2
    seed.shuffle(parts)
    while len(parts) > 1:
        left, right = parts.pop(seed.randrange(len(parts))), parts.pop(seed.randrange(len(parts)))
        parts.append(left + right)
    assert one_by_one.to_bytes() == whole.to_bytes()
    assert parts[0].to_bytes() == whole.to_bytes()
    assert parts[0] == whole


@given(values=LATENCIES, size=st.sampled_from([2, 7, 320]))
def test_bytes_round_trip(values: list[float], size: int) -> None:
    """A histogram read from its bytes is the histogram: the same answers and, after more values, the same bytes."""
    histogram = histogram_of(values, max_size=size)
    copy = ExponentialHistogram.from_bytes(histogram.to_bytes(), max_size=size)
    assert copy == histogram
    assert (copy.count, copy.sum_units, copy.scale) == (histogram.count, histogram.sum_units, histogram.scale)
    for each in (copy, histogram):
        each.extend([0.5, 70.0])
    assert copy == histogram


@given(values=LATENCIES, size=st.sampled_from([2, 7, 320]))
def test_scale_is_the_finest_that_fits(values: list[float], size: int) -> None:
    """The scale is the largest one up to 20 at which the occupied range has at most ``max_size`` buckets."""
    histogram = histogram_of(values, max_size=size)
    if not values:
        assert histogram.scale == 20
        return
    low, high = (min(max(v, LATENCY_LOW_MS), LATENCY_HIGH_MS) for v in (min(values), max(values)))

    def width(scale: int) -> int:
        first, last = (math.ceil(math.log2(v) * 2**20) - 1 >> 20 - scale for v in (low, high))
        return last - first + 1

    assert width(histogram.scale) <= size
    assert histogram.scale == 20 or width(histogram.scale + 1) > size


@given(values=st.lists(st.floats(LATENCY_LOW_MS, LATENCY_HIGH_MS), min_size=1, max_size=60), q=st.floats(0, 1))
def test_quantile_keeps_the_stated_error(values: list[float], q: float) -> None:
    """A quantile is within ``relative_error`` of the value of rank ``ceil(q * count)``, and within min and max."""
    histogram = histogram_of(values)
    exact = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    assert abs(histogram.quantile(q) / exact - 1) <= histogram.relative_error * (1 + 1e-6)
    assert min(values) <= histogram.quantile(q) <= max(values)


@given(values=LATENCIES, q=st.one_of(st.floats(0, 1), st.sampled_from([0.5, 0.95, 0.99])))
def test_the_error_of_a_quantile_is_true_for_any_values(values: list[float], q: float) -> None:
    """Also beyond the bucketed range; where the true value is 0 and the answer is not, the error is infinite."""
    histogram = histogram_of(values)
    if not values:
        assert math.isnan(histogram.quantile_error(q))
        return
    exact, answer = sorted(values)[max(0, math.ceil(q * len(values)) - 1)], histogram.quantile(q)
    off = abs(answer - exact) / exact if exact else math.inf if answer else 0.0
    assert off <= histogram.quantile_error(q) * (1 + 1e-6) + 1e-12


@pytest.mark.parametrize("shift", range(-3, 9))
def test_percentiles_are_right_from_a_microsecond_to_seven_days(shift: int) -> None:
    """1,000 lognormal calls around 10**shift ms have their percentiles within 2.2 %, and that is the stated error."""
    values = [value / 50 * 2 * 10.0**shift for value in lognormal(1000) if value / 50 * 2 >= 1 or shift > -3]
    values = [min(value, LATENCY_HIGH_MS) for value in values]
    histogram = histogram_of(values)
    for q in (0.5, 0.95, 0.99, 0.999):
        exact = sorted(values)[math.ceil(q * len(values)) - 1]
        assert abs(histogram.quantile(q) / exact - 1) <= histogram.quantile_error(q) <= 0.0222


@given(values=LATENCIES)
def test_count_sum_and_extremes_are_exact(values: list[float]) -> None:
    """Count, sum in whole units, minimum and maximum equal those of the list."""
    histogram = histogram_of(values)
    assert histogram.count == len(values)
    assert histogram.sum_units == sum(round(value * 1000) for value in values)
    if values:
        assert (histogram.min, histogram.max) == (min(values), max(values))
        assert histogram.mean == histogram.sum_units / 1000 / len(values)


@given(values=LATENCIES, bounds=st.lists(st.floats(-1, 1e7), max_size=12, unique=True).map(sorted))
def test_explicit_counts_are_whole_and_complete(values: list[float], bounds: list[float]) -> None:
    """Derived explicit counts are integers >= 0 that add to the count, each at most one bucket's content off."""
    histogram = histogram_of(values)
    counts = histogram.explicit(bounds)
    assert [type(n) for n in counts if n >= 0] == [int] * len(counts)
    assert sum(counts) == len(values)
    assert len(counts) == len(bounds) + 1
    clamped = [min(max(v, LATENCY_LOW_MS), LATENCY_HIGH_MS) for v in values]
    for k, bound in enumerate(bounds):
        if LATENCY_LOW_MS < bound < LATENCY_HIGH_MS:
            blur = 1 + histogram.relative_error + 1e-9 if values else 1
            surely = sum(v <= bound / blur for v in clamped)
            possibly = sum(v <= bound * blur for v in clamped)
            assert surely <= sum(counts[: k + 1]) <= possibly


def test_explicit_misplaces_few_of_many() -> None:
    """For 20,000 lognormal values derived and counted explicit buckets differ by at most 0.7 % of the count."""
    values = lognormal(20_000)
    bounds = [10.0 * 2**k for k in range(14)]
    counted = [0] * 15
    for value in values:
        counted[bucket_index(bounds, value)] += 1
    derived = histogram_of(values).explicit(bounds)
    assert sum(abs(a - b) for a, b in zip(counted, derived, strict=True)) <= 0.007 * 20_000


def test_an_empty_histogram_knows_nothing() -> None:
    """Without values count is 0, every statistic is nan, and the explicit counts are zeros."""
    empty = ExponentialHistogram()
    unknown = (empty.min, empty.max, empty.mean, empty.quantile(0.5), empty.relative_error)
    assert all(math.isnan(number) for number in unknown)
    assert (empty.count, empty.sum_units, empty.explicit([1.0])) == (0, 0, [0, 0])
    empty.extend([])
    assert empty == ExponentialHistogram.from_bytes(empty.to_bytes())
    assert repr(empty) == "ExponentialHistogram(count=0, scale=20, min=nan, max=nan)"


def test_one_value_is_exact() -> None:
    """A single value, counted any number of times, is every quantile exactly, also outside the bucketed range."""
    for value in (0.0, 0.001, 7.3, 1e7):
        histogram = ExponentialHistogram()
        histogram.add(value, 5)
        assert [histogram.quantile(q) for q in (0, 0.5, 1)] == [value] * 3
        assert (histogram.count, histogram.sum_units) == (5, 5 * round(value * 1000))


def test_extreme_values_cost_no_more_than_the_range() -> None:
    """A 0.2 ms hit and a 120 s time-out leave an error of 4.5 %, values beyond the bucketed range one of 9.1 %.

    Of a percentile among those beyond it nothing is known but that.
    """
    histogram = histogram_of([0.2, 120_000.0, *lognormal(100)])
    assert (histogram.scale, round(histogram.relative_error, 4)) == (4, 0.0443)
    histogram.extend([0.0, 1e300])
    assert (histogram.scale, round(histogram.relative_error, 4)) == (3, 0.0905)
    assert [histogram.quantile_error(q) for q in (0.001, 0.5)] == [math.inf, histogram.relative_error]
    assert 0.5 < histogram.quantile_error(1.0) <= 1.0


def test_a_typical_row_is_small() -> None:
    """A minute of 60 lognormal latencies takes under 200 bytes, ten thousand under 1 KiB."""
    values = lognormal(10_000)
    random.Random(1).shuffle(values)
    assert len(histogram_of(values[:60]).to_bytes()) < 200
    assert len(histogram_of(values).to_bytes()) < 1024


@pytest.mark.parametrize("value", [-1.0, -1e-9, math.nan, math.inf, 2e300])
def test_impossible_values_are_refused(value: float) -> None:
    """A negative, not finite or absurd value raises, and leaves the histogram as it was."""
    histogram = histogram_of([1.0, 2.0])
    before = histogram.to_bytes()
    with pytest.raises(ValueError, match=r"value=.*takes numbers in 0"):
        histogram.add(value)
    with pytest.raises(ValueError, match=r"value=.*takes numbers in 0"):
        histogram.extend([3.0, value, 4.0])
    assert histogram.to_bytes() == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExponentialHistogram(low=0.0), "low="),
        (lambda: ExponentialHistogram(low=2.0, high=1.0), "low="),
        (lambda: ExponentialHistogram(high=math.inf), "high="),
        (lambda: ExponentialHistogram(units_per_value=0), "units_per_value="),
        (lambda: ExponentialHistogram(max_size=1), "max_size="),
        (lambda: ExponentialHistogram().add(1.0, 0), "n=0"),
        (lambda: ExponentialHistogram().merge(ExponentialHistogram(max_size=160)), "cannot merge layouts"),
        (lambda: ExponentialHistogram().quantile(1.1), "q="),
        (lambda: ExponentialHistogram().explicit([1.0, 1.0]), "bounds="),
        (lambda: ExponentialHistogram.from_bytes(b""), "blob="),
        (lambda: ExponentialHistogram.from_bytes(b"\x09" * 40), "blob="),
        (lambda: ExponentialHistogram.from_bytes(histogram_of([1.0]).to_bytes() + b"\x80"), "cut off"),
        (lambda: ExponentialHistogram.from_otel(21, 0, [1]), "scale=21"),
        (lambda: ExponentialHistogram.from_otel(0, 0, [-1]), "counts="),
        (lambda: ExponentialHistogram.from_otel(0, 0, [1], zero_count=-1), "zero_count="),
        (lambda: ExponentialHistogram.from_otel(0, 0, [1], total=-1.0), "total="),
        (lambda: ExponentialHistogram.from_otel(0, 0, [1], maximum=math.nan), "maximum="),
        (lambda: explicit_quantile([1.0], [1, 1], -0.1), "q="),
        (lambda: explicit_quantile([1.0], [1], 0.5), "counts"),
    ],
)
def test_wrong_arguments_are_named(call: object, message: str) -> None:
    """A wrong argument raises a ValueError that names it."""
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_comparison_with_other_things_is_false() -> None:
    """A histogram equals no other type and, being mutable, has no hash."""
    assert ExponentialHistogram() != b""
    with pytest.raises(TypeError, match="unhashable"):
        hash(ExponentialHistogram())


def sdk_point(values: list[float], max_size: int) -> tuple[int, int, list[int], int, float, float, float]:
    """What the OpenTelemetry SDK makes of ``values``: the fields of its data point."""
    aggregation = ExponentialBucketHistogramAggregation(max_size=max_size)
    reader = InMemoryMetricReader(preferred_aggregation={HistogramInstrument: aggregation})
    instrument = MeterProvider([reader]).get_meter("test").create_histogram("latency")
    for value in values:
        instrument.record(value)
    read = reader.get_metrics_data()
    assert read is not None
    data = read.resource_metrics[0].scope_metrics[0].metrics[0].data
    assert isinstance(data, ExponentialHistogramData)
    point = next(iter(data.data_points))
    positive = point.positive
    return point.scale, positive.offset, list(positive.bucket_counts), point.zero_count, point.sum, point.min, point.max


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(LATENCY_LOW_MS, 1e6), min_size=1, max_size=40))
def test_the_sdk_puts_values_into_the_same_buckets(values: list[float]) -> None:
    """A data point of the OpenTelemetry SDK, taken over, equals our histogram at the SDK's scale."""
    scale, offset, counts, zeros, total, low, high = sdk_point(values, 160)
    theirs = ExponentialHistogram.from_otel(scale, offset, counts, zeros, total, low, high)
    ours = histogram_of(values)
    assert theirs.scale <= ours.scale
    edges = [2.0 ** (k * 2.0**-scale) for k in range(offset, offset + len(counts) + 1)]
    near_an_edge = any(abs(v / edge - 1) < 1e-9 for v in values for edge in edges)
    if not near_an_edge:
        by = ours.scale - scale
        shifted: dict[int, int] = {}
        for index, n in ours._counts.items():
            shifted[index >> by] = shifted.get(index >> by, 0) + n
        assert theirs._counts == shifted
    assert (theirs.count, theirs.min, theirs.max) == (ours.count, ours.min, ours.max)
    assert theirs.mean == pytest.approx(ours.mean, abs=1e-3)


def test_foreign_points_merge_like_our_own() -> None:
    """Foreign points add in any order; an all-zero point says nothing about the scale."""
    points = [
        ExponentialHistogram.from_otel(3, 40, [1, 0, 5], 2, 300.0, 0.0, 40.0),
        ExponentialHistogram.from_otel(-2, 0, [7, 1]),
        histogram_of([3.0, 4.0]),
        ExponentialHistogram.from_otel(0, 0, [0, 0]),
    ]
    forward, backward = reduce(add, points), reduce(add, points[::-1])
    assert forward == backward
    assert (forward.count, forward.scale) == (18, -2)
    assert points[2] + points[3] == points[2]


def test_what_a_foreign_point_leaves_out_is_read_off_its_buckets() -> None:
    """Without sum, min and max the edges and middles of the occupied buckets stand in; zeros sit in the low bucket."""
    point = ExponentialHistogram.from_otel(0, 2, [3, 0, 1])
    assert (point.count, point.min, point.max) == (4, 4.0, 32.0)
    assert point.mean == pytest.approx((3 * 4 * 2**0.5 + 16 * 2**0.5) / 4, abs=1e-3)
    zeros = ExponentialHistogram.from_otel(0, 0, [], zero_count=2)
    assert (zeros.count, zeros.min, zeros.max, zeros.mean, zeros.quantile(0.5)) == (2, 0.0, 0.0, 0.0, 0.0)
    far = ExponentialHistogram.from_otel(-10, 0, [1])
    assert far.quantile(1.0) == 2.0**1023


@pytest.mark.parametrize(("max_size", "key"), [(160, "exp_hist_160"), (320, "exp_hist_320")])
def test_Q1_quantiles(max_size: int, key: str) -> None:  # noqa: N802
    """Quantiles of the vector match at its tolerance; exact ones within 0.5 %, p99.9 within 3 %, at both sizes."""
    vector = load("models.json", "Q1_quantiles")
    values = [float(v) for v in np.random.RandomState(0).permutation(lognormal(20_000))]
    histogram = histogram_of(values, max_size=max_size)
    quantiles = [histogram.quantile(q) for q in (0.5, 0.95, 0.99, 0.999)]
    expected = vector["expected"]
    assert histogram.scale == expected[key]["scale"]
    assert quantiles == pytest.approx(expected[key]["interpolated"], rel=vector["tolerance"])
    assert quantiles[:3] == pytest.approx(expected["exact"][:3], rel=0.005)
    assert quantiles[3] == pytest.approx(expected["exact"][3], rel=0.03)


@pytest.mark.parametrize(("value", "index"), [(0.5, 0), (1.0, 0), (1.5, 1), (2.0, 1), (2.1, 2)])
def test_bucket_index_is_inclusive(value: float, index: int) -> None:
    """A value on a bound belongs to the bucket below it, as ``le`` says."""
    assert bucket_index([1.0, 2.0], value) == index


@pytest.mark.parametrize(
    ("counts", "q", "extremes", "expected"),
    [
        ([0, 0, 0], 0.5, {}, math.nan),
        ([2, 0, 0], 0.5, {}, 0.5),
        ([2, 0, 0], 0.5, {"minimum": 0.25}, 0.5),
        ([0, 2, 0], 0.5, {}, 2.0),
        ([0, 2, 0], 0.0, {}, 1.0),
        ([0, 2, 0], 1.0, {"maximum": 3.0}, 3.0),
        ([0, 0, 2], 0.5, {}, 4.0),
        ([0, 0, 2], 0.5, {"maximum": 16.0}, 8.0),
        ([1, 0, 1], 0.5, {}, 1.0),
    ],
)
def test_explicit_quantile_interpolates(
    counts: list[int], q: float, extremes: dict[str, float], expected: float
) -> None:
    """A quantile of the buckets 1, 4, +Inf is log-linear inside its bucket and ends at known extremes."""
    assert explicit_quantile([1.0, 4.0], counts, q, **extremes) == pytest.approx(expected, nan_ok=True)


@given(values=st.lists(st.floats(0.01, 80.0), min_size=1, max_size=40), q=st.floats(0, 1))
def test_explicit_quantile_stays_in_its_bucket(values: list[float], q: float) -> None:
    """The quantile lies in the bucket of the value of its rank, and within the extremes."""
    bounds = [0.01 * 2**k for k in range(14)]
    counts = [0] * 15
    for value in values:
        counts[bucket_index(bounds, value)] += 1
    answer = explicit_quantile(bounds, counts, q, min(values), max(values))
    exact = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    k = bucket_index(bounds, exact)
    assert (bounds[k - 1] if k else 0.0) * (1 - 1e-12) <= answer <= bounds[k]
    assert min(values) <= answer <= max(values)
