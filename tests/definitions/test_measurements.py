from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from otel_measure.conventions import instruments, semconv
from otel_measure.definitions.measurements import MEASURED_FIELDS, Measurement, measurements
from otel_measure.records.kinds import EvaluationResult, Inference, Record, UserEvent
from tests.facts import HERE, NOON, event, inference, one_of_each, records

CALL = (
    ("gen_ai.operation.name", "predict"),
    ("gen_ai.provider.name", "_OTHER"),
    ("gen_ai.request.model", "m"),
    ("otel_measure.model.version", "1"),
)
MODEL = CALL[2:]


def named(record: Record) -> list[tuple[str, float, dict[str, str]]]:
    """Return (instrument, value, attributes) of all measurements."""
    return [(m.instrument.name, m.value, dict(m.attributes)) for m in measurements(record)]


def test_a_bare_inference_is_a_duration_and_a_call() -> None:
    """Nothing is said of tokens and cost that nobody knows: 0 would be a claim."""
    assert named(inference("i", latency_ms=250.0)) == [
        ("gen_ai.client.operation.duration", 0.25, dict(CALL)),
        (
            "otel_measure.ai.inferences",
            1,
            {**dict(MODEL), semconv.ATTR_OUTCOME: "ok", semconv.ATTR_PRICED: "false"},
        ),
    ]


def test_a_full_inference() -> None:
    """Tokens by type, cost by source, the stream's first chunk and the pace of the others."""
    record = inference(
        "i", latency_ms=1000.0, input_tokens=30, output_tokens=0, cost_usd=0.5, cost_source="table", provider="openai",
        operation="chat", response_model="m-1", error_type="Timeout", time_to_first_chunk_ms=200.0, output_chunks=5,
    )  # fmt: skip
    call = dict(MODEL) | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "m-1",
        "error.type": "Timeout",
    }
    source = {semconv.ATTR_COST_SOURCE: "table"}
    kind = semconv.ATTR_GEN_AI_TOKEN_TYPE
    assert named(record) == [
        ("gen_ai.client.operation.duration", 1.0, call),
        (
            "otel_measure.ai.inferences",
            1,
            {**dict(MODEL), semconv.ATTR_OUTCOME: "error", "error.type": "Timeout", semconv.ATTR_PRICED: "true"},
        ),
        ("gen_ai.client.token.usage", 30, call | {kind: "input"}),
        ("otel_measure.ai.tokens", 30, {**dict(MODEL), kind: "input"}),
        ("gen_ai.client.token.usage", 0, call | {kind: "output"}),
        ("otel_measure.ai.tokens", 0, {**dict(MODEL), kind: "output"}),
        ("otel_measure.ai.inference.cost.usd", 0.5, call | source),
        ("otel_measure.ai.cost.usd", 0.5, dict(MODEL) | source),
        ("gen_ai.client.operation.time_to_first_chunk", 0.2, call),
        ("gen_ai.client.operation.time_per_output_chunk", 0.2, call),
    ]


@pytest.mark.parametrize(
    ("first_ms", "chunks", "expected"), [(5.0, None, None), (5.0, 1, None), (5.0, 2, 0.005), (20.0, 3, 0.0)]
)
def test_the_pace_of_a_stream(first_ms: float, chunks: int | None, expected: float | None) -> None:
    """What follows the first chunk, per chunk; one chunk has no pace, and a clock cannot make it negative."""
    record = inference("i", latency_ms=10.0, time_to_first_chunk_ms=first_ms, output_chunks=chunks)
    found = {name: value for name, value, _ in named(record)}
    assert found.get("gen_ai.client.operation.time_per_output_chunk") == expected


def test_a_user_event_counts_by_its_type() -> None:
    """And by nothing else: no label, no user."""
    assert named(event("e", "somebody", type="signup", name="anything")) == [
        ("otel_measure.users.events", 1, {semconv.ATTR_EVENT_TYPE: "signup"})
    ]


@pytest.mark.parametrize(
    "record",
    [r for r in one_of_each() if not isinstance(r, Inference | UserEvent | EvaluationResult)],
    ids=lambda r: type(r).__name__,
)
def test_the_other_kinds_mean_derived_figures_only(record: Record) -> None:
    """They are computed when asked."""
    assert measurements(record) == []


def test_an_evaluation() -> None:
    """Counted by its label, and its score by the model it is about; what is unknown is no attribute."""
    values = {"label": "good", "model": "m", "version": "1"}
    full = EvaluationResult(id="v", ts=NOON, origin=HERE, name="relevance", score=0.5, **values)
    of_model = (
        ("gen_ai.evaluation.name", "relevance"),
        ("gen_ai.request.model", "m"),
        ("otel_measure.model.version", "1"),
    )
    labelled = tuple(sorted((*of_model, ("gen_ai.evaluation.score.label", "good"))))
    assert measurements(full) == [
        Measurement(instruments.OTEL_MEASURE_AI_EVALUATIONS, 1, labelled),
        Measurement(instruments.OTEL_MEASURE_AI_EVALUATION_SCORE, 0.5, of_model),
    ]
    bare = EvaluationResult(id="v", ts=NOON, origin=HERE, name="relevance")
    assert measurements(bare) == [Measurement(instruments.OTEL_MEASURE_AI_EVALUATIONS, 1, of_model[:1])]
    below = EvaluationResult(id="v", ts=NOON, origin=HERE, name="relevance", score=-1.0)
    assert measurements(below) == measurements(bare)
    of_no_model = msgspec.structs.replace(bare, version="1")  # the store keeps none, and a rebuild brings none back
    assert measurements(of_no_model) == measurements(bare)


@given(records)
def test_every_measurement_is_declared_and_anonymous(record: Record) -> None:
    """Instruments are those of semconv, attributes are sorted text, and nobody's id is among the keys."""
    for instrument, value, attributes in measurements(record):
        assert instruments.BY_NAME[instrument.name] is instrument
        assert value >= 0
        assert list(attributes) == sorted(attributes)
        assert not {"user.id", "session.id", "log.record.uid"} & {key for key, _ in attributes}


@given(records)
def test_the_measured_fields_are_all_that_is_read(record: Record) -> None:
    """A record that says nothing else measures the same."""
    if type(record) not in MEASURED_FIELDS:
        assert measurements(record) == []
        return
    read = {"origin", *MEASURED_FIELDS[type(record)]}
    said: dict[str, Any] = {field: getattr(record, field) for field in read}
    nothing: dict[str, Any] = {
        field.name: 0 if field.name == "ts" else ""
        for field in msgspec.structs.fields(type(record))
        if field.required and field.name not in read
    }
    assert measurements(type(record)(**said, **nothing)) == measurements(record)
