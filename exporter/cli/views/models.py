"""What is shown of models: all together, one by one, over time, and what to do about them."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from exporter.cli.views.advice import record_line
from exporter.cli.views.document import (
    Advice,
    Cell,
    Chart,
    Line,
    Look,
    ShownColumn,
    ShownFigures,
    ShownTable,
    of_whole_steps,
)
from exporter.cli.views.numbers import UNKNOWN, counted, milliseconds, share, usd, whole, words
from otel_measure.ai.reports import Models, Snapshot
from otel_measure.definitions.series import Series
from otel_measure.records.enums import DriftStatus

_COLUMNS: Final = (
    ShownColumn("Model", is_text=True),
    ShownColumn("Version", is_text=True, rank=1),
    ShownColumn("Requests"),
    ShownColumn("Errors"),
    ShownColumn("p50", rank=4),
    ShownColumn("p95"),
    ShownColumn("Cost"),
    ShownColumn("a call", rank=5),
    ShownColumn("Drift", is_text=True, rank=3),
    ShownColumn("Health", rank=2),
)
_DRIFT: Final[dict[DriftStatus, Look]] = {
    DriftStatus.NO_DRIFT: "good",
    DriftStatus.MINOR_DRIFT: "fair",
    DriftStatus.MODERATE_DRIFT: "fair",
    DriftStatus.SEVERE_DRIFT: "bad",
}
_CALL: Final = "get_ai_model_service().record_inference('gpt-4', '1.0', latency_ms=150.5, input_tokens=100)"


def how_to_record(store: str) -> Advice:
    """Return the line that writes a call of a model into this very store."""
    return Advice(
        "No call of a model was recorded. This line records one in this store:",
        record_line(store, f"from otel_measure import get_ai_model_service; {_CALL}"),
    )


def models_table(models: Models, *, most: int | None = None, note: str = "") -> ShownTable:
    """Return the models that were called, the dearest first and then those with the most calls."""
    called = [model for model in models.models if model.inference_count]
    called.sort(key=lambda model: (-_cost(model), -model.inference_count, model.model_name, model.model_version))
    shown = called[:most]
    if len(called) > len(shown):
        note = f"{note + '; ' if note else ''}{len(shown)} of {len(called)}, the dearest first"
    nothing = "no model was called" if models.models else "no model is known"
    return ShownTable("Models", _COLUMNS, tuple(map(_row, shown)), note, nothing)


def _cost(model: Snapshot) -> float:
    known = model.cost.total_usd
    return known if known == known else 0.0


def _row(model: Snapshot) -> tuple[str | Cell, ...]:
    drift = model.drift
    return (
        model.model_name,
        model.model_version,
        whole(model.inference_count),
        share(model.errors.rate),
        milliseconds(model.latency.p50_ms),
        milliseconds(model.latency.p95_ms),
        usd(model.cost.total_usd),
        usd(model.cost.per_request_usd),
        UNKNOWN if drift is None else Cell(words(drift.drift_status.value), _DRIFT[drift.drift_status]),
        whole(model.health_score),
    )


def together(models: Models) -> ShownFigures:
    """Return the figures of all models together."""
    summary = models.summary
    latency, cost = summary.latency, summary.cost
    priced = (
        "" if cost.priced_ratio != cost.priced_ratio else f"{share(cost.priced_ratio)} of the requests have a price"
    )
    return ShownFigures(
        "All models together",
        (
            ("Requests", whole(summary.inference_count), f"of {counted(summary.models_used, 'model')}"),
            ("Error rate", share(summary.errors.rate), f"{summary.errors.count:,} failed"),
            ("Latency p95", milliseconds(latency.p95_ms), f"median {milliseconds(latency.p50_ms)}"),
            ("Cost", usd(cost.total_usd), priced),
            (
                "Input tokens",
                whole(cost.input_tokens),
                ""
                if cost.cache_hit_ratio != cost.cache_hit_ratio
                else f"{share(cost.cache_hit_ratio)} of them from a cache",
            ),
            ("Output tokens", whole(cost.output_tokens), ""),
        ),
    )


def over_time(series: Series, zone: ZoneInfo) -> tuple[Chart, ...]:
    """Return the charts of all models together."""
    of_latency = tuple(Line(name, series.columns[f"{name}_ms"]) for name in ("p95", "p50"))
    requests, errors, cost = (of_whole_steps(series, name) for name in ("requests", "errors", "cost_usd"))
    return (
        Chart("Requests", series.start, (Line("requests", requests),), whole, zone),
        Chart("Errors", series.start, (Line("errors", errors),), whole, zone),
        Chart("Latency", series.start, of_latency, milliseconds, zone),
        Chart("Cost", series.start, (Line("cost", cost),), usd, zone),
    )


def what_to_do(models: Models) -> ShownTable:
    """Return what takes points from the health of models, the most first."""
    taken = [
        (deduction.points, f"{model.model_name} {model.model_version}", deduction.recommendation)
        for model in models.models
        for deduction in model.deductions
        if deduction.points >= 0.5
    ]
    taken.sort(key=lambda row: (-row[0], row[1]))
    return ShownTable(
        "What takes from their health",
        (ShownColumn("Model", is_text=True), ShownColumn("Points"), ShownColumn("What, and what to do", is_text=True)),
        tuple((model, f"−{points:.0f}", advice) for points, model, advice in taken),
        nothing="nothing does",
    )
