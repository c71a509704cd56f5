"""Spans of this process that tell of calls of models: counted once, whoever else measures the same call.

A span inside a call that is being measured, of the model that it names, is that call: it completes what is not known
of it. Of spans inside each other (a framework's around the client's) that are of one kind of operation, and have no
span of a tool or an agent between them, the innermost is the call. All others are calls of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import StatusCode

from otel_measure.conventions import dialects, semconv
from otel_measure.definitions.signals import Span, inference_id, is_inference
from otel_measure.definitions.tellings import operation_kind
from otel_measure.records.caller import Caller, MeasuredCall, current_caller, enclosing_call
from otel_measure.records.kinds import Json

MAX_OPEN: Final = 10_000
_processors: Final[WeakKeyDictionary[TracerProvider, InferenceSpanProcessor]] = WeakKeyDictionary()


class SpanCallback(Protocol):
    """Takes a call of a model that nobody else measures, and who made it; never raises."""

    def __call__(self, span: Span, caller: Caller, /) -> None:
        """Take it."""


class OpenSpan(NamedTuple):
    """A span that has not ended: what it is inside of, and who made it."""

    span: SdkSpan
    parent: int | None
    call: MeasuredCall | None
    caller: Caller


class InferenceSpanProcessor(SpanProcessor):
    """Sees the spans of one provider for whoever measures now; a provider never loses a processor."""

    def __init__(self) -> None:
        self._callback: SpanCallback | None = None
        self._lock = threading.Lock()
        self._open: dict[int, OpenSpan] = {}
        # By span: which kinds of calls are inside it, through spans that are none.
        self._inside: dict[int, set[str]] = {}

    @classmethod
    def of(cls, provider: TracerProvider) -> InferenceSpanProcessor:
        """Return the one of a provider, added to it when it has none."""
        processor = _processors.get(provider)
        if processor is None:
            processor = _processors[provider] = cls()
            provider.add_span_processor(processor)
        return processor

    def call_back(self, callback: SpanCallback | None) -> None:
        """Hand calls of models to a callback from now on; `None` for nobody."""
        self._callback = callback

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Note what a span is inside of, and mark a call of a model, so that no receiver counts it a second time."""
        context = span.get_span_context()
        if self._callback is None or context is None:
            return
        parent = span.parent
        opened = OpenSpan(
            span, parent.span_id if parent is not None else None, enclosing_call(), current_caller(parent_context)
        )
        with self._lock:
            if len(self._open) >= MAX_OPEN:
                self._open.clear()  # spans that were started and never ended
                self._inside.clear()
            self._open[context.span_id] = opened
        if _is_call(span):
            span.set_attribute(
                semconv.ATTR_INFERENCE_ID, inference_id(f"{context.trace_id:032x}", f"{context.span_id:016x}")
            )

    def on_end(self, span: ReadableSpan) -> None:
        """Take in a call of a model, or what a span tells of the call that it is inside of."""
        context = span.get_span_context()
        if context is None:
            return
        with self._lock:
            opened = self._open.pop(context.span_id, None)
            inside = self._inside.pop(context.span_id, ())
        callback, attributes = self._callback, _attributes(span)
        if opened is None or callback is None or not _is_call(span):
            return
        kind = _kind(attributes)
        self._note_around(opened.parent, kind)
        if kind in inside:
            return
        # A stream is opened before anybody measures it, and ends inside the call.
        call = opened.call if opened.call is not None and opened.call.is_open else enclosing_call()
        if call is None:
            callback(_span(span, attributes), opened.caller)
        elif call.is_of(attributes):
            call.enrich(attributes)
        else:
            callback(_span(span, attributes), call.for_whom(opened.caller))

    def _note_around(self, span_id: int | None, kind: str) -> None:
        """Note a call at the spans around it, up to the nearest that is a call, a tool or an agent by now."""
        with self._lock:
            while span_id is not None and (above := self._open.get(span_id)) is not None:
                attributes = _attributes(above.span)
                if attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME) in dialects.OPERATIONS_WITHOUT_MODEL_CALL:
                    return
                self._inside.setdefault(span_id, set()).add(kind)
                if _is_call(above.span):
                    return
                span_id = above.parent

    def after_fork_in_child(self) -> None:
        """Start afresh: a lock of the parent may be held by a thread that is not here."""
        self._lock = threading.Lock()


def _kind(attributes: Mapping[str, Json]) -> str:
    operation = attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    return operation_kind(operation if isinstance(operation, str) else None)


def _attributes(span: ReadableSpan) -> Mapping[str, Json]:
    return span.attributes or {}  # type: ignore[return-value]  # sequences are of scalars


def _span(span: ReadableSpan, attributes: Mapping[str, Json]) -> Span:
    context: Any = span.get_span_context()
    end_us = (span.end_time or 0) // 1000
    return Span(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{span.parent.span_id:016x}" if span.parent is not None else None,
        span.name,
        (span.start_time or 0) // 1000,
        end_us,
        attributes,
        span.status.status_code is StatusCode.ERROR,
        _scope(span),
    )


def _is_call(span: ReadableSpan) -> bool:
    return is_inference(_attributes(span), _scope(span), span.name)


def _scope(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope is not None else ""


def samples_all(provider: TracerProvider) -> bool:
    """Tell whether every span of a provider is seen; those that a sampler leaves out never are."""
    return provider.sampler.get_description().startswith(("AlwaysOnSampler", "ParentBased{root:AlwaysOnSampler"))
