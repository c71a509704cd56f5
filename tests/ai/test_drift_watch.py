"""Drift of records through the store: few distinct values, and records that depend on each other."""

from __future__ import annotations

import math
import random

from otel_measure.ai.drift import reference_of
from otel_measure.records.enums import DriftStatus
from otel_measure.stats import cells
from otel_measure.stats.dependence import autocorrelation_time
from otel_measure.store.sqlite import SqliteStore
from tests.ai.test_drift import MODEL, Watched
from tests.closing import closed_later
from tests.facts import HERE, HOUR, NOON, SECOND, inference
from tests.store.asking import asked


def test_few_ages_that_all_moved_have_drifted() -> None:
    """300 ages of 20 to 50 given, 300 of 60 to 90 recorded: severe, and whatever has no verdict says why."""
    rng = random.Random(4)
    store = closed_later(SqliteStore(":memory:"))
    reference: dict[str, list[cells.Value]] = {
        "age": [rng.randint(20, 50) for _ in range(300)],
        "name": [f"n{i}" for i in range(300)],
        "few": [1.0] * 49,
    }
    store.set_reference(MODEL, reference_of("given", reference), HERE.environment)
    records = [{"age": rng.randint(60, 90), "name": f"m{i}", "new": 1} for i in range(300)]
    store.accept([inference(f"{i:03}", NOON + i, features=one) for i, one in enumerate(records)])
    found = Watched(store).detect(MODEL)
    assert found is not None
    assert (found.drift_status, found.evidence.drifted) == (DriftStatus.SEVERE_DRIFT, ("age",))
    assert found.drift_score > 0.7
    assert found.not_judged == {
        "new": "it is not in the reference",
        "name": "no value occurs 20 times in the reference, and what is no number cannot be put into bins",
        "few": "49 values in the reference; 50 are needed",
    }


def correlated(rng: random.Random, n: int, rho: float) -> list[float]:
    """A stationary autoregressive series with mean 0 and variance 1."""
    series = [rng.gauss(0, 1)]
    while len(series) < n:
        series.append(rho * series[-1] + math.sqrt(1 - rho * rho) * rng.gauss(0, 1))
    return series


def test_dependent_records_need_a_larger_window() -> None:
    """The first records tell of dependence; the window grows to 200 effective ones, and 1 σ at ρ 0.7 is found."""
    rng = random.Random(8)
    store = closed_later(SqliteStore(":memory:"))
    values = correlated(rng, 2600, 0.7) + [1.0 + x for x in correlated(rng, 900, 0.7)]
    records = [inference(f"{i:04}", NOON + i * SECOND, prediction=x) for i, x in enumerate(values)]
    watching = Watched(store, NOON + 2 * HOUR)
    store.accept(records[:2600])
    clean = watching.detect(MODEL)
    kept = asked(store, lambda m: m.quality.references(MODEL)[MODEL].cells["prediction"].autocorrelation_time)
    assert kept is not None
    assert kept == autocorrelation_time(values[:1000])
    assert 4 < kept < 7
    assert clean is not None
    assert (clean.samples, clean.drift_status) == (max(1000, math.ceil(200 * kept)), DriftStatus.NO_DRIFT)
    assert clean.evidence.effective_samples == clean.samples / kept >= 199
    assert 0.3 < clean.evidence.least_shift < 0.9
    assert clean.evidence.message == (
        f"No drift was found; a mean shift of {clean.evidence.least_shift:.2g} σ would have been, 95 times in 100."
    )
    store.accept(records[2600:])
    moved = watching.detect(MODEL)
    assert moved is not None
    assert moved.evidence.alarm


def test_dependence_is_never_learnt_from_a_list() -> None:
    """A list that somebody gives says nothing of time: until 100 records have come there is no verdict."""
    rng = random.Random(9)
    store = closed_later(SqliteStore(":memory:"))
    given_list = sorted(rng.gauss(0, 1) for _ in range(1000))
    store.set_reference(MODEL, reference_of("given", {"prediction": given_list}), HERE.environment)
    watching = Watched(store)
    found = []
    for first, last in ((0, 99), (99, 100), (100, 400)):
        store.accept([inference(f"{i:04}", NOON + i, prediction=rng.gauss(0, 1)) for i in range(first, last)])
        found.append(watching.detect(MODEL))
    assert found[0] is None
    assert [one and one.evidence.effective_samples for one in found[1:]] == [100.0, 400.0]
