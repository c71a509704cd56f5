"""What a Collector has written into tables: log records, spans and data points, as its rows say them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

Texts: TypeAlias = Mapping[str, str]
"""Attributes: of each the text that the Collector made of its value."""
PointForm: TypeAlias = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]


class Source(NamedTuple):
    """Who sent rows: the resource and the instrumentation, of which rows that follow one another have the same."""

    resource: tuple[tuple[str, str], ...]
    scope: str
    scope_version: str


class LogRow(NamedTuple):
    """A row of `otel_logs`; times are nanoseconds."""

    source: Source
    time_ns: int
    trace_id: str
    span_id: str
    severity: int
    body: str
    event_name: str
    attributes: Texts


class SpanEventRow(NamedTuple):
    """An event in a span."""

    time_ns: int
    name: str
    attributes: Texts


class SpanRow(NamedTuple):
    """A row of `otel_traces`; kind and status as the exporter writes them, such as "Client" and "Error"."""

    source: Source
    time_ns: int
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    attributes: Texts
    duration_ns: int
    status: str
    status_message: str
    events: Sequence[SpanEventRow]


class PointRow(NamedTuple):
    """A row of one of the tables of metrics.

    Attributes:
        form: of the metric; each has a table.
        values: what the table of this form has beside what all have.
    """

    form: PointForm
    source: Source
    name: str
    description: str
    unit: str
    attributes: Texts
    start_ns: int
    time_ns: int
    flags: int
    values: Mapping[str, Any]


CollectedRow: TypeAlias = LogRow | SpanRow | PointRow


class ReadsCollector(Protocol):
    """Reads on what a Collector has written."""

    def take(self, receive: Callable[[Sequence[CollectedRow]], object]) -> bool:
        """Give the next rows of each table to `receive`, and note that they are read; return whether there were any.

        What `receive` raises is raised, and its rows are given again.

        Raises:
            StoreUnavailable: the tables, or what is noted of them, cannot be read now.
        """

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""

    def close(self) -> None:
        """Close the connections."""
