"""What is behind a number: single calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Inference
from otel_measure.stats.means import Moments
from otel_measure.store.clickhouse.chosen_calls import US, CallTable, cell_start
from otel_measure.store.clickhouse.columns import BY_ID, KeyOrder, id_key_of, key_order, record_of
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, in_ids
from otel_measure.store.clickhouse.reading import record_columns
from otel_measure.store.clickhouse.tables import INFERENCE
from otel_measure.store.sqlite.call_facts import LOOKED_AT, SqliteCallFactQuestions, TraceOfFailure
from otel_measure.store.types.models import CallMoments, CallOrder, FailedCalls, ModelChoice

_COLUMNS: Final[Mapping[CallOrder, str]] = {"latency": "latency_ms", "cost": "cost_usd"}
_MOMENTS: Final = ("cost_usd", "input_tokens", "output_tokens")
_ALL: Final = 2**31 - 1


class ClickHouseCallFactQuestions:
    """Satisfies `otel_measure.store.model_questions.CallFactQuestions`.

    Args:
        database: of the store.
        calls: that answers are about.
        told: the same questions of calls that others told of, answered by the replica.
    """

    def __init__(self, database: ClickHouseDatabase, calls: CallTable, told: SqliteCallFactQuestions) -> None:
        self._database = database
        self._calls = calls
        self._told = told

    def largest(self, order: CallOrder, start: int, end: int, only: ModelChoice, limit: int) -> list[Inference]:
        """Return the slowest or the dearest calls of [start, end), the largest first; of equal ones the newest."""
        column, calls = _COLUMNS[order], self._calls.chosen(start, end, only)
        largest = self._told.largest(order, start, end, only, limit)
        ids = self._database.rows(
            f"SELECT id {calls.that(f'{column} > 0').source} ORDER BY {column} DESC, ts DESC LIMIT {limit:d} WITH TIES",
            **calls.parameters,
        )
        if ids:
            these = calls.that(f"id IN {in_ids(number for (number,) in ids)}")
            rows = self._database.rows(f"SELECT {record_columns(INFERENCE)} {these.source}", **these.parameters)
            records = (record_of(INFERENCE, row) for row in rows)
            largest += [record for record in records if isinstance(record, Inference)]
        largest.sort(key=lambda call: (-(getattr(call, column) or 0.0), -call.ts, key_order(id_key(call.id))))
        return largest[:limit]

    def failed(self, start: int, end: int, only: ModelChoice, limit: int) -> list[FailedCalls]:
        """Return the failed calls of [start, end) by type, the most frequent first."""
        calls = self._calls.chosen(start, end, only).that("error_type IS NOT NULL")
        by_type = {one.error_type: one for one in self._told.failed(start, end, only, _ALL)}
        for error_type, n, first, last in self._database.rows(
            f"SELECT error_type, count(), min({US}), max({US}) {calls.source} GROUP BY error_type", **calls.parameters
        ):
            told = by_type.get(error_type, FailedCalls(error_type, 0, first, last, None))
            by_type[error_type] = FailedCalls(
                error_type, told.calls + n, min(told.first, first), max(told.last, last), None
            )
        frequent = sorted(by_type.values(), key=lambda one: (-one.calls, one.error_type))[:limit]
        traces = self._newest_traces(start, end, only)
        failed = []
        for one in frequent:
            told_trace = self._told.newest_trace(one.error_type, start, end, only)
            known = [trace for trace in (told_trace, traces.get(one.error_type)) if trace is not None]
            newest = min(known, key=_newest_first, default=None)
            failed.append(one._replace(trace_id=None if newest is None else newest.trace_id))
        return failed

    def _newest_traces(self, start: int, end: int, only: ModelChoice) -> dict[str, TraceOfFailure]:
        """Return the trace of the newest call of each type that has one, if any of the last has."""
        calls = self._calls.chosen(start, end, only).that("error_type IS NOT NULL")
        rows = self._database.rows(
            "SELECT error_type, at, id, id_text, trace FROM ("
            f"SELECT error_type, {US} AS at, id, id_text, JSONExtractString(extra, 'trace_id') AS trace {calls.source}"
            f" ORDER BY ts DESC, {BY_ID} LIMIT {LOOKED_AT} BY error_type) WHERE trace != '' LIMIT 1 BY error_type",
            **calls.parameters,
        )
        return {
            error_type: TraceOfFailure(at, id_key_of(number, text), trace)
            for error_type, at, number, text, trace in rows
        }

    def failed_by_step(self, steps: Steps, only: ModelChoice) -> dict[str, dict[int, int]]:
        """Return how many calls failed in each step of a series, by type; steps without one are left out."""
        by_type = {error_type: dict(n) for error_type, n in self._told.failed_by_step(steps, only).items()}
        for start, end in steps.stretches():
            calls = self._calls.chosen(start, end, only).that("error_type IS NOT NULL")
            rows = self._database.rows(
                f"SELECT error_type, {cell_start(MINUTE_US)} AS minute, count() {calls.source}"
                " GROUP BY error_type, minute",
                **calls.parameters,
            )
            for error_type, minute, n in rows:
                in_step, step = by_type.setdefault(error_type, {}), steps.step_of(minute)
                in_step[step] = in_step.get(step, 0) + n
        return by_type

    def moments(self, start: int, end: int, only: ModelChoice) -> CallMoments:
        """Return how costs and tokens of the calls of [start, end) are distributed; the same digits in any order."""
        calls, told = self._calls.chosen(start, end, only), self._told.values(start, end, only)
        moments = []
        for column, counts in zip(_MOMENTS, told, strict=True):
            known = calls.that(f"{column} IS NOT NULL")
            for value, n in self._database.rows(
                f"SELECT {column}, count() {known.source} GROUP BY {column}", **known.parameters
            ):
                counts[value] = counts.get(value, 0) + n
            moments.append(Moments.of_counts(counts))
        return CallMoments(*moments)


def _newest_first(trace: TraceOfFailure) -> tuple[int, KeyOrder]:
    return -trace.ts, key_order(trace.key)
