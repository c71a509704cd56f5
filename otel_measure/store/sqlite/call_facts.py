"""What is behind a number: single calls, read from the facts by indexes that hold what they are chosen by."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Inference
from otel_measure.stats.means import Moments
from otel_measure.store.sqlite import facts
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallMoments, CallOrder, FailedCalls, ModelChoice

_MOMENTS: Final = ("f.cost_usd", "f.input_tokens", "f.output_tokens")
_COLUMNS: Final[Mapping[CallOrder, str]] = {"latency": "f.latency_ms", "cost": "f.cost_usd"}
# Of a type of error the newest call with a trace is wanted: no more are looked at where hardly one has any.
LOOKED_AT: Final = 100
_ROWS_AT_ONCE: Final = 10_000


class TraceOfFailure(NamedTuple):
    """The trace of a failed call; of those of one time the first by its id, in the store's own form, counts."""

    ts: int
    key: bytes | str
    trace_id: str


class SqliteCallFactQuestions:
    """Satisfies `otel_measure.store.model_questions.CallFactQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter) -> None:
        self._connection = connection
        self._where = where

    def largest(self, order: CallOrder, start: int, end: int, only: ModelChoice, limit: int) -> list[Inference]:
        """Return the slowest or the dearest calls of [start, end), the largest first; of equal ones the newest."""
        column = _COLUMNS[order]
        calls, parameters = self._calls(start, end, only)
        rows = self._connection.execute(
            f"SELECT f.id {calls} AND {column} > 0 ORDER BY {column} DESC, f.ts DESC, f.id LIMIT ?",
            (*parameters, limit),
        )
        keys = [key for (key,) in rows]
        records = facts.read_by_id(self._connection, facts.INFERENCE, keys)
        by_key = {id_key(record.id): record for record in records if isinstance(record, Inference)}
        return [by_key[key] for key in keys]

    def failed(self, start: int, end: int, only: ModelChoice, limit: int) -> list[FailedCalls]:
        """Return the failed calls of [start, end) by type, the most frequent first."""
        calls, parameters = self._calls(start, end, only)
        types = self._connection.execute(
            f"SELECT f.error_type, count(*) AS n, min(f.ts), max(f.ts) {calls} AND f.error_type IS NOT NULL"
            " GROUP BY f.error_type ORDER BY n DESC, f.error_type LIMIT ?",
            (*parameters, limit),
        ).fetchall()
        failed = []
        for error_type, n, first, last in types:
            trace = self.newest_trace(error_type, start, end, only)
            failed.append(FailedCalls(error_type, n, first, last, None if trace is None else trace.trace_id))
        return failed

    def newest_trace(self, error_type: str, start: int, end: int, only: ModelChoice) -> TraceOfFailure | None:
        """Return the trace of the newest failed call of a type that has one, if any of the last has."""
        calls, parameters = self._calls(start, end, only)
        row = self._connection.execute(
            "SELECT ts, id, json_extract(extra, '$.trace_id') AS trace FROM inference"
            f" WHERE id IN (SELECT f.id {calls} AND f.error_type = ? ORDER BY f.ts DESC, f.id LIMIT {LOOKED_AT})"
            " AND trace IS NOT NULL ORDER BY ts DESC, id LIMIT 1",
            (*parameters, error_type),
        ).fetchone()
        return None if row is None else TraceOfFailure(*row)

    def failed_by_step(self, steps: Steps, only: ModelChoice) -> dict[str, dict[int, int]]:
        """Return how many calls failed in each step of a series, by type; steps without one are left out."""
        by_type: dict[str, dict[int, int]] = {}
        for start, end in steps.stretches():
            calls, parameters = self._calls(start, end, only)
            rows = self._connection.execute(
                f"SELECT f.error_type, f.ts / {MINUTE_US} AS minute, count(*) {calls} AND f.error_type IS NOT NULL"
                " GROUP BY f.error_type, minute",
                parameters,
            )
            for error_type, minute, n in rows:
                in_step, step = by_type.setdefault(error_type, {}), steps.step_of(minute * MINUTE_US)
                in_step[step] = in_step.get(step, 0) + n
        return by_type

    def moments(self, start: int, end: int, only: ModelChoice) -> CallMoments:
        """Return how costs and tokens of the calls of [start, end) are distributed; the same digits in any order."""
        return CallMoments(*map(Moments.of_counts, self.values(start, end, only)))

    def values(self, start: int, end: int, only: ModelChoice) -> list[dict[float, int]]:
        """Return how often each cost was, each number of input and of output tokens, of the calls of [start, end)."""
        calls, parameters = self._calls(start, end, only)
        rows = self._connection.execute(f"SELECT {', '.join(_MOMENTS)} {calls}", parameters)
        counts: list[Counter[float | None]] = [Counter() for _ in _MOMENTS]
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            for count, column in zip(counts, zip(*some, strict=True), strict=True):
                count.update(column)
        return [{value: n for value, n in count.items() if value is not None} for count in counts]

    def _calls(self, start: int, end: int, only: ModelChoice) -> tuple[str, list[Any]]:
        """Return what selects calls, model by model as the indexes have them, and its parameters."""
        wanted = {
            "m.name": only.name, "m.version": only.version,
            "o.environment": self._where.environment, "o.service": self._where.service,
        }  # fmt: skip
        given = {column: value for column, value in wanted.items() if value is not None}
        of_origin = "".join(f" AND {column} = ?" for column in given if column.startswith("o."))
        of_model = "".join(f" AND {column} = ?" for column in given if column.startswith("m."))
        return (
            "FROM model m CROSS JOIN inference f ON f.model = m.id"
            f" WHERE f.ts >= ? AND f.ts < ?{of_model} AND f.origin IN (SELECT id FROM origin o WHERE 1{of_origin})",
            [start, end, *given.values()],
        )
