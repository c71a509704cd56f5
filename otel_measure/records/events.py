"""The event form of records, an OpenTelemetry log record with an event name, and the way back.

`from_event(to_event(r)) == r` is a law with a test. Which attribute a field is stands at the field (`records.kinds`);
which name an event has stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, get_type_hints

import msgspec

from otel_measure.conventions import semconv
from otel_measure.records.enums import EventType
from otel_measure.records.kinds import (
    AbConversion,
    EvaluationResult,
    Exposure,
    GroundTruth,
    Inference,
    Json,
    Maintenance,
    NpsResponse,
    Origin,
    Record,
    ServiceState,
    UserEvent,
)

R = TypeVar("R", bound=msgspec.Struct)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record as OpenTelemetry carries it: what a LogRecord holds and the resource it comes from."""

    name: str
    ts: int
    origin: Origin
    attributes: dict[str, Json]
    trace_id: str | None = None
    span_id: str | None = None


class EventSchema(msgspec.Struct, frozen=True):
    """How records of one kind become events of one name.

    Attributes:
        kind: the name under which such records are counted.
        event: the name of the event.
        type: of a user event, whose name tells it.
    """

    kind: str
    record: type[Record]
    event: str
    type: str | None = None

    def record_of(self, values: dict[str, object]) -> Record:
        """Return the record with these values, which may be changed; see `record_of`.

        Args:
            values: by attribute, and what an event carries beside its attributes by the field's name.

        Raises:
            ValueError: a value that a record cannot be without breaks the rule of its field; the message names the
                attribute.
        """
        if self.type is not None:
            values["type"] = self.type
        try:
            return record_of(values, self.record)
        except msgspec.ValidationError as error:
            raise ValueError(f"event {self.event!r} is not a valid record: {error}") from error


def record_of(values: Mapping[str, object], record: type[R]) -> R:
    """Return a record of one kind; an odd value costs its field where the record can be without it.

    Raises:
        msgspec.ValidationError: another value is missing or breaks the rule of its field.
    """
    try:
        return msgspec.convert(values, record)
    except msgspec.ValidationError:
        optional = _OPTIONAL[record]
        return msgspec.convert({key: v for key, v in values.items() if _keeps_rule(v, optional.get(key))}, record)


def _optional(record: type[msgspec.Struct]) -> Mapping[str, object]:
    """Return the types of the attributes that records of a kind may be without."""
    hints = get_type_hints(record, include_extras=True)
    names = list(zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True))
    return {attribute: hints[name] for name, attribute in names[len(names) - len(record.__struct_defaults__) :]}


def _keeps_rule(value: object, hint: object) -> bool:
    if hint is None:
        return True
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


USER_EVENT_NAMES: Final[Mapping[str, str]] = {
    **{member.value: semconv.EVENT_PREFIX + member.value for member in EventType},
    **{t: t for t in (semconv.EVENT_SESSION_START, semconv.EVENT_SESSION_END)},
}
"""Type of a user event → name of the event."""

SCHEMAS: Final = (
    EventSchema("inference", Inference, semconv.EVENT_INFERENCE),
    *(EventSchema("user_event", UserEvent, name, kind) for kind, name in USER_EVENT_NAMES.items()),
    EventSchema("ground_truth", GroundTruth, semconv.EVENT_GROUND_TRUTH),
    EventSchema("nps_response", NpsResponse, semconv.EVENT_NPS_RESPONSE),
    EventSchema("exposure", Exposure, semconv.EVENT_FEATURE_FLAG_EVALUATION),
    EventSchema("ab_conversion", AbConversion, semconv.EVENT_AB_CONVERSION),
    EventSchema("evaluation", EvaluationResult, semconv.EVENT_EVALUATION_RESULT),
    EventSchema("service_state", ServiceState, semconv.EVENT_SERVICE_STATE),
    EventSchema("maintenance", Maintenance, semconv.EVENT_MAINTENANCE),
)
SCHEMA_OF_EVENT: Final[Mapping[str, EventSchema]] = {schema.event: schema for schema in SCHEMAS}
USER_EVENT_TYPES: Final = frozenset(USER_EVENT_NAMES)
# Fields that an event carries beside its attributes; every other field is an attribute.
_BESIDE_ATTRIBUTES: Final = frozenset(Event.__struct_fields__) | {"type"}


def _attributes_of(record: type[Record]) -> tuple[tuple[str, str, object], ...]:
    """Return field, attribute and the value that is left out, besides `None`, of each field that is an attribute.

    Raises:
        TypeError: a field travels nowhere.
    """
    fields, attributes = record.__struct_fields__, record.__struct_encode_fields__
    defaults = dict(zip(reversed(fields), reversed(record.__struct_defaults__), strict=False))
    travelling = [(field, attribute) for field, attribute in zip(fields, attributes, strict=True) if field != attribute]
    lost = set(fields) - {field for field, _ in travelling} - _BESIDE_ATTRIBUTES
    if lost:
        raise TypeError(f"{record.__name__}: give {', '.join(sorted(lost))} its attribute: field(name=semconv.ATTR_…)")
    return tuple((f, a, False if defaults.get(f) is False else None) for f, a in travelling)


_OPTIONAL: Final[Mapping[type[msgspec.Struct], Mapping[str, object]]] = {s.record: _optional(s.record) for s in SCHEMAS}
_KIND_OF: Final[Mapping[type[Record], str]] = {schema.record: schema.kind for schema in SCHEMAS}
_NAME_OF: Final[Mapping[type[Record], str]] = {schema.record: schema.event for schema in SCHEMAS}
_ATTRIBUTES: Final = {record: _attributes_of(record) for record in _KIND_OF}


def kind_of(record: type[Record]) -> str:
    """Return the name under which records of a class are counted."""
    return _KIND_OF[record]


def to_event(record: Record) -> Event:
    """Return the event form of a record; what is unknown, and a flag that is not set, is left out."""
    attributes: dict[str, Json] = {}
    for field, attribute, left_out in _ATTRIBUTES[type(record)]:
        value: Json = getattr(record, field)
        if value is not None and value is not left_out:
            attributes[attribute] = value
    return Event(
        name=_user_event_name(record.type) if isinstance(record, UserEvent) else _NAME_OF[type(record)],
        ts=record.ts,
        origin=record.origin,
        attributes=attributes,
        trace_id=record.trace_id,
        span_id=record.span_id,
    )


def _user_event_name(event_type: str) -> str:
    """Return the name of a user event; a newer version may have stored a type that this one does not know."""
    return USER_EVENT_NAMES.get(event_type, semconv.EVENT_PREFIX + event_type)


def from_event(event: Event) -> Record | None:
    """Return the record an event is the form of, or `None` for an event that is none of ours.

    Raises:
        ValueError: the event has our name, and an attribute is missing or breaks the rule of its field.
    """
    schema = SCHEMA_OF_EVENT.get(event.name)
    if schema is None:
        return None
    values: dict[str, object] = {
        **event.attributes,
        "ts": event.ts,
        "origin": event.origin,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
    }
    return schema.record_of(values)
