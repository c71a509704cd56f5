"""An OTLP/HTTP receiver of the tests' own: it keeps what arrives and says what it adds up to."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel_measure.otlp.values import attributes_of


class OtlpSink:
    """What has arrived.

    Attributes:
        url: where to send.
        events: how often each id of an event came.
        is_up: whether requests are taken; otherwise they are answered with 503.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.events: dict[str, int] = {}
        self.is_up = True
        self._counts: dict[tuple[str, str, str, int], int] = {}
        self._lock = threading.Lock()

    def take(self, path: str, body: bytes) -> None:
        """Take in a request."""
        with self._lock:
            if path == "/v1/logs":
                self._take_logs(ExportLogsServiceRequest.FromString(body))
            elif path == "/v1/metrics":
                self._take_metrics(ExportMetricsServiceRequest.FromString(body))

    def _take_logs(self, request: ExportLogsServiceRequest) -> None:
        for resource in request.resource_logs:
            for record in resource.scope_logs[0].log_records:
                uid = str(attributes_of(record.attributes)["log.record.uid"])
                self.events[uid] = self.events.get(uid, 0) + 1

    def _take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            instance = str(attributes_of(resource.resource.attributes)["service.instance.id"])
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points: Any = getattr(metric, str(metric.WhichOneof("data"))).data_points
                    for point in points:
                        count = point.count if hasattr(point, "count") else point.as_int or int(point.as_double)
                        attributes = str(sorted(attributes_of(point.attributes).items()))
                        key = (metric.name, attributes, instance, point.start_time_unix_nano)
                        self._counts[key] = max(self._counts.get(key, 0), count)

    def total(self, name: str, only: str = "") -> int:
        """Return what all processes together have counted of a metric, of the series that mention `only`."""
        with self._lock:
            return sum(n for (metric, said, *_), n in self._counts.items() if metric == name and only in said)

    def instances(self, name: str) -> int:
        """Return how many processes have counted something of a metric: one that did nothing may send a count of 0."""
        with self._lock:
            return len({instance for (metric, _, instance, _), n in self._counts.items() if metric == name and n})


@contextmanager
def sink(port: int = 0) -> Iterator[OtlpSink]:
    """Run a receiver for the length of a `with` block."""

    class OtlpHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            if found.is_up:
                found.take(self.path, body)
            self.send_response(200 if found.is_up else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    class SinkServer(ThreadingHTTPServer):
        daemon_threads = True

    with SinkServer(("127.0.0.1", port), OtlpHandler) as server:
        found = OtlpSink(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join(10)
