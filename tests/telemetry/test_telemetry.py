from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, TraceIdRatioBased

from otel_measure.ai.reports import ModelsSummary, Snapshot
from otel_measure.config import Settings
from otel_measure.conventions import instruments
from otel_measure.definitions.streams import Point
from otel_measure.definitions.windows import Window
from otel_measure.errors import NoStore
from otel_measure.records.events import from_event
from otel_measure.store.types.models import Model
from otel_measure.telemetry import Providers, Telemetry, log_events
from otel_measure.telemetry.otlp_export import OtlpReader
from otel_measure.telemetry.readers import StreamReader
from otel_measure.telemetry.sdk_internals import resource_of
from otel_measure.testing import Capture
from tests.facts import event, inference, one_of_each
from tests.telemetry.seen import seen_by, seen_in

SETTINGS = Settings(service_name="shop", environment="test", store=None)


@pytest.fixture
def application() -> Iterator[tuple[Providers, InMemoryMetricReader]]:
    """An application's own providers, and its reader."""
    reader = InMemoryMetricReader()
    providers = Providers(MeterProvider([reader], shutdown_on_exit=False))
    yield providers, reader
    providers.meters.shutdown()


def by_name(telemetry: Telemetry) -> dict[str, list[Point]]:
    """Return the stream points by name."""
    points: dict[str, list[Point]] = {}
    for point in telemetry.points("this host"):
        points.setdefault(point.name, []).append(point)
    return points


# ---------------------------------------------------------------- what is recorded


def test_records_reach_the_instruments(application: tuple[Providers, InMemoryMetricReader]) -> None:
    """Histograms as they come, counters as sums on their grid; ten times ten cents are a dollar."""
    providers, _ = application
    telemetry = Telemetry(SETTINGS, "me", exposition=True, providers=providers)
    telemetry.start()
    telemetry.record([inference(str(n), cost_usd=0.1, input_tokens=2) for n in range(10)])
    telemetry.record([event("e")])
    seen = seen_in(telemetry.collect())
    assert {
        name: [point.value for point in points] for name, points in seen.items() if hasattr(points[0], "value")
    } == {
        "otel_measure.ai.cost.usd": [1.0],
        "otel_measure.ai.inferences": [10],
        "otel_measure.ai.tokens": [20],
        "otel_measure.users.events": [1],
    }
    (duration,) = seen["gen_ai.client.operation.duration"]
    assert (duration.count, duration.sum) == (10, pytest.approx(1.0))
    assert duration.scale > 0


def test_nothing_is_measured_before_the_start(application: tuple[Providers, InMemoryMetricReader]) -> None:
    """Building adds no reader and no instrument to a provider; starting again changes nothing."""
    providers, reader = application
    telemetry = Telemetry(SETTINGS, "me", providers=providers)
    telemetry.count("inference", "accepted", 1)
    telemetry.commit_took(0.1)
    assert (telemetry.adopted, telemetry.points("this host"), seen_by(reader)) == (False, [], {})
    telemetry.start()
    attached = telemetry._attached
    telemetry.start()
    telemetry.count("inference", "accepted", 1)
    assert telemetry._attached is attached
    assert [point.value for point in by_name(telemetry)["otel_measure.self.records"]] == [1]
    telemetry.shutdown(1.0)


def test_an_adopted_provider_goes_on_without_us(application: tuple[Providers, InMemoryMetricReader]) -> None:
    """Its readers get our instruments in our buckets, ours gets its instruments, and the end of ours is not its end."""
    providers, reader = application
    jobs = providers.meters.get_meter("application").create_counter("jobs")
    telemetry = Telemetry(SETTINGS, "me", providers=providers)
    telemetry.start()
    assert telemetry.adopted
    jobs.add(2)
    telemetry.record([inference("i")])
    (duration,) = seen_by(reader)["gen_ai.client.operation.duration"]
    assert isinstance(duration, HistogramDataPoint)
    assert tuple(duration.explicit_bounds) == instruments.BUCKETS_DURATION
    assert [point.value for point in by_name(telemetry)["jobs"]] == [2]

    telemetry.shutdown(1.0)
    jobs.add(1)
    left = seen_by(reader)
    assert [point.value for point in left["jobs"]] == [3]
    assert "otel_measure.ai.inferences" not in left


def test_a_second_runtime_is_not_disturbed_by_the_first(application: tuple[Providers, InMemoryMetricReader]) -> None:
    """After `shutdown()` and `configure()` the counters are those of the second alone."""
    providers, reader = application
    first = Telemetry(SETTINGS, "one", providers=providers)
    first.start()
    first.record([event("a")])
    first.shutdown(1.0)
    second = Telemetry(SETTINGS, "two", providers=providers)
    second.start()
    second.record([event("b")])
    assert [point.value for point in seen_by(reader)["otel_measure.users.events"]] == [1]


def test_counters_are_capped_with_an_overflow(
    application: tuple[Providers, InMemoryMetricReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the SDK itself caps what it counts: memory does not grow with the names of models."""
    monkeypatch.setattr(instruments, "EXPOSED_ATTRIBUTE_SETS", 2)
    telemetry = Telemetry(SETTINGS, "me", providers=application[0])
    telemetry.start()
    telemetry.record([inference(str(n), model=f"m{n}") for n in range(5)])
    telemetry.record([inference("again", model="m0")])
    points = seen_by(application[1])["otel_measure.ai.inferences"]
    by_model = {point.attributes.get("gen_ai.request.model"): point.value for point in points}
    assert by_model == {"m0": 2, "m1": 1, None: 3}
    assert [dict(p.attributes) for p in points if p.value == 3] == [{"otel.metric.overflow": "true"}]


def test_events_are_log_records_of_the_record() -> None:
    """Every kind can be read back from what a log exporter gets, with the trace context of its caller."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    with Capture() as capture:
        assert capture.providers.loggers is not None
        capture.providers.loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        capture.runtime.recorder.commit(one_of_each())
        back = [from_event(emitted) for emitted in capture.events()]
        origin = capture.events()[0].origin
    assert [(type(r), getattr(r, "trace_id", None)) for r in back] == [(type(r), r.trace_id) for r in one_of_each()]
    assert [r.ts for r in back if r is not None] == [r.ts for r in one_of_each()]
    assert origin.service == "unknown_service"
    assert {log.instrumentation_scope.name for log in exporter.get_finished_logs() if log.instrumentation_scope} == {
        "otel_measure"
    }


def test_no_event_is_built_for_nobody(
    application: tuple[Providers, InMemoryMetricReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a LoggerProvider of the SDK and without an endpoint no record is turned into an event."""
    monkeypatch.setattr(log_events, "to_event", lambda record: pytest.fail("an event was built"))
    telemetry = Telemetry(SETTINGS, "me", providers=application[0])
    telemetry.start()
    telemetry.record([event("a")])
    telemetry.flush(1.0)


def test_flush_reaches_the_applications_log_exporter() -> None:
    """The application's own flush does not know of us; ours knows of it."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    meters = MeterProvider(shutdown_on_exit=False)
    telemetry = Telemetry(SETTINGS, "me", exposition=True, providers=Providers(meters, loggers))
    telemetry.start()
    telemetry.record([event("a")])
    telemetry.flush(1.0)
    assert [log.log_record.event_name for log in exporter.get_finished_logs()] == ["otel_measure.click"]
    telemetry.shutdown(1.0)
    meters.shutdown()
    loggers.shutdown()


# ---------------------------------------------------------------- about itself


def test_what_became_of_records_is_counted(application: tuple[Providers, InMemoryMetricReader]) -> None:
    """Kind, outcome and reason; faults by what they are; commits by how long they took."""
    telemetry = Telemetry(SETTINGS, "me", providers=application[0])
    telemetry.start()
    telemetry.count("inference", "accepted", 3)
    telemetry.count("inference", "dropped", 2, "queue_full")
    telemetry.fault("streams")
    telemetry.commit_took(0.5)
    streams = by_name(telemetry)
    values = {point.labels: point.value for point in streams["otel_measure.self.records"]}
    where = 'deployment_environment_name="test"'
    assert values == {
        f'{where},otel_measure_record_kind="inference",otel_measure_record_outcome="accepted",service_name="shop"': 3,
        f'{where},otel_measure_drop_reason="queue_full",otel_measure_record_kind="inference",'
        'otel_measure_record_outcome="dropped",service_name="shop"': 2,
    }
    (fault,) = streams["otel_measure.self.errors"]
    assert (fault.value, 'error_type="streams"' in fault.labels, fault.scope) == (1, True, "add")
    (commit,) = streams[instruments.OTEL_MEASURE_SELF_COMMIT_DURATION.name]
    assert (commit.value, commit.count, commit.bounds) == (0.5, 1, instruments.BUCKETS_COMMIT_DURATION)
    assert commit.buckets[commit.bounds.index(0.5)] == 1


def test_a_gauge_is_read_when_asked(application: tuple[Providers, InMemoryMetricReader]) -> None:
    """And no more after the end."""
    providers, reader = application
    telemetry = Telemetry(SETTINGS, "me", providers=providers)
    telemetry.start()
    values = iter([1.0, 2.0])
    telemetry.observe_gauge(instruments.OTEL_MEASURE_SELF_QUEUE_LENGTH, values.__next__)
    name = instruments.OTEL_MEASURE_SELF_QUEUE_LENGTH.name
    assert [[p.value for p in seen_by(reader)[name]] for _ in range(2)] == [[1.0], [2.0]]
    telemetry.shutdown(1.0)
    assert name not in seen_by(reader)


def test_a_child_leaves_to_its_parent_what_its_parent_counted(
    application: tuple[Providers, InMemoryMetricReader],
) -> None:
    """Counters and histograms of the application and of ours begin at nothing under the child's own id."""
    providers, _ = application
    telemetry = Telemetry(SETTINGS, "parent", exposition=True, providers=providers)
    telemetry.start()
    jobs = providers.meters.get_meter("application").create_counter("jobs")
    jobs.add(5)
    telemetry.record([event("a")])
    telemetry.count("user_event", "accepted", 1)
    telemetry.commit_took(0.5)
    telemetry.before_fork()
    telemetry.after_fork_in_child("child")
    jobs.add(2)
    telemetry.record([event("b")])
    telemetry.commit_took(0.001)
    streams = by_name(telemetry)
    assert [(point.value, point.instance) for point in streams["jobs"]] == [(2, "child")]
    assert [point.value for point in streams["otel_measure.self.records"]] == [0]
    (commit,) = streams[instruments.OTEL_MEASURE_SELF_COMMIT_DURATION.name]
    assert (commit.count, round(commit.value, 9), sum(commit.buckets)) == (1, 0.001, 1)
    assert [point.value for point in seen_in(telemetry.collect())["otel_measure.users.events"]] == [1]
    telemetry.before_fork()
    telemetry.after_fork_in_parent()


# ---------------------------------------------------------------- without a store


def test_without_a_store_models_are_what_was_recorded() -> None:
    """A process that adds up its calls itself gives the answers that a store gives, to the last digit."""
    made = [
        inference(str(n), model=f"m/{n % 2}", latency_ms=10.0 + n, cost_usd=0.25 if n % 2 else None,
                  cost_source="caller", input_tokens=n, output_tokens=1 if n % 3 else None,
                  error_type="Timeout" if n == 5 else None, cached_input_tokens=n // 2 if n % 3 else None,
                  reasoning_tokens=n % 5 or None, time_to_first_chunk_ms=5.0 + n if n % 4 else None)
        for n in range(100)
    ]  # fmt: skip
    with Capture(Settings(store=None)) as without, Capture() as with_store:
        for capture in (without, with_store):
            capture.runtime.recorder.commit(made)
        models, expected = without.ai.list_models(), with_store.ai.list_models()
        assert without.ai.get_models_summary().inference_count == 100
        assert without.runtime.telemetry.models() == [Model("m/0", "1"), Model("m/1", "1")]
        assert without.ai.knows_model("m/0", "1")
        assert not without.ai.knows_model("m/2", "1")
    assert (len(models.models), models.total_inferences) == (2, 100)
    answers: list[Snapshot | ModelsSummary] = [models.summary, *models.models]
    right: list[Snapshot | ModelsSummary] = [expected.summary, *expected.models]
    assert [_said(one, models.window) for one in answers] == [_said(one, models.window) for one in right]


def _said(answer: Snapshot | ModelsSummary, window: Window) -> str:
    """Return cost, latency and errors of an answer as text: what is unknown is not equal to itself."""
    said = (replace(answer.cost, window=window), replace(answer.latency, window=window))
    return repr((answer.inference_count, answer.errors, *said))


def test_without_a_store_the_official_exporter_serves_the_exposition() -> None:
    """Content type and lines are those of `opentelemetry-exporter-prometheus`; a flush before it doubles none."""
    with Capture(Settings(store=None)) as capture:
        capture.runtime.recorder.commit([inference("i", cost_usd=0.5), event("e")])
        capture.runtime.flush()
        capture.providers.meters.force_flush()
        text, content_type = capture.runtime.telemetry.prometheus_text()
        with pytest.raises(NoStore, match="the exposition of all processes needs a store"):
            capture.runtime.exposition.families()
    lines = text.decode().splitlines()
    assert content_type.startswith("text/plain; version=")
    (cost,) = [line for line in lines if line.startswith("otel_measure_ai_cost_usd")]
    assert cost.endswith(" 0.5")
    (events,) = [line for line in lines if re.match(r"otel_measure_users_events\w*\{", line)]
    assert events.endswith(" 1.0")


def test_with_a_store_there_is_no_second_exposition() -> None:
    """The store's own is the one that counts over processes."""
    with Capture() as capture:
        assert capture.runtime.telemetry.prometheus_text()[0] == b""


@pytest.mark.parametrize(
    ("sends_to", "endpoint", "is_sent_twice"),
    [
        ("http://collector:4318/v1/metrics", "http://collector:4318", False),
        ("collector:4318", "http://collector:4318/", False),  # gRPC's form
        ("http://elsewhere:4318/v1/metrics", "http://collector:4318", True),
    ],
)
def test_a_provider_that_sends_already(sends_to: str, endpoint: str, is_sent_twice: bool) -> None:
    """To the same place no second reader sends: a series with two start times would be taken for two processes."""
    theirs = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=sends_to), math.inf)
    meters = MeterProvider([theirs], Resource({"service.instance.id": "theirs"}), shutdown_on_exit=False)
    telemetry = Telemetry(Settings(otlp_endpoint=endpoint), "ours", providers=Providers(meters))
    telemetry.start()
    attached = telemetry._attached
    assert attached is not None
    assert [type(reader) for reader in attached.own] == [StreamReader, OtlpReader][: 1 + is_sent_twice]
    assert attached.shared == ([] if is_sent_twice else [theirs])
    assert telemetry.resource_attributes()["service.instance.id"] == "theirs"
    telemetry.shutdown(5)


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9"])
@pytest.mark.parametrize("sampled", [False, True])
def test_what_an_adopted_provider_sends_says_that_facts_come_as_well(endpoint: str | None, sampled: bool) -> None:
    """Where every call of a model becomes a fact, and facts leave; then their receiver counts those alone."""
    meters = MeterProvider([], Resource({}), shutdown_on_exit=False)
    tracers = TracerProvider(sampler=TraceIdRatioBased(0.5) if sampled else ALWAYS_ON, shutdown_on_exit=False)
    telemetry = Telemetry(Settings(otlp_endpoint=endpoint), "ours", providers=Providers(meters, None, tracers))
    telemetry.start()
    for _ in range(2):
        telemetry.watch_spans(lambda span, who: None)
    marked = endpoint is not None and not sampled
    assert resource_of(meters) == ({"otel_measure.own_facts": True} if marked else {})
    assert telemetry.resource_attributes()["service.instance.id"] == "ours"
    telemetry.shutdown(5)
