from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otel_measure.conventions import semconv
from otel_measure.otlp.events import _bounded, event_name, fill_log_record, from_log_record, own_record
from otel_measure.records.events import Event, from_event, to_event
from otel_measure.records.kinds import (
    EvaluationResult,
    Exposure,
    GroundTruth,
    Inference,
    NpsResponse,
    Origin,
    Record,
    ServiceState,
    UserEvent,
)
from tests.facts import NOON, inference, records

CALL = inference("i")


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


@given(records)
def test_the_short_way_back_is_the_long_one(record: Record) -> None:
    """An event of ours with an id is read at once; an exposure is left to the long way, and so is what has no id."""
    assume(record.ts > 0)
    event = to_event(record)
    back = own_record(sent(event), record.origin, 0)
    expected = None if isinstance(record, Exposure) else record
    assert (back, repr(back)) == (expected, repr(expected))
    nameless = {key: value for key, value in event.attributes.items() if key != semconv.ATTR_LOG_RECORD_UID}
    assert own_record(sent(msgspec.structs.replace(event, attributes=nameless)), record.origin, 0) is None


def test_an_event_of_ours_may_say_more() -> None:
    """What has no field is let pass; the event's name may stand in its older place."""
    record = sent(to_event(CALL))
    record.attributes.add(key="other", value=AnyValue(string_value="x" * 10_000))
    assert own_record(record, CALL.origin, 0) == CALL
    record.attributes.add(key="event.name", value=AnyValue(string_value=record.event_name))
    record.event_name = ""
    assert own_record(record, CALL.origin, 0) == CALL


def test_an_event_of_ours_may_be_too_large() -> None:
    """Of what has no bound of its own it holds 32 KiB at most; what has one, and may be missing, is left out beyond."""
    features = msgspec.structs.replace(CALL, features={"x": "y" * 32 * 1024})
    with pytest.raises(ValueError, match="an event must have at most 32768 bytes"):
        own_record(sent(to_event(features)), CALL.origin, 0)
    record = sent(to_event(CALL))
    record.attributes.add(key="other", value=AnyValue(string_value="x" * 32 * 1024))
    with pytest.raises(ValueError, match="an event must have at most 32768 bytes"):
        own_record(record, CALL.origin, 0)
    user = msgspec.structs.replace(CALL, user_id="u" * 32 * 1024)
    assert own_record(sent(to_event(user)), CALL.origin, 0) == msgspec.structs.replace(CALL, user_id=None)


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


@pytest.mark.parametrize(
    ("record", "unbounded"),
    [
        (
            Inference,
            {
                "otel_measure.inference.prediction",
                "otel_measure.inference.features",
                "otel_measure.inference.units",
                semconv.ATTR_METADATA,
            },
        ),
        (UserEvent, {"otel_measure.event.properties"}),
        (GroundTruth, {"otel_measure.inference.ground_truth"}),
        (NpsResponse, set()),
        (ServiceState, set()),
        (EvaluationResult, set()),
    ],
)
def test_which_attributes_may_be_large(record: type[Record], unbounded: set[str]) -> None:
    """Objects and predictions, whose fields have no rule of length; every other attribute is bounded by its own."""
    attributes = {name for name in record.__struct_encode_fields__ if "." in name}
    assert attributes - _bounded(record) == unbounded
