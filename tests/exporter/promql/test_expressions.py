"""Pieces of PromQL, computed as Prometheus computes them."""

from __future__ import annotations

import math
import re

import pytest

from exporter.promql.expressions import SURPRISE, above, duration, lower_bound, number, surprise
from otel_measure.definitions.alerting.calls import is_beyond_chance
from otel_measure.stats.intervals import wilson_interval


def computed(promql: str, k: int, n: int) -> float:
    """Return the value of arithmetic in PromQL, where `k` and `n` are series."""
    functions = {"ln": math.log, "sqrt": math.sqrt, "clamp_min": max}
    return float(eval(promql.replace("^", "**"), {"__builtins__": {}, **functions, "k": k, "n": n}))


def test_surprise_never_says_so_where_the_exact_test_does_not() -> None:
    """Chernoff's bound needs as many failures as the binomial tail, or some more; here the fewest, by calls."""
    promql = surprise("k", "n", 0.05)
    fewest = {
        n: (
            next(k for k in range(1, n + 1) if is_beyond_chance(k, n, 0.05)),
            next(k for k in range(n // 20 + 1, n + 1) if computed(promql, k, n) > SURPRISE),
        )
        for n in (4, 5, 20, 50, 100, 1000)
    }
    assert fewest == {4: (4, 4), 5: (5, 5), 20: (8, 9), 50: (12, 13), 100: (17, 19), 1000: (83, 87)}


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 60), (5, 5), (10, 60), (900, 1000)])
def test_the_lower_bound_is_that_of_our_intervals(k: int, n: int) -> None:
    """Wilson's lower end in PromQL is that of `stats/intervals.py`."""
    assert computed(lower_bound("k", "n"), k, n) == pytest.approx(wilson_interval(k, n)[0], abs=1e-4)


@pytest.mark.parametrize(
    ("value", "below"),
    [
        (0.5, '0.5 * B{le="1.0"} - 0.5 * B{le="0.0"}'),
        (1.0, 'B{le="1.0"}'),
        (1.5, '0.5 * B{le="2.0"} - 0.5 * B{le="1.0"}'),
    ],
)
def test_what_is_above_a_value_lies_on_a_line_between_bounds(value: float, below: str) -> None:
    """A value inside a bucket has its part of that bucket below it, one on a bound has the whole."""
    promql = above("h", "m", "5m", value, (1.0, 2.0))
    total, buckets = "sum by (m) (increase(h_count[5m]))", r"sum by \(m\) \(increase\(h_bucket(\{.*?\})\[5m\]\)\)"
    expected = f"{total} - {below}".replace('B{le="0.0"}', f"0 * {total}")
    assert re.sub(buckets, r"B\1", promql) == expected


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_value_that_no_bucket_tells_of_is_refused(value: float) -> None:
    """Nothing is said of what lies beyond the highest bound."""
    with pytest.raises(ValueError, match="above 0 and below the highest bound"):
        above("h", "m", "5m", value, (1.0, 2.0))


def test_durations_and_numbers_are_as_short_as_they_can_be() -> None:
    """Durations are whole units, numbers have no zeros."""
    assert [duration(seconds) for seconds in (60, 5400, 21_600, 604_800, 61)] == ["1m", "90m", "6h", "7d", "61s"]
    assert [number(value) for value in (20.0, 0.05, 1e-9)] == ["20", "0.05", "1e-09"]
