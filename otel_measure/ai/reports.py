"""What models did and how they are: pure functions of what a `Series` says, and of what is known of their quality."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Final, NamedTuple, Protocol

from otel_measure.ai.drift import DataQuality, Drift
from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.health import Deduction, health
from otel_measure.ai.latency import Latency, latency
from otel_measure.ai.quality import Accuracy, accuracy_of_classes
from otel_measure.conventions import instruments
from otel_measure.definitions.kpis import BY_KEY, MIN_PRICED_RATIO
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.quality import predicts_numbers
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.stats.intervals import Interval
from otel_measure.store.model_questions import RecordedModels
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.store.types.quality import Labels


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost: sums and ratios over the *priced* calls; `priced_ratio` says how many those are.

    Tokens are `nan` when no call reported any. `sources` counts calls by where their cost comes from, `usd_by_source`
    adds up these costs. `cache_hit_ratio` is the share of the input tokens that came from a cache, of the calls that
    say so; `cache_savings_usd` what the input of calls would have cost more without a cache (less, below 0).
    """

    total_usd: float
    per_request_usd: float
    per_1k_tokens_usd: float
    input_tokens: float
    output_tokens: float
    cached_input_tokens: float
    reasoning_tokens: float
    cache_hit_ratio: float
    cache_savings_usd: float
    requests: int
    unpriced_requests: int
    priced_ratio: float
    sources: dict[str, int]
    usd_by_source: dict[str, float]
    window: Window


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed calls, and their share of all."""

    count: int
    rate: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One model at a glance; what has no source is `nan` or `None`.

    Attributes:
        health_score: 0 to 100, from the measured components alone.
        health_coverage: the share of the components, by weight, that is measured.
        deductions: what takes points, largest first; they add to exactly 100 - health_score.
        recommendations: one sentence per deduction.
        accuracy: of a classifier with predictions in the window, else `None`.
        fairness: by attribute; `None` without groups, and where nobody can know which class is the positive one.
        targets: its own, given with `register_model`; empty where the KPI table's count.
        drift: as it is now, where its window reaches into the snapshot's; `None` for other days and narrowed answers.
        data_quality: of the window of `drift`, or of the last one where nothing can be said of drift: nearly every
            value is missing.
    """

    model_name: str
    model_version: str
    model_type: str
    health_score: float
    health_coverage: float
    deductions: tuple[Deduction, ...]
    recommendations: tuple[str, ...]
    latency: Latency
    cost: Cost
    errors: Errors
    accuracy: Accuracy | None
    fairness: FairnessReport | None
    drift: Drift | None
    data_quality: DataQuality | None
    targets: dict[str, float]
    inference_count: int
    timestamp: datetime
    window: Window


@dataclass(frozen=True, slots=True)
class ModelsSummary:
    """The calls of all models together."""

    latency: Latency
    cost: Cost
    errors: Errors
    models_used: int
    inference_count: int
    window: Window


@dataclass(frozen=True, slots=True)
class Models:
    """All models, sorted by name and version, and what they did together."""

    models: tuple[Snapshot, ...]
    summary: ModelsSummary
    total_models: int
    total_inferences: int
    window: Window


class JudgedLatency(Protocol):
    """What a model is judged by of how long its calls took."""

    @property
    def p95_ms(self) -> float:
        """As of `Latency`."""

    @property
    def p95_ms_ci(self) -> Interval:
        """As of `Latency`."""

    @property
    def sample_count(self) -> int:
        """As of `Latency`."""


class JudgedCost(Protocol):
    """What a model is judged by of what its calls cost."""

    @property
    def per_request_usd(self) -> float:
        """As of `Cost`."""

    @property
    def priced_ratio(self) -> float:
        """As of `Cost`."""

    @property
    def requests(self) -> int:
        """As of `Cost`."""


# What every call tells of is in the score from the first one; the score itself is judged only after 20 calls.
_OF_EVERY_CALL: Final = ("error_rate", "latency_p95_ms")


def cost(use: ModelUse, span: TimeSpan) -> Cost:
    """Cost and tokens; an unpriced call is counted and never taken as 0."""
    total_usd = use.cost_nano_usd / instruments.NANO if use.priced else nan
    return Cost(
        total_usd=total_usd,
        per_request_usd=cost_per_request(use),
        per_1k_tokens_usd=total_usd / use.priced_tokens * 1000 if use.priced_tokens else nan,
        input_tokens=use.input_tokens if use.input_known else nan,
        output_tokens=use.output_tokens if use.output_known else nan,
        cached_input_tokens=use.cached_input_tokens if use.cached_known else nan,
        reasoning_tokens=use.reasoning_tokens if use.reasoning_known else nan,
        cache_hit_ratio=use.hit_cached_tokens / use.hit_input_tokens if use.hit_input_tokens else nan,
        cache_savings_usd=use.cache_savings_nano_usd / instruments.NANO if use.cache_savings_known else nan,
        requests=use.requests,
        unpriced_requests=max(use.requests - use.priced, 0),
        priced_ratio=use.priced / use.requests if use.requests else nan,
        sources=dict(sorted(use.sources.items())),
        usd_by_source={source: nano / instruments.NANO for source, nano in sorted(use.sources_nano_usd.items())},
        window=span.window,
    )


def cost_per_request(use: ModelUse) -> float:
    """Return what a priced call cost, USD."""
    return use.cost_nano_usd / instruments.NANO / use.priced if use.priced else nan


def priced_evidence(paid: JudgedCost) -> int:
    """Return the priced calls, as evidence for what a call costs; none where most calls have no price."""
    return round(paid.priced_ratio * paid.requests) if paid.priced_ratio >= MIN_PRICED_RATIO else 0


def errors(use: ModelUse) -> Errors:
    """Calls that raised or were recorded with an `error_type`."""
    return Errors(use.errors, use.errors / use.requests if use.requests else nan)


class ModelQuality(NamedTuple):
    """What is known of a model besides its use."""

    labels: Labels | None = None
    fairness: FairnessReport | None = None
    drift: Drift | None = None
    data_quality: DataQuality | None = None


UNKNOWN_QUALITY: Final = ModelQuality()


def accuracy(model_type: str, labels: Labels | None, span: TimeSpan) -> Accuracy | None:
    """Quality of a classifier; `None` for a model of numbers and for one without predictions."""
    if labels is None or not labels.predictions:
        return None
    if predicts_numbers(model_type, labels.confusion, labels.regression):
        return None
    return accuracy_of_classes(labels, span.window)


def snapshot(model: Model, use: ModelUse, quality: ModelQuality, span: TimeSpan, now: datetime) -> Snapshot:
    """Everything about one model."""
    model_latency, model_cost, model_errors = latency(use, span), cost(use, span), errors(use)
    model_accuracy = accuracy(model.type, quality.labels, span)
    parts = parts_of_health(model, use, model_accuracy, quality, model_latency, model_cost, model_errors)
    scored = health(
        {key: part.value for key, part in parts.items()},
        targets=model.targets,
        evidence={key: part.basis for key, part in parts.items()},
    )
    return Snapshot(
        model_name=model.name,
        model_version=model.version,
        model_type=model.type,
        health_score=scored.score,
        health_coverage=scored.coverage,
        deductions=scored.deductions,
        recommendations=scored.recommendations,
        latency=model_latency,
        cost=model_cost,
        errors=model_errors,
        accuracy=model_accuracy,
        fairness=quality.fairness,
        drift=quality.drift,
        data_quality=quality.data_quality,
        targets=dict(model.targets or {}),
        inference_count=use.requests,
        timestamp=now,
        window=span.window,
    )


class HealthPart(NamedTuple):
    """A component of the health score: its value, what that rests on as a number, and in words."""

    value: float
    evidence: int
    basis: str


def parts_of_health(
    model: Model,
    use: ModelUse,
    right: Accuracy | None,
    quality: ModelQuality,
    took: JudgedLatency,
    paid: JudgedCost,
    failed: Errors,
) -> dict[str, HealthPart]:
    """Return the components of the health of a model that there is enough evidence for, by the keys of their KPIs."""
    calls = f"{use.requests:,} inferences"
    parts = {
        "error_rate": HealthPart(failed.rate, use.requests, calls),
        "latency_p95_ms": HealthPart(took.p95_ms, took.sample_count, calls),
        "cost_per_request_usd": HealthPart(
            paid.per_request_usd, priced_evidence(paid), f"{use.priced:,} priced inferences"
        ),
    }
    if right is not None:
        labelled = f"{right.labelled:,} labelled predictions"
        parts["accuracy"] = HealthPart(right.accuracy, right.labelled, labelled)
    own = (model.targets or {}).get("fairness_gap")
    fairness, drift, data = quality.fairness, quality.drift, quality.data_quality
    worst = None if fairness is None else fairness.worst(own)
    if worst is not None:
        attribute, gap = worst
        compared = len(gap.n) - len(gap.left_out)
        groups = f"{attribute}: {gap.smallest_group:,} records in the smallest of {compared} groups"
        parts["fairness_gap"] = HealthPart(gap.demographic_parity_difference, gap.smallest_group, groups)
    if drift is not None:
        # A score without an alarm is what chance gives, and takes no points.
        score = drift.drift_score if drift.evidence.alarm else 0.0
        drifted = f"{drift.samples:,} records; drifted: {_listed(drift.evidence.drifted)}"
        parts["drift_score"] = HealthPart(score, drift.samples, drifted)
    if data is not None:
        parts["data_quality"] = HealthPart(data.score, data.samples, f"{data.samples:,} records")
    # One wrong answer is no unhealthy model: what is too little for a verdict is too little for points.
    return {
        key: part for key, part in parts.items() if key in _OF_EVERY_CALL or part.evidence >= BY_KEY[key].min_evidence
    }


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def use_of(models: RecordedModels, key: ModelKey, span: TimeSpan) -> ModelUse:
    """Return what one model did; a model nobody has heard of did nothing."""
    uses = models.model_use(span.start, span.end, key)
    return uses[0] if uses else ModelUse(*key)


def all_models(snapshots: tuple[Snapshot, ...], uses: Iterable[ModelUse], span: TimeSpan) -> Models:
    """Return the snapshots of all models, and what these did together."""
    whole = summary(uses, span)
    return Models(snapshots, whole, len(snapshots), whole.inference_count, span.window)


def summary(uses: Iterable[ModelUse], span: TimeSpan) -> ModelsSummary:
    """Return what all models did together: percentiles and ratios are over all calls, no means of those of models."""
    whole, models_used = ModelUse("", ""), 0
    for use in uses:
        whole.add(use)
        models_used += use.requests > 0
    return ModelsSummary(
        latency(whole, span), cost(whole, span), errors(whole), models_used, whole.requests, span.window
    )
