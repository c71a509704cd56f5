"""What can be set once per process, hence each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, **environ: str) -> str:
    """Run a script with warnings as errors; it must end well and say nothing on stderr."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env | environ,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


BUILD = """
import sys, threading
from opentelemetry import metrics, trace, _logs
import otel_measure.runtime
from otel_measure.config import Settings
from otel_measure.telemetry import instrumentations
turned_on = []
class Instrumentor:
    is_instrumented_by_opentelemetry = False
    def instrument(self):
        turned_on.append(True)
class Point:
    name = "one"
    def load(self):
        return Instrumentor
instrumentations.installed = lambda: [Point()]
def state():
    return (
        metrics.get_meter_provider(), trace.get_tracer_provider(), _logs.get_logger_provider(),
        [thread.name for thread in threading.enumerate()], list(turned_on),
    )
before = state()
settings = Settings(store=%s, otlp_endpoint="http://127.0.0.1:9", auto_instrument=True)
runtime = otel_measure.runtime.Runtime(settings)
assert state() == before, (before, state())
runtime.start()
after = state()
print([a is not b for a, b in zip(before[:3], after[:3])], sorted(after[3])[1:], after[4])
runtime.shutdown(0.2)
"""


@pytest.mark.parametrize(
    ("store", "logs", "threads"),
    [
        ('":memory:"', False, ["otel-measure-background", "otel-measure-push"]),
        ("None", True, ["otel-measure-background"]),
    ],
)
def test_building_a_runtime_starts_no_thread_and_sets_nothing(store: str, logs: bool, threads: list[str]) -> None:
    """Providers, threads and instrumentations come with its start."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", BUILD % store], capture_output=True, text=True, cwd=ROOT, timeout=60, env=env
    )
    assert done.returncode == 0, done.stderr
    providers, rest = done.stdout.split("] ", 1)
    assert providers == f"[True, True, {logs}"
    assert all(repr(thread) in rest for thread in threads), rest
    assert rest.endswith("[True]\n")


def test_what_recurs_imports_nothing(tmp_path: Path) -> None:
    """A fork while a thread imports would leave a module locked in the child for ever."""
    out = run(
        f"""
import sys
import otel_measure
from otel_measure.process import current
otel_measure.configure(store={str(tmp_path / "x.db")!r})
otel_measure.get_infrastructure_service().keep_watch()
before = set(sys.modules)
for job in current().background._jobs:
    job.run()
print(sorted(set(sys.modules) - before))
assert otel_measure.shutdown()
"""
    )
    assert out == "[]\n"


def test_ours_become_global_where_there_are_none(tmp_path: Path) -> None:
    """What the application creates before and after is seen; propagators and the logger provider are left alone."""
    out = run(
        """
import otel_measure
from opentelemetry import metrics, propagate, _logs
before = propagate.get_global_textmap(), type(_logs.get_logger_provider())
early = metrics.get_meter("application").create_counter("jobs")
otel_measure.configure(store=":memory:", service_name="shop")
from opentelemetry.sdk.metrics import MeterProvider
from otel_measure.process import current
assert isinstance(metrics.get_meter_provider(), MeterProvider)
assert (propagate.get_global_textmap(), type(_logs.get_logger_provider())) == before
assert not current().telemetry.adopted
early.add(1)
metrics.get_meter("application").create_counter("more").add(2)
shown = {family.name: [s.value for s in family.samples] for family in current().exposition.families()}
print(shown["jobs"], shown["more"])
assert otel_measure.shutdown()
"""
    )
    assert out == "[1.0] [2.0]\n"


def test_an_applications_own_are_adopted() -> None:
    """Set before us as global ones: its exporter gets our events, its reader our instruments, and it outlives us."""
    out = run(
        """
from opentelemetry import metrics, _logs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
reader, exporter = InMemoryMetricReader(), InMemoryLogRecordExporter()
meters = MeterProvider([reader], shutdown_on_exit=False)
logs = LoggerProvider(shutdown_on_exit=False)
logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
metrics.set_meter_provider(meters)
_logs.set_logger_provider(logs)

import otel_measure
otel_measure.configure(store=":memory:", service_name="shop")
users = otel_measure.get_user_analytics_service()
users.track_event(1, "click", "x")
assert otel_measure.flush()
def names():
    data = reader.get_metrics_data()
    return {m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics if m.data.data_points}
assert metrics.get_meter_provider() is meters and _logs.get_logger_provider() is logs
print([log.log_record.event_name for log in exporter.get_finished_logs()])
assert {"otel_measure.users.events", "system.memory.usage"} <= names()
assert otel_measure.shutdown()
meters.get_meter("application").create_counter("after").add(1)
print(sorted(n for n in names() if not n.startswith("otel_measure.self.")))
meters.shutdown(); logs.shutdown()
"""
    )
    assert out == "['otel_measure.click']\n['after']\n"


def test_a_disabled_sdk_disables_no_fact() -> None:
    """OTEL_SDK_DISABLED makes instruments nothing; facts are stored, counted and shown all the same."""
    out = run(
        """
import otel_measure
from otel_measure.process import current
otel_measure.configure(store=":memory:")
otel_measure.get_user_analytics_service().track_event(1, "click", "x")
otel_measure.get_ai_model_service().record_inference("m", "1", 5.0)
shown = {family.name: [s.value for s in family.samples] for family in current().exposition.families()}
print(shown["otel_measure.users.events"], shown["otel_measure.ai.inferences"], "system.cpu.time" in shown)
assert otel_measure.shutdown()
""",
        OTEL_SDK_DISABLED="true",
    )
    assert out == "[1.0] [1.0] False\n"


def test_configuring_again(tmp_path: Path) -> None:
    """With the same settings a no-op, with others an error that names them; after `shutdown()` a new beginning."""
    out = run(
        f"""
import otel_measure, pathlib
from otel_measure.process import current
assert otel_measure.flush() and otel_measure.shutdown()
path = pathlib.Path({str(tmp_path / "x.db")!r})
otel_measure.configure(store=path, service_name="shop")
first = current()
otel_measure.configure(store=path, service_name="shop")
assert current() is first
for given in ({{"store": None, "service_name": "other"}}, {{"settings": otel_measure.Settings(), "service_name": "x"}}):
    try:
        otel_measure.configure(**given)
    except ValueError as error:
        print(error)
otel_measure.get_user_analytics_service().track_event(1, "click", "x")
first.telemetry.fault("streams")
assert otel_measure.shutdown()
otel_measure.configure(store=path, service_name="shop")
assert current() is not first
otel_measure.get_user_analytics_service().track_event(2, "click", "x")
shown = {{family.name: family.samples for family in current().exposition.families()}}
print([s.value for s in shown["otel_measure.users.events"]], [s.value for s in shown["otel_measure.self.errors"]])
print(sum(s.value for s in shown["otel_measure.self.records"]), len(shown["otel_measure.self.queue.length"]))
assert shown["system.cpu.time"]
"""
    )
    first, second, counts, own = out.splitlines()
    assert first == (
        "configure() was called before with other settings: service_name, store differ; "
        "call it once, before the first service call"
    )
    assert second == "configure() takes settings=… or single settings, not both"
    assert counts == "[2.0] [1.0]"
    assert own.startswith("2.0 ")


def test_the_default_store_is_named_in_one_log_line(tmp_path: Path) -> None:
    """Nobody has to configure anything; the first call says where the data are."""
    out = run(
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("otel_measure").setLevel(logging.INFO)
import otel_measure
otel_measure.get_user_analytics_service().track_event(1, "click", "x")
otel_measure.get_infrastructure_service()
assert otel_measure.shutdown()
""",
        XDG_STATE_HOME=str(tmp_path),
    )
    store = tmp_path / "otel-measure" / "measure.db"
    assert out == f"otel-measure keeps its data in {store}\n"
    assert store.stat().st_size > 0


def test_the_end_of_the_process_flushes(tmp_path: Path) -> None:
    """What was recorded a moment before is committed without anybody saying so."""
    script = """
import sys, otel_measure
otel_measure.configure(store=sys.argv[1] if len(sys.argv) > 1 else %r)
otel_measure.get_user_analytics_service().track_event(1, "click", "x")
"""
    store = str(tmp_path / "x.db")
    run(script % store)
    out = run(
        f"""
import otel_measure
otel_measure.configure(store={store!r})
print(otel_measure.get_user_analytics_service().get_engagement_metrics().dau)
"""
    )
    assert out == "1\n"


def test_an_endpoint_gets_events_and_metrics() -> None:
    """By OTLP/HTTP, from a resource that says who we are and that the facts are counted here already."""
    out = run(
        """
import gzip, http.server, threading
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
got = {}
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        got.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
import otel_measure
otel_measure.configure(
    store=":memory:", service_name="shop", environment="prod", otlp_endpoint=f"http://127.0.0.1:{server.server_port}/"
)
from opentelemetry import trace
span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
with trace.use_span(span):
    otel_measure.get_user_analytics_service().track_event(1, "click", "x")
otel_measure.get_ai_model_service().record_inference("m", "1", 5.0)
assert otel_measure.flush()
logs = ExportLogsServiceRequest.FromString(got["/v1/logs"][0])
print(sorted((r.event_name, r.span_id.hex()) for r in logs.resource_logs[0].scope_logs[0].log_records))
sent = ExportMetricsServiceRequest.FromString(got["/v1/metrics"][-1]).resource_metrics[0]
names = {m.name for s in sent.scope_metrics for m in s.metrics}
print({"otel_measure.ai.inferences", "gen_ai.client.operation.duration", "otel_measure.users.events"} <= names)
resource = {a.key: a.value.string_value or a.value.bool_value for a in sent.resource.attributes}
print(resource["service.name"], resource["deployment.environment.name"], resource["otel_measure.own_facts"])
assert otel_measure.shutdown()
server.shutdown()
server.server_close()
"""
    )
    assert out.splitlines() == [
        "[('otel_measure.click', '0000000000000002'), ('otel_measure.inference', '')]",
        "True",
        "shop prod True",
    ]


FORK = """
import os, sys, threading, time
import otel_measure
from otel_measure.process import current
path = sys.stdin.readline().strip()
otel_measure.configure(store=path, service_name="shop")
users, ai = otel_measure.get_user_analytics_service(), otel_measure.get_ai_model_service()
current().start()
stop = threading.Event()
def busy():
    while not stop.is_set():
        current().exposition.families()
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads:
    thread.start()
for n in range(300):
    users.track_event(f"parent {n}", "click", "x", event_id=f"parent {n}")
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        for n in range(50):
            users.track_event(f"child {child} {n}", "click", "x", event_id=f"child {child} {n}")
        ai.record_inference("m", "1", 5.0)
        time.sleep(0)
        ok = otel_measure.shutdown()
        os._exit(0 if ok else 1)
    children.append(pid)
print([os.waitpid(pid, 0)[1] for pid in children])
stop.set()
for thread in threads:
    thread.join()
assert otel_measure.flush()
shown = {family.name: family.samples for family in current().exposition.families()}
print([s.value for s in shown["otel_measure.users.events"]], [s.value for s in shown["otel_measure.ai.inferences"]])
print(sorted((s.value, s.labels.count("accepted")) for s in shown["otel_measure.self.records"]))
print(users.get_engagement_metrics().dau)
assert otel_measure.shutdown()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_children_measure_for_themselves(tmp_path: Path) -> None:
    """Under threads that commit and collect: no hang, the parent's queue is committed once, counts are one's own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK],
        input=f"{tmp_path / 'x.db'}\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    statuses, counts, own, dau = done.stdout.splitlines()
    assert statuses == "[0, 0, 0, 0]"
    assert counts == "[500.0] [4.0]"
    assert own == "[(4.0, 1), (500.0, 1)]"
    assert dau == "500"
