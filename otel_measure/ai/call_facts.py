"""What is behind a number: the errors of a window by type, and its slowest and dearest calls, each with its trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Final, get_args
from urllib.parse import quote

from otel_measure.definitions.days import moment
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.records.kinds import Inference
from otel_measure.store.types.models import CallOrder, FailedCalls

MAX_CALLS: Final = 1000
MAX_ERROR_TYPES: Final = 1000
TRACE_ID: Final = "{trace_id}"


@dataclass(frozen=True, slots=True)
class ErrorsOfType:
    """The failed calls of one type.

    Attributes:
        error_type: as it was recorded.
        count: how many failed so.
        first_seen, last_seen: when the first and the last of the window did.
        trace_id: of the newest that has one; `None` where none has.
        trace_url: where that trace is shown, by the setting `trace_url`; `None` without one of them.
    """

    error_type: str
    count: int
    first_seen: datetime
    last_seen: datetime
    trace_id: str | None
    trace_url: str | None


@dataclass(frozen=True, slots=True)
class ModelErrors:
    """The failed calls of a window by type, the most frequent first; calls that only metrics tell of have no type."""

    errors: tuple[ErrorsOfType, ...]
    window: Window


@dataclass(frozen=True, slots=True)
class NotableCall:
    """A single call, by what its fact says of it without any text; `nan` and `None` are unknown."""

    inference_id: str
    timestamp: datetime
    model_name: str
    model_version: str
    service: str
    provider: str | None
    operation: str | None
    latency_ms: float
    time_to_first_chunk_ms: float
    input_tokens: float
    output_tokens: float
    cost_usd: float
    error_type: str | None
    trace_id: str | None
    trace_url: str | None


@dataclass(frozen=True, slots=True)
class NotableCalls:
    """The slowest calls of a window, or the dearest, the largest first."""

    calls: tuple[NotableCall, ...]
    sort: CallOrder
    window: Window


def check_order(sort: str) -> None:
    """Check by what calls are chosen.

    Raises:
        ValueError: there is no such order.
    """
    if sort not in get_args(CallOrder):
        raise ValueError(f"sort must be one of {', '.join(get_args(CallOrder))}, not {sort!r}")


def check_limit(limit: int) -> None:
    """Check how many calls are wanted.

    Raises:
        ValueError: none, or too many.
    """
    if not 1 <= limit <= MAX_CALLS:
        raise ValueError(f"limit must be a whole number from 1 to {MAX_CALLS}, not {limit!r}")


def model_errors(failed: Iterable[FailedCalls], template: str | None, span: TimeSpan) -> ModelErrors:
    """Return the report of failed calls.

    Args:
        failed: by type, the most frequent first.
        template: where a trace is shown, with `{trace_id}`; `None` for nowhere.
        span: the window.
    """
    errors = tuple(
        ErrorsOfType(
            of_type.error_type,
            of_type.calls,
            moment(of_type.first),
            moment(of_type.last),
            of_type.trace_id,
            _trace_url(template, of_type.trace_id),
        )
        for of_type in failed
    )
    return ModelErrors(errors, span.window)


def notable_calls(calls: Iterable[Inference], sort: CallOrder, template: str | None, span: TimeSpan) -> NotableCalls:
    """Return the report of single calls.

    Args:
        calls: the largest first.
        sort: by what they are the largest.
        template: as of `model_errors`.
        span: the window.
    """
    return NotableCalls(tuple(_call(call, template) for call in calls), sort, span.window)


def _call(call: Inference, template: str | None) -> NotableCall:
    return NotableCall(
        inference_id=call.id,
        timestamp=moment(call.ts),
        model_name=call.model,
        model_version=call.version,
        service=call.origin.service,
        provider=call.provider,
        operation=call.operation,
        latency_ms=nan if call.untimed else call.latency_ms,
        time_to_first_chunk_ms=_known(call.time_to_first_chunk_ms),
        input_tokens=_known(call.input_tokens),
        output_tokens=_known(call.output_tokens),
        cost_usd=_known(call.cost_usd),
        error_type=call.error_type,
        trace_id=call.trace_id,
        trace_url=_trace_url(template, call.trace_id),
    )


def _known(value: float | None) -> float:
    return nan if value is None else value


def _trace_url(template: str | None, trace_id: str | None) -> str | None:
    """Return where a trace is shown; what an id is made of cannot lead elsewhere."""
    return None if template is None or trace_id is None else template.replace(TRACE_ID, quote(trace_id, safe=""))
