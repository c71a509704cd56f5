"""P1a, P1b, P2: what a recording call costs its caller and its process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from benchmarks.report import Row, best, seconds
from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from otel_measure.telemetry import Providers

CALLS = 20_000
BURST = 200
# A collector that reads what it gets and takes everything, in a process of its own: its CPU time is not ours.
COLLECTOR = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
"""


def rows(_: int) -> list[Row]:
    """Measure ours and the references one after the other in this process."""
    with _runtime() as runtime:
        ai, users = runtime.ai, runtime.users
        unread = _cpu_us(runtime, lambda: None)
        in_caller = _in_caller_us(lambda: ai.record_inference("gpt-4o", "1", 150.5, 100, 200, 0.005), runtime)
        tracked = _in_caller_us(lambda: users.track_event(7, "page_view", "home_page", page_url="/home"), runtime)
    with _collector() as endpoint:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"))
        meters = MeterProvider([reader], shutdown_on_exit=False)
        with _runtime(Providers(meters)) as runtime:
            read = _cpu_us(runtime, meters.force_flush)
        meters.shutdown()
    official_wall, official_cpu = _official()
    posthog = _posthog()
    return [
        Row("P1a", "record_inference, time in the caller", in_caller, official_wall, 0.1, "µs"),
        Row(
            "P1b",
            "record_inference, CPU of the process, nobody reads the instruments",
            unread,
            official_cpu,
            0.25,
            "µs",
        ),
        Row("P1b", "record_inference, CPU of the process, read and sent by OTLP", read, official_cpu, 0.75, "µs"),
        Row("P2", "track_event, time in the caller", tracked, posthog, 0.5, "µs"),
    ]


@contextmanager
def _runtime(providers: Providers | None = None) -> Iterator[Runtime]:
    """A runtime with a store of its own, which ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(store=str(Path(folder) / "measure.db"), queue_size=10_000_000)
        runtime = Runtime(settings, providers=providers)
        runtime.start()
        yield runtime
        runtime.shutdown()


@contextmanager
def _collector() -> Iterator[str]:
    """A collector that is running, as its address."""
    with subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


def _cpu_us(runtime: Runtime, export: Callable[[], object]) -> float:
    """CPU time of the whole process per inference, until it is committed and exported once."""

    def infer() -> None:
        for _ in range(CALLS):
            runtime.ai.record_inference("gpt-4o", "1", 150.5, 100, 200, 0.005)
        runtime.flush(60)
        export()

    infer()
    return best(lambda: seconds(infer, cpu=True)) / CALLS * 1e6


def _in_caller_us(call: Callable[[], object], runtime: Runtime) -> float:
    """Time bursts that end before the recorder's thread wakes up, so that only the call itself is seen."""

    def burst() -> float:
        took = seconds(lambda: [call() for _ in range(BURST)])
        runtime.flush(60)
        return took

    return best(burst, 51) / BURST * 1e6


def _official() -> tuple[float, float]:
    """The official inference context manager with the full SDK: spans, metrics and logs, exported nowhere."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler = TelemetryHandler(
        TracerProvider(), MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False), LoggerProvider()
    )

    def run() -> None:
        for _ in range(CALLS // 4):
            with handler.inference("openai", request_model="gpt-4o") as call:
                call.input_tokens, call.output_tokens = 100, 200

    run()
    calls = CALLS // 4
    return best(lambda: seconds(run)) / calls * 1e6, best(lambda: seconds(run, cpu=True)) / calls * 1e6


def _posthog() -> float:
    """`capture()` of posthog's client, whose thread drains the queue to a port where nobody listens."""
    import logging

    from posthog import Posthog

    logging.getLogger("posthog").setLevel(logging.CRITICAL)
    logging.getLogger("backoff").setLevel(logging.CRITICAL)
    client = Posthog("key", host="http://127.0.0.1:9", max_queue_size=10_000_000, max_retries=0, timeout=1)

    def run() -> None:
        for i in range(CALLS // 4):
            client.capture("page_view", distinct_id=str(i % 500), properties={"page_url": "/home"})

    run()
    took = best(lambda: seconds(lambda: [client.capture("page_view", distinct_id="7") for _ in range(BURST)]), 51)
    for consumer in client.consumers or []:
        consumer.pause()  # type: ignore[no-untyped-call]
    return took / BURST * 1e6
