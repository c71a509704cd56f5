"""Autocorrelation times against those that are known, and drift of dependent records by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otel_measure.stats.cells import Value
from otel_measure.stats.dependence import ar_time, autocorrelation_time, known_time
from tests.stats.simulated_drift import ar1, share_of_alarms


@pytest.mark.parametrize(("rho", "time"), [(0.0, 1.0), (0.5, 3.0), (0.7, 17 / 3), (0.9, 19.0), (-0.5, 1.0)])
def test_the_time_of_an_autoregressive_model_is_read_off_its_autocovariances(rho: float, time: float) -> None:
    """Of covariances rho**lag it is (1 + rho) / (1 - rho), never below 1."""
    assert ar_time([2.0 * rho**lag for lag in range(20)], 1000) == pytest.approx(time)


def test_the_time_of_a_model_of_second_order() -> None:
    """Of x = 0.5 x' + 0.3 x'' + noise it is one plus twice the sum of all autocorrelations."""
    correlations = [1.0, 0.5 / 0.7]
    while correlations[-1] > 1e-9:
        correlations.append(0.5 * correlations[-1] + 0.3 * correlations[-2])
    assert ar_time(correlations[:16], 10_000) == pytest.approx(1.0 + 2.0 * sum(correlations[1:]))


@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, 1.0, 1.0), (0.3, 1.5, 2.2), (0.7, 4.3, 6.3), (0.9, 11.5, 21.5)])
def test_times_are_learnt_from_a_thousand_records(rho: float, low: float, high: float) -> None:
    """The median of 20 series is near (1 + rho) / (1 - rho), a little below it; of independent values it is 1."""
    generator = np.random.default_rng(1)
    times = sorted(autocorrelation_time(ar1(generator, 1000, rho).tolist()) for _ in range(20))
    assert low <= times[10] <= high


def test_spread_can_persist_where_the_level_does_not() -> None:
    """Values whose sign is drawn anew and whose size persists depend on each other."""
    generator = np.random.default_rng(2)
    sizes = np.exp(ar1(generator, 1000, 0.9))
    assert autocorrelation_time((sizes * generator.choice([-1.0, 1.0], 1000)).tolist()) > 3.0


def test_categories_that_come_again_depend_on_each_other() -> None:
    """A category that is kept with probability 0.8 has T = (1 + 0.8) / (1 - 0.8); one drawn anew each time has 1."""
    generator = np.random.default_rng(3)
    drawn: list[Value] = generator.choice(["a", "b", "c"], 1000).tolist()
    kept = drawn[:1]
    for value in drawn[1:]:
        kept.append(kept[-1] if generator.random() < 0.8 else value)
    assert autocorrelation_time(drawn) == 1.0
    assert autocorrelation_time(kept) == pytest.approx(9.0, rel=0.35)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0],
        [None] * 100,
        [1.0] * 100,
        ["a"] * 100,
        [math.inf] * 100,
        [True, False] * 100,
        [float(x > 499) * 5 + y for x, y in enumerate(np.random.default_rng(4).standard_normal(1000).tolist())],
    ],
    ids=["nothing", "one", "missing", "constant", "one category", "infinite", "alternating", "one shift"],
)
def test_what_does_not_depend(values: list[Value]) -> None:
    """Nothing, what does not vary, what alternates and one shift of the level are no dependence."""
    assert autocorrelation_time(values) == 1.0


@pytest.mark.parametrize(
    ("rho", "n", "is_known"), [(0.0, 99, False), (0.0, 100, True), (0.9, 200, False), (0.9, 1000, True)]
)
def test_few_records_do_not_tell_how_they_depend(rho: float, n: int, is_known: bool) -> None:
    """100 are needed, and as many as 50 independent ones, to 1,000."""
    assert (known_time(ar1(np.random.default_rng(6), n, rho).tolist()) is not None) is is_known


# ---------------------------------------------------------------- simulated, see `simulated_drift`


@pytest.mark.parametrize(("rho", "shift"), [(0.7, 1.0), (0.9, 2.0)])
def test_dependent_windows_in_short(rho: float, shift: float) -> None:
    """Of 20 windows hardly one alarms without a shift, and nearly all do with 1 σ at ρ 0.7 and 2 σ at ρ 0.9."""
    assert share_of_alarms(rho, 0.0, windows=20, seed=5) <= 0.05
    assert share_of_alarms(rho, shift, windows=20, seed=5) >= 0.95


@pytest.mark.no_cover
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rho", [0.0, 0.7, 0.9])
def test_clean_dependent_windows_raise_no_alarm(rho: float) -> None:
    """Of 200 clean windows, each looked at again and again, at most 1 in 100 alarms (1,000: `simulated_drift`)."""
    assert share_of_alarms(rho, 0.0, windows=200, seed=1) <= 0.01


@pytest.mark.no_cover
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("rho", "shift"), [(0.7, 1.0), (0.9, 2.0)])
def test_a_shift_of_dependent_records_is_found(rho: float, shift: float) -> None:
    """Of 200 windows that moved at least 95 in 100 alarm."""
    assert share_of_alarms(rho, shift, windows=200, seed=2) >= 0.95
