"""MeterProvider, LoggerProvider, readers and OTLP: the only user of the OpenTelemetry SDK.

An application's own SDK providers are adopted; otherwise ours become the global ones. Propagators are left alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricReader,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_measure.config import Settings
from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.instruments import Instrument
from otel_measure.definitions.measurements import Attributes, measurements
from otel_measure.definitions.signals import Span
from otel_measure.definitions.streams import Point
from otel_measure.records.caller import Caller
from otel_measure.records.events import to_event
from otel_measure.records.kinds import Json, Record
from otel_measure.store.types.models import Model, ModelKey, ModelUse
from otel_measure.telemetry.adopting import readers_to, resource_of, say_of
from otel_measure.telemetry.points import StreamIdentity, model_use, points
from otel_measure.telemetry.pushing import PushingReader, bounded, load_client, pushing_loggers, pushing_spans
from otel_measure.telemetry.relay import Relay
from otel_measure.telemetry.since import SinceStart, renew_locks
from otel_measure.telemetry.spans import SpanCallback, SpanWatch, samples_all

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log: Final = logging.getLogger("otel_measure")
FACT_SCOPES: Final = frozenset({semconv.SCOPE_AI, semconv.SCOPE_USERS})
_FACT_INSTRUMENTS: Final = tuple(
    i for i in instruments.INSTRUMENTS if i.scope in FACT_SCOPES and i.kind in {"histogram", "counter"}
)


_SELF_COUNTERS: Final = tuple(
    i for i in instruments.INSTRUMENTS if i.scope == semconv.SCOPE_SELF and i.kind == "counter" and not i.observable
)


class Providers(NamedTuple):
    """Whose instruments and loggers to use instead of the global ones."""

    meters: MeterProvider
    loggers: LoggerProvider | None = None
    tracers: TracerProvider | None = None


class Telemetry:
    """One process's instruments and readers; until `start()` it measures nothing and has set nothing.

    Args:
        settings: names, and where OTLP goes.
        instance_id: `service.instance.id`.
        host: the name of this machine.
        exposition: serve Prometheus from the SDK, and send events through it (`store=None`).
        providers: take part in these and leave the global ones alone; for tests.
    """

    def __init__(
        self,
        settings: Settings,
        instance_id: str,
        *,
        host: str = "",
        exposition: bool = False,
        providers: Providers | None = None,
    ) -> None:
        self._settings = settings
        self.instance_id = instance_id
        self._given = providers
        self._host = host
        self._exposition = exposition
        self.counts_spans = False
        self.adopted = False
        self._watch: SpanWatch | None = None
        self._spans_out: SpanProcessor | None = None
        self._said_of_this_process: dict[str, Json] = {}
        self._sends_events = exposition or not settings.otlp_endpoint
        # Whatever enters the SDK holds it, so that no thread of ours is inside when the process is copied.
        self._inside_sdk = threading.RLock()
        self._lock = threading.Lock()
        self._sums: dict[str, dict[Attributes, int]] = {i.name: {} for i in _FACT_INSTRUMENTS if i.observable}
        self._registry: CollectorRegistry | None = None
        self.reader = InMemoryMetricReader(
            preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation(max_size=160)}
        )
        self._own_readers: list[MetricReader] = []
        self._shared_readers: list[MetricReader] = []
        self._since: list[tuple[MetricReader, SinceStart]] = []
        self._logger: _logs.Logger | None = None
        # Until `start()` there are instruments that measure nothing.
        self._provider: metrics.MeterProvider = metrics.NoOpMeterProvider()
        self._relay = Relay(self._provider)
        self._instruments = self._create_instruments()

    def start(self) -> None:
        """Take part in the application's providers, or set ours as the global ones; again is a no-op."""
        if self._own_readers:
            return
        readers: list[MetricReader] = [self.reader]
        if self._exposition:
            readers.append(self._prometheus_reader())
        existing = self._found_meters()
        self.adopted = isinstance(existing, MeterProvider)
        if self._settings.otlp_endpoint:
            load_client()
            # A second reader would send every series a second time, as the series of another process.
            self._shared_readers = readers_to(existing, self._settings.otlp_endpoint)
            if not self._shared_readers:
                readers.append(PushingReader(self._settings.otlp_endpoint))
        self._own_readers = readers
        self._provider = self._meter_provider(readers)
        self._since = [
            (reader, since)
            for reader in (*readers, *self._shared_readers)
            if (since := SinceStart.of(reader, self._entering_sdk))
        ]
        self._relay = Relay(self._provider)
        self._logger = self._event_logger()
        self._instruments = self._create_instruments()

    # ------------------------------------------------------------ set-up

    def _resource(self) -> Resource:
        own: dict[str, Any] = {
            semconv.ATTR_SERVICE_NAME: self._settings.service_name,
            semconv.ATTR_SERVICE_INSTANCE_ID: self.instance_id,
            semconv.ATTR_OWN_FACTS: True,
        }
        if self._settings.environment:
            own[semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME] = self._settings.environment
        found = Resource.create(own)
        if self._host and semconv.ATTR_HOST_NAME not in found.attributes:
            found = found.merge(Resource({semconv.ATTR_HOST_NAME: self._host}))
        return found

    def resource_attributes(self) -> dict[str, Json]:
        """Return what is said of this process to whom it sends to: under the same id as its metrics."""
        if not self._said_of_this_process:
            # Once: the SDK asks its detectors on threads, and at the end of a process there can be no new ones.
            self._said_of_this_process = dict(self._resource().attributes)  # type: ignore[arg-type]  # of scalars
        told = resource_of(self._provider).get(semconv.ATTR_SERVICE_INSTANCE_ID) or self.instance_id
        return self._said_of_this_process | {semconv.ATTR_SERVICE_INSTANCE_ID: str(told)}

    def _found_meters(self) -> metrics.MeterProvider:
        return self._given.meters if self._given is not None else metrics.get_meter_provider()

    def _found_loggers(self) -> _logs.LoggerProvider | None:
        return self._given.loggers if self._given is not None else _logs.get_logger_provider()

    def _meter_provider(self, readers: list[MetricReader]) -> MeterProvider:
        provider = self._found_meters()
        if isinstance(provider, MeterProvider):
            for reader in readers:
                provider.add_metric_reader(reader)
            return provider
        ours = MeterProvider(
            metric_readers=readers,
            resource=self._resource(),
            # Facts are measured on the recorder's thread, where no span is current: an exemplar is never found.
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        metrics.set_meter_provider(ours)
        return ours

    def _event_logger(self) -> _logs.Logger | None:
        """Return a logger when somebody exports log records; building one for nobody costs more than storing a fact.

        With a store and an endpoint, events leave from the store: through a provider they would arrive twice.
        """
        if not self._sends_events:
            return None
        provider = self._found_loggers()
        if isinstance(provider, LoggerProvider):
            return provider.get_logger("otel_measure")
        if not self._settings.otlp_endpoint or self._given is not None:
            return None
        ours = pushing_loggers(self._settings.otlp_endpoint, self._resource())
        _logs.set_logger_provider(ours)
        return ours.get_logger("otel_measure")

    def _prometheus_reader(self) -> MetricReader:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry()
        return PrometheusMetricReader(registry=self._registry)

    def _create_instruments(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for instrument in _FACT_INSTRUMENTS:
            meter = self.meter(instrument.scope)
            if instrument.observable:
                meter.create_observable_counter(
                    instrument.name, [self._observe(instrument)], instrument.unit, instrument.description
                )
            else:
                found[instrument.name] = _histogram(meter, instrument)
        own = self.meter(semconv.SCOPE_SELF)
        found[instruments.OTEL_MEASURE_SELF_COMMIT_DURATION.name] = _histogram(
            own, instruments.OTEL_MEASURE_SELF_COMMIT_DURATION
        )
        for instrument in _SELF_COUNTERS:
            found[instrument.name] = own.create_counter(instrument.name, instrument.unit, instrument.description)
        return found

    def _observe(self, instrument: Instrument) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                sums = list(self._sums[instrument.name].items())
            return [Observation(value / instrument.units_per_value, dict(attributes)) for attributes, value in sums]

        return callback

    def meter(self, scope: str) -> metrics.Meter:
        """Return the meter of one of our scopes."""
        return self._relay.meter(scope)

    def histogram(self, instrument: Instrument) -> metrics.Histogram:
        """Return a histogram of ours to record in."""
        return _histogram(self.meter(instrument.scope), instrument)

    def observe_gauge(self, instrument: Instrument, read: Callable[[], float]) -> None:
        """Register a gauge of ours whose value is asked for at each collection."""
        self.meter(instrument.scope).create_observable_gauge(
            instrument.name,
            [lambda _: [Observation(read())]],
            instrument.unit,
            instrument.description,
        )

    # ------------------------------------------------------------ calls of models that others measure

    def watch_spans(self, told: SpanCallback, *, create: bool = False) -> None:
        """Be told of calls of models by the spans of the application's provider, now that there may be one.

        Args:
            told: takes calls that nobody else measures.
            create: where there is no provider of the SDK, set one that samples everything.
        """
        provider = self._given.tracers if self._given is not None else trace.get_tracer_provider()
        if create and self._given is None and not isinstance(provider, TracerProvider):
            provider = self._tracer_provider()
        if not isinstance(provider, TracerProvider):
            return
        self._watch = SpanWatch.of(provider)
        self.counts_spans = samples_all(provider)
        self._watch.tell(told if self.counts_spans else _nobody)
        if self.adopted and self.counts_spans and self._settings.otlp_endpoint:
            # What its metrics say of models leaves as facts as well, which are the ones to be counted.
            say_of(self._provider, {semconv.ATTR_OWN_FACTS: True})

    def _tracer_provider(self) -> TracerProvider:
        ours = TracerProvider(sampler=ALWAYS_ON, resource=self._resource(), shutdown_on_exit=False)
        if self._settings.otlp_endpoint:
            self._spans_out = pushing_spans(self._settings.otlp_endpoint)
            ours.add_span_processor(self._spans_out)
        trace.set_tracer_provider(ours)
        return ours

    # ------------------------------------------------------------ the recorder's sink

    def record(self, records: Sequence[Record]) -> None:
        """Turn accepted records into measurements, and into events when somebody exports them."""
        added: dict[tuple[str, Attributes], int] = {}
        with self._inside_sdk:
            for record in records:
                for instrument, value, attributes in measurements(record):
                    if instrument.observable:
                        key = (instrument.name, attributes)
                        added[key] = added.get(key, 0) + round(value * instrument.units_per_value)
                    else:
                        self._instruments[instrument.name].record(value, dict(attributes))
            self._add(added)
            if self._logger is not None:
                for record in records:
                    self._emit(self._logger, record)

    def _add(self, added: Mapping[tuple[str, Attributes], int]) -> None:
        with self._lock:
            for (name, attributes), units in added.items():
                sums = self._sums[name]
                if attributes not in sums and len(sums) >= instruments.EXPOSED_ATTRIBUTE_SETS:
                    attributes = semconv.OVERFLOW
                sums[attributes] = sums.get(attributes, 0) + units

    def _emit(self, logger: _logs.Logger, record: Record) -> None:
        event = to_event(record)
        logger.emit(
            timestamp=event.ts * 1000,
            context=_span_context(event.trace_id, event.span_id),
            severity_number=_logs.SeverityNumber.INFO,
            event_name=event.name,
            attributes=event.attributes,
        )

    def count(self, kind: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Count records by what became of them."""
        attributes = {semconv.ATTR_RECORD_KIND: kind, semconv.ATTR_RECORD_OUTCOME: outcome}
        if reason:
            attributes[semconv.ATTR_DROP_REASON] = reason
        with self._inside_sdk:
            self._instruments[instruments.OTEL_MEASURE_SELF_RECORDS.name].add(n, attributes)

    def count_received(self, signal: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Count items that came by OTLP by what became of them."""
        attributes = {semconv.ATTR_SIGNAL: signal, semconv.ATTR_RECORD_OUTCOME: outcome}
        if reason:
            attributes[semconv.ATTR_DROP_REASON] = reason
        with self._inside_sdk:
            self._instruments[instruments.OTEL_MEASURE_SELF_RECEIVED.name].add(n, attributes)

    def count_sent(self, outcome: str, n: int) -> None:
        """Count records that left by OTLP by what the other side said."""
        if n:
            with self._inside_sdk:
                self._instruments[instruments.OTEL_MEASURE_SELF_SENT.name].add(
                    n, {semconv.ATTR_RECORD_OUTCOME: outcome}
                )

    def fault(self, what: str) -> None:
        """Count a fault of ours."""
        with self._inside_sdk:
            self._instruments[instruments.OTEL_MEASURE_SELF_ERRORS.name].add(1, {semconv.ATTR_ERROR_TYPE: what})

    def commit_took(self, seconds: float) -> None:
        """Note how long a commit took."""
        with self._inside_sdk:
            self._instruments[instruments.OTEL_MEASURE_SELF_COMMIT_DURATION.name].record(seconds)

    # ------------------------------------------------------------ reading

    def collect(self) -> MetricsData | None:
        """Return the cumulative state of every instrument since this process began; `None` before `start()`."""
        with self._inside_sdk:
            return self.reader.get_metrics_data() if self._own_readers else None

    def _entering_sdk(self) -> AbstractContextManager[Any]:
        return self._inside_sdk

    def points(self, host: str) -> list[Point]:
        """Return what is to be stored as streams: everything that has no facts."""
        identity = StreamIdentity(self._settings.service_name, self._settings.environment, self.instance_id, host)
        return points(self.collect(), FACT_SCOPES, identity, None if self.counts_spans else self._has_facts)

    def _has_facts(self, model: str) -> bool:
        with self._lock:
            sums = self._sums[instruments.OTEL_MEASURE_AI_INFERENCES.name]
            return any((semconv.ATTR_GEN_AI_REQUEST_MODEL, model) in attributes for attributes in sums)

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return the models this process has recorded (no store)."""
        return [Model(use.model, use.version) for use in self.model_use(0, 0, only)]

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did since this process began; an in-memory reader knows no windows."""
        found = model_use(self.collect())
        return [use for use in found if only is None or (use.model, use.version) == only]

    def prometheus_text(self) -> tuple[bytes, str]:
        """Return the exposition of `opentelemetry-exporter-prometheus` and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        return generate_latest(self._registry or CollectorRegistry()), CONTENT_TYPE_LATEST

    # ------------------------------------------------------------ the end, and forks

    def flush(self, timeout_s: float) -> None:
        """Send what is to be sent; the application's own flush does not know our readers."""
        calls: list[Callable[[], object]] = [
            partial(reader.force_flush, timeout_s * 1000) for reader in (*self._own_readers[1:], *self._shared_readers)
        ]
        if self._spans_out is not None:
            calls.append(partial(self._spans_out.force_flush, int(timeout_s * 1000)))
        provider = self._found_loggers() if self._logger is not None else None
        if isinstance(provider, LoggerProvider):
            calls.append(partial(provider.force_flush, int(timeout_s * 1000)))
        bounded(calls, timeout_s)

    def shutdown(self, timeout_s: float) -> None:
        """Stop our readers; an adopted provider goes on without them and hears no more of us."""
        bounded([self._shutdown], timeout_s)

    def _shutdown(self) -> None:
        if self._watch is not None:
            self._watch.tell(None)
        if self._spans_out is not None:
            self._spans_out.shutdown()
        for reader in self._own_readers:
            try:
                if isinstance(reader, PushingReader):
                    reader.shutdown()  # while it can still collect, which once removed it cannot
                if isinstance(self._provider, MeterProvider):
                    self._provider.remove_metric_reader(reader)
            except Exception:
                _log.warning("a metric reader did not stop", exc_info=True)
        self._relay.close()

    def before_fork(self) -> None:
        """Keep our threads out of the SDK while the process is copied: a lock held by none of the child hangs it."""
        self._parked = self._inside_sdk.acquire(timeout=5)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._parked:
            self._inside_sdk.release()

    def after_fork_in_child(self, instance_id: str) -> None:
        """Become a process of its own: what the parent counted stays the parent's."""
        self._inside_sdk = threading.RLock()
        self._lock = threading.Lock()
        self.instance_id = instance_id
        for sums in self._sums.values():
            sums.clear()
        if self._watch is not None:
            self._watch.after_fork_in_child()
        renew_locks(self._provider)
        for reader, since in self._since:
            since.after_fork_in_child(reader)
            if isinstance(reader, PushingReader):
                reader.after_fork_in_child()


def _nobody(span: Span, who: Caller) -> None:
    """Take no call: where spans are sampled, metrics say how many there were."""


def _histogram(meter: metrics.Meter, instrument: Instrument) -> metrics.Histogram:
    return meter.create_histogram(
        instrument.name,
        instrument.unit,
        instrument.description,
        explicit_bucket_boundaries_advisory=list(instrument.buckets),
    )


def _span_context(trace_id: str | None, span_id: str | None) -> Any:
    if trace_id is None or span_id is None:
        return None
    span = trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False)
    return trace.set_span_in_context(trace.NonRecordingSpan(span))
