"""How often clean records alarm against a list that was given, while their dependence is learnt from the first of them.

python -m tests.stats.simulated_learning [series] prints the table of figures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from otel_measure.stats.cells import MIN_SAMPLES, reference_cells
from otel_measure.stats.dependence import autocorrelation_time, known_time
from otel_measure.stats.drift import feature_drift
from otel_measure.stats.intervals import wilson_interval
from tests.stats.simulated_drift import ar1

LEARN_TO: Final = 1000
RULES: Final[Mapping[str, Callable[[list[float]], float | None]]] = {
    "believed from 50 records on": autocorrelation_time,
    "as `known_time` has it": known_time,
}


def steps() -> Iterator[int]:
    """Yield from how many records dependence is learnt: a quarter more each time."""
    n = MIN_SAMPLES
    while n < LEARN_TO:
        yield n
        n = min(n + n // 4, LEARN_TO)
    yield n


def alarms(generator: np.random.Generator, rho: float) -> dict[str, bool]:
    """Tell by rule whether one series of clean records alarms at any look until its first 1,000."""
    cells = reference_cells(generator.standard_normal(1000).tolist())
    assert cells is not None
    series = ar1(generator, LEARN_TO, rho)
    placed = np.searchsorted(np.array(cells.marks[1:-1], dtype=float), series, side="left") + 1
    found = dict.fromkeys(RULES, False)
    for start, end in zip(known := list(steps()), [*known[1:], LEARN_TO + 1], strict=True):
        times = {rule: learn(series[:start].tolist()) for rule, learn in RULES.items()}
        for look in range(start, end, max(1, start // 20)):
            counts = [*np.bincount(placed[:look], minlength=len(cells.alpha) + 2).tolist(), 0, 0]
            for rule, time in times.items():
                drift = None if time is None else feature_drift(cells, counts, time)
                found[rule] |= drift is not None and drift.alarm
    return found


def main() -> None:
    """Print the figures with their 95 % intervals."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for rho in (0.0, 0.7, 0.9):
        generator = np.random.default_rng(5)
        each = [alarms(generator, rho) for _ in range(number)]
        for rule in RULES:
            n = sum(one[rule] for one in each)
            low, high = wilson_interval(n, number)
            print(f"rho {rho}, {rule}: {n / number:.1%} of {number} alarm ({low:.1%} to {high:.1%})", flush=True)


if __name__ == "__main__":
    main()
