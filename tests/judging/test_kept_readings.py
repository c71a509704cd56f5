"""What is kept of readings: a scorecard with them says what one without says."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from otel_measure.ai.drift import DataQuality
from otel_measure.ai.fairness import fairness_report
from otel_measure.ai.quality import accuracy_of_classes
from otel_measure.ai.reports import Errors, Snapshot
from otel_measure.judging import kept_readings
from otel_measure.judging.kept_readings import KeptReadings
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import scorecard
from otel_measure.records.enums import DriftStatus
from otel_measure.store.types.quality import GroupedLabels, Labels
from tests.judging.test_scorecard import SPAN, changed, models, overview

MODEL = changed(models(m=600.0).models[0], inference_count=40)
OTHERWISE: dict[str, Any] = {
    "health_score": 12.0,
    "latency": replace(MODEL.latency, p95_ms=100.0, p95_ms_ci=(90.0, 110.0)),
    "cost": replace(MODEL.cost, per_request_usd=1.0, priced_ratio=1.0, requests=30),
    "errors": Errors(9, 0.9),
    "accuracy": accuracy_of_classes(Labels(predictions=60, confusion={("a", "b"): 60}), SPAN.window),
    "fairness": fairness_report(GroupedLabels(), "a", SPAN.window),
    "drift": SimpleNamespace(drift_score=0.9, drift_status=DriftStatus.SEVERE_DRIFT),
    "data_quality": DataQuality(0.5, (0.4, 0.6), 100, SPAN.window),
    "targets": {"latency_p95_ms": 10_000.0},
    "inference_count": 99,
}
NOT_JUDGED = {
    "model_name", "model_version", "model_type", "health_coverage", "deductions", "recommendations", "timestamp",
    "window",
}  # fmt: skip


def judged(model: Snapshot, kept: KeptReadings) -> tuple[Reading, ...]:
    """Return the readings of a model, and see that they are those of a scorecard that has kept nothing."""
    of_one = replace(overview(), models=replace(models(), models=(model,)))
    kpis = scorecard(of_one, kept=kept).kpis
    assert repr(kpis) == repr(scorecard(of_one).kpis)  # where `nan` is `nan`
    return tuple(reading for reading in kpis if reading.domain == "ai" and reading.subject)


@pytest.mark.parametrize("field", sorted({field.name for field in fields(Snapshot)} - NOT_JUDGED))
def test_whatever_is_judged_of_a_model_is_judged_anew_when_it_changed(field: str) -> None:
    """Each field that a KPI looks at makes other readings at once, and the ones of before when it is back."""
    kept = KeptReadings()
    before = judged(MODEL, kept)
    judged(changed(MODEL, **{field: OTHERWISE[field]}), kept)
    assert repr(judged(MODEL, kept)) == repr(before)


def test_what_did_not_change_is_not_judged_again() -> None:
    """Of a window that moved the very readings of before are told."""
    kept = KeptReadings()
    before = judged(MODEL, kept)
    window = replace(SPAN, end=2).window
    after = judged(changed(MODEL, window=window, latency=replace(MODEL.latency, window=window)), kept)
    assert [one is other for one, other in zip(before, after, strict=True)] == [True] * len(before)


def test_more_models_than_there_is_room_for_are_judged_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept makes room for what comes."""
    monkeypatch.setattr(kept_readings, "MAX_KEPT", 1)
    kept = KeptReadings()
    for name in ("m", "n", "m"):
        assert {reading.subject for reading in judged(changed(MODEL, model_name=name), kept)} == {f"{name} 1"}
