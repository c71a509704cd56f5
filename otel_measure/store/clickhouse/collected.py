"""The tables that a Collector's ClickHouse exporter writes, read in the order in which the server received their rows.

The tables are the exporter's. They get one more column of ours, with the time of receipt by the server's clock: by it
is known what has been read. What is read again is known by its ids, so a row may be read twice and none is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.collected import CollectedRow, LogRow, PointForm, PointRow, Source, SpanEventRow, SpanRow

RECEIVED: Final = "otel_measure_received"
HELD_BACK_US: Final = 2_000_000
"""What came so lately is read later: a row is seen some time after it was given its time."""
LOOKED_BACK_US: Final = 600_000_000
"""How far back rows are counted: where there are more than were read, some came late, and all are read again."""
ROWS_AT_ONCE: Final = 5_000
_SOURCE: Final = ("ResourceAttributes", "ScopeName", "ScopeVersion")
_ALTERS: Final = (
    f"ADD COLUMN IF NOT EXISTS {RECEIVED} DateTime64(6) DEFAULT now64(6)",
    f"ADD INDEX IF NOT EXISTS {RECEIVED} {RECEIVED} TYPE minmax GRANULARITY 1",
    # Without it rows of before would have come at whatever time it is when they are read.
    f"MATERIALIZE COLUMN {RECEIVED} SETTINGS mutations_sync = 2",
)


def _ns(column: str) -> str:
    return f"toUnixTimestamp64Nano(toDateTime64({column}, 9))"


class CollectorTable(NamedTuple):
    """One table of the exporter.

    Attributes:
        name: as the exporter creates it where nobody says another.
        columns: expressions, after those of `Source`.
        row: makes a row of the source and their values.
    """

    name: str
    columns: tuple[str, ...]
    row: Callable[[Source, Sequence[Any]], CollectedRow]


def _span(source: Source, values: Sequence[Any]) -> SpanRow:
    *fields, times, names, attributes = values
    events = [SpanEventRow(*event) for event in zip(times, names, attributes, strict=True)]
    return SpanRow._make((source, *fields, events))


_LOGS: Final = CollectorTable(
    "otel_logs",
    (_ns("Timestamp"), "TraceId", "SpanId", "SeverityNumber", "Body", "EventName", "LogAttributes"),
    lambda source, values: LogRow(source, *values),
)
_TRACES: Final = CollectorTable(
    "otel_traces",
    (
        *(_ns("Timestamp"), "TraceId", "SpanId", "ParentSpanId", "SpanName", "SpanKind", "SpanAttributes", "Duration"),
        *("StatusCode", "StatusMessage", f"arrayMap(at -> {_ns('at')}, Events.Timestamp)", "Events.Name"),
        "Events.Attributes",
    ),
    _span,
)


def _points(form: PointForm, *columns: str) -> CollectorTable:
    def row(source: Source, values: Sequence[Any]) -> PointRow:
        name, description, unit, attributes, start_ns, time_ns, flags, *own = values
        return PointRow(
            form, source, name, description, unit, attributes, start_ns, time_ns, flags,
            dict(zip(columns, own, strict=True)),
        )  # fmt: skip

    common = ("MetricName", "MetricDescription", "MetricUnit", "Attributes", _ns("StartTimeUnix"), _ns("TimeUnix"))
    return CollectorTable(f"otel_metrics_{form}", (*common, "Flags", *columns), row)


_OF_SUMS: Final = ("Count", "Sum", "Min", "Max", "AggregationTemporality")
TABLES: Final = (
    _LOGS,
    _TRACES,
    _points("gauge", "Value"),
    _points("sum", "Value", "IsMonotonic", "AggregationTemporality"),
    _points("histogram", *_OF_SUMS, "BucketCounts", "ExplicitBounds"),
    _points(
        "exponential_histogram", *_OF_SUMS, "Scale", "ZeroCount", "PositiveOffset", "PositiveBucketCounts",
        "NegativeOffset", "NegativeBucketCounts",
    ),
    _points("summary", "Count", "Sum", "ValueAtQuantiles.Quantile", "ValueAtQuantiles.Value"),
)  # fmt: skip
"""In the order in which they are read: what tells of single calls before what tells of many."""


class ReadUntil(NamedTuple):
    """How far a table was read.

    Attributes:
        received_us: all rows that were received before it, by the server's clock.
        looked_at: how many rows of the time before it that is looked back at were there.
    """

    received_us: int = 0
    looked_at: int = 0


class CollectorTables:
    """The tables of one exporter.

    Args:
        database: in which they are.
    """

    def __init__(self, database: ClickHouseDatabase) -> None:
        self._database = database

    def prepare(self) -> list[CollectorTable]:
        """Return the tables that are there, each with the time of receipt.

        Raises:
            StoreUnavailable: the server did not let us add the column.
        """
        there = {
            name
            for (name,) in self._database.rows(
                "SELECT name FROM system.tables WHERE database = {database:String}", database=self._database.name
            )
        }
        have = {
            name
            for (name,) in self._database.rows(
                "SELECT table FROM system.columns WHERE database = {database:String} AND name = {received:String}",
                database=self._database.name,
                received=RECEIVED,
            )
        }
        tables = [table for table in TABLES if table.name in there]
        for table in tables:
            for alter in _ALTERS if table.name not in have else ():
                self._database.run(f"ALTER TABLE {{db}}.{table.name} {alter}")
        return tables

    def next(self, table: CollectorTable, read: ReadUntil) -> tuple[list[CollectedRow], ReadUntil]:
        """Return the next rows of a table, and how far it is read with them; none where all is read.

        Args:
            table: one of those prepared.
            read: how far it was read.
        """
        now = self._number("SELECT toUnixTimestamp64Micro(now64(6))")
        since = self._since(table, read)
        until = max(now - HELD_BACK_US, since)
        beyond = self._database.rows(
            f"SELECT toUnixTimestamp64Micro({RECEIVED}) AS at FROM {{db}}.{table.name} WHERE {_BETWEEN}"
            f" ORDER BY at LIMIT 1 OFFSET {ROWS_AT_ONCE}",
            **_between(since, until),
        )
        if beyond:  # rows of one insert have one time: they are read together
            until = int(beyond[0][0]) + 1
        rows = self._database.rows(
            f"SELECT {', '.join((*_SOURCE, *table.columns))} FROM {{db}}.{table.name} WHERE {_BETWEEN}"
            f" ORDER BY {RECEIVED}, ResourceAttributes, ScopeName",
            **_between(since, until),
        )
        made = [table.row(_source(*row[: len(_SOURCE)]), row[len(_SOURCE) :]) for row in rows]
        return made, ReadUntil(until, self._count(table, until - LOOKED_BACK_US, until))

    def _since(self, table: CollectorTable, read: ReadUntil) -> int:
        """Return from when on rows are to be read: further back where some were seen late."""
        first = max(read.received_us - LOOKED_BACK_US, 0)
        has_late = self._count(table, first, read.received_us) > read.looked_at
        return first if has_late else read.received_us

    def _count(self, table: CollectorTable, start: int, end: int) -> int:
        return self._number(f"SELECT count() FROM {{db}}.{table.name} WHERE {_BETWEEN}", **_between(max(start, 0), end))

    def _number(self, sql: str, **parameters: Any) -> int:
        return int(self._database.rows(sql, **parameters)[0][0])


_BETWEEN: Final = (
    f"{RECEIVED} >= fromUnixTimestamp64Micro({{start:Int64}}) AND {RECEIVED} < fromUnixTimestamp64Micro({{end:Int64}})"
)


def _between(start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end}


def _source(resource: Mapping[str, str], scope: str, version: str) -> Source:
    return Source(tuple(resource.items()), scope, version)
