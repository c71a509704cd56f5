"""What models did: latency, cost, errors. Pure questions over anything that satisfies `Series`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import nan

from otel_measure import semconv
from otel_measure.ai.quality import Accuracy
from otel_measure.store.base import EVERYTHING, Filter, Model, ModelUse, Series
from otel_measure.windows import Span, Window


@dataclass(frozen=True, slots=True)
class Latency:
    """How long calls took; `relative_error` is the worst error of the percentiles (1 % is 0.01)."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    sample_count: int
    relative_error: float
    window: Window


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost: sums and ratios over the *priced* calls; `priced_ratio` says how many those are.

    Tokens are `nan` when no call reported any. `sources` counts calls by where their cost comes from.
    """

    total_usd: float
    per_request_usd: float
    per_1k_tokens_usd: float
    input_tokens: float
    output_tokens: float
    requests: int
    priced_ratio: float
    sources: dict[str, int]
    window: Window


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed calls, and their share of all."""

    count: int
    rate: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One model at a glance; what has no source is `nan` or `None`."""

    model_name: str
    model_version: str
    model_type: str
    health_score: float
    health_coverage: float
    deductions: tuple[object, ...]
    recommendations: tuple[str, ...]
    latency: Latency
    cost: Cost
    errors: Errors
    accuracy: Accuracy | None
    drift: object | None
    inference_count: int
    timestamp: datetime
    window: Window


@dataclass(frozen=True, slots=True)
class Models:
    """All models, sorted by name and version."""

    models: tuple[Snapshot, ...]
    total_models: int
    total_inferences: int
    window: Window


def latency(use: ModelUse, span: Span) -> Latency:
    """Percentiles by log-linear interpolation in merged exponential histograms (DEFINITIONS: latency percentiles)."""
    found = use.latency
    if found is None or not found.count:
        return Latency(nan, nan, nan, nan, nan, nan, nan, 0, nan, span.window)
    unit = use.latency_unit_ms
    p50, p95, p99, p999 = (found.quantile(q) * unit for q in (0.5, 0.95, 0.99, 0.999))
    return Latency(
        p50,
        p95,
        p99,
        p999,
        found.mean * unit,
        found.min * unit,
        found.max * unit,
        found.count,
        found.relative_error,
        span.window,
    )


def cost(use: ModelUse, span: Span) -> Cost:
    """Cost and tokens; an unpriced call is counted and never taken as 0."""
    total_usd = use.cost_nano_usd / semconv.NANO if use.priced else nan
    return Cost(
        total_usd=total_usd,
        per_request_usd=total_usd / use.priced if use.priced else nan,
        per_1k_tokens_usd=total_usd / use.priced_tokens * 1000 if use.priced_tokens else nan,
        input_tokens=use.input_tokens if use.input_known else nan,
        output_tokens=use.output_tokens if use.output_known else nan,
        requests=use.requests,
        priced_ratio=use.priced / use.requests if use.requests else nan,
        sources=dict(sorted(use.sources.items())),
        window=span.window,
    )


def errors(use: ModelUse) -> Errors:
    """Calls that raised or were recorded with an `error_type`."""
    return Errors(use.errors, use.errors / use.requests if use.requests else nan)


def snapshot(model: Model, use: ModelUse, span: Span, now: datetime) -> Snapshot:
    """Everything about one model."""
    return Snapshot(
        model_name=model.name,
        model_version=model.version,
        model_type=model.type,
        health_score=nan,
        health_coverage=nan,
        deductions=(),
        recommendations=(),
        latency=latency(use, span),
        cost=cost(use, span),
        errors=errors(use),
        accuracy=None,
        drift=None,
        inference_count=use.requests,
        timestamp=now,
        window=span.window,
    )


def use_of(series: Series, name: str, version: str, span: Span, where: Filter = EVERYTHING) -> ModelUse:
    """Return what one model did; a model nobody has heard of did nothing."""
    found = series.model_use(span.start, span.end, (name, version), where)
    return found[0] if found else ModelUse(name, version)


def all_models(series: Series, span: Span, now: datetime, where: Filter = EVERYTHING) -> Models:
    """Return every registered model, whether it was used in the window or not."""
    uses = {(use.model, use.version): use for use in series.model_use(span.start, span.end, None, where)}
    found = tuple(
        snapshot(model, uses.get((model.name, model.version)) or ModelUse(model.name, model.version), span, now)
        for model in series.models()
    )
    return Models(found, len(found), sum(one.inference_count for one in found), span.window)
