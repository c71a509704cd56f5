"""Calls of models, counted for whoever judges them every minute: no more of their cells is read than that takes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from otel_measure.definitions.windows import cell_ranges
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.sqlite.chunks import marks, rows_in
from otel_measure.store.sqlite.models import CELLS, conditions, levels_by
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallCount, CallTotals, ModelKey, TimedCount

_TIMED_KEPT: Final = 32_768  # those that a turn of the alerts meets of 1,300 busy models, of some hundred bytes each
_FEW: Final = 20  # models, whose cells are looked for one model after the other; of more, all of the time are read


class CellLatencies(NamedTuple):
    """What is known of the times of calls of one cell.

    Attributes:
        key: the model.
        service: that called it.
        start: of the cell, microseconds.
        by_facts: the bytes of the histogram of calls; `None` for a cell of what metrics told.
        by_metrics: the bins of what metrics told, as JSON.
    """

    key: ModelKey
    service: str
    start: int
    by_facts: bytes | None
    by_metrics: str


class SqliteCallQuestions:
    """Satisfies `otel_measure.store.model_questions.CallQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter, rules: int) -> None:
        self._connection = connection
        self._levels = levels_by(rules)
        self._condition, self._parameters = conditions(None, where)

    def call_sums(self, start: int, end: int) -> dict[ModelKey, CallTotals]:
        """Return what the calls of [start, end) add up to, of the models that had any."""
        wanted = [(cells, *one) for cells in CELLS for one in cell_ranges(start, end, self._levels[cells])]
        of_cells = " UNION ALL ".join(
            "SELECT c.model, c.requests, c.errors, c.priced, c.cost_nano_usd"
            f" FROM {cells} c JOIN origin o ON o.id = c.origin"
            f" WHERE c.seconds = ? AND c.start >= ? AND c.start < ? {self._condition}"
            for cells, *_ in wanted
        )
        rows = self._connection.execute(
            "SELECT m.name, m.version, sum(requests), sum(errors), sum(priced), sum(cost_nano_usd)"
            f" FROM ({of_cells}) c JOIN model m ON m.id = c.model GROUP BY m.id ORDER BY 1, 2",
            [given for _, *one in wanted for given in (*one, *self._parameters)],
        )
        return {(name, version): CallTotals(*sums) for name, version, *sums in rows}

    def call_counts(
        self, start: int, minutes_from: int, end: int, names: Collection[str]
    ) -> dict[ModelKey, list[CallCount]]:
        """Return the calls of each cell of [start, end), ascending, of those models of some names that had any."""
        counts: dict[ModelKey, Counter[int]] = {}
        failed: dict[ModelKey, Counter[int]] = {}
        for _, key, at, requests, errors in self._of_cells(start, minutes_from, end, names, "requests, errors"):
            counts.setdefault(key, Counter())[at] += requests
            failed.setdefault(key, Counter())[at] += errors
        return {key: [CallCount(at, n[at], failed[key][at]) for at in sorted(n)] for key, n in sorted(counts.items())}

    def timed_counts(
        self, start: int, minutes_from: int, end: int, slower_than_ms: Mapping[str, float]
    ) -> dict[ModelKey, list[TimedCount]]:
        """Return the timed calls of each cell of [start, end), and those that took longer, ascending."""
        counts: dict[ModelKey, dict[int, TimedCount]] = {}
        for key, _, at, by_facts, by_metrics in self.latencies(start, minutes_from, end, slower_than_ms):
            slower_than = slower_than_ms[key[0]]
            if by_facts is not None:
                timed, slow = _timed_by_facts(by_facts, slower_than)
            else:
                timed, slow = timed_by_metrics(by_metrics, slower_than)
            of_model = counts.setdefault(key, {})
            known = of_model.get(at)
            of_model[at] = (
                TimedCount(at, timed, slow) if known is None else TimedCount(at, known.timed + timed, known.slow + slow)
            )
        return {key: [of_model[at] for at in sorted(of_model)] for key, of_model in sorted(counts.items())}

    def latencies(self, start: int, minutes_from: int, end: int, names: Collection[str]) -> Iterator[CellLatencies]:
        """Yield what is known of the times of calls of each cell of [start, end) of some models."""
        for cells, key, at, service, latency in self._of_cells(start, minutes_from, end, names, "o.service, latency"):
            if cells == "model_cell":
                yield CellLatencies(key, service, at, latency, "")
            else:
                yield CellLatencies(key, service, at, None, latency)

    def _of_cells(
        self, start: int, minutes_from: int, end: int, names: Collection[str], columns: str
    ) -> Iterator[tuple[Any, ...]]:
        """Yield which cells, name and version, start, and some columns of each cell of [start, end) of some models."""
        models = self._ids_of(names)
        is_few = len(models) <= _FEW
        of_few = f" AND c.model IN {marks(len(models))}" if is_few else ""
        parameters = (*self._parameters, *(models if is_few else ()))
        for cells in CELLS:
            longer_s = 300 if 300 in self._levels[cells] else 60
            for seconds, first, last in ((longer_s, start, minutes_from), (60, minutes_from, end)):
                rows = self._connection.execute(
                    f"SELECT c.model, c.start, {columns} FROM {cells} c JOIN origin o ON o.id = c.origin"
                    f" WHERE c.seconds = ? AND c.start >= ? AND c.start < ? {self._condition}{of_few}",
                    (seconds, first, last, *parameters),
                )
                for model, *values in rows:
                    if model in models:
                        yield (cells, models[model], *values)

    def _ids_of(self, names: Collection[str]) -> dict[int, ModelKey]:
        """Return the ids of all versions of some models."""
        return {
            model: (name, version)
            for model, name, version in rows_in(
                self._connection, "SELECT id, name, version FROM model WHERE name IN", names
            )
        }

    def error_types(self, name: str, start: int, end: int, limit: int) -> Counter[str]:
        """Return how many of the last failures of [start, end) had each error type, at most `limit` of each version."""
        return Counter(error_type for *_, error_type in self.last_failures(name, start, end, limit))

    def last_failures(self, name: str, start: int, end: int, limit: int) -> list[tuple[str, int, str]]:
        """Return version, time and error type of the last failures of [start, end), at most `limit` of each version."""
        failures: list[tuple[str, int, str]] = []
        for model, (_, version) in self._ids_of((name,)).items():
            rows = self._connection.execute(
                "SELECT f.ts, f.error_type FROM inference f JOIN origin o ON o.id = f.origin"
                " WHERE f.model = ? AND f.error_type IS NOT NULL AND f.ts >= ? AND f.ts < ?"
                f" {self._condition} ORDER BY f.ts DESC LIMIT ?",
                (model, start, end, *self._parameters, limit),
            )
            failures += [(version, ts, error_type) for ts, error_type in rows]
        return failures


# How many calls a histogram has, and how many took longer. Whoever looks every minute meets nearly all of them again:
# what is known is kept by the bytes, so that a cell that has changed is another one.
@lru_cache(maxsize=_TIMED_KEPT)
def _timed_by_facts(latency: bytes, slower_than_ms: float) -> tuple[int, int]:
    histogram = ExponentialHistogram.from_bytes(latency)
    return histogram.count, histogram.explicit((slower_than_ms,))[1]


@lru_cache(maxsize=_TIMED_KEPT)
def timed_by_metrics(latency: str, slower_than_ms: float) -> tuple[int, int]:
    """Return what is certain of histograms of others."""
    binned = Binned.from_json(latency)
    return max(binned.count, 0), binned.above(slower_than_ms)
