"""Requests are walked before they are decoded: what is too much is not reached, portions say what the whole says."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_measure.otlp.receive import json as otlp_json
from otel_measure.otlp.receive import shapes, wire
from otel_measure.otlp.receive.shapes import LOGS, METRICS, SPANS, MessageShape, TooManyItemsError
from tests.facts import one_of_each
from tests.otlp.requests import CHAT, DURATION, Metrics, event, log_request, record_request, span, span_request

Decode = Callable[[bytes, type[Message], MessageShape, Counter[str]], Iterator[Message]]


def requests() -> list[tuple[Message, MessageShape]]:
    """Return requests with several resources, scopes and items, of each signal."""
    metrics = (
        Metrics()
        .histogram(DURATION, [1, 2, 3], 4.5, CHAT)
        .exponential("mine", 3, -5, [1, 2, 3], 4.5, zero_count=1)
        .counter("jobs", 3, {"q": "a"})
        .gauge("system.memory.usage", 1.0)
    ).request
    metrics.MergeFrom(Metrics({"service.name": "other"}).gauge("a", 1.0).gauge("b", 2.0).request)
    metrics.resource_metrics[1].scope_metrics[0].metrics[0].gauge.data_points.add().as_int = 7
    logs = log_request([event("x", user_id="u"), event("y", user_id="v")])
    logs.MergeFrom(record_request(one_of_each(), {"service.name": "other"}))
    logs.resource_logs[0].scope_logs.add().log_records.add().body.string_value = 'a "quoted" \\ {[text]}'
    spans = span_request(span(1), span(2, parent=1), span(3, {"http.route": "/"}))
    return [(metrics, METRICS), (logs, LOGS), (spans, SPANS)]


def by_wire(body: bytes, message: type[Message], shape: MessageShape, refused: Counter[str]) -> Iterator[Message]:
    """Decode the portions of a request in protobuf."""
    return (message.FromString(portion) for portion in wire.portions(body, shape, refused))


def as_json(message: Message) -> bytes:
    """Return a request as OTLP/JSON, with spaces where they may be."""
    said = MessageToDict(message, use_integers_for_enums=True)
    text = json.dumps(_with_hex_ids(said), indent=1)
    return text.encode()


def _with_hex_ids(node: Any) -> Any:
    import base64

    if isinstance(node, list):
        return [_with_hex_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    ids = {"traceId", "spanId", "parentSpanId"}
    return {k: base64.b64decode(v).hex() if k in ids else _with_hex_ids(v) for k, v in node.items()}


FORMS: dict[str, tuple[Callable[[Message], bytes], Decode]] = {
    "protobuf": (lambda message: message.SerializeToString(), by_wire),
    "json": (as_json, otlp_json.messages),
}


def leaves(message: Message) -> list[tuple[str, str]]:
    """Return every item of a request, each with what it stands in."""
    found: list[tuple[str, str]] = []

    def visit(node: Any, common: str, shape: MessageShape) -> None:
        names = {child.names[0]: child for child in shape.children.values()}
        here = json.dumps({k: v for k, v in node.items() if k not in names}, sort_keys=True)
        for name, child in names.items():
            below = node.get(name, [])
            for each in below if isinstance(below, list) else [below]:
                if child.children:
                    visit(each, common + here, child)
                else:
                    found.append((common + here, json.dumps(each, sort_keys=True)))

    shape = {ExportMetricsServiceRequest: METRICS, ExportLogsServiceRequest: LOGS, ExportTraceServiceRequest: SPANS}
    visit(MessageToDict(message), "", shape[type(message)])
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("portion_items", [1, 2, 10_000])
@pytest.mark.parametrize("portion_bytes", [1, 300, 1_000_000])
def test_portions_say_what_the_whole_says(
    monkeypatch: pytest.MonkeyPatch, form: str, portion_items: int, portion_bytes: int
) -> None:
    """Wherever a request is cut, its items and what they stand in are the same, in their order."""
    encode, decode = FORMS[form]
    for module in (shapes, wire, otlp_json):
        for name, value in (
            ("HARMLESS_BYTES", 0),
            ("PORTION_ITEMS", portion_items),
            ("PORTION_BYTES", portion_bytes),
        ):
            monkeypatch.setattr(module, name, value, raising=False)
    for message, shape in requests():
        refused: Counter[str] = Counter()
        portions = list(decode(encode(message), type(message), shape, refused))
        assert [leaf for portion in portions for leaf in leaves(portion)] == leaves(message)
        assert refused == {}
        if portion_items == 1 or portion_bytes == 1:
            assert len(portions) == len(leaves(message))


@pytest.mark.parametrize("form", FORMS)
def test_a_small_request_is_decoded_as_it_is(form: str) -> None:
    """A request that cannot be too much is one message, equal to what was encoded."""
    encode, decode = FORMS[form]
    for message, shape in requests():
        assert list(decode(encode(message), type(message), shape, Counter())) == [message]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_too_large(form: str) -> None:
    """An item over its bytes is passed over, and so is all that stands in a resource over its own; the rest is not."""
    encode, decode = FORMS[form]
    request = log_request([event("a", user_id="u", text="x" * shapes.MAX_COMMON_BYTES), event("b", user_id="u")])
    request.MergeFrom(log_request([event("c"), event("d")], {"x": "y" * shapes.MAX_COMMON_BYTES}))
    request.MergeFrom(log_request([event("e", text="x" * 200_000)]))
    if form == "protobuf":
        request.MergeFrom(log_request([event("f", text="x" * shapes.MAX_ITEM_BYTES), event("g")]))
    refused: Counter[str] = Counter()
    portions = list(decode(encode(request), ExportLogsServiceRequest, LOGS, refused))
    names = [
        record.event_name
        for portion in portions
        for resource in portion.resource_logs  # type: ignore[attr-defined]
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    # A body that is small enough to be decoded as a whole is.
    assert names == (["a", "b", "e", "g"] if form == "protobuf" else ["a", "b", "e"])
    common = (
        f"a resource, a scope and what points of a metric share must have at most {shapes.MAX_COMMON_BYTES} bytes each"
    )
    item = f"an item must have at most {shapes.MAX_ITEM_BYTES} bytes"
    assert refused == ({common: 2, item: 1} if form == "protobuf" else {common: 2})


def test_what_is_too_large_is_not_kept() -> None:
    """A resource over its bytes takes no memory beside the body that it came in."""
    body = log_request([event("a")], {"x": "y" * 4 * 2**20}).SerializeToString()
    refused: Counter[str] = Counter()
    tracemalloc.start()
    try:
        portions = list(wire.portions(body, LOGS, refused))
        assert tracemalloc.get_traced_memory()[1] < shapes.MAX_COMMON_BYTES
    finally:
        tracemalloc.stop()
    assert (portions, refused.total()) == ([], 1)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * 100_001,
        wire._encoded(b"\x12\x00" * 100_000, [], 1) + b"\x0a\xc0\x9a\x0c" + b"\x12\x00" * 100_000,
        b"\x78\x01" * 100_001,
    ],
    ids=["resources", "scopes", "unknown"],
)
def test_too_many(body: bytes) -> None:
    """More than 100,000 items, or parts of what holds them, are not looked at."""
    with pytest.raises(TooManyItemsError):
        wire.portions(body, LOGS, Counter())


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceLogs":[' + b"{}," * 100_000 + b"{}]}",
        b'{"resourceLogs":[{"scopeLogs":[' + b"{}," * 100_000 + b"{}]}]}",
        b'{"resource_logs":[{"scope_logs":[{"log_records":[' + b"{}," * 100_000 + b"{}]}]}]}",
        b"{" + b'"x":1,' * 100_000 + b'"x":1}',
    ],
    ids=["resources", "scopes", "records", "unknown"],
)
def test_too_many_in_json(body: bytes) -> None:
    """The same in JSON, for whatever stands where items may."""
    with pytest.raises(TooManyItemsError):
        list(otlp_json.messages(body, ExportLogsServiceRequest, LOGS, Counter()))


@pytest.mark.parametrize(
    "end",
    [b"\x0a", b"\x0a\x7f", b"\x0a\xff", b"\x0b", b"\x02\x00", b"\x09\x00", b"\x08" + b"\xff" * 10 + b"\x00"],
    ids=["no length", "no content", "half a length", "a group", "number 0", "half a number", "a long number"],
)
def test_what_is_no_protobuf(end: bytes) -> None:
    """A body that does not end where it says is none."""
    record = b"\x12\x06\x62\x04name"
    with pytest.raises(DecodeError):
        wire.portions((b"\x0a\x0a\x12\x08" + record) * 20_000 + end, LOGS, Counter())


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (b"", "',' is expected (byte 200120)"),
        (b',"x":', "a value is expected (byte 200125)"),
        (b',"x":[1', "a value has no end, or more than 1048576 bytes (byte 200125)"),
        (b',"x', "a key is expected (byte 200121)"),
        (b',"x" 1}', "':' is expected (byte 200125)"),
        (b"} {", "something follows its end (byte 200122)"),
        (b',"x":"' + b'\\"' * 600_000 + b'"}', "a value has no end, or more than 1048576 bytes (byte 200125)"),
        (b',"x":' + b"[" * 300 + b"]" * 300 + b"}", "it is nested too deeply"),
    ],
    ids=["no end", "no value", "half a value", "half a key", "no colon", "two", "a long text", "deep"],
)
def test_what_is_no_json(end: bytes, why: str) -> None:
    """What is wrong with a large body is said with the place of it."""
    record = b'{"body":{"stringValue":"%s"}}' % (b"x" * 200_000)
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + record + b"]}]}]" + end
    assert len(body) - len(end) > shapes.HARMLESS_BYTES
    with pytest.raises(ValueError, match=re.escape(_expected(why, len(body) - len(end)))):
        list(otlp_json.messages(body, ExportLogsServiceRequest, LOGS, Counter()))


def _expected(why: str, start: int) -> str:
    """Return a message as it is when what was added begins at another byte than 200120."""
    what, _, place = why.partition(" (byte ")
    return f"{what} (byte {int(place[:-1]) - 200_120 + start})" if place else what


@pytest.mark.no_cover
def test_many_values_in_json() -> None:
    """A body of more texts and brackets than any that says something is refused."""
    item = b'{"a":[' + b"[]," * 160_000 + b"[]]}"
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + b",".join([item] * 10) + b"]}]}]}"
    with pytest.raises(ValueError, match="more than 3000000 texts and brackets"):
        list(otlp_json.messages(body, ExportLogsServiceRequest, LOGS, Counter()))
