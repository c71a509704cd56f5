"""One process's telemetry: what it writes to OpenTelemetry and what it reads back from it.

The application's own MeterProvider is taken part in, also one that it sets after us. Facts become measurements from
the moment that anybody reads them: with a store alone nobody does, and an inference costs a fraction.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, Metric, MetricsData
from opentelemetry.sdk.trace import SpanProcessor

from otel_measure.config import Settings
from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.instruments import Instrument
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.signals import Span
from otel_measure.definitions.streams import FACT_SCOPES, Point
from otel_measure.definitions.windows import CountedBy
from otel_measure.records.caller import Caller
from otel_measure.records.kinds import Inference, Json, Record
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.telemetry.attachment import Attachment
from otel_measure.telemetry.collected import DataPoint, SeriesKey, series_key, starts_of, with_metrics, with_points
from otel_measure.telemetry.fact_instruments import FactInstruments, gauge_callback
from otel_measure.telemetry.log_events import LogEvents
from otel_measure.telemetry.model_use import ModelUses
from otel_measure.telemetry.observables import Observables, ScopedObservables
from otel_measure.telemetry.otlp_export import call_within, signal_url, span_exporter
from otel_measure.telemetry.providers import (
    ProcessResource,
    Providers,
    event_provider,
    meter_provider,
    set_tracer_provider,
    tracer_provider,
)
from otel_measure.telemetry.sdk_internals import add_to_resource, set_otlp_logger_provider
from otel_measure.telemetry.span_processor import InferenceSpanProcessor, SpanCallback, samples_all
from otel_measure.telemetry.stream_points import StreamIdentity, stream_points

_log: Final = logging.getLogger("otel_measure")


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
        self.counts_spans = False
        self._span_processor: InferenceSpanProcessor | None = None
        self._spans_out: SpanProcessor | None = None
        # Whatever enters the SDK holds it, so that no thread of ours is inside when the process is copied.
        self._inside_sdk = threading.RLock()
        self._models_with_facts: set[str] = set()
        self._facts = FactInstruments()
        self._uses = ModelUses() if exposition else None
        self._was_read = False
        self._observables = Observables()
        self._resource = ProcessResource(settings, instance_id, host)
        self._exposition = exposition
        # What a provider of ours told before the application set its own, and when what goes on there had begun.
        self._before: list[MetricsData] = []
        self._began_ns: dict[SeriesKey, int] = {}
        self._refused: MeterProvider | None = None
        self._attached: Attachment | None = None
        self._events: LogEvents | None = None

    def start(self) -> None:
        """Take part in the application's providers, or set ours as the global ones; again is a no-op."""
        with self._inside_sdk:
            if self._attached is None:
                self._attached = self._attach(meter_provider(self._given))
                self._events = self._event_log()

    # ------------------------------------------------------------ providers

    def _entering_sdk(self) -> AbstractContextManager[Any]:
        return self._inside_sdk

    def _attach(self, provider: MeterProvider | None) -> Attachment:
        attached = Attachment(
            provider,
            endpoint=self._settings.otlp_endpoint,
            exposition=self._exposition,
            resource=self._resource.make,
            inside_sdk=self._entering_sdk,
        )
        self._facts.attach(attached.provider)
        attached.leave_to_the_store(self._facts.histograms)
        self._observables.attach(attached.provider)
        return attached

    def _follow(self) -> Attachment | None:
        """Return where instruments are now: at the application's provider, once it has set one."""
        provider, attached = meter_provider(self._given), self._attached
        if attached is None or provider is None or provider in (attached.provider, self._refused):
            return attached
        with self._inside_sdk:
            if self._attached is attached:
                try:
                    self._move(attached, provider)
                except Exception:  # of another make than the SDK's own; what has facts is in the store
                    self._refused = provider
                    _log.warning("the MeterProvider of the application is not taken part in", exc_info=True)
            return self._attached

    def _move(self, former: Attachment, provider: MeterProvider) -> None:
        everything = former.collect()
        self._attached = self._attach(provider)
        former.hand_over(provider)
        # Nothing is read out there any more; what was written to stays as it is.
        written = former.collect()
        self._began_ns = starts_of(everything)
        for key in starts_of(written):
            self._began_ns.pop(key, None)
        self._before = [with_metrics(part, _facts_only) for part in everything]
        self._before += [with_metrics(part, _sums_only) for part in written]
        former.detach_in_background()

    @property
    def adopted(self) -> bool:
        """Whether instruments go through a provider of the application."""
        return self._attached is not None and self._attached.adopted

    def resource_attributes(self) -> Mapping[str, Json]:
        """Return what is said of this process to whom it sends to: under the same id as its metrics."""
        provider = self._attached.provider if self._attached is not None else None
        return self._resource.attributes(provider, self.instance_id)

    def _event_log(self) -> LogEvents | None:
        """Return what emits events, where they do not leave from the store: through a provider they would twice."""
        endpoint = self._settings.otlp_endpoint
        if endpoint and not self._exposition:
            return None
        if endpoint and self._given is None and event_provider(None) is None:
            set_otlp_logger_provider(signal_url(endpoint, "logs"), self._resource.make())
        return LogEvents(partial(event_provider, self._given))

    # ------------------------------------------------------------ observable instruments

    def meter(self, scope: str) -> ScopedObservables:
        """Return what creates observable instruments of one of our scopes, which end with this telemetry."""
        return self._observables.meter(scope)

    def observe_gauge(self, instrument: Instrument, read: Callable[[], float]) -> None:
        """Register a gauge of ours whose value is asked for at each collection."""
        self.meter(instrument.scope).create_observable_gauge(
            instrument.name, [gauge_callback(read)], instrument.unit, instrument.description
        )

    # ------------------------------------------------------------ calls of models that others measure

    def watch_spans(self, callback: SpanCallback, *, create: bool = False) -> None:
        """Be told of calls of models by the spans of the application's provider, now that there may be one.

        Args:
            callback: takes calls that nobody else measures.
            create: where there is no provider of the SDK, set one that samples everything.
        """
        provider = tracer_provider(self._given)
        if provider is None and create and self._given is None:
            endpoint = self._settings.otlp_endpoint
            self._spans_out = span_exporter(endpoint) if endpoint else None
            provider = set_tracer_provider(self._resource.make(), self._spans_out)
        if provider is None:
            return
        self._span_processor = InferenceSpanProcessor.of(provider)
        self.counts_spans = samples_all(provider)
        self._span_processor.call_back(callback if self.counts_spans else _take_none)
        attached = self._follow()
        if self.counts_spans and self._settings.otlp_endpoint and attached is not None and attached.adopted:
            # What its metrics say of models leaves as facts as well, which are the ones to be counted.
            add_to_resource(attached.provider, {semconv.ATTR_OWN_FACTS: True})

    # ------------------------------------------------------------ the recorder's sink

    def record(self, records: Sequence[Record]) -> None:
        """Turn accepted records into measurements and into events, where somebody reads or exports them."""
        with self._inside_sdk:
            self._note_models(records)
            if self._uses is not None:
                self._uses.add(records)
            attached = self._follow()
            is_read = attached is not None and attached.is_read
            if is_read and not self._was_read:
                self._facts.restart()  # who reads from now on sees what is from now on
            self._was_read = is_read
            if is_read:
                self._facts.record(records)
            if self._events is not None:
                self._events.emit(records)

    def _note_models(self, records: Sequence[Record]) -> None:
        if len(self._models_with_facts) < instruments.EXPOSED_ATTRIBUTE_SETS:
            self._models_with_facts.update(r.model for r in records if isinstance(r, Inference))

    def measure(self, instrument: Instrument, value: float, attributes: Mapping[str, str | int] | None = None) -> None:
        """Record a value in a histogram of ours."""
        if self._attached is not None:
            self._attached.histogram(instrument).record(value, attributes)

    def _count(self, instrument: Instrument, n: int, attributes: Mapping[str, str], reason: str | None = None) -> None:
        why = {semconv.ATTR_DROP_REASON: reason} if reason else {}
        with self._inside_sdk:
            if self._attached is not None:
                self._attached.counter(instrument).add(n, {**attributes, **why})

    def count(self, kind: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Count records by what became of them."""
        attributes = {semconv.ATTR_RECORD_KIND: kind, semconv.ATTR_RECORD_OUTCOME: outcome}
        self._count(instruments.OTEL_MEASURE_SELF_RECORDS, n, attributes, reason)

    def count_received(self, signal: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Count items that came by OTLP by what became of them."""
        attributes = {semconv.ATTR_SIGNAL: signal, semconv.ATTR_RECORD_OUTCOME: outcome}
        self._count(instruments.OTEL_MEASURE_SELF_RECEIVED, n, attributes, reason)

    def count_sent(self, outcome: str, n: int) -> None:
        """Count records that left by OTLP by what the other side said."""
        if n:
            self._count(instruments.OTEL_MEASURE_SELF_SENT, n, {semconv.ATTR_RECORD_OUTCOME: outcome})

    def fault(self, what: str) -> None:
        """Count a fault of ours."""
        self._count(instruments.OTEL_MEASURE_SELF_ERRORS, 1, {semconv.ATTR_ERROR_TYPE: what})

    def commit_took(self, seconds: float) -> None:
        """Note how long a commit took."""
        with self._inside_sdk:
            self.measure(instruments.OTEL_MEASURE_SELF_COMMIT_DURATION, seconds)

    # ------------------------------------------------------------ reading

    def collect(self) -> list[MetricsData]:
        """Return the cumulative state of every instrument since this process began; nothing before `start()`."""
        with self._inside_sdk:
            attached = self._follow()
            collected = attached.collect() if attached is not None else []
        if self._began_ns:
            collected = [with_metrics(part, self._with_start) for part in collected]
        return self._before + collected

    def _with_start(self, scope: str, metric: Metric) -> Metric:
        """Let a series that is read out go on: on another provider it is the same one."""

        def changed(point: DataPoint) -> DataPoint:
            began_ns = self._began_ns.get(series_key(scope, metric, point))
            return point if began_ns is None else dataclasses.replace(point, start_time_unix_nano=began_ns)

        return with_points(metric, changed)

    def points(self, host: str) -> list[Point]:
        """Return what is to be stored as streams: everything that has no facts."""
        identity = StreamIdentity(self._settings.service_name, self._settings.environment, self.instance_id, host)
        has_facts = None if self.counts_spans else self._models_with_facts.__contains__
        return stream_points(self.collect(), identity, has_facts)

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return the models this process has recorded (no store)."""
        return [Model(use.model, use.version) for use in self.model_use(0, 0, only)]

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did since this process began, which knows no windows; nothing where there is a store."""
        return self._uses.uses(only) if self._uses is not None else []

    @property
    def environment(self) -> str:
        """That of this process."""
        return self._settings.environment

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return that this process counts by its own definitions."""
        return "current"

    def prometheus_text(self) -> tuple[bytes, str]:
        """Return the exposition of `opentelemetry-exporter-prometheus` and its content type."""
        attached = self._follow()
        exposition = attached.exposition if attached is not None else None
        return exposition.text() if exposition is not None else (b"", "text/plain")

    # ------------------------------------------------------------ the end, and forks

    def flush(self, timeout_s: float) -> None:
        """Send what is to be sent."""
        attached = self._follow()
        calls = attached.flush_calls(timeout_s) if attached is not None else []
        if self._spans_out is not None:
            calls.append(partial(self._spans_out.force_flush, int(timeout_s * 1000)))
        if self._events is not None:
            calls += self._events.flush_calls(timeout_s)
        call_within(timeout_s, calls)

    def shutdown(self, timeout_s: float) -> None:
        """Stop our readers; an adopted provider goes on without them and hears no more of us."""
        call_within(timeout_s, [self._shutdown])

    def _shutdown(self) -> None:
        if self._span_processor is not None:
            self._span_processor.call_back(None)
        if self._spans_out is not None:
            self._spans_out.shutdown()
        attached, self._attached = self._attached, None
        if attached is not None:
            attached.detach()
        self._facts.detach()
        self._observables.detach()

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
        self.instance_id = instance_id
        self._before, self._began_ns = [], {}
        self._models_with_facts.clear()
        self._facts.after_fork_in_child()
        if self._uses is not None:
            self._uses.after_fork_in_child()
        if self._span_processor is not None:
            self._span_processor.after_fork_in_child()
        if self._attached is not None:
            self._attached.after_fork_in_child()


def _take_none(span: Span, caller: Caller) -> None:
    """Take no call: where spans are sampled, metrics say how many there were."""


def _facts_only(scope: str, metric: Metric) -> Metric | None:
    return metric if scope in FACT_SCOPES else None


def _sums_only(scope: str, metric: Metric) -> Metric | None:
    """Leave out gauges, which say how things stand, and what has facts."""
    return None if scope in FACT_SCOPES or isinstance(metric.data, Gauge) else metric
