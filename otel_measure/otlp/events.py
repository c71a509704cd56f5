"""Events as OTLP log records, and the way back: nothing is lost on either."""

from __future__ import annotations

from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin, get_type_hints

from msgspec import Meta
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from otel_measure.conventions import dialects, semconv
from otel_measure.otlp.values import attributes_of, fill_pairs, json_of
from otel_measure.records.events import SCHEMA_OF_EVENT, Event
from otel_measure.records.kinds import Exposure, Origin, Record
from otel_measure.records.limits import MAX_RECORD_BYTES


@lru_cache(maxsize=16)
def _bounded(record: type[Record]) -> frozenset[str]:
    """Return the attributes of a kind of record whose size the rules of their fields bound."""
    hints = get_type_hints(record, include_extras=True)
    names = zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True)
    return frozenset(attribute for field, attribute in names if _is_bounded(hints[field]))


def _is_bounded(hint: object) -> bool:
    """Whether no value that keeps the rule of a field can be large."""
    if get_origin(hint) is Annotated:
        _, *rules = get_args(hint)
        return any(isinstance(rule, Meta) and (rule.max_length is not None or rule.le is not None) for rule in rules)
    if arms := get_args(hint):
        return get_origin(hint) in {Union, UnionType} and all(map(_is_bounded, arms))
    return hint in {bool, int, float, NoneType}


def fill_log_record(into: LogRecord, event: Event, observed_us: int) -> None:
    """Fill an OTLP log record with an event.

    Args:
        into: an empty one.
        event: what it shall say.
        observed_us: when it was taken in, microseconds.
    """
    into.time_unix_nano = event.ts * 1000
    into.observed_time_unix_nano = observed_us * 1000
    into.severity_number = SeverityNumber.SEVERITY_NUMBER_INFO
    into.event_name = event.name
    if event.trace_id:
        into.trace_id = bytes.fromhex(event.trace_id)
    if event.span_id:
        into.span_id = bytes.fromhex(event.span_id)
    fill_pairs(into.attributes, event.attributes)


def event_name(record: LogRecord) -> str:
    """Return the name of the event that a log record is, "" for one that is none."""
    if record.event_name:
        return record.event_name
    return next((pair.value.string_value for pair in record.attributes if pair.key == dialects.EVENT_NAME), "")


def from_log_record(record: LogRecord, origin: Origin, now_us: int) -> Event:
    """Return the event that a log record is.

    Args:
        record: one with a name.
        origin: of its resource.
        now_us: when it happened where it does not say, microseconds.

    Raises:
        ValueError: a value is nested too deeply.
    """
    attributes = attributes_of(record.attributes)
    name = record.event_name or str(attributes.pop(dialects.EVENT_NAME, ""))
    return Event(
        name=name,
        ts=_happened(record, now_us),
        origin=origin,
        attributes=attributes,
        trace_id=record.trace_id.hex() or None,
        span_id=record.span_id.hex() or None,
    )


def own_record(record: LogRecord, origin: Origin, now_us: int) -> Record | None:
    """Return the record that a log record is, `None` where it is no event of ours or has no id of its own.

    It does as `from_log_record` and `from_event`, in three quarters of the time: most of large requests is this.

    Args:
        record: any.
        origin: of its resource.
        now_us: when it happened where it does not say, microseconds.

    Raises:
        ValueError: a value is nested too deeply or breaks a rule of its field, or the record is too large.
    """
    schema = SCHEMA_OF_EVENT.get(record.event_name or event_name(record))
    # A feature flag is an event of others as well, whose users are named in several ways.
    if schema is None or schema.record is Exposure:
        return None
    values: dict[str, object] = {}
    for pair in record.attributes:
        value = pair.value
        values[pair.key] = value.string_value or json_of(value)
    if semconv.ATTR_LOG_RECORD_UID not in values:
        return None
    # To count the bytes of every record takes its time: only what no rule bounds can be too large.
    if not _bounded(schema.record).issuperset(values):
        refuse_too_large(record)
    values["ts"] = _happened(record, now_us)
    values["origin"] = origin
    values["trace_id"] = record.trace_id.hex() or None
    values["span_id"] = record.span_id.hex() or None
    return schema.record_of(values)


def refuse_too_large(record: LogRecord) -> None:
    """Raise for more bytes than a record may have.

    Raises:
        ValueError: it has.
    """
    if record.ByteSize() > MAX_RECORD_BYTES:
        raise ValueError(f"an event must have at most {MAX_RECORD_BYTES} bytes")


def _happened(record: LogRecord, now_us: int) -> int:
    return (record.time_unix_nano or record.observed_time_unix_nano) // 1000 or now_us
