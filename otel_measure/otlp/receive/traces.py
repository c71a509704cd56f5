"""OTLP spans as what they tell of calls of models, agents and tools; the others are kept as what stands between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from otel_measure.ai.agent_spans import step_of
from otel_measure.ai.pricing import Pricer
from otel_measure.ai.spans import inference_of
from otel_measure.conventions import agents, dialects, semconv
from otel_measure.conventions.span_dialects import in_conventional_names
from otel_measure.definitions.arrivals import UNKNOWN_SOURCE, ArrivalSource, IgnoredReason, Outcome
from otel_measure.definitions.signals import Span, is_inference
from otel_measure.definitions.tellings import Telling, TellingKind, operation_kind
from otel_measure.otlp.receive.agents import made_at
from otel_measure.otlp.receive.arrivals import Turned, by_reason, source_of
from otel_measure.otlp.receive.senders import Resource, resource_of
from otel_measure.otlp.values import attributes_of
from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.checks import settled_time
from otel_measure.records.kinds import Inference, Json
from otel_measure.records.limits import MAX_LABEL_CHARS, MAX_NAME_CHARS


class InterpretedSpans(NamedTuple):
    """What a request says.

    Attributes:
        tellings: of each span, in the order of the request.
        sources: who sent each of them.
        turned: the spans that tell of no call, run or use, or of a call that facts of ours tell of too.
    """

    tellings: list[Telling]
    sources: list[ArrivalSource]
    turned: Counter[Turned]

    @property
    def refused(self) -> Counter[str]:
        """How many break a rule, by what was wrong."""
        return by_reason(self.turned, "rejected")

    @property
    def own(self) -> int:
        """How many calls are recorded as facts of ours too."""
        return by_reason(self.turned, "own").total()

    @property
    def ignored(self) -> int:
        """How many tell of no call, run or use."""
        return by_reason(self.turned, "ignored").total()


def interpret(requested: Iterable[ResourceSpans], pricer: Pricer, now_us: int) -> InterpretedSpans:
    """Return what the spans of a request tell; one that breaks a rule does not fail the others."""
    interpreted = InterpretedSpans([], [], Counter())
    for resource_spans in requested:
        try:
            resource = resource_of(attributes_of(resource_spans.resource.attributes))
        except ValueError as rule:
            n = sum(len(scope_spans.spans) for scope_spans in resource_spans.scope_spans)
            interpreted.turned[Turned(UNKNOWN_SOURCE, "rejected", str(rule))] += n
            continue
        for scope_spans in resource_spans.scope_spans:
            scope = scope_spans.scope.name
            source = source_of(resource, scope)
            teller = _Teller(scope, resource, resource.source, pricer, now_us)
            turned: Counter[tuple[Outcome, str]] = Counter()
            for sent in scope_spans.spans:
                try:
                    telling, is_own = teller.told(sent)
                except ValueError as rule:
                    turned["rejected", str(rule)] += 1
                    continue
                interpreted.tellings.append(telling)
                interpreted.sources.append(source)
                if is_own:
                    turned["own", ""] += 1
                elif telling.record is None and telling.step is None:
                    turned["ignored", _why_no_call(telling)] += 1
            for (outcome, reason), n in turned.items():
                interpreted.turned[Turned(source, outcome, reason)] += n
    return interpreted


class _Teller(NamedTuple):
    """Who tells: an instrumentation of a process.

    Attributes:
        scope: the instrumentation.
        resource, process: whose it is.
        pricer: finds what calls cost.
        now_us: the clock.
    """

    scope: str
    resource: Resource
    process: str
    pricer: Pricer
    now_us: int

    def told(self, sent: SentSpan) -> tuple[Telling, bool]:
        """Return what a span tells, and whether a fact of ours tells of the same call."""
        resource = self.resource
        span = _span(sent, _conventional(sent.name, attributes_of(sent.attributes)), self.scope, self.now_us)
        is_call = is_inference(span.attributes, self.scope, span.name)
        is_own = is_call and (resource.has_facts or semconv.ATTR_INFERENCE_ID in span.attributes)
        record = made_at(inference_of(span, resource.origin, self.pricer), resource) if is_call and not is_own else None
        step = step_of(span, resource.origin, is_call=is_call)
        return _telling(span, self.process, record, step, is_own=is_own), is_own


def _why_no_call(telling: Telling) -> IgnoredReason:
    return "tool_or_agent" if telling.kind == "other" else "no_model_call"


def _conventional(name: str, attributes: Mapping[str, Json]) -> Mapping[str, Json]:
    agent = agents.CALL_SPANS.get(name)
    if agent is not None:
        attributes = {**attributes, **agents.in_conventional_names(agent, attributes)}
    return in_conventional_names(attributes)


def _span(span: SentSpan, attributes: Mapping[str, Json], scope: str, now_us: int) -> Span:
    # Each reading of a field of a message makes its value anew.
    trace_id, span_id, parent_span_id, ended_ns = (
        span.trace_id, span.span_id, span.parent_span_id, span.end_time_unix_nano,
    )  # fmt: skip
    if not trace_id or not span_id:
        raise ValueError("a span must have a trace id and a span id")
    if len(trace_id) != 16 or len(span_id) != 8 or len(parent_span_id) not in (0, 8):
        raise ValueError("a trace id must have 16 bytes, and a span id 8")
    end_us, _ = settled_time(ended_ns // 1000 or now_us, now_us)
    duration_us = max(ended_ns - span.start_time_unix_nano, 0) // 1000
    return Span(
        trace_id.hex(),
        span_id.hex(),
        parent_span_id.hex() or None,
        span.name,
        end_us - duration_us,
        end_us,
        attributes,
        span.status.code == Status.STATUS_CODE_ERROR,
        scope,
    )


# A chain, and what is read of an MCP server, may stand between the spans of one call.
_APART: Final = frozenset({"agent", "workflow", "tool"})


def _telling(span: Span, process: str, record: Inference | None, step: AgentStep | None, *, is_own: bool) -> Telling:
    operation = span.attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    response_id = span.attributes.get(semconv.ATTR_GEN_AI_RESPONSE_ID)
    kind: TellingKind = "plain"
    if record is not None:
        kind = "call"
    elif not is_own and (
        operation in dialects.OPERATIONS_WITHOUT_MODEL_CALL or (step is not None and step.kind in _APART)
    ):
        kind = "other"
    return Telling(
        kind=kind,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        process=process,
        # Two instrumentations may stand in one scope; one names the spans of a kind alike. Of no other span the name
        # is looked at: it may say what somebody asked for.
        scope=f"{span.scope}/{span.name}"[:MAX_NAME_CHARS] if record is not None else "",
        operation=operation_kind(operation[:MAX_LABEL_CHARS] if isinstance(operation, str) else None),
        response_id=response_id[:MAX_NAME_CHARS] if isinstance(response_id, str) and response_id else None,
        began_us=span.start_us,
        ended_us=span.end_us,
        record=record,
        step=step,
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
