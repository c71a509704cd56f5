"""OTLP spans as what they tell of calls of models; all others are kept as what stands between such."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from otel_measure.ai.pricing import Pricer
from otel_measure.ai.spans import inference_of
from otel_measure.conventions import agents, dialects, semconv
from otel_measure.conventions.span_dialects import in_conventional_names
from otel_measure.definitions.same_calls import Telling, TellingKind, operation_kind
from otel_measure.definitions.signals import Span, is_inference
from otel_measure.otlp.receive.agents import made_at
from otel_measure.otlp.receive.senders import Resource, resource_of
from otel_measure.otlp.values import attributes_of
from otel_measure.records.checks import settled_time
from otel_measure.records.kinds import Inference, Json
from otel_measure.records.limits import MAX_LABEL_CHARS, MAX_NAME_CHARS


class InterpretedSpans(NamedTuple):
    """What a request says.

    Attributes:
        tellings: of each span, in the order of the request.
        refused: how many break a rule, by what was wrong.
        own: how many calls are recorded as facts of ours too.
    """

    tellings: list[Telling]
    refused: Counter[str]
    own: int


def interpret(requested: Iterable[ResourceSpans], pricer: Pricer, now_us: int) -> InterpretedSpans:
    """Return what the spans of a request tell; one that breaks a rule does not fail the others."""
    interpreted = InterpretedSpans([], Counter(), 0)
    own = 0
    for resource_spans in requested:
        try:
            resource = resource_of(attributes_of(resource_spans.resource.attributes))
        except ValueError as rule:
            interpreted.refused[str(rule)] += sum(len(scope_spans.spans) for scope_spans in resource_spans.scope_spans)
            continue
        for scope_spans in resource_spans.scope_spans:
            for sent in scope_spans.spans:
                try:
                    attributes = _conventional(sent.name, attributes_of(sent.attributes))
                    span = _span(sent, attributes, scope_spans.scope.name, now_us)
                    is_call = is_inference(attributes)
                    is_own = is_call and (resource.has_facts or semconv.ATTR_INFERENCE_ID in attributes)
                    own += is_own
                    record = _call(span, resource, pricer) if is_call and not is_own else None
                    interpreted.tellings.append(_telling(span, resource, record, is_own=is_own))
                except ValueError as rule:
                    interpreted.refused[str(rule)] += 1
    return interpreted._replace(own=own)


def _conventional(name: str, attributes: Mapping[str, Json]) -> Mapping[str, Json]:
    agent = agents.CALL_SPANS.get(name)
    if agent is not None:
        attributes = {**attributes, **agents.in_conventional_names(agent, attributes)}
    return in_conventional_names(attributes)


def _call(span: Span, resource: Resource, pricer: Pricer) -> Inference:
    return made_at(inference_of(span, resource.origin, pricer), resource)


def _span(span: SentSpan, attributes: Mapping[str, Json], scope: str, now_us: int) -> Span:
    if not span.trace_id or not span.span_id:
        raise ValueError("a span must have a trace id and a span id")
    if len(span.trace_id) != 16 or len(span.span_id) != 8 or len(span.parent_span_id) not in (0, 8):
        raise ValueError("a trace id must have 16 bytes, and a span id 8")
    end_us, _ = settled_time(span.end_time_unix_nano // 1000 or now_us, now_us)
    duration_us = max(span.end_time_unix_nano - span.start_time_unix_nano, 0) // 1000
    return Span(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex() or None,
        span.name,
        end_us - duration_us,
        end_us,
        attributes,
        span.status.code == Status.STATUS_CODE_ERROR,
        scope,
    )


def _telling(span: Span, resource: Resource, record: Inference | None, *, is_own: bool) -> Telling:
    operation = span.attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    response_id = span.attributes.get(semconv.ATTR_GEN_AI_RESPONSE_ID)
    kind: TellingKind = "plain"
    if record is not None:
        kind = "call"
    elif not is_own and operation in dialects.OPERATIONS_WITHOUT_MODEL_CALL:
        kind = "other"
    return Telling(
        kind=kind,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        process=resource.source,
        # Two instrumentations may stand in one scope; one names the spans of a kind alike.
        scope=f"{span.scope}/{span.name}"[:MAX_NAME_CHARS],
        operation=operation_kind(operation[:MAX_LABEL_CHARS] if isinstance(operation, str) else None),
        response_id=response_id[:MAX_NAME_CHARS] if isinstance(response_id, str) and response_id else None,
        began_us=span.start_us,
        ended_us=span.end_us,
        record=record,
    )


def telling_of_fact(record: Inference, process: str) -> Telling:
    """Return what a fact tells: the call, and the span that was current when it was recorded."""
    return Telling(
        kind="fact",
        trace_id=record.trace_id or "",
        span_id=record.span_id or "",
        parent_id=None,
        process=process,
        scope="",
        operation=operation_kind(record.operation),
        response_id=None,
        began_us=record.ts - round(record.latency_ms * 1000),
        ended_us=record.ts,
        record=record,
    )
