"""Providers that the application sets after us, each in a process of its own: they can be set once per process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What each script begins with: a reader and a provider of the application, and what the reader has seen.
BEGINNING = """
import os, sys
import otel_measure
from opentelemetry import metrics, trace, _logs
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_measure.process import current
from tests.telemetry.seen import seen_by
reader = InMemoryMetricReader()
theirs = MeterProvider([reader], shutdown_on_exit=False)
def call(times):
    for _ in range(times):
        otel_measure.get_ai_model_service().record_inference("m", "1", 5.0, cost_usd=0.1)
    assert otel_measure.flush()
def seen(name):
    return sum(getattr(point, "value", None) or point.count for point in seen_by(reader).get(name, []))
def stored(name):
    return sum(s.value or s.count for f in current().exposition.families() if f.name == name for s in f.samples)
"""


def run(script: str, *arguments: str, **environ: str) -> list[str]:
    """Run a script with warnings as errors; it must end well and say nothing on stderr."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", BEGINNING + script, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env | environ,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_meter_provider_set_later_is_adopted() -> None:
    """The API takes it in our place; from then on every call, reading and figure of ours goes through it."""
    assert run(
        """
otel_measure.configure(store=":memory:", service_name="shop")
call(2)
metrics.set_meter_provider(theirs)
assert metrics.get_meter_provider() is theirs
call(3)
print(seen("otel_measure.ai.inferences"), seen("gen_ai.client.operation.duration"), seen("otel_measure.ai.cost.usd"))
print({"system.memory.usage", "otel_measure.self.queue.length"} <= set(seen_by(reader)), current().telemetry.adopted)
print(stored("otel_measure.ai.inferences"), stored("otel_measure.self.records"))
assert otel_measure.shutdown()
theirs.get_meter("application").create_counter("after").add(1)
print(seen("after"), seen("otel_measure.ai.inferences"), "system.memory.usage" in seen_by(reader))
theirs.shutdown()
"""
    ) == ["3.0 3 0.3", "True True", "5.0 5.0", "1 0 False"]


def test_instruments_of_the_application_follow_to_its_provider() -> None:
    """Whether got before us or from ours: each goes on there, and the store has what it counted here and there."""
    assert run(
        """
early = metrics.get_meter("application")
jobs = early.create_counter("jobs")
early.create_observable_counter("ticks", [lambda _: [Observation(7)]])
otel_measure.configure(store=":memory:", service_name="shop")
between = metrics.get_meter("application")
def generator():
    options = yield
    while True:
        options = yield [Observation(4)]
made = {
    "counter": between.create_counter("calls"), "sum": between.create_up_down_counter("open"),
    "histogram": between.create_histogram("took"), "gauge": between.create_gauge("depth"),
}
between.create_observable_counter("reads", [generator()])
between.create_observable_up_down_counter("size", [lambda _: [Observation(-5)]])
between.create_observable_gauge("level", [lambda _: [Observation(9)]])
assert between.create_counter("calls") is made["counter"] and metrics.get_meter("application") is between
def use(times):
    jobs.add(times); made["counter"].add(times); made["sum"].add(-times); made["gauge"].set(times)
    for _ in range(times):
        made["histogram"].record(1.0)
names = ["jobs", "calls", "open", "took", "depth", "ticks", "reads", "size", "level"]
use(2)
print([stored(name) for name in names])
metrics.set_meter_provider(theirs)
call(1)
use(3)
print([seen(name) for name in names])
print([stored(name) for name in names])
print([stored(name) for name in names])
between.create_counter("late").add(1)
print(seen("late"), metrics.get_meter("application").name)
assert otel_measure.shutdown()
theirs.shutdown()
"""
    ) == [
        "[2.0, 2.0, -2.0, 2.0, 2.0, 7.0, 4.0, -5.0, 9.0]",
        "[3, 3, -3, 3, 3, 7, 4, -5, 9]",
        "[5.0, 5.0, -5.0, 5.0, 3.0, 7.0, 4.0, -5.0, 9.0]",
        "[5.0, 5.0, -5.0, 5.0, 3.0, 7.0, 4.0, -5.0, 9.0]",
        "1 application",
    ]


def test_without_a_store_models_are_what_was_recorded_on_both() -> None:
    """What ours had counted is not lost to reports, and not told to the application's reader."""
    assert run(
        """
otel_measure.configure(store=None, service_name="shop")
call(2)
metrics.set_meter_provider(theirs)
call(3)
(model,) = otel_measure.get_ai_model_service().list_models().models
print(model.inference_count, round(model.cost.total_usd, 9), model.latency.sample_count)
print(seen("otel_measure.ai.inferences"), seen("gen_ai.client.operation.duration"))
text = current().telemetry.prometheus_text()[0].decode()
print([line.split()[-1] for line in text.splitlines() if line.startswith("otel_measure_ai_inferences")])
assert otel_measure.shutdown()
theirs.shutdown()
"""
    ) == ["5 0.5 5", "3.0 3", "['3.0']"]


def test_what_had_to_leave_by_otlp_leaves_from_both() -> None:
    """With an endpoint, each provider tells what it has counted: together that is every call, once."""
    assert run(
        """
import gzip, http.server, threading
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
told = {}
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        if self.path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name == "gen_ai.client.operation.duration":
                            told[service, metric.name] = sum(point.count for point in metric.histogram.data_points)
                        elif metric.name == "otel_measure.ai.inferences":
                            told[service, metric.name] = sum(point.as_double for point in metric.sum.data_points)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
from opentelemetry.sdk.resources import Resource
theirs = MeterProvider([], Resource({"service.name": "theirs"}), shutdown_on_exit=False)
otel_measure.configure(store=":memory:", service_name="ours", otlp_endpoint=f"http://127.0.0.1:{server.server_port}")
call(2)
metrics.set_meter_provider(theirs)
call(3)
assert otel_measure.shutdown()
for key in sorted(told):
    print(*key, told[key])
theirs.shutdown()
server.shutdown()
server.server_close()
"""
    ) == [
        "ours gen_ai.client.operation.duration 2",
        "ours otel_measure.ai.inferences 2.0",
        "theirs gen_ai.client.operation.duration 3",
        "theirs otel_measure.ai.inferences 3.0",
    ]


def test_a_provider_set_after_a_second_beginning() -> None:
    """After `shutdown()` and `configure()` ours is still the global one, and still gives way; the API does it once."""
    assert run(
        """
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
otel_measure.configure(store=":memory:")
call(1)
assert otel_measure.shutdown()
otel_measure.configure(store=":memory:")
call(1)
metrics.set_meter_provider(theirs)
call(2)
print(seen("otel_measure.ai.inferences"), stored("otel_measure.self.records"))
metrics.set_meter_provider(MeterProvider(shutdown_on_exit=False))
assert metrics.get_meter_provider() is theirs
assert otel_measure.shutdown()
theirs.shutdown()
"""
    ) == ["2.0 3.0", "Overriding of current MeterProvider is not allowed"]


def test_a_provider_that_cannot_be_adopted_costs_nothing_else() -> None:
    """Where it takes no reader, that is logged once; what is recorded is stored and shown as before."""
    lines = run(
        """
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
class Closed(MeterProvider):
    def add_metric_reader(self, reader):
        raise NotImplementedError
otel_measure.configure(store=":memory:")
call(1)
theirs = Closed(shutdown_on_exit=False)
metrics.set_meter_provider(theirs)
for _ in range(2):
    call(1)
print(stored("otel_measure.ai.inferences"), stored("otel_measure.self.errors"), stored("otel_measure.self.records"))
assert otel_measure.shutdown()
theirs.shutdown()
"""
    )
    assert (lines[0], lines[-1]) == ("the MeterProvider of the application is not taken part in", "3.0 0 3.0")
    assert lines.count(lines[0]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_sets_its_own_provider(tmp_path: Path) -> None:
    """As workers do after a fork: what the parent had counted stays the parent's, in the store as well."""
    assert run(
        """
otel_measure.configure(store=sys.argv[1])
jobs = metrics.get_meter("application").create_counter("jobs")
jobs.add(5)
call(2)
pid = os.fork()
if pid == 0:
    metrics.set_meter_provider(theirs)
    call(3)
    jobs.add(1)
    print(seen("otel_measure.ai.inferences"), seen("jobs"), flush=True)
    assert otel_measure.shutdown()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
call(1)
print(stored("otel_measure.ai.inferences"), stored("jobs"))
assert otel_measure.shutdown()
""",
        str(tmp_path / "x.db"),
    ) == ["3.0 1", "6.0 6.0"]


@pytest.mark.parametrize("given", ["store=':memory:'", "store=None, otlp_endpoint='http://127.0.0.1:9'"])
def test_a_logger_provider_set_later_gets_events(given: str) -> None:
    """Where there was none, and in the place of ours, which is set without a store and with an endpoint."""
    assert run(
        f"""
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
otel_measure.configure({given})
exporter, theirs = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
theirs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
_logs.set_logger_provider(theirs)
otel_measure.get_user_analytics_service().track_event(1, "click", "x")
current().recorder.flush()
print([log.log_record.event_name for log in exporter.get_finished_logs()], flush=True)
os._exit(0)  # nobody is there whom metrics could be sent to at the end
"""
    ) == ["['otel_measure.click']"]


def test_a_tracer_provider_set_later_is_watched() -> None:
    """Where instrumentations are turned on ours is set, and gives way to the application's."""
    assert run(
        """
from opentelemetry.sdk.trace import TracerProvider
otel_measure.configure(settings=otel_measure.Settings(store=":memory:", auto_instrument=True))
theirs = TracerProvider(shutdown_on_exit=False)
trace.set_tracer_provider(theirs)
assert trace.get_tracer_provider() is theirs
current().keep_watch()
with trace.get_tracer("other").start_as_current_span(
    "chat", attributes={"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}
):
    pass
print(otel_measure.get_ai_model_service().list_models().total_inferences)
assert otel_measure.shutdown()
theirs.shutdown()
""",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*",
    ) == ["1"]
