"""What leaves by the SDK's own exporters over OTLP/HTTP, and for how long that may hold up a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor

from otel_measure.telemetry.sdk_internals import renew_export

_log: Final = logging.getLogger("otel_measure")


def load_client() -> None:
    """Import what sending needs, before there are threads that would.

    A module that a thread is importing while the process is copied stays locked in the child for ever, and whoever
    needs it there waits. `requests` imports these with its first request.
    """
    for name in ("requests", "netrc", "encodings.idna"):
        import_module(name)


def signal_url(endpoint: str, signal: str) -> str:
    """Return where a signal goes: `metrics`, `logs` or `traces`."""
    return f"{endpoint.rstrip('/')}/v1/{signal}"


class OtlpReader(PeriodicExportingMetricReader):
    """Ends once, though removing it from its provider ends it again; a child has a connection of its own."""

    def __init__(self, endpoint: str) -> None:
        self._sends_to: Final = signal_url(endpoint, "metrics")
        self._has_ended = False
        super().__init__(self._new_exporter())

    def _new_exporter(self) -> MetricExporter:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(endpoint=self._sends_to)

    def after_fork_in_child(self) -> None:
        """Let go of the parent's connection, and of a lock that its thread may hold."""
        renew_export(self, self._new_exporter())

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Send what there is, and end; again is a no-op."""
        if not self._has_ended:
            self._has_ended = True
            super().shutdown(timeout_millis, **kwargs)


def span_exporter(endpoint: str) -> SpanProcessor:
    """Return the processor by which spans leave, by a queue in memory."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(endpoint=signal_url(endpoint, "traces")))


def call_within(timeout_s: float, calls: Sequence[Callable[[], object]]) -> None:
    """Call one after the other, and wait no longer than that: an endpoint that is away must not hold up the host.

    The SDK's exporters keep to no time-out of their own while they retry.
    """
    if not calls:
        return

    def run() -> None:
        for call in calls:
            try:
                call()
            except Exception as error:  # the SDK's own time-out is one; what was measured is in the store
                _log.warning("telemetry was not sent: %r", error)

    thread = in_background(run)
    if thread is None:
        return
    thread.join(timeout_s)
    if thread.is_alive():
        _log.warning("telemetry was not sent within %s s; the store has what it has", round(timeout_s, 1))


def in_background(run: Callable[[], object]) -> threading.Thread | None:
    """Run something on a thread of its own; at once where there can be no new ones, and then return `None`."""
    thread = threading.Thread(target=run, name="otel-measure-telemetry", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # from Python 3.12 on there are no new threads while a process ends
        run()
        return None
    return thread
