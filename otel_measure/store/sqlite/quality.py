"""Roll-ups of predictions and their truths: a confusion matrix and regression sums per model, origin and interval.

An inference contributes what its winning truth (smallest ts, id) makes of it, at the time of the inference. A batch
changes the contribution of few inferences: those it brings, and those it brings a truth for. What they contributed
before is taken out and what they contribute now is put in, so late, early and repeated truths take one road.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.quality import RegressionTotals, is_number, label
from otel_measure.records.kinds import GroundTruth, Inference, Prediction
from otel_measure.store.sqlite.chunks import chunks, rows_in
from otel_measure.store.sqlite.facts import READ_AT_ONCE
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction, horizon_of

Key: TypeAlias = bytes | str
Row: TypeAlias = tuple[Any, ...]
SECONDS: Final = (60, 3600)
JUDGED: Final = "(prediction IS NOT NULL OR json_type(extra, '$.features') IS NOT NULL)"
CELLS: Final = ("quality_cell", "confusion_cell", "regression_cell")
TABLES: Final = CELLS
FROZEN: Final[Mapping[str, str]] = {}
# What the journal still has will come by itself.
_ROLLED_UP: Final = "NOT EXISTS (SELECT 1 FROM journal j WHERE j.id = {1} AND j.kind = '{0}')"
_decode: Callable[[str], Prediction] = msgspec.json.Decoder().decode


class Cell(NamedTuple):
    """The minute of an inference; the hour is derived when writing."""

    minute: int
    model: int
    origin: int


class Truth(NamedTuple):
    """A truth for some inference; the smallest of them counts, as SQLite compares (text before blobs)."""

    ts: int
    is_blob: bool
    id: Key
    value: str


class Predicted(NamedTuple):
    """An inference with a prediction."""

    cell: Cell
    prediction: str


# ---------------------------------------------------------------- contributions


class Change:
    """What a batch adds to the cells; taking out is adding with the opposite sign."""

    def __init__(self) -> None:
        self.counts: dict[Cell, list[int]] = {}
        self.confusion: Counter[tuple[Cell, str, str]] = Counter()
        self.regression: dict[Cell, RegressionTotals] = {}

    def count(self, cell: Cell, *, predicted: bool) -> None:
        """Count a record that drift looks at."""
        counts = self.counts.setdefault(cell, [0, 0])
        counts[0] += predicted
        counts[1] += 1

    def pair(self, predicted: Predicted, value: str, sign: int) -> None:
        """Put in or take out what one prediction and its truth contribute."""
        cell = predicted.cell
        guess, truth = _decode(predicted.prediction), _decode(value)
        guessed, true = label(guess), label(truth)
        if guessed is not None and true is not None:
            self.confusion[cell, guessed, true] += sign
        if is_number(guess) and is_number(truth):
            sums = RegressionTotals.of(guess, truth)  # type: ignore[arg-type] # what is_number says of both
            if sums is not None:
                self.regression[cell] = self.regression.get(cell, RegressionTotals()) + (sums if sign > 0 else -sums)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add everything to the stored minutes and hours."""
        _add_counts(connection, self.counts)
        _add_confusion(connection, self.confusion)
        for key, sums in _both_levels(self.regression.items()):
            _add_sums(connection, key, sums)


def _both_levels(items: Iterable[tuple[Cell, Any]]) -> Iterator[tuple[Row, Any]]:
    for cell, value in items:
        for seconds in SECONDS:
            yield (seconds, cell.minute - cell.minute % (seconds * 1_000_000), cell.model, cell.origin), value


def _add_counts(connection: sqlite3.Connection, counts: dict[Cell, list[int]]) -> None:
    connection.executemany(
        "INSERT INTO quality_cell (seconds, start, model, origin, predictions, judged) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE"
        " SET predictions = predictions + excluded.predictions, judged = judged + excluded.judged",
        [(*key, *n) for key, n in _both_levels(counts.items())],
    )


def _add_confusion(connection: sqlite3.Connection, confusion: Counter[tuple[Cell, str, str]]) -> None:
    rows = [
        (*key, guessed, true, n)
        for (cell, guessed, true), n in confusion.items()
        if n
        for key, _ in _both_levels([(cell, n)])
    ]
    connection.executemany(
        "INSERT INTO confusion_cell (seconds, start, model, origin, prediction, truth, n) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET n = n + excluded.n",
        rows,
    )
    connection.executemany(
        "DELETE FROM confusion_cell WHERE seconds=? AND start=? AND model=? AND origin=? AND prediction=? AND truth=?"
        " AND n = 0",
        [row[:-1] for row in rows if row[-1] < 0],
    )


def _add_sums(connection: sqlite3.Connection, key: Row, sums: RegressionTotals) -> None:
    where = "seconds=? AND start=? AND model=? AND origin=?"
    stored = connection.execute(f"SELECT sums FROM regression_cell WHERE {where}", key).fetchone()
    total = sums + unpacked(stored[0]) if stored else sums
    if total.n:
        connection.execute(
            "INSERT OR REPLACE INTO regression_cell (seconds, start, model, origin, n, sums) VALUES (?, ?, ?, ?, ?, ?)",
            (*key, total.n, " ".join(map(str, total.numbers))),
        )
    else:
        connection.execute(f"DELETE FROM regression_cell WHERE {where}", key)


def unpacked(sums: str) -> RegressionTotals:
    """Return stored sums; they are decimal, since no column holds whole numbers of that size."""
    return RegressionTotals(*map(int, sums.split(" ")))


# ---------------------------------------------------------------- the roll-up


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted inferences and truths."""
    if Inference not in new and GroundTruth not in new:
        return
    change = Change()
    new_predictions: dict[Key, Predicted] = {}
    if Inference in new:
        inferences = new[Inference]
        columns = (inferences.stored[column] for column in ("id", "ts", "model", "origin", "prediction"))
        for key, ts, model, origin, prediction, features in zip(*columns, inferences.fields["features"], strict=True):
            if prediction is not None or features is not None:
                cell = _cell(ts, model, origin)
                change.count(cell, predicted=prediction is not None)
                if prediction is not None:
                    new_predictions[key] = Predicted(cell, prediction)
    truths = new[GroundTruth].stored if GroundTruth in new else {"id": (), "inference_id": ()}
    if new_predictions or truths["id"]:
        _join(transaction.connection, change, new_predictions, truths["inference_id"], truths["id"])
    change.write(transaction.connection)


def _cell(ts: int, model: int, origin: int) -> Cell:
    return Cell(ts - ts % 60_000_000, model, origin)


def _join(
    connection: sqlite3.Connection,
    change: Change,
    new_predictions: dict[Key, Predicted],
    told_of: Iterable[Key],
    new_truths: Iterable[Key],
) -> None:
    """Contribute the pairs that a batch completes or changes; `told_of` are whose truths are new."""
    old = set(told_of).difference(new_predictions)
    predictions = new_predictions | _predictions(connection, list(old))
    fresh = set(new_truths)
    for key, truths in _truths(connection, list(predictions)).items():
        before = min((truth for truth in truths if truth.id not in fresh), default=None)
        if before is not None and key not in new_predictions:
            change.pair(predictions[key], before.value, -1)
        change.pair(predictions[key], min(truths).value, +1)


def _predictions(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Predicted]:
    rows = rows_in(
        connection,
        "SELECT id, ts, model, origin, prediction FROM inference"
        f" WHERE prediction IS NOT NULL AND {_ROLLED_UP.format('inference', 'inference.id')} AND id IN",
        keys,
    )
    return {key: Predicted(_cell(ts, model, origin), prediction) for key, ts, model, origin, prediction in rows}


def _truths(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, list[Truth]]:
    found: dict[Key, list[Truth]] = {}
    if connection.execute("SELECT 1 FROM ground_truth LIMIT 1").fetchone() is None:
        return found
    for of, ts, key, value in rows_in(
        connection,
        "SELECT inference_id, ts, id, value FROM ground_truth"
        f" WHERE {_ROLLED_UP.format('ground_truth', 'ground_truth.id')} AND inference_id IN",
        keys,
    ):
        found.setdefault(of, []).append(Truth(ts, isinstance(key, bytes), key, value))
    return found


def restore(_: Transaction, __: Frozen) -> Iterator[None]:
    """Cells of facts that are gone are of no use to any window."""
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Compute the cells from the facts by SQL: another road than `add`, to the same figures."""
    connection = transaction.connection
    for seconds in SECONDS:
        connection.execute(
            "INSERT INTO quality_cell (seconds, start, model, origin, predictions, judged)"
            " SELECT ?1, ts - ts % (?1 * 1000000), model, origin, sum(prediction IS NOT NULL), count(*)"
            f" FROM inference WHERE {JUDGED} GROUP BY 2, 3, 4",
            (seconds,),
        )
        yield
    for winners in chunks(connection.execute(_WINNERS), READ_AT_ONCE):
        change = Change()
        for ts, model, origin, prediction, value in winners:
            change.pair(Predicted(_cell(ts, model, origin), prediction), value, +1)
        change.write(connection)
        yield


_WINNERS: Final = """
    SELECT i.ts, i.model, i.origin, i.prediction, t.value
    FROM ground_truth t JOIN inference i ON i.id = t.inference_id
    WHERE i.prediction IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM ground_truth e WHERE e.inference_id = t.inference_id AND (e.ts, e.id) < (t.ts, t.id))
"""


def forget_found_references(connection: sqlite3.Connection, before: Definitions | None, wanted: Definitions) -> None:
    """Remove the references that were found in records which are still there, where other definitions find others."""
    fields = () if before is None else {change.field for change in wanted.differences(before)}
    if {"drift_reference_records", "rules"}.isdisjoint(fields):
        return
    connection.execute(
        "DELETE FROM drift_reference WHERE source = 'first_records' AND first_ts >= ?", (horizon_of(connection),)
    )
