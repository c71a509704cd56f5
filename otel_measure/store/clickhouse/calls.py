"""Calls of models, counted for whoever judges them every minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

from otel_measure.definitions.windows import MINUTE_US
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.clickhouse.chosen_calls import US, CallTable, ChosenCalls, cell_start, whole_sum
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.models import histogram_of
from otel_measure.store.sqlite.calls import SqliteCallQuestions, timed_by_metrics
from otel_measure.store.types.models import CallCount, CallTotals, ModelChoice, ModelKey, TimedCount

_FEW: Final = 500  # names, which are sent along with the question; of more, all models are counted
_TOTALS: Final = f"count(), count(error_type), count(cost_nano), {whole_sum('cost_nano')}"
_Cell: TypeAlias = tuple[int, int, int]  # its start, its calls, and some of them


class ClickHouseCallQuestions:
    """Satisfies `otel_measure.store.model_questions.CallQuestions`.

    Args:
        database: of the store.
        calls: that answers are about.
        told: the same questions of calls that others told of, answered by the replica.
    """

    def __init__(self, database: ClickHouseDatabase, calls: CallTable, told: SqliteCallQuestions) -> None:
        self._database = database
        self._calls = calls
        self._told = told

    def call_sums(self, start: int, end: int) -> dict[ModelKey, CallTotals]:
        """Return what the calls of [start, end), whole minutes, add up to, of the models that had any."""
        calls = self._calls.chosen(start, end)
        rows = self._database.rows(
            f"SELECT model, version, {_TOTALS} {calls.source} GROUP BY model, version", **calls.parameters
        )
        sums = self._told.call_sums(start, end)
        for model, version, *totals in rows:
            told = sums.get((model, version), CallTotals(0, 0, 0, 0))
            sums[model, version] = CallTotals(*(a + b for a, b in zip(told, totals, strict=True)))
        return dict(sorted(sums.items()))

    def call_counts(
        self, start: int, minutes_from: int, end: int, names: Collection[str]
    ) -> dict[ModelKey, list[CallCount]]:
        """Return the calls of each cell of [start, end), ascending, of those models of some names that had any."""
        calls = self._named(start, end, names)
        rows = self._database.rows(
            f"SELECT model, version, {_cell(minutes_from)}, count(), count(error_type) {calls.source}"
            " GROUP BY model, version, 3",
            **calls.parameters,
        )
        counts: dict[ModelKey, list[_Cell]] = {}
        for model, version, at, requests, errors in rows:
            if model in names:
                counts.setdefault((model, version), []).append((at, requests, errors))
        together = _together(counts, self._told.call_counts(start, minutes_from, end, names))
        return {key: [CallCount(*cell) for cell in cells] for key, cells in together.items()}

    def timed_counts(
        self, start: int, minutes_from: int, end: int, slower_than_ms: Mapping[str, float]
    ) -> dict[ModelKey, list[TimedCount]]:
        """Return the timed calls of each cell of [start, end), and those that took longer, ascending."""
        # What took longer the histogram of a cell tells, whoever told of its calls; each service has cells of its own.
        histograms = self._latencies(start, minutes_from, end, slower_than_ms)
        by_metrics: dict[ModelKey, list[_Cell]] = {}
        for told in self._told.latencies(start, minutes_from, end, slower_than_ms):
            if told.by_facts is not None:
                histograms.setdefault((told.key, told.service, told.start), []).append(told.by_facts)
            else:
                timed, slow = timed_by_metrics(told.by_metrics, slower_than_ms[told.key[0]])
                by_metrics.setdefault(told.key, []).append((told.start, timed, slow))
        by_facts: dict[ModelKey, list[_Cell]] = {}
        for (key, _, at), blobs in histograms.items():
            histogram = ExponentialHistogram.from_bytes(*blobs)
            slow = histogram.explicit((slower_than_ms[key[0]],))[1]
            by_facts.setdefault(key, []).append((at, histogram.count, slow))
        together = _together(by_facts, by_metrics)
        return {key: [TimedCount(*cell) for cell in cells] for key, cells in together.items()}

    def _latencies(
        self, start: int, minutes_from: int, end: int, names: Collection[str]
    ) -> dict[tuple[ModelKey, str, int], list[bytes]]:
        """Return the histogram of each cell, by model, service and start."""
        calls = self._named(start, end, names)
        rows = self._database.rows(
            "SELECT model, version, service, cell, groupArrayIf((bucket, n), untimed = 0),"
            " minIf(smallest, untimed = 0), maxIf(largest, untimed = 0) FROM ("
            f" SELECT model, version, service, {_cell(minutes_from)} AS cell, latency_index AS bucket, untimed,"
            " count() AS n, min(latency_ms) AS smallest, max(latency_ms) AS largest"
            f" {calls.source} GROUP BY model, version, service, cell, bucket, untimed)"
            " GROUP BY model, version, service, cell",
            **calls.parameters,
        )
        return {
            ((model, version), service, at): [histogram_of(dict(buckets), smallest, largest, 0).to_bytes()]
            for model, version, service, at, buckets, smallest, largest in rows
            if model in names
        }

    def error_types(self, name: str, start: int, end: int, limit: int) -> Counter[str]:
        """Return how many of the last failures of [start, end) had each error type, at most `limit` of each version."""
        calls = self._calls.chosen(start, end, ModelChoice(name)).that("error_type IS NOT NULL")
        rows = self._database.rows(
            f"SELECT version, {US}, error_type {calls.source} ORDER BY ts DESC LIMIT {limit:d} BY version",
            **calls.parameters,
        )
        failures: dict[str, list[tuple[int, str]]] = {}
        for version, ts, error_type in (*rows, *self._told.last_failures(name, start, end, limit)):
            failures.setdefault(version, []).append((ts, error_type))
        return Counter(error_type for of_version in failures.values() for _, error_type in sorted(of_version)[-limit:])

    def _named(self, start: int, end: int, names: Collection[str]) -> ChosenCalls:
        calls = self._calls.chosen(start, end)
        if len(names) > _FEW:
            return calls
        return calls.that("model IN {names:Array(String)}").with_parameters(names=sorted(names))


def _cell(minutes_from: int) -> str:
    """Return when the cell begins that a call lies in: of a minute from then on, of five before."""
    return f"if({US} < {minutes_from:d}, {cell_start(5 * MINUTE_US)}, {cell_start(MINUTE_US)})"


def _together(*counts: Mapping[ModelKey, Sequence[_Cell]]) -> dict[ModelKey, list[_Cell]]:
    """Return what calls of each cell add up to, ascending."""
    by_model: dict[ModelKey, dict[int, _Cell]] = {}
    for key, cells in (each for some in counts for each in some.items()):
        known = by_model.setdefault(key, {})
        for start, calls, some_of_them in cells:
            _, before, some_before = known.get(start, (start, 0, 0))
            known[start] = (start, before + calls, some_before + some_of_them)
    return {key: [by_model[key][start] for start in sorted(by_model[key])] for key in sorted(by_model)}
