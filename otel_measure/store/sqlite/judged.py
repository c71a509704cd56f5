"""What the store answers about the quality of models: labels, the records drift looks at, and their references."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from math import inf
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from otel_measure.definitions.quality import PREDICTION
from otel_measure.records.kinds import Json
from otel_measure.stats.cells import Cells
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.models import conditions, parts
from otel_measure.store.sqlite.quality import JUDGED, unpacked
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import Evaluated, Judged, Labels, Place, Reference

Row: TypeAlias = tuple[Any, ...]
HOUR_US: Final = 3_600_000_000
_decode: Callable[[str], Json] = msgspec.json.Decoder().decode
_RECORDS: Final = f"FROM inference INDEXED BY inference_judged WHERE model = ? AND {JUDGED}"
_VALUES: Final = "SELECT ts, id, prediction, json_extract(extra, '$.features')"
_REFERENCES: Final = (
    "SELECT m.name, m.version, r.source, r.first_ts, r.last_ts, r.last_id, r.cells"
    " FROM drift_reference r JOIN model m ON m.id = r.model"
)


class Writing(Protocol):
    """Opens a write transaction of the store."""

    def __call__(self, *, durable: bool = False) -> AbstractContextManager[Transaction]:
        """Open it."""


class SqliteQuality:
    """`QualityStore` over a SQLite file.

    Args:
        database: the connections.
        writing: opens a write transaction.
    """

    def __init__(self, database: Database, writing: Writing) -> None:
        self._database = database
        self._writing = writing

    def evaluations(self, start: int, end: int, where: Filter = EVERYTHING) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""
        condition, parameters = conditions(None, where)
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT coalesce(m.name, ''), coalesce(m.version, ''), e.name, e.label, count(*), count(e.score),"
                " total(e.score), min(e.score), max(e.score)"
                " FROM evaluation e LEFT JOIN model m ON m.id = e.model JOIN origin o ON o.id = e.origin"
                f" WHERE e.ts >= ? AND e.ts < ? {condition} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
                (start, end, *parameters),
            ).fetchall()
        found: dict[tuple[str, str, str], Evaluated] = {}
        for model, version, name, label, count, scored, score_sum, low, high in rows:
            key = (model, version, name)
            known = found.get(key) or Evaluated(*key, 0, 0, 0.0, inf, -inf, {})
            found[key] = Evaluated(
                *key,
                known.answers + count,
                known.scored + scored,
                known.score_sum + score_sum,
                min(known.score_min, inf if low is None else low),
                max(known.score_max, -inf if high is None else high),
                {**known.labels, **({label: count} if label is not None else {})},
            )
        return list(found.values())

    def labels(
        self, start: int, end: int, only: ModelKey | None = None, where: Filter = EVERYTHING
    ) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""
        found: dict[ModelKey, Labels] = {}
        with self._database.read() as connection:
            for stretch in parts(start, end):
                for table, columns, merge in _MERGES:
                    for name, version, *rest in _cells(connection, table, columns, stretch, only, where):
                        merge(found.setdefault((name, version), Labels()), rest)
        return found

    def judged_models(self, start: int, at_least: int) -> Sequence[ModelKey]:
        """Return the models with at least so many records to judge from `start` on."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT m.name, m.version FROM quality_cell c JOIN model m ON m.id = c.model"
                " WHERE c.seconds = 3600 AND c.start >= ? GROUP BY c.model HAVING sum(c.judged) >= ?",
                (start - start % HOUR_US, at_least),
            )
            return [(name, version) for name, version in rows]

    @contextmanager
    def judged(self, name: str, version: str) -> Iterator[SqliteJudged]:
        """Open the records of a model for reading, as of one moment."""
        with self._database.read() as connection:
            row = connection.execute("SELECT id FROM model WHERE name=? AND version=?", (name, version)).fetchone()
            yield SqliteJudged(connection, int(row[0]) if row else 0)

    def reference(self, name: str, version: str) -> Reference | None:
        """Return the reference kept for a model."""
        with self._database.read() as connection:
            row = connection.execute(f"{_REFERENCES} WHERE m.name=? AND m.version=?", (name, version)).fetchone()
        return _reference(row[2:]) if row else None

    def references(self) -> Mapping[ModelKey, Reference]:
        """Return every reference kept."""
        with self._database.read() as connection:
            return {(row[0], row[1]): _reference(row[2:]) for row in connection.execute(_REFERENCES)}

    def set_reference(self, name: str, version: str, reference: Reference) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""
        cells = {feature: one.to_json() for feature, one in reference.cells.items()}
        first, last = reference.first, reference.last
        with self._writing(durable=True) as transaction:
            transaction.connection.execute(
                # What was found by itself never takes the place of what somebody set.
                "INSERT INTO drift_reference VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (model) DO UPDATE SET"
                " source = excluded.source, first_ts = excluded.first_ts, last_ts = excluded.last_ts,"
                " last_id = excluded.last_id, cells = excluded.cells"
                " WHERE excluded.source <> 'first_records' OR source = 'first_records'",
                (
                    transaction.names.model(name, version),
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
    stretch: tuple[int, int, int],
    only: ModelKey | None,
    where: Filter,
) -> Iterator[Row]:
    condition, parameters = conditions(only, where)
    return connection.execute(
        f"SELECT m.name, m.version, {columns} FROM {table} c JOIN model m ON m.id = c.model"
        f" JOIN origin o ON o.id = c.origin WHERE c.seconds=? AND c.start >= ? AND c.start < ? {condition}",
        (*stretch, *parameters),
    )


def _add_predictions(labels: Labels, row: Sequence[Any]) -> None:
    labels.predictions += row[0]


def _add_confusion(labels: Labels, row: Sequence[Any]) -> None:
    pair = (row[0], row[1])
    labels.confusion[pair] = labels.confusion.get(pair, 0) + row[2]


def _add_sums(labels: Labels, row: Sequence[Any]) -> None:
    labels.regression += unpacked(row[0])


_MERGES: Final[tuple[tuple[str, str, Callable[[Labels, Sequence[Any]], None]], ...]] = (
    ("quality_cell", "c.predictions", _add_predictions),
    ("confusion_cell", "c.prediction, c.truth, c.n", _add_confusion),
    ("regression_cell", "c.sums", _add_sums),
)


@lru_cache(maxsize=256)
def _frozen(text: str) -> Mapping[str, Cells]:
    """Return stored cells; the same object for the same text, so that comparing references costs nothing."""
    return {name: Cells.from_json(fields) for name, fields in msgspec.json.decode(text).items()}


def _reference(row: Row) -> Reference:
    source, first_ts, last_ts, last_id, text = row
    cells = _frozen(text)
    if last_ts is None:
        return Reference(source, cells)
    return Reference(source, cells, Place(first_ts, b""), Place(last_ts, last_id))


class SqliteJudged:
    """`JudgedRecords` inside one read transaction.

    Args:
        connection: in that transaction.
        model: its id; 0 for one that does not exist.
    """

    def __init__(self, connection: sqlite3.Connection, model: int) -> None:
        self._connection = connection
        self._model = model

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'horizon'").fetchone()
        return int(row[0]) if row else 0

    def last_before(self, end: int) -> int | None:
        """Return the time of the last record before `end`."""
        row = self._connection.execute(f"SELECT max(ts) {_RECORDS} AND ts < ?", (self._model, end)).fetchone()
        return None if row[0] is None else int(row[0])

    def count(self, start: int, end: int) -> int:
        """Return the records of [start, end); both are whole hours."""
        row = self._connection.execute(
            "SELECT coalesce(sum(judged), 0) FROM quality_cell"
            " WHERE model = ? AND seconds = 3600 AND start >= ? AND start < ?",
            (self._model, start, end),
        ).fetchone()
        return int(row[0])

    def count_to(self, start: int, last: Place) -> int:
        """Return the records from `start` up to and including the place; they are walked, so let them be few."""
        row = self._connection.execute(
            f"SELECT count(*) {_RECORDS} AND ts >= ? AND (ts, id) <= (?, ?)", (self._model, start, *last)
        ).fetchone()
        return int(row[0])

    def newest(self, start: int, end: int, after: Place | None, limit: int) -> list[Judged]:
        """Return the last records of [start, end) that come after a place, at most `limit`, in order."""
        beyond, place = ("AND (ts, id) > (?, ?)", tuple(after)) if after else ("", ())
        rows = self._connection.execute(
            f"{_VALUES} {_RECORDS} AND ts >= ? AND ts < ? {beyond} ORDER BY ts DESC, id DESC LIMIT ?",
            (self._model, start, end, *place, limit),
        )
        return [_judged(row) for row in rows][::-1]

    def oldest(self, limit: int) -> list[Judged]:
        """Return the first records of the model, at most `limit`, in order."""
        rows = self._connection.execute(f"{_VALUES} {_RECORDS} ORDER BY ts, id LIMIT ?", (self._model, limit))
        return [_judged(row) for row in rows]


def _judged(row: Row) -> Judged:
    ts, key, prediction, features = row
    values: dict[str, Any] = msgspec.json.decode(features) if features else {}
    values[PREDICTION] = _decode(prediction) if prediction is not None else None
    return Judged(Place(ts, key), values)
