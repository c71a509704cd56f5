"""The facts: frozen, typed records with an id, a time and the trace context of their caller.

Each has an event form (an OpenTelemetry log record with an event name) and a way back; `from_event(to_event(r)) == r`
is a law with a test. Times are int64 microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from otel_measure.conventions import semconv
from otel_measure.records import limits

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:
    Json = Any  # msgspec reads the annotations of a Struct and takes no recursive one
# The rules of fields; an event that arrives is held to them, and a builder has checked its arguments before.
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_ID_CHARS)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_CHARS)]
Model: TypeAlias = Annotated[str, Meta(max_length=limits.MAX_NAME_CHARS)]
Kind: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_KIND_CHARS)]
Text: TypeAlias = Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)]
Micros: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=limits.MAX_COUNT)]
Duration: TypeAlias = Annotated[float, Meta(ge=0.0, le=limits.MAX_LATENCY_MS)]
Cost: TypeAlias = Annotated[float, Meta(ge=0.0, le=limits.MAX_COST_USD)]
Amount: TypeAlias = Annotated[float, Meta(ge=-limits.MAX_VALUE, le=limits.MAX_VALUE)]
Currency: TypeAlias = Annotated[str, Meta(min_length=3, max_length=3)]
Score: TypeAlias = Annotated[int, Meta(ge=0, le=10)]
Prediction: TypeAlias = float | int | bool | str


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Which deployment a fact comes from: `service.name` and `deployment.environment.name`."""

    service: str
    environment: str = ""


class Inference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call of a model, successful or not."""

    id: Id
    ts: Micros
    origin: Origin
    model: Name
    version: Name
    latency_ms: Duration
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Cost | None = None
    cost_source: Kind | None = None
    error_type: Kind | None = None
    provider: Name | None = None
    operation: Kind | None = None
    response_model: Name | None = None
    time_to_first_chunk_ms: Duration | None = None
    output_chunks: Count | None = None
    user_id: Id | None = None
    session_id: Id | None = None
    prediction: Prediction | None = None
    features: dict[str, Json] | None = None
    metadata: dict[str, Json] | None = None
    clamped: bool = False
    trace_id: str | None = None
    span_id: str | None = None


class UserEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing a user did. `name` is the caller's label, `type` one of a closed list."""

    id: Id
    ts: Micros
    origin: Origin
    user_id: Id
    type: str
    name: Name
    page_url: Text | None = None
    session_id: Id | None = None
    device_type: Kind | None = None
    referrer: Text | None = None
    value: Amount | None = None
    currency: Currency | None = None
    background: bool = False
    properties: dict[str, Json] | None = None
    clamped: bool = False
    trace_id: str | None = None
    span_id: str | None = None


class GroundTruth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a prediction should have been, learnt later; it counts at the time of the inference."""

    id: Id
    ts: Micros
    origin: Origin
    inference_id: Id
    value: Prediction
    trace_id: str | None = None
    span_id: str | None = None


class NpsResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user's answer to "how likely are you to recommend us", 0 to 10."""

    id: Id
    ts: Micros
    origin: Origin
    user_id: Id
    score: Score
    survey: Id = "default"
    comment: Text = ""
    clamped: bool = False
    trace_id: str | None = None
    span_id: str | None = None


class Exposure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user met a variant of an experiment."""

    id: Id
    ts: Micros
    origin: Origin
    user_id: Id
    experiment: Name
    variant: Name
    reason: Kind = semconv.FEATURE_FLAG_REASON_SPLIT
    trace_id: str | None = None
    span_id: str | None = None


class ServiceState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A watched service went down or came up."""

    id: Id
    ts: Micros
    origin: Origin
    service: Name
    state: Kind
    reason: Name | None = None
    trace_id: str | None = None
    span_id: str | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What somebody (a person, a judge model, a program) thinks of an answer: a score, a label, or both.

    `model` and `version` are "" where nobody says whose answer it was.
    """

    id: Id
    ts: Micros
    origin: Origin
    name: Kind
    score: Amount | None = None
    label: Kind | None = None
    model: Model = ""
    version: Model = ""
    inference_id: Id | None = None
    response_id: Name | None = None
    trace_id: str | None = None
    span_id: str | None = None


Record: TypeAlias = Inference | UserEvent | GroundTruth | NpsResponse | Exposure | ServiceState | Evaluation


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record as OpenTelemetry carries it: what a LogRecord holds and the resource it comes from."""

    name: str
    ts: int
    origin: Origin
    attributes: dict[str, Json]
    trace_id: str | None = None
    span_id: str | None = None


class Form(msgspec.Struct, frozen=True, dict=True):
    """How records of one kind become events of one name: the attribute of each field that travels as one."""

    kind: str
    record: type[Record]
    event: str
    attributes: dict[str, str]
    type: str | None = None  # of user events, whose name tells it

    @cached_property
    def fields(self) -> dict[str, str]:
        """The field that each attribute is."""
        return {attribute: field for field, attribute in self.attributes.items()}

    def made(self, fields: dict[str, object]) -> Record:
        """Return the record with these fields, which may be changed.

        Raises:
            ValueError: a field is missing or of the wrong type; the message names it.
        """
        if self.type is not None:
            fields["type"] = self.type
        try:
            return msgspec.convert(fields, self.record)
        except msgspec.ValidationError as error:
            raise ValueError(f"event {self.event!r} is not a valid record: {error}") from error


_INFERENCE = Form(
    "inference",
    Inference,
    semconv.EVENT_INFERENCE,
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
_USER_EVENT = Form(
    "user_event",
    UserEvent,
    "",  # the event's name is its type
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
_FORMS: Mapping[type[Record], Form] = {
    form.record: form
    for form in (
        _INFERENCE,
        _USER_EVENT,
        Form(
            "ground_truth",
            GroundTruth,
            semconv.EVENT_GROUND_TRUTH,
            {
                "id": semconv.ATTR_LOG_RECORD_UID,
                "inference_id": semconv.ATTR_INFERENCE_ID,
                "value": semconv.ATTR_GROUND_TRUTH,
            },
        ),
        Form(
            "nps_response",
            NpsResponse,
            semconv.EVENT_NPS_RESPONSE,
            {
                "id": semconv.ATTR_LOG_RECORD_UID,
                "user_id": semconv.ATTR_USER_ID,
                "score": semconv.ATTR_NPS_SCORE,
                "survey": semconv.ATTR_NPS_SURVEY,
                "comment": semconv.ATTR_NPS_COMMENT,
                "clamped": semconv.ATTR_TIME_CLAMPED,
            },
        ),
        Form(
            "exposure",
            Exposure,
            semconv.EVENT_FEATURE_FLAG_EVALUATION,
            {
                "id": semconv.ATTR_LOG_RECORD_UID,
                "user_id": semconv.ATTR_FEATURE_FLAG_CONTEXT_ID,
                "experiment": semconv.ATTR_FEATURE_FLAG_KEY,
                "variant": semconv.ATTR_FEATURE_FLAG_RESULT_VARIANT,
                "reason": semconv.ATTR_FEATURE_FLAG_RESULT_REASON,
            },
        ),
        Form(
            "evaluation",
            Evaluation,
            semconv.EVENT_EVALUATION_RESULT,
            {
                "id": semconv.ATTR_LOG_RECORD_UID,
                "name": semconv.ATTR_GEN_AI_EVALUATION_NAME,
                "score": semconv.ATTR_GEN_AI_EVALUATION_SCORE_VALUE,
                "label": semconv.ATTR_GEN_AI_EVALUATION_SCORE_LABEL,
                "model": semconv.ATTR_GEN_AI_REQUEST_MODEL,
                "version": semconv.ATTR_MODEL_VERSION,
                "inference_id": semconv.ATTR_INFERENCE_ID,
                "response_id": semconv.ATTR_GEN_AI_RESPONSE_ID,
            },
        ),
        Form(
            "service_state",
            ServiceState,
            semconv.EVENT_SERVICE_STATE,
            {
                "id": semconv.ATTR_LOG_RECORD_UID,
                "service": semconv.ATTR_MONITORED_SERVICE_NAME,
                "state": semconv.ATTR_MONITORED_SERVICE_STATE,
                "reason": semconv.ATTR_MONITORED_SERVICE_REASON,
            },
        ),
    )
}
_USER_EVENT_NAMES: Mapping[str, str] = {
    **{t: semconv.EVENT_PREFIX + t for t in semconv.USER_EVENT_TYPES},
    **{t: t for t in (semconv.EVENT_SESSION_START, semconv.EVENT_SESSION_END)},
}
_MAY_BE_FALSE = frozenset({"prediction", "value"})
USER_EVENT_TYPES = frozenset(_USER_EVENT_NAMES)
USER_EVENTS = frozenset(_USER_EVENT_NAMES.values())
FORM_OF_EVENT: Mapping[str, Form] = {
    **{form.event: form for form in _FORMS.values() if form.event},
    **{name: msgspec.structs.replace(_USER_EVENT, event=name, type=t) for t, name in _USER_EVENT_NAMES.items()},
}
OWN_EVENTS = frozenset(FORM_OF_EVENT)


def kind_of(record: type[Record]) -> str:
    """Return the name under which records of a class are counted."""
    return _FORMS[record].kind


def _event_name(event_type: str) -> str:
    """Return the name of a user event; a newer version may have stored a type that this one does not know."""
    return _USER_EVENT_NAMES.get(event_type, semconv.EVENT_PREFIX + event_type)


def to_event(record: Record) -> Event:
    """Return the event form of a record; what is unknown or false is left out."""
    form = _FORMS[type(record)]
    name = _event_name(record.type) if isinstance(record, UserEvent) else form.event
    attributes: dict[str, Json] = {}
    for field, attribute in form.attributes.items():
        value: Json = getattr(record, field)
        if value is not None and (value is not False or field in _MAY_BE_FALSE):
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
    form = FORM_OF_EVENT.get(event.name)
    if form is None:
        return None
    fields: dict[str, object] = {
        form.fields[attribute]: value for attribute, value in event.attributes.items() if attribute in form.fields
    }
    fields |= {"ts": event.ts, "origin": event.origin, "trace_id": event.trace_id, "span_id": event.span_id}
    return form.made(fields)
