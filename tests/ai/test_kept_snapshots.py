"""What is kept of snapshots: what is told of a model is what building it anew would tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from otel_measure.ai import kept_models
from otel_measure.ai.fairness import fairness_report
from otel_measure.ai.kept_snapshots import KeptSnapshots
from otel_measure.ai.reports import UNKNOWN_QUALITY, ModelQuality, Snapshot, snapshot
from otel_measure.definitions.days import moment
from otel_measure.definitions.model_use import ModelUse, use_by_minute
from otel_measure.definitions.windows import TimeSpan, time_span
from otel_measure.store.types.facts import EVERYTHING
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.store.types.quality import GroupedLabels, Labels
from tests.facts import MINUTE, NOON, inference

MODELS = [Model("idle", "1"), Model("m", "1", targets={"latency_p95_ms": 50.0})]
(USE,) = use_by_minute([inference(str(n), latency_ms=n + 1.0) for n in range(30)]).values()


def at(now: int) -> tuple[TimeSpan, datetime]:
    """Return the window that ends at a time, and that time."""
    return time_span("24h", now, "UTC"), moment(now)


def told(
    kept: KeptSnapshots,
    now: int,
    use: ModelUse = USE,
    quality: ModelQuality = UNKNOWN_QUALITY,
    models: list[Model] = MODELS,
) -> list[Snapshot]:
    """Return what is told of the models, and see that it is what is told without anything kept."""
    span, time = at(now)
    qualities: dict[ModelKey, ModelQuality] = {("m", "1"): quality}
    snapshots = list(kept.of(EVERYTHING, models, [use], qualities, span, time))
    uses = {("m", "1"): use}
    afresh = [
        snapshot(
            model,
            uses.get((model.name, model.version), ModelUse(model.name, model.version)),
            qualities.get((model.name, model.version), UNKNOWN_QUALITY),
            span,
            time,
        )
        for model in models
    ]
    assert repr(snapshots) == repr(afresh)  # where `nan` is `nan`
    return snapshots


def is_kept(before: Snapshot, after: Snapshot) -> bool:
    """Tell whether a snapshot was not built anew."""
    return before.errors is after.errors


def test_of_what_did_not_change_only_window_and_time_are_new() -> None:
    """Also of a model that did nothing, and where a question about fewer models came between."""
    kept = KeptSnapshots()
    before = told(kept, NOON)
    told(kept, NOON + 1, models=MODELS[1:])
    after = told(kept, NOON + MINUTE)
    assert [is_kept(*pair) for pair in zip(before, after, strict=True)] == [True, True]
    assert (after[1].timestamp, after[1].window) == (moment(NOON + MINUTE), at(NOON + MINUTE)[0].window)


@pytest.mark.parametrize("what", ["use", "target", "labels", "groups"])
def test_what_changed_is_built_anew(what: str) -> None:
    """Whether the model was called, got a target, or is known to be right or fair."""
    kept = KeptSnapshots()
    (_, before) = told(kept, NOON)
    span, _ = at(NOON + MINUTE)
    grouped = GroupedLabels()
    match what:
        case "use":
            (_, after) = told(kept, NOON + MINUTE, replace(USE, errors=30))
        case "target":
            (_, after) = told(kept, NOON + MINUTE, models=[MODELS[0], MODELS[1]._replace(targets={})])
        case "labels":
            labels = Labels(predictions=60, confusion={("a", "a"): 60})
            (_, after) = told(kept, NOON + MINUTE, quality=ModelQuality(labels=labels))
            (_, again) = told(kept, NOON + 2 * MINUTE, quality=ModelQuality(labels=replace(labels)))
            assert is_kept(after, again)
            assert again.accuracy is not None
            assert again.accuracy.window == again.window
        case _:
            fair = ModelQuality(fairness=fairness_report(grouped, "a", span.window))
            (_, after) = told(kept, NOON + MINUTE, quality=fair)
            later = at(NOON + 2 * MINUTE)[0].window
            (_, again) = told(
                kept, NOON + 2 * MINUTE, quality=ModelQuality(fairness=fairness_report(grouped, "a", later))
            )
            assert is_kept(after, again)
    assert not is_kept(before, after)


def test_more_models_than_there_is_room_for_are_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are built anew each time; of several questions the one asked last is kept."""
    monkeypatch.setattr(kept_models, "MAX_KEPT", 1)
    kept = KeptSnapshots()
    before = told(kept, NOON)
    assert not is_kept(before[1], told(kept, NOON)[1])
    monkeypatch.setattr(kept_models, "MAX_KEPT", 3)
    before = told(kept, NOON)
    span = time_span("1h", NOON, "UTC")
    (hour,) = kept.of(EVERYTHING, MODELS[1:], [USE], {}, span, moment(NOON))
    assert hour.window == span.window
    assert is_kept(before[1], told(kept, NOON)[1])
