"""OTLP spans as calls of models; all other spans are let pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from otel_measure.ai.pricing import Pricer
from otel_measure.ai.spans import inference_of
from otel_measure.conventions import semconv
from otel_measure.definitions.signals import Span, inference_id, is_inference
from otel_measure.otlp.receive.senders import Resource, resource_of
from otel_measure.otlp.values import attributes_of
from otel_measure.records.checks import settled_time
from otel_measure.records.kinds import Json
from otel_measure.store.types.streams import HeldCall


class InterpretedSpans(NamedTuple):
    """What a request says.

    Attributes:
        calls: of models, in the order of the request.
        refused: how many break a rule, by what was wrong.
        own: how many calls are recorded as facts of ours too.
        ignored: how many spans are no calls of models.
    """

    calls: list[HeldCall]
    refused: Counter[str]
    own: int
    ignored: int


def interpret(requested: Iterable[ResourceSpans], pricer: Pricer, now_us: int) -> InterpretedSpans:
    """Return the calls of models in a request; one that breaks a rule does not fail the others."""
    interpreted = InterpretedSpans([], Counter(), 0, 0)
    own = ignored = 0
    for resource_spans in requested:
        try:
            resource = resource_of(attributes_of(resource_spans.resource.attributes))
        except ValueError as rule:
            interpreted.refused[str(rule)] += sum(len(scope_spans.spans) for scope_spans in resource_spans.scope_spans)
            continue
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                try:
                    attributes = attributes_of(span.attributes)
                    if not is_inference(attributes):
                        ignored += 1
                    elif resource.has_facts or semconv.ATTR_INFERENCE_ID in attributes:
                        own += 1
                    else:
                        ended = _span(span, attributes, scope_spans.scope.name, now_us)
                        interpreted.calls.append(_call(ended, resource, pricer))
                except ValueError as rule:
                    interpreted.refused[str(rule)] += 1
    return interpreted._replace(own=own, ignored=ignored)


def _span(span: SentSpan, attributes: dict[str, Json], scope: str, now_us: int) -> Span:
    if not span.trace_id or not span.span_id:
        raise ValueError("a span must have a trace id and a span id")
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


def _call(span: Span, resource: Resource, pricer: Pricer) -> HeldCall:
    parent = inference_id(span.trace_id, span.parent_span_id) if span.parent_span_id else None
    return HeldCall(resource.source, inference_of(span, resource.origin, pricer), parent)
