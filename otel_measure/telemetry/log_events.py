"""Records as events: log records of OpenTelemetry, where somebody exports them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context

from otel_measure.conventions.semconv import SCOPE_EVENTS
from otel_measure.records.events import to_event
from otel_measure.records.kinds import Record
from otel_measure.telemetry.sdk_internals import emit_event

if TYPE_CHECKING:
    from otel_measure.telemetry.sdk_internals import Logger, LoggerProvider


class LogEvents:
    """Emits accepted records; building an event for nobody costs more than storing a fact.

    Args:
        provider: returns whose loggers there are now; the application may set its provider later.
    """

    def __init__(self, provider: Callable[[], LoggerProvider | None]) -> None:
        self._find = provider
        self._provider: LoggerProvider | None = None
        self._logger: Logger | None = None

    def emit(self, records: Sequence[Record]) -> None:
        """Emit each record as an event."""
        logger = self._current()
        if logger is None:
            return
        for record in records:
            event = to_event(record)
            context = _span_context(event.trace_id, event.span_id)
            emit_event(logger, event.name, event.ts * 1000, context, event.attributes)

    def _current(self) -> Logger | None:
        provider = self._find()
        if provider is not self._provider:
            self._provider = provider
            self._logger = provider.get_logger(SCOPE_EVENTS) if provider is not None else None
        return self._logger

    def flush_calls(self, timeout_s: float) -> list[Callable[[], object]]:
        """Return what makes events leave; the application's own flush does not know of us, ours knows of it."""
        provider = self._provider
        return [] if provider is None else [lambda: provider.force_flush(int(timeout_s * 1000))]


def _span_context(trace_id: str | None, span_id: str | None) -> Context | None:
    if trace_id is None or span_id is None:
        return None
    span = trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False)
    return trace.set_span_in_context(trace.NonRecordingSpan(span))
