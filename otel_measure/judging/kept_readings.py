"""What the KPIs of a model say, kept until something changes that they are judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from otel_measure.ai.reports import Snapshot
from otel_measure.judging.reading import Reading

MAX_KEPT: Final = 20_000
"""Models of all environments together."""
_Subject: TypeAlias = tuple[str, str, str]  # environment, name and version


class KeptReadings:
    """The readings of models as they were judged last; safe for several threads, since they are never changed."""

    def __init__(self) -> None:
        self._kept: dict[_Subject, tuple[tuple[object, ...], tuple[Reading, ...]]] = {}

    def of(self, model: Snapshot, judge: Callable[[Snapshot], tuple[Reading, ...]]) -> tuple[Reading, ...]:
        """Return what was said of a model, or have it judged where it is not as it was."""
        subject = (model.window.environment, model.model_name, model.model_version)
        facts = _judged_by(model)
        kept = self._kept.get(subject)
        if kept is not None and kept[0] == facts:
            return kept[1]
        if len(self._kept) >= MAX_KEPT:
            self._kept = {}
        readings = judge(model)
        self._kept[subject] = (facts, readings)
        return readings


def _judged_by(model: Snapshot) -> tuple[object, ...]:
    """Return all of a snapshot that a KPI looks at: no window, which moves while nothing changes."""
    latency, cost, accuracy, fairness = model.latency, model.cost, model.accuracy, model.fairness
    return (
        model.health_score,
        model.inference_count,
        model.errors,
        latency.p95_ms,
        latency.p95_ms_ci,
        latency.sample_count,
        cost.per_request_usd,
        cost.priced_ratio,
        cost.requests,
        accuracy and (accuracy.accuracy, accuracy.labelled),
        fairness and fairness.attributes,
        model.drift,
        model.data_quality,
        model.targets,
    )
