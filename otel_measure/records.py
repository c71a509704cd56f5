"""The facts: frozen, typed records with an id, a time and the trace context of their caller.

Each has an event form (an OpenTelemetry log record with an event name) and a way back; `from_event(to_event(r)) == r`
is a law with a test. Times are int64 microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from otel_measure import semconv

if TYPE_CHECKING:
    Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
else:
    Json = Any  # msgspec reads the annotations of a Struct and takes no recursive one
Prediction: TypeAlias = float | int | bool | str


class Origin(msgspec.Struct, frozen=True):
    """Which deployment a fact comes from: `service.name` and `deployment.environment.name`."""

    service: str
    environment: str = ""


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a model, successful or not."""

    id: str
    ts: int
    origin: Origin
    model: str
    version: str
    latency_ms: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    cost_source: str | None = None
    error_type: str | None = None
    provider: str | None = None
    operation: str | None = None
    response_model: str | None = None
    time_to_first_chunk_ms: float | None = None
    output_chunks: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    prediction: Prediction | None = None
    features: dict[str, Json] | None = None
    metadata: dict[str, Json] | None = None
    clamped: bool = False
    trace_id: str | None = None
    span_id: str | None = None


class UserEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a user did. `name` is the caller's label, `type` one of a closed list."""

    id: str
    ts: int
    origin: Origin
    user_id: str
    type: str
    name: str
    page_url: str | None = None
    session_id: str | None = None
    device_type: str | None = None
    referrer: str | None = None
    value: float | None = None
    currency: str | None = None
    background: bool = False
    properties: dict[str, Json] | None = None
    clamped: bool = False
    trace_id: str | None = None
    span_id: str | None = None


Record: TypeAlias = Inference | UserEvent


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A record as OpenTelemetry carries it: what a LogRecord holds and the resource it comes from."""

    name: str
    ts: int
    origin: Origin
    attributes: dict[str, Json]
    trace_id: str | None = None
    span_id: str | None = None


class _Form(msgspec.Struct, frozen=True):
    """How one kind of record becomes an event: the attribute of each field that travels as one."""

    record: type[Record]
    attributes: dict[str, str]


_INFERENCE = _Form(
    Inference,
    {
        "id": semconv.ATTR_LOG_RECORD_UID,
        "model": semconv.ATTR_GEN_AI_REQUEST_MODEL,
        "version": semconv.ATTR_MODEL_VERSION,
        "latency_ms": semconv.ATTR_LATENCY_MS,
        "input_tokens": semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS,
        "output_tokens": semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS,
        "cost_usd": semconv.ATTR_COST_USD,
        "cost_source": semconv.ATTR_COST_SOURCE,
        "error_type": semconv.ATTR_ERROR_TYPE,
        "provider": semconv.ATTR_GEN_AI_PROVIDER_NAME,
        "operation": semconv.ATTR_GEN_AI_OPERATION_NAME,
        "response_model": semconv.ATTR_GEN_AI_RESPONSE_MODEL,
        "time_to_first_chunk_ms": semconv.ATTR_TIME_TO_FIRST_CHUNK_MS,
        "output_chunks": semconv.ATTR_OUTPUT_CHUNKS,
        "user_id": semconv.ATTR_USER_ID,
        "session_id": semconv.ATTR_SESSION_ID,
        "prediction": semconv.ATTR_PREDICTION,
        "features": semconv.ATTR_FEATURES,
        "metadata": semconv.ATTR_METADATA,
        "clamped": semconv.ATTR_TIME_CLAMPED,
    },
)
_USER_EVENT = _Form(
    UserEvent,
    {
        "id": semconv.ATTR_LOG_RECORD_UID,
        "user_id": semconv.ATTR_USER_ID,
        "name": semconv.ATTR_EVENT_LABEL,
        "page_url": semconv.ATTR_URL_FULL,
        "session_id": semconv.ATTR_SESSION_ID,
        "device_type": semconv.ATTR_DEVICE_TYPE,
        "referrer": semconv.ATTR_REFERRER,
        "value": semconv.ATTR_EVENT_VALUE,
        "currency": semconv.ATTR_EVENT_CURRENCY,
        "background": semconv.ATTR_EVENT_BACKGROUND,
        "properties": semconv.ATTR_EVENT_PROPERTIES,
        "clamped": semconv.ATTR_TIME_CLAMPED,
    },
)
_USER_EVENT_NAMES: Mapping[str, str] = {
    **{t: semconv.EVENT_PREFIX + t for t in semconv.USER_EVENT_TYPES},
    **{t: t for t in (semconv.EVENT_SESSION_START, semconv.EVENT_SESSION_END)},
}
_TYPE_OF_EVENT = {name: event_type for event_type, name in _USER_EVENT_NAMES.items()}
USER_EVENT_TYPES = frozenset(_USER_EVENT_NAMES)


def to_event(record: Record) -> Event:
    """Return the event form of a record; fields that hold their default are left out."""
    if isinstance(record, Inference):
        name, form = semconv.EVENT_INFERENCE, _INFERENCE
    else:
        name, form = _USER_EVENT_NAMES[record.type], _USER_EVENT
    attributes: dict[str, Json] = {}
    for field, attribute in form.attributes.items():
        value: Json = getattr(record, field)
        if value is not None and (value is not False or field == "prediction"):
            attributes[attribute] = value
    return Event(
        name=name,
        ts=record.ts,
        origin=record.origin,
        attributes=attributes,
        trace_id=record.trace_id,
        span_id=record.span_id,
    )


def from_event(event: Event) -> Record | None:
    """Return the record an event is the form of, or `None` for an event that is none of ours.

    Raises:
        ValueError: the event has our name and a field is missing or of the wrong type; the message names it.
    """
    fields: dict[str, object] = {
        "ts": event.ts,
        "origin": event.origin,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
    }
    if event.name == semconv.EVENT_INFERENCE:
        form = _INFERENCE
    elif event.name in _TYPE_OF_EVENT:
        form, fields["type"] = _USER_EVENT, _TYPE_OF_EVENT[event.name]
    else:
        return None
    for field, attribute in form.attributes.items():
        if attribute in event.attributes:
            fields[field] = event.attributes[attribute]
    try:
        return msgspec.convert(fields, form.record)
    except msgspec.ValidationError as error:
        raise ValueError(f"event {event.name!r} is not a valid record: {error}") from error
