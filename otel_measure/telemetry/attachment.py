"""What this process has on one MeterProvider: its readers, and the instruments that are written to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

from opentelemetry.metrics import Counter, Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from otel_measure.conventions.instruments import Instrument
from otel_measure.telemetry.fact_instruments import create_histogram
from otel_measure.telemetry.forks import SinceFork
from otel_measure.telemetry.otlp_export import OtlpReader, in_background, load_client
from otel_measure.telemetry.providers import set_meter_provider
from otel_measure.telemetry.proxies import OwnMeterProvider, own_meter
from otel_measure.telemetry.readers import (
    PrometheusExposition,
    StreamReader,
    is_read,
    readers_that_send_to,
    wait_for_callbacks,
)
from otel_measure.telemetry.sdk_internals import free_locks, leave_out

_log: Final = logging.getLogger("otel_measure")


class Attachment:
    """Readers and instruments on one MeterProvider.

    Args:
        provider: the one there is; `None` makes ours the global one.
        endpoint: where metrics go by OTLP.
        exposition: serve Prometheus from the SDK; there is no store, and facts are read from here as well.
        resource: of a provider of ours.
        inside_sdk: returns the lock of whoever is inside the SDK.
    """

    def __init__(
        self,
        provider: MeterProvider | None,
        *,
        endpoint: str | None,
        exposition: bool,
        resource: Callable[[], Resource],
        inside_sdk: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.streams = StreamReader()
        self.exposition = PrometheusExposition() if exposition else None
        self.shared: list[MetricReader] = []
        self.otlp: OtlpReader | None = None
        if endpoint:
            load_client()
            # A second reader would send every series a second time, as the series of another process.
            self.shared = readers_that_send_to(provider, endpoint)
            self.otlp = None if self.shared else OtlpReader(endpoint)
        served = self.exposition.reader if self.exposition is not None else None
        self.own: list[MetricReader] = [r for r in (self.streams, served, self.otlp) if r is not None]
        self.provider = self._attached(provider, resource)
        for reader in (self.streams, served):
            if reader is not None:
                wait_for_callbacks(reader)
        self._since_fork = [
            since for reader in (*self.own, *self.shared) if (since := SinceFork.of(reader, inside_sdk)) is not None
        ]
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def _attached(self, provider: MeterProvider | None, resource: Callable[[], Resource]) -> MeterProvider:
        if provider is None:
            return set_meter_provider(self.own, resource())
        for reader in self.own:
            provider.add_metric_reader(reader)
        return provider

    @property
    def adopted(self) -> bool:
        """Whether the provider is the application's."""
        return not isinstance(self.provider, OwnMeterProvider)

    @property
    def is_read(self) -> bool:
        """Whether anybody reads facts here."""
        return self.exposition is not None or is_read(self.provider)

    def leave_to_the_store(self, histograms: Mapping[str, Histogram]) -> None:
        """Keep what has facts out of the streams of the store, which counts it from those."""
        if self.exposition is None:
            for histogram in histograms.values():
                leave_out(self.provider, self.streams, histogram)

    # ------------------------------------------------------------ writing

    def counter(self, instrument: Instrument) -> Counter:
        """Return a counter of ours."""
        counter = self._counters.get(instrument.name)
        if counter is None:
            meter = own_meter(self.provider, instrument.scope)
            counter = meter.create_counter(instrument.name, instrument.unit, instrument.description)
            self._counters[instrument.name] = counter
        return counter

    def histogram(self, instrument: Instrument) -> Histogram:
        """Return a histogram of ours."""
        histogram = self._histograms.get(instrument.name)
        if histogram is None:
            histogram = create_histogram(own_meter(self.provider, instrument.scope), instrument)
            self._histograms[instrument.name] = histogram
        return histogram

    # ------------------------------------------------------------ reading

    def collect(self) -> list[MetricsData]:
        """Return the cumulative state of every instrument since this process began."""
        collected = self.streams.get_metrics_data()
        return [collected] if collected is not None else []

    def flush_calls(self, timeout_s: float) -> list[Callable[[], object]]:
        """Return what makes metrics leave; the application's own flush does not know our readers."""
        senders = [reader for reader in (*self.own, *self.shared) if reader is not self.streams]
        return [partial(reader.force_flush, timeout_s * 1000) for reader in senders]

    # ------------------------------------------------------------ the end, and forks

    def hand_over(self, successor: MeterProvider) -> None:
        """Let what others have got from a provider of ours follow to another one."""
        if isinstance(self.provider, OwnMeterProvider):
            self.provider.hand_over(successor)

    def detach(self) -> None:
        """Take our readers off the provider, which goes on without them; what is to be sent is sent before."""
        for reader in self.own:
            try:
                if reader is self.otlp:
                    reader.shutdown()  # while it can still collect, which once removed it cannot
                self.provider.remove_metric_reader(reader)
            except Exception:
                _log.warning("a metric reader did not stop", exc_info=True)

    def detach_in_background(self) -> None:
        """Take our readers off without waiting for what they have to send."""
        in_background(self.detach)

    def after_fork_in_child(self) -> None:
        """Free the locks of threads that are not here; what the parent counted stays the parent's."""
        free_locks(self.provider)
        for since in self._since_fork:
            since.after_fork_in_child()
        if self.otlp is not None:
            self.otlp.after_fork_in_child()
