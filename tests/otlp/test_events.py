from __future__ import annotations

from hypothesis import assume, given
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_measure.otlp.events import event_name, fill_log_record, from_log_record
from otel_measure.records import Event, Origin, Record, from_event, to_event
from tests.facts import NOON, records


def sent(event: Event) -> LogRecord:
    """Return what arrives of an event."""
    record = LogRecord()
    fill_log_record(record, event, NOON)
    return LogRecord.FromString(record.SerializeToString())


@given(records)
def test_a_record_comes_back_from_otlp(record: Record) -> None:
    """Any record → OTLP bytes → record is the identity, types and all; 0 is OTLP's word for a time that is not said."""
    assume(record.ts > 0)
    back = from_event(from_log_record(sent(to_event(record)), record.origin, 0))
    assert (back, repr(back)) == (record, repr(record))


def test_a_time_that_is_not_said() -> None:
    """When it was observed stands in, and where that is not said either, the receiver's clock."""
    record = LogRecord(event_name="x", observed_time_unix_nano=5000)
    assert from_log_record(record, Origin("s"), 9).ts == 5
    assert from_log_record(LogRecord(event_name="x"), Origin("s"), 9).ts == 9


def test_the_older_place_of_a_name() -> None:
    """Events of before log records had names are events too; what has neither is a log line."""
    record = LogRecord(attributes=[KeyValue(key="event.name", value=AnyValue(string_value="x"))])
    assert event_name(record) == "x"
    assert from_log_record(record, Origin("s"), 1) == Event(name="x", ts=1, origin=Origin("s"), attributes={})
    assert event_name(LogRecord(severity_text="INFO")) == ""
