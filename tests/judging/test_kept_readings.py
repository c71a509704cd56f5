"""What is kept of readings: a scorecard with them says what one of snapshots says that keeps nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from otel_measure.ai.judged import KpiModels
from otel_measure.ai.reports import Snapshot
from otel_measure.alerting.in_force import of_judge
from otel_measure.config import Settings
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.judging import kept_readings
from otel_measure.judging.kept_readings import KeptReadings
from otel_measure.judging.kpi_rules import KpiRules, kpis_of
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import readings, scorecard
from otel_measure.records.kinds import GroundTruth
from otel_measure.runtime import Runtime
from otel_measure.store.protocol import Store
from otel_measure.store.types.models import Model
from tests.comparing import comparable
from tests.facts import HERE, HOUR, MINUTE, NOON, inference
from tests.judging.test_scorecard import SPAN, changed, models, overview
from tests.store.conformance.test_kept_series import AGES, HAPPENINGS, happen

MODEL = changed(models(m=600.0).models[0], inference_count=40)
OF_KPIS = of_judge(ALERT_RULES, "kpi")
KPIS_OF_RULES = kpis_of(OF_KPIS)
OF_JUDGING = ("labels", "labels", "features", "targets")


def judged(model: Snapshot, kept: KeptReadings) -> tuple[Reading, ...]:
    """Return the readings of a model, and see that they are those of a scorecard that has kept nothing."""
    of_one = replace(overview(), models=replace(models(), models=(model,)))
    kpis = scorecard(of_one, kept=kept).kpis
    assert repr(kpis) == repr(scorecard(of_one).kpis)  # where `nan` is `nan`
    return tuple(reading for reading in kpis if reading.domain == "ai" and reading.subject)


def test_a_model_is_judged_anew_when_it_is_told_anew() -> None:
    """Of what is told again the very readings of before are there, of what is told anew others."""
    kept = KeptReadings()
    before = judged(MODEL, kept)
    assert [one is other for one, other in zip(before, judged(MODEL, kept), strict=True)] == [True] * len(before)
    judged(changed(MODEL, health_score=12.0), kept)
    assert repr(judged(MODEL, kept)) == repr(before)


def test_a_model_of_two_environments_is_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of one is not what is said of the other."""
    kept = KeptReadings()
    staging = replace(
        models(), models=(changed(MODEL, inference_count=1),), window=replace(SPAN, environment="s").window
    )
    of_staging = replace(overview(), models=staging)
    for _ in range(2):
        assert repr(scorecard(of_staging, kept=kept).kpis) == repr(scorecard(of_staging).kpis)
        judged(MODEL, kept)


def test_more_models_than_there_is_room_for_are_judged_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept makes room for what comes."""
    monkeypatch.setattr(kept_readings, "MAX_KEPT", 1)
    kept = KeptReadings()
    for name in ("m", "n", "m"):
        assert {reading.subject for reading in judged(changed(MODEL, model_name=name), kept)} == {f"{name} 1"}


@contextmanager
def running(path: Path, now: list[int], *, reads_only: bool = False) -> Iterator[Runtime]:
    """Yield a runtime of a store by a clock of a test."""
    settings = Settings(store=str(path), environment="test", retention_days=2)
    runtime = Runtime(settings, clock=lambda: now[0], reads_only=reads_only)
    try:
        yield runtime
    finally:
        runtime.shutdown()


def told_of_models(models: KpiModels, kept: KeptByAll) -> list[object]:
    """Return what KPIs and the rules that they decide say of the models of an environment."""
    told = replace(overview(), users=None, models=models)
    judgements = kept.rules.judge([readings(told, KPIS_OF_RULES, kept.of_rules)])
    return [
        *(one for one in scorecard(told, kept=kept.of_kpis).kpis if one.domain == "ai"),
        *sorted((one for one in judgements if one.subject.kind == "model"), key=lambda one: (one.subject, one.rule)),
    ]


class KeptByAll:
    """What is kept of readings, by KPIs and by rules."""

    def __init__(self) -> None:
        self.of_kpis, self.of_rules, self.rules = KeptReadings(), KeptReadings(), KpiRules(OF_KPIS, "h")


def happen_to(store: Store, what: str, n: int, age: int, now: int) -> None:
    """Have something happen to a store, number n: what may happen to a series, or what models are judged by besides."""
    match what:
        case "labels":
            calls = [
                inference(f"l{n}-{k}", now - age, version=str(n % 2), prediction="a", groups={"sex": "fm"[k % 2]})
                for k in range(60)
            ]
            truths = [
                GroundTruth(id=f"t{call.id}", ts=now, origin=HERE, inference_id=call.id, value="ab"[k % 3 == 0])
                for k, call in enumerate(calls)
            ]
            store.accept([*calls, *truths])
        case "features":
            store.accept(
                [inference(f"f{n}-{k}", now - age - k, features={"x": k % 7 + n}, prediction=k % 3) for k in range(200)]
            )
        case "targets":
            store.register_model(Model("m", str(n % 2), targets={"latency_p95_ms": 20.0 * (n + 1)}))
        case _:
            happen(store, what, n, age, now)


@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_is_never_stale(tmp_path: Path, seed: int) -> None:
    """Calls, truths and targets come late, are counted anew and erased, and the window moves: each reading is right."""
    chance, now, path, kept = random.Random(seed), [NOON], tmp_path / "measure.db", KeptByAll()
    with running(path, now) as runtime:
        store = runtime.store
        assert store is not None
        for n in range(20):
            now[0] += chance.choice((0, 0, 15_000_000, 4 * MINUTE, 2 * HOUR))
            happen_to(store, chance.choice((*HAPPENINGS, *OF_JUDGING)), n, chance.choice(AGES), now[0])
            environment = chance.choice((None, "test", "production"))
            by_kept = told_of_models(runtime.ai.judged_models(environment=environment), kept)
            with running(path, now, reads_only=True) as other:
                afresh = told_of_models(other.ai.list_models(environment=environment), KeptByAll())
            assert comparable(by_kept) == comparable(afresh)
