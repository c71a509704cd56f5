"""P1a, P1b, P2: what a recording call costs its caller and its process."""

from __future__ import annotations

import statistics
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
OFFICIAL_CALLS = CALLS // 4
ROUNDS = 5
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
    """Measure ours and the references in this process."""
    official = _official()
    with _runtime() as runtime:
        ai, users = runtime.ai, runtime.users
        in_caller = _in_caller_us(lambda: ai.record_inference("gpt-4o", "1", 150.5, 100, 200, 0.005), runtime)
        tracked = _in_caller_us(lambda: users.track_event(7, "page_view", "home_page", page_url="/home"), runtime)
    official_wall = best(lambda: seconds(official)) / OFFICIAL_CALLS * 1e6
    unread, read, official_cpu = _cpu_us(official)
    posthog = _posthog()
    what = "record_inference, CPU of the process"
    return [
        Row("P1a", "record_inference, time in the caller", in_caller, official_wall, 0.1, "µs"),
        Row("P1b", f"{what}, nobody reads the instruments", unread, official_cpu, 0.25, "µs"),
        Row("P1b", f"{what}, read and sent by OTLP", read, official_cpu, 0.75, "µs"),
        Row("P2", "track_event, time in the caller", tracked, posthog, 0.5, "µs"),
    ]


def _cpu_us(official: Callable[[], object]) -> tuple[float, float, float]:
    """CPU time of the whole process per inference: unread, read and sent, and the official one, in turns."""
    with _collector() as endpoint:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"))
        meters = MeterProvider([reader], shutdown_on_exit=False)
        with _runtime() as alone, _runtime(Providers(meters)) as observed:
            runs = [
                (_inferences(alone, lambda: None), CALLS),
                (_inferences(observed, meters.force_flush), CALLS),
                (official, OFFICIAL_CALLS),
            ]
            for run, _ in runs:
                run()
            rounds = [[seconds(run, cpu=True) / calls * 1e6 for run, calls in runs] for _ in range(ROUNDS)]
        meters.shutdown()
    unread, read, official_cpu = map(statistics.median, zip(*rounds, strict=True))
    return unread, read, official_cpu


def _inferences(runtime: Runtime, export: Callable[[], object]) -> Callable[[], None]:
    """Return what records inferences until they are committed and exported once."""

    def run() -> None:
        for _ in range(CALLS):
            runtime.ai.record_inference("gpt-4o", "1", 150.5, 100, 200, 0.005)
        runtime.flush(60)
        export()

    return run


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


def _in_caller_us(call: Callable[[], object], runtime: Runtime) -> float:
    """Time bursts that end before the recorder's thread wakes up, so that only the call itself is seen."""

    def burst() -> float:
        took = seconds(lambda: [call() for _ in range(BURST)])
        runtime.flush(60)
        return took

    return best(burst, 51) / BURST * 1e6


def _official() -> Callable[[], None]:
    """Return what records by the official context manager with the full SDK: spans, metrics, logs, exported nowhere."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler = TelemetryHandler(
        TracerProvider(), MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False), LoggerProvider()
    )

    def run() -> None:
        for _ in range(OFFICIAL_CALLS):
            with handler.inference("openai", request_model="gpt-4o") as call:
                call.input_tokens, call.output_tokens = 100, 200

    run()
    return run


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
