"""What a model is judged by: of a snapshot that alone which KPIs look at, in a fifth of the time and of the memory.

It has no window, which moves while nothing changes, so that what was judged stays as long as nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import NamedTuple, Protocol

from otel_measure.ai.drift import DataQuality, Drift
from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.health import health_score
from otel_measure.ai.latency import P95, p95
from otel_measure.ai.quality import Accuracy
from otel_measure.ai.reports import (
    Errors,
    JudgedCost,
    JudgedLatency,
    ModelQuality,
    accuracy,
    cost_per_request,
    errors,
    parts_of_health,
)
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.store.types.models import Model


class KpiModel(Protocol):
    """What KPIs look at; each is as of `Snapshot`."""

    @property
    def model_name(self) -> str:
        """As of `Snapshot`."""

    @property
    def model_version(self) -> str:
        """As of `Snapshot`."""

    @property
    def targets(self) -> Mapping[str, float]:
        """As of `Snapshot`."""

    @property
    def inference_count(self) -> int:
        """As of `Snapshot`."""

    @property
    def health_score(self) -> float:
        """As of `Snapshot`."""

    @property
    def latency(self) -> JudgedLatency:
        """As of `Snapshot`."""

    @property
    def cost(self) -> JudgedCost:
        """As of `Snapshot`."""

    @property
    def errors(self) -> Errors:
        """As of `Snapshot`."""

    @property
    def accuracy(self) -> Accuracy | None:
        """As of `Snapshot`."""

    @property
    def fairness(self) -> FairnessReport | None:
        """As of `Snapshot`."""

    @property
    def drift(self) -> Drift | None:
        """As of `Snapshot`."""

    @property
    def data_quality(self) -> DataQuality | None:
        """As of `Snapshot`."""


class KpiModels(Protocol):
    """Every model, or some of them, of one window."""

    @property
    def models(self) -> Sequence[KpiModel]:
        """What each is judged by, sorted by name and version."""

    @property
    def window(self) -> Window:
        """The window of all of them."""


class CostPerRequest(NamedTuple):
    """What a model is judged by of its cost; as of `Cost`."""

    per_request_usd: float
    priced_ratio: float
    requests: int


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What a model is judged by; each is as of `Snapshot`."""

    model_name: str
    model_version: str
    targets: Mapping[str, float]
    inference_count: int
    health_score: float
    latency: P95
    cost: CostPerRequest
    errors: Errors
    accuracy: Accuracy | None
    fairness: FairnessReport | None
    drift: Drift | None
    data_quality: DataQuality | None


class ManyFigures(NamedTuple):
    """What every model is judged by, or some of them."""

    models: Sequence[ModelFigures]
    window: Window


def figures(model: Model, use: ModelUse, quality: ModelQuality, span: TimeSpan) -> ModelFigures:
    """Return what a model is judged by; what has no source is `nan` or `None`."""
    latency, failed, right = p95(use), errors(use), accuracy(model.type, quality.labels, span)
    priced_ratio = use.priced / use.requests if use.requests else nan
    cost = CostPerRequest(cost_per_request(use), priced_ratio, use.requests)
    parts = parts_of_health(model, use, right, quality, latency, cost, failed)
    return ModelFigures(
        model_name=model.name,
        model_version=model.version,
        targets=model.targets or {},
        inference_count=use.requests,
        health_score=health_score({key: part.value for key, part in parts.items()}, model.targets),
        latency=latency,
        cost=cost,
        errors=failed,
        accuracy=right,
        fairness=quality.fairness,
        drift=quality.drift,
        data_quality=quality.data_quality,
    )
