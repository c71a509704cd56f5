"""Events as OTLP log records, and the way back: nothing is lost on either."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from otel_measure.otlp.values import attributes_of, fill_pairs
from otel_measure.records import Event, Origin

# Before log records had a name of their own, events said theirs in an attribute.
_NAME_ATTRIBUTE: Final = "event.name"


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
    return next((pair.value.string_value for pair in record.attributes if pair.key == _NAME_ATTRIBUTE), "")


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
    name = record.event_name or str(attributes.pop(_NAME_ATTRIBUTE, ""))
    happened = record.time_unix_nano or record.observed_time_unix_nano
    return Event(
        name=name,
        ts=happened // 1000 or now_us,
        origin=origin,
        attributes=attributes,
        trace_id=record.trace_id.hex() or None,
        span_id=record.span_id.hex() or None,
    )
