"""What a record means in metrics: one pure function, a table.

The store's running totals and the OpenTelemetry instruments are its two sinks, so they cannot disagree.
User ids never become attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from otel_measure.conventions import instruments, model_names, semconv
from otel_measure.conventions.instruments import Instrument
from otel_measure.records.kinds import EvaluationResult, Inference, Record, UserEvent

Attributes: TypeAlias = tuple[tuple[str, str], ...]
_Given: TypeAlias = dict[str, str | None]


class Measurement(NamedTuple):
    """One value for one instrument under one attribute set."""

    instrument: Instrument
    value: float
    attributes: Attributes


MEASURED_FIELDS: Final[Mapping[type[Record], tuple[str, ...]]] = {
    Inference: (
        "model", "version", "operation", "provider", "response_model", "error_type", "cost_usd", "cost_source",
        "latency_ms", "untimed", "input_tokens", "output_tokens", "time_to_first_chunk_ms", "output_chunks",
    ),
    UserEvent: ("type",),
    EvaluationResult: ("name", "score", "label", "model", "version"),
}  # fmt: skip
"""What `measurements` reads of a record beside its origin: records that are alike in these measure the same."""


def measurements(record: Record) -> list[Measurement]:
    """Return every measurement a record stands for; what is unknown (tokens, cost) is not measured."""
    if isinstance(record, Inference):
        return _inference(record)
    if isinstance(record, EvaluationResult):
        return _evaluation(record)
    # The other kinds mean nothing but derived figures, which reports compute when asked.
    return _user_event(record.type) if isinstance(record, UserEvent) else []


def _inference(record: Inference) -> list[Measurement]:
    sets = _inference_attributes(
        record.model,
        record.version,
        record.operation or model_names.OPERATION_DEFAULT,
        record.provider or semconv.OTHER,
        record.response_model,
        record.error_type,
        record.cost_usd is not None,
        record.cost_source,
    )
    found = [
        Measurement(instruments.GEN_AI_CLIENT_OPERATION_DURATION, record.latency_ms / 1000, sets.call),
        Measurement(instruments.OTEL_MEASURE_AI_INFERENCES, 1, sets.outcome),
    ][record.untimed :]
    if record.input_tokens is not None:
        found.append(Measurement(instruments.GEN_AI_CLIENT_TOKEN_USAGE, record.input_tokens, sets.call_input))
        found.append(Measurement(instruments.OTEL_MEASURE_AI_TOKENS, record.input_tokens, sets.tokens_input))
    if record.output_tokens is not None:
        found.append(Measurement(instruments.GEN_AI_CLIENT_TOKEN_USAGE, record.output_tokens, sets.call_output))
        found.append(Measurement(instruments.OTEL_MEASURE_AI_TOKENS, record.output_tokens, sets.tokens_output))
    if record.cost_usd is not None:
        found.append(Measurement(instruments.OTEL_MEASURE_AI_INFERENCE_COST_USD, record.cost_usd, sets.cost))
        found.append(Measurement(instruments.OTEL_MEASURE_AI_COST_USD, record.cost_usd, sets.cost_by_model))
    if record.time_to_first_chunk_ms is not None:
        found.extend(_stream(record, record.time_to_first_chunk_ms, sets.call))
    return found


def _stream(record: Inference, first_ms: float, call: Attributes) -> Iterable[Measurement]:
    yield Measurement(instruments.GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK, first_ms / 1000, call)
    if record.output_chunks is not None and record.output_chunks > 1 and not record.untimed:
        per_chunk_s = max(record.latency_ms - first_ms, 0.0) / 1000 / (record.output_chunks - 1)
        yield Measurement(instruments.GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK, per_chunk_s, call)


class _Sets(NamedTuple):
    call: Attributes
    call_input: Attributes
    call_output: Attributes
    outcome: Attributes
    tokens_input: Attributes
    tokens_output: Attributes
    cost: Attributes
    cost_by_model: Attributes


@lru_cache(maxsize=4096)
def _inference_attributes(
    model: str,
    version: str,
    operation: str,
    provider: str,
    response_model: str | None,
    error_type: str | None,
    priced: bool,
    cost_source: str | None,
) -> _Sets:
    """Return the attribute sets of one kind of call; a service has few kinds and many calls."""
    by_model: _Given = {semconv.ATTR_GEN_AI_REQUEST_MODEL: model, semconv.ATTR_MODEL_VERSION: version}
    call: _Given = by_model | {
        semconv.ATTR_GEN_AI_OPERATION_NAME: operation,
        semconv.ATTR_GEN_AI_PROVIDER_NAME: provider,
        semconv.ATTR_GEN_AI_RESPONSE_MODEL: response_model,
        semconv.ATTR_ERROR_TYPE: error_type,
    }
    outcome: _Given = {
        semconv.ATTR_OUTCOME: semconv.OUTCOME_ERROR if error_type else semconv.OUTCOME_OK,
        semconv.ATTR_ERROR_TYPE: error_type,
        semconv.ATTR_PRICED: "true" if priced else "false",
    }
    tokens_in: _Given = {semconv.ATTR_GEN_AI_TOKEN_TYPE: semconv.TOKEN_TYPE_INPUT}
    tokens_out: _Given = {semconv.ATTR_GEN_AI_TOKEN_TYPE: semconv.TOKEN_TYPE_OUTPUT}
    source: _Given = {semconv.ATTR_COST_SOURCE: cost_source}
    return _Sets(
        _set(call),
        _set(call | tokens_in),
        _set(call | tokens_out),
        _set(by_model | outcome),
        _set(by_model | tokens_in),
        _set(by_model | tokens_out),
        _set(call | source),
        _set(by_model | source),
    )


def _evaluation(record: EvaluationResult) -> list[Measurement]:
    of_model: _Given = {
        semconv.ATTR_GEN_AI_EVALUATION_NAME: record.name,
        semconv.ATTR_GEN_AI_REQUEST_MODEL: record.model or None,
        semconv.ATTR_MODEL_VERSION: record.version or None if record.model else None,  # of no model, no version is kept
    }
    labelled = _set(of_model | {semconv.ATTR_GEN_AI_EVALUATION_SCORE_LABEL: record.label})
    found = [Measurement(instruments.OTEL_MEASURE_AI_EVALUATIONS, 1, labelled)]
    if record.score is not None and record.score >= 0:  # the sum of a histogram is a counter, and must not fall
        found.append(Measurement(instruments.OTEL_MEASURE_AI_EVALUATION_SCORE, record.score, _set(of_model)))
    return found


@lru_cache(maxsize=64)
def _user_event(event_type: str) -> list[Measurement]:
    return [Measurement(instruments.OTEL_MEASURE_USERS_EVENTS, 1, _set({semconv.ATTR_EVENT_TYPE: event_type}))]


def _set(attributes: _Given) -> Attributes:
    return tuple(sorted((key, value) for key, value in attributes.items() if value is not None))
