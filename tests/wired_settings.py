"""What is seen of the settings of a process: each function looks at what one of them does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from opentelemetry.sdk.metrics import MeterProvider

from otel_measure import wiring
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime
from otel_measure.store.clickhouse.collector_reading import CollectorReading
from otel_measure.store.sqlite import SqliteStore
from otel_measure.telemetry import Providers, Telemetry, instrumentations
from otel_measure.testing import Capture
from otel_measure.wiring import wall_clock_us
from tests.facts import inference
from tests.otlp.requests import NOW_US, PROCESS, Metrics, event, log_request, span, span_request

TEXT: Final = "A sentence that is no label, for it is far too long to be one. " * 5
NOWHERE: Final = "http://127.0.0.1:9"


class Given(NamedTuple):
    """What a test has: settings in which one field differs from the defaults, a folder, and pytest's hands."""

    settings: dict[str, Any]
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def with_settings(self, **others: Any) -> Settings:
        """Return the settings, in a store of the test's own."""
        return Settings(**{"store": str(self.folder / "m.db"), **others, **self.settings})

    def capture(self, **others: Any) -> Capture:
        """Return a process with these settings, at a time that requests of the tests tell of."""
        capture = Capture(self.with_settings(**others))
        capture.clock.now_us = NOW_US
        return capture

    def runtime(self, **others: Any) -> Runtime:
        """Return what is not started, and so sends nothing."""
        return Runtime(self.with_settings(**others), clock=lambda: NOW_US, raise_faults=True)


def database(runtime: Runtime) -> Any:
    """Return the connections of a store."""
    assert isinstance(runtime.store, SqliteStore)
    return runtime.store._database


def everything_recorded(runtime: Runtime) -> list[Any]:
    """Record one fact of each kind by the calls of an application, and return them as they leave."""
    runtime.ai.record_inference("m", "1", 5.0, prediction=TEXT, inference_id="i")
    runtime.ai.record_ground_truth("i", "fine")
    runtime.users.track_event("u", "click", "x")
    runtime.users.record_nps_response("u", 9)
    runtime.users.assign_variant(runtime.users.create_ab_test("t", ["a", "b"]), "u")
    runtime.infrastructure.register_service("api")
    runtime.infrastructure.record_service_down("api")
    runtime.recorder.flush()
    assert runtime.store is not None
    with runtime.store.asking() as moment_of_the_store:
        batch = moment_of_the_store.outbox.next(100)
    runtime.shutdown()
    assert batch is not None
    return batch.records


def spooled(given: Given) -> object:
    """Return whether a record is taken while the server of the store is away, and how many then wait."""
    given.monkeypatch.chdir(given.folder)
    try:
        runtime = given.runtime(store="clickhouse://127.0.0.1:9/nowhere")
    except StoreUnavailable:
        return "no process"
    runtime.ai.record_inference("m", "1", 5.0)
    is_taken = runtime.recorder.flush()
    assert runtime.forwarder is not None
    waiting = runtime.forwarder.waiting()
    runtime.recorder.stop(0.0)
    runtime.forwarder.stop(0.0)
    return is_taken, waiting


def collector(given: Given) -> object:
    """What reads the tables of a Collector, and which database of the server it would read."""
    given.monkeypatch.setattr(wiring, "open_store", lambda *_, **__: None)
    reader = given.runtime(store="clickhouse://127.0.0.1:9/nowhere").collector
    if reader is None:
        return "no reader"
    assert isinstance(reader, CollectorReading)
    return reader.collector


# ---------------------------------------------------------------- whose records they are


def origins(given: Given, of: Callable[[Any], str], attribute: str) -> object:
    """Where records, streams and resources say that they come from."""
    records = everything_recorded(given.runtime(otlp_endpoint=NOWHERE))
    assert len({type(record) for record in records}) == 6
    with given.capture() as capture:
        capture.users.track_event("u", "click", "x")
        own = capture.families()["otel_measure.self.records"].samples[:1]
        said = capture.runtime.telemetry.resource_attributes().get(attribute)
    labels = attribute.replace(".", "_")
    return {of(record.origin) for record in records}, said, [s.labels.partition(f'{labels}="')[2][:4] for s in own]


def service(given: Given) -> object:
    """The name of the service."""
    return origins(given, lambda origin: origin.service, "service.name")


def environment(given: Given) -> object:
    """The environment."""
    return origins(given, lambda origin: origin.environment, "deployment.environment.name")


# ---------------------------------------------------------------- where facts are kept


def store(given: Given) -> object:
    """Whether there is a store, and its file."""
    value = given.settings["store"]
    path = given.folder / value if value and value != ":memory:" else value
    with Capture(Settings(store=str(path) if path else None)) as capture:
        capture.users.track_event(1, "click", "x")
        capture.runtime.flush()
        return capture.runtime.store is not None, [file.name for file in given.folder.glob("*.db")]


def recorder_durability(given: Given) -> object:
    """How durably the recorder commits: what it asks of the store, and what SQLite does by itself."""
    runtime = given.runtime()
    durable: list[bool] = []
    assert runtime.store is not None
    accept = runtime.store.accept

    def noted(records: Any, **given: bool) -> Any:
        durable.append(given["durable"])
        return accept(records, **given)

    given.monkeypatch.setattr(runtime.store, "accept", noted)
    runtime.users.track_event(1, "click", "x")
    runtime.flush()
    with database(runtime).write() as connection:
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    runtime.shutdown()
    return durable, synchronous


def swept(given: Given, filler_bytes: int = 0) -> int:
    """Return how many of two events, of now and of ten days ago, are there after a sweep."""
    with given.capture() as capture:
        capture.users.track_event(1, "click", "x", timestamp=moment(NOW_US) - timedelta(days=10))
        capture.users.track_event(1, "click", "x")
        capture.runtime.flush()
        assert capture.runtime.store is not None
        with database(capture.runtime).write() as connection:
            connection.execute("CREATE TABLE filler AS SELECT randomblob(?) AS bytes", (filler_bytes,))
        capture.runtime.store.sweep(NOW_US)
        return rows(capture.runtime, "event")


def rows(runtime: Runtime, table: str) -> int:
    """Return how many rows a table has."""
    with database(runtime).read() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def retention(given: Given) -> object:
    """How long facts are kept."""
    return swept(given)


def bound(given: Given) -> object:
    """How large the store may be: what is in it here has 20 MB."""
    return swept(given, 20_000_000)


def history(given: Given) -> object:
    """How long the minutes of streams are kept: what was measured now is looked for in two days."""
    with given.capture() as capture:
        assert capture.runtime.flush()
        assert capture.runtime.store is not None
        for hours in range(0, 49, 12):  # who does not run for more than a day has nothing removed at first
            now_us = wall_clock_us() + hours * 3_600_000_000
            capture.runtime.store.keep_time(now_us)
        capture.runtime.store.sweep(now_us)
        return rows(capture.runtime, "history") > 0


# ---------------------------------------------------------------- what leaves


def sent(given: Given) -> object:
    """Which signals leave for the endpoint."""
    seen: set[str] = set()

    class Collector(BaseHTTPRequestHandler):
        """Answers every request, and notes where it came."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.add(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = given.settings["otlp_endpoint"] and f"http://127.0.0.1:{server.server_port}"
        settings = Settings(store=":memory:", otlp_endpoint=endpoint)
        runtime = Runtime(settings, providers=Providers(MeterProvider(shutdown_on_exit=False)))
        runtime.start(background=False)
        runtime.users.track_event(1, "click", "x")
        runtime.flush()
        runtime.shutdown()
        server.shutdown()
    return sorted(seen)


# ---------------------------------------------------------------- what is recorded, and when


def zones(given: Given) -> object:
    """Whose days windows are of, and on which day (from that in UTC) somebody was first seen at 11:30 UTC."""
    with given.capture() as capture:
        capture.users.track_event(1, "page_view", "x", timestamp=moment(NOW_US).replace(hour=11, minute=30))
        capture.infrastructure.register_service("api")
        windows = (
            capture.users.get_engagement_metrics().window,
            capture.ai.list_models().window,
            capture.infrastructure.get_availability_metrics("api").window,
        )
        (cohort,) = capture.users.get_retention_metrics().cohorts
        return [window.timezone for window in windows], (cohort.day - moment(NOW_US).date()).days


def queue(given: Given) -> object:
    """How many of twelve records wait."""
    with given.capture() as capture, capture.runtime.recorder._draining:
        for n in range(12):
            capture.users.track_event(n, "click", "x")
        return capture.runtime.recorder.queue_length


def flush_interval(given: Given) -> object:
    """How many seconds a record waits for others."""
    waits: list[float | None] = []

    class Noted(threading.Event):
        """Notes for how long it is waited for."""

        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(timeout)

    runtime = given.runtime()
    runtime.recorder._stopping = Noted()
    runtime.users.track_event(1, "click", "x")
    deadline = time.monotonic() + 20
    while not waits and time.monotonic() < deadline:
        time.sleep(0.001)
    runtime.shutdown()
    return waits[0]


def sampling(given: Given) -> object:
    """How many seconds there are between two readings of the machine."""
    runtime = given.runtime()
    runtime.shutdown()
    return runtime.sampler.interval_s


def price(given: Given) -> object:
    """What a million tokens cost."""
    with given.capture() as capture:
        capture.ai.record_inference("own", "1", 5.0, 1_000_000, 0)
        return capture.ai.get_cost_metrics("own", "1").total_usd


def trace_links(given: Given) -> object:
    """Where the trace of the slowest call is shown."""
    with given.capture() as capture:
        assert capture.runtime.store is not None
        capture.runtime.store.accept([inference("i", NOW_US, trace_id="ab" * 16)])
        return [call.trace_url for call in capture.ai.get_calls(environment="test").calls]


def foreign_event(given: Given) -> object:
    """How many persons have purchased, by an event of others."""
    with given.capture() as capture:
        capture.runtime.receiver.logs(log_request([event("checkout.done", NOW_US, user_id="u")]))
        return capture.users.get_conversion_metrics("purchase").converted_users


def spans_counted(given: Given) -> object:
    """How many calls there are a minute after a span has told of one."""
    with given.capture() as capture:
        capture.runtime.receiver.traces(span_request(span(2, end=NOW_US)))
        capture.clock.advance(timedelta(seconds=60))
        assert capture.runtime.flush()
        return capture.ai.list_models().total_inferences


def instrumented(given: Given) -> object:
    """What was turned on and off, and whether tracing is created."""
    turned_on: list[str] = []
    created: list[bool] = []

    class SwitchedInstrumentor:
        """An instrumentation."""

        is_instrumented_by_opentelemetry = False

        def instrument(self) -> None:
            turned_on.append("on")

        def uninstrument(self) -> None:
            turned_on.append("off")

    class Installed:
        """Its entry point."""

        name = "client"

        def load(self) -> Any:
            return SwitchedInstrumentor

    def watch_spans(self: Telemetry, callback: object, *, create: bool = False) -> None:
        created.append(create)

    given.monkeypatch.setattr(instrumentations, "installed", lambda: [Installed()])
    given.monkeypatch.setattr(Telemetry, "watch_spans", watch_spans)
    with given.capture():
        pass
    return turned_on, created


def text_kept(given: Given) -> object:
    """Whether a text that was predicted is kept, and whether arguments of the command of who sends are."""
    runtime = given.runtime(otlp_endpoint=NOWHERE)
    sent = Metrics({**PROCESS, "process.command_args": TEXT}, "other").counter("jobs", 1)
    runtime.receiver.metrics(sent.request)
    shown = any(TEXT in sample.labels for family in runtime.receiver.families() for sample in family.samples)
    records = everything_recorded(runtime)
    return [record.prediction == TEXT for record in records if hasattr(record, "prediction")], shown


def sessions(given: Given) -> object:
    """How many sessions two views are that lie 1,000 s apart."""
    with given.capture() as capture:
        for seconds in (2000, 1000):
            at = moment(NOW_US) - timedelta(seconds=seconds)
            capture.users.track_event(1, "page_view", "x", timestamp=at)
        return capture.users.get_engagement_metrics().sessions


def drift_samples(given: Given) -> object:
    """How many records the window of drift has, of 400 two hours ago and 300 now."""
    with given.capture() as capture:
        drawn = Random(4)  # in an order that tells nothing of the next one
        capture.ai.set_drift_reference("m", "1", predictions=[float(drawn.randrange(10)) for _ in range(200)])
        for n in range(700):
            at = moment(NOW_US).replace(minute=0) - timedelta(hours=2 if n < 400 else 0) + timedelta(seconds=n)
            capture.ai.record_inference("m", "1", 5.0, prediction=float(drawn.randrange(10)), timestamp=at)
        capture.clock.now_us += 3600 * 1_000_000
        drift = capture.ai.detect_model_drift("m", "1")
        assert drift is not None
        return drift.samples
