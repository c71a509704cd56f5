"""Events of coding agents as the calls of models that they tell of, by the table in `conventions/agents`."""

from __future__ import annotations

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_measure.ai.pricing import Pricer
from otel_measure.ai.spans import inference_of
from otel_measure.conventions import agents, dialects, semconv
from otel_measure.definitions.signals import Span
from otel_measure.otlp.receive.senders import Resource
from otel_measure.records.checks import names_nobody
from otel_measure.records.events import Event
from otel_measure.records.kinds import Inference, Json, with_fields
from otel_measure.records.limits import MAX_LATENCY_MS


def agent_event(record: LogRecord) -> str | None:
    """Return the name of an event by which an agent tells of calls, `None` for all other records.

    It stands in the record's name, in an attribute, or in the body: Claude Code's attribute leaves out whose it is, and
    the name of Codex's records is a line of its source.
    """
    if record.event_name in agents.CALL_EVENTS:
        return record.event_name
    if record.body.string_value in agents.CALL_EVENTS:
        return record.body.string_value
    in_attribute = (pair.value.string_value for pair in record.attributes if pair.key == dialects.EVENT_NAME)
    return next((name for name in in_attribute if name in agents.CALL_EVENTS), None)


def call_of_event(name: str, event: Event, resource: Resource, pricer: Pricer) -> Inference | None:
    """Return the call that an event of an agent tells of, priced; `None` where it tells of none.

    Raises:
        ValueError: what a call cannot be without breaks the rule of its field.
    """
    dialect = agents.call_told_by(name, event.attributes)
    if dialect is None:
        return None
    took_ms = agents.duration_ms(dialect, event.attributes)
    attributes: dict[str, Json] = {**agents.in_conventional_names(dialect, event.attributes)}
    took_us = round(min(took_ms or 0.0, MAX_LATENCY_MS) * 1000)
    span = Span(
        event.trace_id or "", event.span_id or "", None, name, event.ts - took_us, event.ts, attributes,
        dialect.failed, "",
    )  # fmt: skip
    call = inference_of(span, resource.origin, pricer, str(event.attributes[semconv.ATTR_LOG_RECORD_UID]))
    return made_at(with_fields(call, untimed=took_ms is None), resource)


def made_at(call: Inference, resource: Resource) -> Inference:
    """Return a call with what the resource of an agent says of all its calls: who works with it, on what.

    Whoever sets that names a person; what the agent says by itself is an installation or an account.
    """
    person = resource.attributes.get(agents.PERSON)
    user_id = call.user_id if person is None or names_nobody(person) else person
    if (user_id, resource.repository) == (call.user_id, call.repository):
        return call
    return with_fields(call, user_id=user_id, repository=resource.repository)
