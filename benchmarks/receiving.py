"""P5: events that come by OTLP in requests of 1,000, against decoding the same requests and nothing else.

Decoding is told twice: into values of Python (every field and attribute of every record read), which is what a receiver
in Python cannot do without; and into protobuf's own memory in C, from which nobody has read anything yet.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from benchmarks.report import Row, best, seconds
from benchmarks.workload import Workload
from otel_measure.config import Settings
from otel_measure.otlp.events import fill_log_record
from otel_measure.otlp.values import attributes_of, fill_pairs
from otel_measure.records import to_event
from otel_measure.runtime import Runtime

REQUESTS = 20
SIZE = 1_000


def rows(events: int) -> list[Row]:
    """Time a receiver on top of `events` events."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Settings(store=str(Path(folder) / "measure.db")))
        workload = Workload()
        assert runtime.store is not None
        for _ in range(events // 10_000):
            runtime.store.accept(workload.events(10_000))
        bodies = [[_body(workload) for _ in range(REQUESTS)] for _ in range(3)]
        thirds = iter(bodies)
        took = best(lambda: seconds(lambda: [_receive(runtime, body) for body in next(thirds)]))
        values = best(lambda: seconds(lambda: [_values(body) for body in bodies[0]]))
        parsed = best(lambda: seconds(lambda: [ExportLogsServiceRequest.FromString(body) for body in bodies[0]]))
        runtime.shutdown()
    n = REQUESTS * SIZE
    return [
        Row("P5", "OTLP events/s stored, against decoding them into values", n / took, n / values, 0.3, "/s", "high"),
        Row("P5", "the same, against decoding them into memory of C", n / took, n / parsed, 0.3, "/s", "high"),
    ]


def _receive(runtime: Runtime, body: bytes) -> object:
    return runtime.receiver.logs(ExportLogsServiceRequest.FromString(body))


def _values(body: bytes) -> int:
    read = 0
    for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
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
