"""How often the interval of a ratio of two versions holds the truth, by distribution and number of calls.

python -m tests.stats.simulated_comparisons [pairs] prints the table of figures.
"""

from __future__ import annotations

import sys
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.stats.intervals import Interval, ratio_interval
from otel_measure.stats.means import Moments, skewed_mean_interval

Number = Literal["p50", "p95", "p99", "mean"]
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
RATIO: Final = 1.3


def _quantile(values: npt.NDArray[Any], q: float) -> tuple[float, Interval]:
    histogram, bins = ExponentialHistogram(), Binned()
    histogram.extend(values.tolist())
    bins.take(histogram)
    return histogram.quantile(q), bins.quantile_interval(q)


def _mean(values: npt.NDArray[Any]) -> tuple[float, Interval]:
    deviations = values - values.mean()
    moments = Moments.from_deviations(
        len(values), float(values.mean()), float((deviations**2).sum()), float((deviations**3).sum())
    )
    return moments.mean, skewed_mean_interval(moments)


def coverage(number: Number, sigma: float, calls: int, pairs: int, seed: int) -> float:
    """Return in which share of pairs of lognormal versions, of those with an interval, it holds the true ratio."""
    generator = np.random.default_rng(seed)
    held = known = 0
    for _ in range(pairs):
        version, baseline = (100 * generator.lognormal(0.0, sigma, size=calls) for _ in range(2))
        told = [_mean(v) if number == "mean" else _quantile(v, QUANTILES[number]) for v in (RATIO * version, baseline)]
        low, high = ratio_interval(*told[0], *told[1])
        known += low == low
        held += low <= RATIO <= high
    return held / known


def main(pairs: int) -> None:
    """Print the share for each number, spread and number of calls."""
    print(f"{'number':>6} {'sigma':>5} {'calls':>6} {'holds':>7}")
    for number, fewest in (("p50", 20), ("p95", 76), ("p99", 389), ("mean", 20)):
        for sigma in (0.5, 1.0, 2.0):
            for calls in (fewest, 4 * fewest, 1000):
                share = coverage(number, sigma, calls, pairs, seed=calls)  # type: ignore[arg-type] # from the table
                print(f"{number:>6} {sigma:>5} {calls:>6} {share:7.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
