"""P13: GenAI spans that come by OTLP, 1,000 a request, against decoding the same requests and nothing else.

Each call stands in a trace of its own, inside a plain span of a request. The reference decodes every field of every
span into plain values of Python; nothing of ours is in it.
"""

from __future__ import annotations

import tempfile
import time
from itertools import count
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.receiving import plain_value
from benchmarks.report import Row, best, seconds
from otel_measure.config import Settings
from otel_measure.otlp.values import fill_pairs
from otel_measure.records.kinds import Json
from otel_measure.runtime import Runtime

REQUESTS = 10
SIZE = 1_000
_numbers = count(1)


def rows(_: int) -> list[Row]:
    """Time a receiver of spans."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Settings(store=str(Path(folder) / "measure.db")))
        bodies = [[_body() for _ in range(REQUESTS)] for _ in range(3)]
        thirds = iter(bodies)
        took = best(lambda: seconds(lambda: [_receive(runtime, body) for body in next(thirds)]))
        plain = best(lambda: seconds(lambda: [_plain(body) for body in bodies[0]]))
        runtime.shutdown()
    n = REQUESTS * SIZE
    return [
        Row("P13", "OTLP spans/s stored, against decoding them into values", n / took, n / plain, 0.25, "/s", "high")
    ]


def _receive(runtime: Runtime, body: bytes) -> object:
    return runtime.receiver.traces(ExportTraceServiceRequest.FromString(body))


def _plain(body: bytes) -> int:
    read = 0
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                found = (
                    *(span.trace_id, span.span_id, span.parent_span_id, span.name, span.kind),
                    *(span.start_time_unix_nano, span.end_time_unix_nano, span.status.code, span.flags),
                    {pair.key: plain_value(pair.value) for pair in span.attributes},
                )
                read += len(found)
    return read


def _body() -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    fill_pairs(resource.resource.attributes, {"service.name": "shop", "service.instance.id": "i"})
    scope = resource.scope_spans.add()
    ended = time.time_ns()
    for _ in range(SIZE // 2):
        trace = next(_numbers).to_bytes(16, "big")
        for span_id, parent in ((b"00000001", b""), (b"00000002", b"00000001")):
            span = scope.spans.add(trace_id=trace, span_id=span_id, parent_span_id=parent, name="chat gpt-4o")
            span.start_time_unix_nano, span.end_time_unix_nano = ended - 10**9, ended
            if not parent:
                fill_pairs(span.attributes, {"http.request.method": "POST", "url.path": "/ask"})
                continue
            attributes: dict[str, Json] = {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": trace.hex(),
                "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "user.id": "u1",
            }  # fmt: skip
            fill_pairs(span.attributes, attributes)
    return request.SerializeToString()
