"""What leaves by the SDK's own exporters over OTLP/HTTP, and for how long that may hold up a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor

_log: Final = logging.getLogger("otel_measure")


def load_client() -> None:
    """Import what sending needs, before there are threads that would.

    A module that a thread is importing while the process is copied stays locked in the child for ever, and whoever
    needs it there waits. `requests` imports these with its first request.
    """
    for name in ("requests", "netrc", "encodings.idna"):
        import_module(name)


def _url(endpoint: str, signal: str) -> str:
    return f"{endpoint.rstrip('/')}/v1/{signal}"


class PushingReader(PeriodicExportingMetricReader):
    """Ends once, though removing it from its provider ends it again; a child has a connection of its own."""

    _ended = False

    def __init__(self, endpoint: str) -> None:
        self._endpoint = _url(endpoint, "metrics")
        super().__init__(self._new_exporter())

    def _new_exporter(self) -> MetricExporter:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(endpoint=self._endpoint)

    def after_fork_in_child(self) -> None:
        """Let go of the parent's connection, and of a lock that its thread may hold."""
        self._export_lock = threading.Lock()
        self._exporter = self._new_exporter()

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Send what there is, and end; again is a no-op."""
        if not self._ended:
            self._ended = True
            super().shutdown(timeout_millis, **kwargs)


def pushing_loggers(endpoint: str, resource: Resource) -> LoggerProvider:
    """Return a provider whose events leave, by a queue in memory."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    ours = LoggerProvider(resource=resource, shutdown_on_exit=False)
    ours.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=_url(endpoint, "logs"))))
    return ours


def pushing_spans(endpoint: str) -> SpanProcessor:
    """Return what lets spans leave, by a queue in memory."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(endpoint=_url(endpoint, "traces")))


def bounded(calls: Sequence[Callable[[], object]], timeout_s: float) -> None:
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

    thread = threading.Thread(target=run, name="otel-measure-telemetry", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # from Python 3.12 on there are no new threads while a process ends
        run()
        return
    thread.join(timeout_s)
    if thread.is_alive():
        _log.warning("telemetry was not sent within %s s; the store has what it has", round(timeout_s, 1))
