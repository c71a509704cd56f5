"""Facts become measurements where somebody reads them: whoever it is, and whenever it comes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal import measurement_consumer
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricReader,
    PeriodicExportingMetricReader,
)

from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from otel_measure.telemetry import Providers, fact_instruments
from otel_measure.telemetry.readers import StreamReader, is_read, readers_that_send_to
from tests.telemetry.seen import seen_by

CALLS, DURATION = "otel_measure.ai.inferences", "gen_ai.client.operation.duration"


class CallingApplication:
    """An application that measures calls of a model into a store, and through a provider of its own."""

    def __init__(self, *readers: MetricReader, store: str | None = ":memory:") -> None:
        self.meters = MeterProvider(readers, shutdown_on_exit=False)
        self.runtime = Runtime(Settings(store=store), raise_faults=True, providers=Providers(self.meters))
        self.runtime.start(background=False)

    def call(self, times: int) -> None:
        """Call the model."""
        for _ in range(times):
            self.runtime.ai.record_inference("m", "1", 100.0)
        self.runtime.recorder.flush()

    def close(self) -> None:
        """End it."""
        self.runtime.shutdown()
        self.meters.shutdown()


@pytest.fixture
def unread() -> Iterator[CallingApplication]:
    """An application with a store, whose provider nobody reads."""
    application = CallingApplication()
    yield application
    application.close()


def counted(reader: InMemoryMetricReader) -> tuple[int, int]:
    """Return how many calls a reader sees, by the counter and by the histogram."""
    seen = seen_by(reader)
    return (
        sum(point.value for point in seen.get(CALLS, [])),
        sum(point.count for point in seen.get(DURATION, [])),
    )


def test_with_a_store_alone_no_measurement_is_made(unread: CallingApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads the instruments: records are counted by the store, and not a second time."""
    monkeypatch.setattr(fact_instruments, "measurements", lambda record: pytest.fail("a measurement was made"))
    unread.call(3)
    families = {family.name: family for family in unread.runtime.exposition.families()}
    assert [sample.value for sample in families[CALLS].samples] == [3]
    assert [sample.count for sample in families[DURATION].samples] == [3]
    assert [sample.value for sample in families["otel_measure.self.records"].samples] == [3]


@pytest.mark.parametrize(
    "reader",
    [
        InMemoryMetricReader(),
        PrometheusMetricReader(),
        PeriodicExportingMetricReader(ConsoleMetricExporter(), math.inf),
        PeriodicExportingMetricReader(OTLPMetricExporter(endpoint="http://127.0.0.1:9/v1/metrics"), math.inf),
    ],
    ids=lambda reader: type(reader).__name__,
)
def test_whoever_reads_is_seen(unread: CallingApplication, reader: MetricReader) -> None:
    """Whatever its make, as soon as it is added and until it is removed."""
    assert not is_read(unread.meters)
    unread.meters.add_metric_reader(reader)
    assert is_read(unread.meters)
    unread.meters.remove_metric_reader(reader)
    assert not is_read(unread.meters)


def test_a_reader_from_before_sees_every_call() -> None:
    """What it has read is what the store has counted."""
    reader = InMemoryMetricReader()
    application = CallingApplication(reader)
    application.call(2)
    application.call(3)
    assert counted(reader) == (5, 5)
    application.close()


def test_a_reader_that_comes_later_sees_every_call_from_then_on(unread: CallingApplication) -> None:
    """Counters and histograms begin when it comes, at nothing; what was before is in the store."""
    unread.call(2)
    reader = InMemoryMetricReader()
    unread.meters.add_metric_reader(reader)
    assert counted(reader) == (0, 0)
    unread.call(3)
    assert counted(reader) == (3, 3)
    unread.call(1)
    assert counted(reader) == (4, 4)


def test_a_reader_of_increments_gets_no_history(unread: CallingApplication) -> None:
    """The first increment of a counter is what was counted since the reader came."""
    from opentelemetry.sdk.metrics import ObservableCounter

    unread.call(2)
    reader = InMemoryMetricReader({ObservableCounter: AggregationTemporality.DELTA})
    unread.meters.add_metric_reader(reader)
    unread.call(3)
    assert counted(reader)[0] == 3
    unread.call(1)
    assert counted(reader)[0] == 1


def test_a_reader_after_a_reader_begins_anew(unread: CallingApplication) -> None:
    """Between the two nobody read, so what the second sees has no gap in it."""
    first, second = InMemoryMetricReader(), InMemoryMetricReader()
    unread.meters.add_metric_reader(first)
    unread.call(2)
    unread.meters.remove_metric_reader(first)
    unread.call(5)
    unread.meters.add_metric_reader(second)
    unread.call(1)
    assert counted(second) == (1, 1)


def test_without_a_store_every_call_is_measured() -> None:
    """Models are answered from this process's own reader, and a later reader begins when it comes."""
    application = CallingApplication(store=None)
    application.call(2)
    assert application.runtime.ai.list_models().total_inferences == 2
    reader = InMemoryMetricReader()
    application.meters.add_metric_reader(reader)
    application.call(3)
    assert application.runtime.ai.list_models().total_inferences == 5
    assert counted(reader)[1] == 3
    application.close()


def test_what_has_no_fact_is_measured_always(unread: CallingApplication) -> None:
    """Readings of the machine, our own figures and the application's instruments reach the store and late readers."""
    unread.meters.get_meter("application").create_counter("jobs").add(2)
    unread.call(1)
    families = {family.name: family for family in unread.runtime.exposition.families()}
    assert {"jobs", "system.memory.usage", "otel_measure.self.queue.length"} <= set(families)
    reader = InMemoryMetricReader()
    unread.meters.add_metric_reader(reader)
    assert {"system.memory.usage", "otel_measure.self.queue.length"} <= set(seen_by(reader))


def test_the_stores_reader_leaves_out_what_has_facts() -> None:
    """Where others read, it aggregates no histogram of facts a second time; without a store it has them all."""
    for store, has_durations in ((":memory:", False), (None, True)):
        application = CallingApplication(InMemoryMetricReader(), store=store)
        application.call(1)
        (collected,) = application.runtime.telemetry.collect()
        names = {m.name for r in collected.resource_metrics for s in r.scope_metrics for m in s.metrics}
        assert (DURATION in names) is has_durations
        assert "otel_measure.self.records" in names
        application.close()


def test_where_readers_cannot_be_seen_there_is_one() -> None:
    """A provider that does not show its readers is fed."""
    assert is_read(object())
    assert readers_that_send_to(object(), "http://collector") == []
    meters = MeterProvider([StreamReader()], shutdown_on_exit=False)
    assert not is_read(meters)
    meters.shutdown()


def test_an_answer_outlasts_a_slow_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback of a day by the wall clock costs no answer, ours or to Prometheus; the SDK gives up after 10 s."""
    application = CallingApplication(store=None)
    application.call(1)
    days = itertools.count()
    monkeypatch.setattr(measurement_consumer, "time_ns", lambda: next(days) * 86_400 * 10**9)
    assert application.runtime.ai.list_models().total_inferences == 1
    exposed, _ = application.runtime.telemetry.prometheus_text()
    assert b"system_memory_usage" in exposed
    application.close()
