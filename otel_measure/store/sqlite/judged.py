"""Questions about the quality of models: labels, evaluations, the records drift looks at, and their references."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from otel_measure.definitions.drift_windows import HourCount
from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.evaluations import Evaluated, SameAnswers, evaluated
from otel_measure.definitions.quality import PREDICTION
from otel_measure.definitions.windows import HOUR_US, CountedBy, cell_ranges
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import Inference, Json
from otel_measure.stats.cells import Cells
from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.kept import StoreState, counted_by
from otel_measure.store.sqlite.models import conditions
from otel_measure.store.sqlite.quality import IS_JUDGED, unpacked
from otel_measure.store.sqlite.tellings import call_of
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import (
    Group,
    GroupedLabels,
    JudgedRecord,
    Labels,
    RecordPosition,
    Reference,
)

Row: TypeAlias = tuple[Any, ...]
_decode: Callable[[str], Json] = msgspec.json.Decoder().decode
_MINE: Final = "origin IN (SELECT id FROM origin WHERE environment = ?)"
_RECORDS: Final = f"FROM inference INDEXED BY inference_judged WHERE model = ? AND {_MINE} AND {IS_JUDGED}"
_HOURS: Final = f"FROM quality_cell WHERE model = ? AND {_MINE} AND seconds = 3600"
_VALUES: Final = "SELECT ts, id, prediction, json_extract(extra, '$.features')"
_REFERENCES: Final = (
    "SELECT m.name, m.version, r.source, r.first_ts, r.last_ts, r.last_id, r.cells"
    " FROM drift_reference r JOIN model m ON m.id = r.model WHERE r.environment = ?"
)


class SqliteQualityQuestions:
    """Satisfies `otel_measure.store.model_questions.QualityQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter, seen: StoreState) -> None:
        self._connection = connection
        self._where = where
        self._seen = seen
        self.environment: Final = where.environment or UNNAMED

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions the labels of [start, end) are counted; cells go with their facts."""
        return counted_by(self._connection, self._seen, start, end)

    def evaluations(self, start: int, end: int) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""
        condition, parameters = conditions(None, self._where)
        rows = self._connection.execute(
            "SELECT coalesce(m.name, ''), coalesce(m.version, ''), e.name, e.label, e.score, count(*)"
            " FROM evaluation e LEFT JOIN model m ON m.id = e.model JOIN origin o ON o.id = e.origin"
            f" WHERE e.ts >= ? AND e.ts < ? {condition} GROUP BY 1, 2, 3, 4, 5",
            (start, end, *parameters),
        )
        return evaluated(map(SameAnswers._make, rows))

    def labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""
        labels: dict[ModelKey, Labels] = {}
        for part in cell_ranges(start, end):
            for table, columns, merge in _MERGES:
                for name, version, *rest in _cells(self._connection, table, columns, part, only, self._where):
                    merge(labels.setdefault((name, version), Labels()), rest)
        return labels

    def grouped_labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, GroupedLabels]:
        """Return the predictions of [start, end) that are about groups, and their truths, per model."""
        grouped: dict[ModelKey, GroupedLabels] = {}
        for part in cell_ranges(start, end):
            for table, column in (("group_cell", "NULL"), ("group_confusion_cell", "c.truth")):
                columns = f"c.attribute, c.label, c.prediction, {column}, c.n"
                rows = _cells(self._connection, table, columns, part, only, self._where)
                for name, version, attribute, label, prediction, truth, n in rows:
                    _count(grouped.setdefault((name, version), GroupedLabels()), attribute, label, prediction, truth, n)
        return grouped

    def model_of(self, inference_id: str) -> ModelKey | None:
        """Return the model of a call, `None` for a call that is not known; a span is known by the call it tells of."""
        call = call_of(self._connection, inference_id) or inference_id
        row = self._connection.execute(
            "SELECT m.name, m.version FROM inference i JOIN model m ON m.id = i.model WHERE i.id = ?", (id_key(call),)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def references(self, only: ModelKey | None = None) -> Mapping[ModelKey, Reference]:
        """Return the references kept for models."""
        one, given = ("", ()) if only is None else ("AND m.name = ? AND m.version = ?", only)
        rows = self._connection.execute(f"{_REFERENCES} {one}", (self.environment, *given))
        return {(row[0], row[1]): _reference(row[2:]) for row in rows}

    def judged_counts(
        self, start: int, end: int, only: ModelKey | None = None, after: RecordPosition | None = None
    ) -> Mapping[ModelKey, int]:
        """Return how many records of [start, end), whole hours, each model has; those after a position only."""
        one, given = ("", ()) if only is None else ("AND m.name = ? AND m.version = ?", only)
        rows = self._connection.execute(
            "SELECT m.name, m.version, m.id, sum(c.judged) FROM quality_cell c JOIN model m ON m.id = c.model"
            f" WHERE c.seconds = 3600 AND c.start >= ? AND c.start < ? AND c.{_MINE} {one} GROUP BY m.id",
            (start - start % HOUR_US, end, self.environment, *given),
        ).fetchall()
        return {
            (name, version): n - (self._count_to(model, start, after) if after else 0)
            for name, version, model, n in rows
        }

    def judged_hours(self, model: ModelKey, start: int, end: int) -> list[HourCount]:
        """Return how many records of [start, end), whole hours, a model has in each hour that has any, in order."""
        rows = self._connection.execute(
            f"SELECT start, sum(judged) AS records {_HOURS}"
            " AND start >= ? AND start < ? GROUP BY start HAVING records > 0 ORDER BY start",
            (*self._mine(model), start, end),
        )
        return [HourCount(*row) for row in rows]

    def _count_to(self, model: int, start: int, last: RecordPosition) -> int:
        row = self._connection.execute(
            f"SELECT count(*) {_RECORDS} AND ts >= ? AND (ts, id) <= (?, ?)", (model, self.environment, start, *last)
        ).fetchone()
        return int(row[0])

    def newest(
        self, model: ModelKey, start: int, end: int, limit: int, after: RecordPosition | None = None
    ) -> list[JudgedRecord]:
        """Return the last records of [start, end) that come after a position, at most `limit`, in order."""
        beyond, position = ("AND (ts, id) > (?, ?)", tuple(after)) if after else ("", ())
        rows = self._connection.execute(
            f"{_VALUES} {_RECORDS} AND ts >= ? AND ts < ? {beyond} ORDER BY ts DESC, id DESC LIMIT ?",
            (*self._mine(model), start, end, *position, limit),
        )
        return [_judged(row) for row in rows][::-1]

    def oldest(self, model: ModelKey, limit: int) -> list[JudgedRecord]:
        """Return the first records of a model, at most `limit`, in order."""
        rows = self._connection.execute(f"{_VALUES} {_RECORDS} ORDER BY ts, id LIMIT ?", (*self._mine(model), limit))
        return [_judged(row) for row in rows]

    def last_judged(self, model: ModelKey, end: int) -> int | None:
        """Return the time of the last record before `end`, a whole hour; `None` without one."""
        row = self._connection.execute(
            f"SELECT start {_HOURS} AND start < ? AND judged > 0 ORDER BY start DESC LIMIT 1", (*self._mine(model), end)
        ).fetchone()
        # Only the hour that has one is looked through: other environments may have had millions since.
        newest = self.newest(model, row[0], row[0] + HOUR_US, 1) if row else []
        return newest[0].position.ts if newest else None

    def judged_calls(self, start: int, end: int) -> list[Inference]:
        """Return the calls of [start, end) with a prediction or features, of the environment, in no order."""
        where = f"WHERE f.ts >= ? AND f.ts < ? AND f.{_MINE} AND {IS_JUDGED}"
        calls = facts.read(self._connection, facts.INFERENCE, where, (start, end, self.environment))
        return [call for call in calls if isinstance(call, Inference)]

    def _mine(self, model: ModelKey) -> tuple[int, str]:
        """Return whose records are asked for: a model by its id, 0 for one that does not exist, in an environment."""
        row = self._connection.execute("SELECT id FROM model WHERE name = ? AND version = ?", model).fetchone()
        return int(row[0]) if row else 0, self.environment


def set_reference(transaction: Transaction, model: ModelKey, reference: Reference, environment: str) -> None:
    """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""
    cells = {**{feature: one.to_json() for feature, one in reference.cells.items()}, **reference.not_judged}
    first, last = reference.first, reference.last
    transaction.connection.execute(
        "INSERT INTO drift_reference VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model, environment) DO UPDATE SET"
        " source = excluded.source, first_ts = excluded.first_ts, last_ts = excluded.last_ts,"
        " last_id = excluded.last_id, cells = excluded.cells"
        " WHERE excluded.source <> 'first_records' OR source = 'first_records'",
        (
            transaction.names.model(*model),
            environment,
            reference.source,
            first.ts if first else None,
            last.ts if last else None,
            last.id if last else None,
            msgspec.json.encode(cells).decode(),
        ),
    )


def _cells(
    connection: sqlite3.Connection,
    table: str,
    columns: str,
    part: tuple[int, int, int],
    only: ModelKey | None,
    where: Filter,
) -> Iterator[Row]:
    condition, parameters = conditions(only, where)
    return connection.execute(
        f"SELECT m.name, m.version, {columns} FROM {table} c JOIN model m ON m.id = c.model"
        f" JOIN origin o ON o.id = c.origin WHERE c.seconds=? AND c.start >= ? AND c.start < ? {condition}",
        (*part, *parameters),
    )


def _add_predictions(labels: Labels, row: Sequence[Any]) -> None:
    labels.predictions += row[0]


def _add_confusion(labels: Labels, row: Sequence[Any]) -> None:
    pair = (row[0], row[1])
    labels.confusion[pair] = labels.confusion.get(pair, 0) + row[2]


def _add_sums(labels: Labels, row: Sequence[Any]) -> None:
    labels.regression += unpacked(row[0])


def _count(grouped: GroupedLabels, attribute: str, label: str, prediction: str, truth: str | None, n: int) -> None:
    group = Group(attribute, label)
    if truth is None:
        counts = grouped.predictions.setdefault(group, {})
        counts[prediction] = counts.get(prediction, 0) + n
    else:
        pairs = grouped.confusion.setdefault(group, {})
        pairs[prediction, truth] = pairs.get((prediction, truth), 0) + n


_MERGES: Final[tuple[tuple[str, str, Callable[[Labels, Sequence[Any]], None]], ...]] = (
    ("quality_cell", "c.predictions", _add_predictions),
    ("confusion_cell", "c.prediction, c.truth, c.n", _add_confusion),
    ("regression_cell", "c.sums", _add_sums),
)


@lru_cache(maxsize=256)
def _frozen(text: str) -> tuple[Mapping[str, Cells], Mapping[str, str]]:
    """Return stored cells, and why a feature has none; the same objects for the same text."""
    kept: dict[str, Any] = msgspec.json.decode(text)
    cells = {name: Cells.from_json(fields) for name, fields in kept.items() if not isinstance(fields, str)}
    return cells, {name: reason for name, reason in kept.items() if isinstance(reason, str)}


def _reference(row: Row) -> Reference:
    source, first_ts, last_ts, last_id, text = row
    cells, not_judged = _frozen(text)
    if last_ts is None:
        return Reference(source, cells, not_judged=not_judged)
    return Reference(source, cells, RecordPosition(first_ts, b""), RecordPosition(last_ts, last_id), not_judged)


def _judged(row: Row) -> JudgedRecord:
    ts, key, prediction, features = row
    values: dict[str, Any] = msgspec.json.decode(features) if features else {}
    values[PREDICTION] = _decode(prediction) if prediction is not None else None
    return JudgedRecord(RecordPosition(ts, key), values)
