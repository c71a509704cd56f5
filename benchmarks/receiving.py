"""P5: events that come by OTLP in requests of 1,000, against decoding the same requests and nothing else.

The reference decodes every field of every record into plain values of Python, the way the protobuf documentation reads
a `oneof`; nothing of ours is in it. Two stricter ones are shown beside it: only the fields that our receiver needs,
read as it reads them, and the parser alone, which fills memory of C from which nobody has read anything yet.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from benchmarks.report import Row, best, seconds
from benchmarks.workload import Workload
from otel_measure.config import Settings
from otel_measure.otlp.events import fill_log_record
from otel_measure.otlp.values import attributes_of, fill_pairs
from otel_measure.records.events import to_event
from otel_measure.runtime import Runtime

REQUESTS = 20
SIZE = 1_000


def rows(events: int) -> list[Row]:
    """Time a receiver on top of `events` events."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Settings(store=str(Path(folder) / "measure.db")))
        runtime.start()
        workload = Workload()
        assert runtime.store is not None
        for _ in range(events // 10_000):
            runtime.store.accept(workload.events(10_000))
        os.sync()  # what filling has left to be written is not what is timed
        bodies = [[_body(workload) for _ in range(REQUESTS)] for _ in range(3)]
        thirds = iter(bodies)
        took = best(lambda: seconds(lambda: [_receive(runtime, body) for body in next(thirds)]))
        plain, needed, parsed = (
            best(lambda decode=decode: seconds(lambda: [decode(body) for body in bodies[0]]))  # type: ignore[misc]
            for decode in (_plain, _needed, ExportLogsServiceRequest.FromString)
        )
        runtime.shutdown()
    n = REQUESTS * SIZE
    return [
        Row("P5", "OTLP events/s stored, against decoding them into values", n / took, n / plain, 0.3, "/s", "high"),
        Row("P5", "the same, against our decoding of what we need", n / took, n / needed, 0.3, "/s", "high"),
        Row("P5", "the same, against the parser of C alone", n / took, n / parsed, 0.3, "/s", "high"),
    ]


def _receive(runtime: Runtime, body: bytes) -> object:
    return runtime.receiver.logs(ExportLogsServiceRequest.FromString(body))


def _plain(body: bytes) -> int:
    read = 0
    for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                found = (
                    record.time_unix_nano,
                    record.observed_time_unix_nano,
                    record.severity_number,
                    record.severity_text,
                    record.event_name,
                    plain_value(record.body),
                    {pair.key: plain_value(pair.value) for pair in record.attributes},
                    record.dropped_attributes_count,
                    record.flags,
                    record.trace_id,
                    record.span_id,
                )
                read += len(found)
    return read


def plain_value(value: AnyValue) -> object:
    """Return the value of an attribute, whatever kind it is of."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain_value(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


def _needed(body: bytes) -> int:
    read = 0
    for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                found = (
                    record.time_unix_nano,
                    record.event_name,
                    record.trace_id,
                    record.span_id,
                    attributes_of(record.attributes),
                )
                read += len(found)
    return read


def _body(workload: Workload) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    fill_pairs(resource.resource.attributes, {"service.name": "shop", "service.instance.id": "i"})
    scope = resource.scope_logs.add()
    for event in workload.events(SIZE):
        fill_log_record(scope.log_records.add(), to_event(event), event.ts)
    return request.SerializeToString()
