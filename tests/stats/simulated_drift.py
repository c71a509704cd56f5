"""How often windows of dependent records alarm, with all that the product does: learning, growing, looking often.

python -m tests.stats.simulated_drift [windows] prints the table of figures.
"""

from __future__ import annotations

import math
import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

from otel_measure.definitions.drift_windows import window_rule
from otel_measure.definitions.parameters import Definitions
from otel_measure.stats.cells import MIN_SAMPLES, reference_cells
from otel_measure.stats.dependence import autocorrelation_time
from otel_measure.stats.drift import ALPHA, feature_drift
from otel_measure.stats.intervals import wilson_interval

REFERENCE: Final = 1000


def ar1(generator: np.random.Generator, n: int, rho: float) -> NDArray[np.float64]:
    """A stationary autoregressive series with mean 0 and variance 1."""
    noise = generator.standard_normal(n)
    series = [float(noise[0])]
    for x in (noise[1:] * math.sqrt(1.0 - rho * rho)).tolist():
        series.append(rho * series[-1] + x)
    return np.array(series)


def alarms(generator: np.random.Generator, rho: float, shift: float) -> bool:
    """Tell whether a window after 1,000 records of reference alarms at any look, each of 1 % more records."""
    reference = ar1(generator, REFERENCE, rho).tolist()
    time = autocorrelation_time(reference)
    cells = reference_cells(reference, time)
    assert cells is not None
    size = window_rule(Definitions(), [time]).records
    window = ar1(generator, size, rho) + shift
    placed = np.searchsorted(np.array(cells.marks[1:-1], dtype=float), window, side="left") + 1
    look = math.ceil(MIN_SAMPLES * time)
    while look <= size:
        counts = [*np.bincount(placed[:look], minlength=len(cells.alpha) + 2).tolist(), 0, 0]
        drift = feature_drift(cells, counts, time)
        assert drift is not None
        if drift.log_e >= -math.log(ALPHA):
            return True
        look = look + max(1, look // 100) if look == size else min(size, look + max(1, look // 100))
    return False


def share_of_alarms(rho: float, shift: float, windows: int, seed: int) -> float:
    """Return which share of windows alarms."""
    generator = np.random.default_rng(seed)
    return sum(alarms(generator, rho, shift) for _ in range(windows)) / windows


def main() -> None:
    """Print the figures with their 95 % intervals."""
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for rho, shift in ((0.0, 0.0), (0.7, 0.0), (0.9, 0.0), (0.7, 1.0), (0.9, 2.0)):
        share = share_of_alarms(rho, shift, windows, seed=1)
        low, high = wilson_interval(round(share * windows), windows)
        print(f"rho {rho} shift {shift}: {share:.2%} of {windows} windows alarm ({low:.2%} to {high:.2%})", flush=True)


if __name__ == "__main__":
    main()
