"""Roll-ups of predictions and their truths: a confusion matrix and regression sums per model, origin and interval.

A batch changes the contribution of few inferences: those it brings, and those it brings a truth for. What they
contributed before is taken out and what they contribute now is put in, so late, early and repeated truths take one
road. What an inference contributes is told in `definitions/quality.py`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.quality import (
    CONFUSION,
    GROUPED,
    GROUPED_CONFUSION,
    JUDGED,
    IntervalKey,
    Predicted,
    QualityChanges,
    RegressionTotals,
    Truth,
    winning_truth,
)
from otel_measure.definitions.windows import HOUR_US, LEVELS_S, MINUTE_US
from otel_measure.records.kinds import GroundTruth, Inference, Prediction
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.chunks import rows_in
from otel_measure.store.sqlite.facts import id_ranges
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction, horizon_of

Key: TypeAlias = bytes | str
IS_JUDGED: Final = "(prediction IS NOT NULL OR json_type(extra, '$.features') IS NOT NULL)"
IS_GROUPED: Final = "(prediction IS NOT NULL AND json_type(extra, '$.groups') IS NOT NULL)"
CELLS: Final = (JUDGED.name, CONFUSION.name, "regression_cell", GROUPED.name, GROUPED_CONFUSION.name)
TABLES: Final = CELLS
FROZEN: Final[Mapping[str, str]] = {}
# What the journal still has will come by itself.
_ROLLED_UP: Final = "NOT EXISTS (SELECT 1 FROM journal j WHERE j.id = {1} AND j.kind = '{0}')"
_decode: Callable[[str], Prediction] = msgspec.json.Decoder().decode
_decode_groups = msgspec.json.Decoder(dict[str, str]).decode
_PREDICTED: Final = "SELECT id, ts, model, origin, prediction, json_extract(extra, '$.groups') FROM inference"


class GroupedHour(NamedTuple):
    """An hour of a model and an origin, as the store numbers them; `start` in microseconds."""

    model: int
    origin: int
    start: int


# ---------------------------------------------------------------- cells


def _write(connection: sqlite3.Connection, changes: QualityChanges) -> None:
    add_cells(connection, changes.cells)
    for key, sums in changes.regression.items():
        _add_sums(connection, key, sums)


def _add_sums(connection: sqlite3.Connection, key: IntervalKey, sums: RegressionTotals) -> None:
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
    changes = QualityChanges()
    new_predictions: dict[Key, Predicted] = {}
    if Inference in new:
        inferences = new[Inference]
        columns = (inferences.stored[column] for column in ("id", "ts", "model", "origin"))
        given = (inferences.fields[field] for field in ("prediction", "features", "groups"))
        judged: Counter[tuple[int, int, int, bool]] = Counter()
        for key, ts, model, origin, prediction, features, groups in zip(*columns, *given, strict=True):
            if prediction is not None:
                new_predictions[key] = Predicted(ts, model, origin, prediction, groups)
                changes.predicted_of_groups(new_predictions[key])
            if prediction is not None or features is not None:
                judged[ts - ts % MINUTE_US, model, origin, prediction is not None] += 1
        for (minute, model, origin, predicted), n in judged.items():
            changes.count(minute, model, origin, predictions=n if predicted else 0, judged=n)
    truths = new[GroundTruth].stored if GroundTruth in new else {"id": (), "inference_id": ()}
    if new_predictions or truths["id"]:
        _join(transaction.connection, changes, new_predictions, truths["inference_id"], truths["id"])
    _write(transaction.connection, changes)


def _join(
    connection: sqlite3.Connection,
    changes: QualityChanges,
    new_predictions: dict[Key, Predicted],
    told_of: Iterable[Key],
    new_truths: Iterable[Key],
) -> None:
    """Contribute the pairs that a batch completes or changes; `told_of` are whose truths are new."""
    old = set(told_of).difference(new_predictions)
    predictions = new_predictions | _predictions(connection, list(old))
    fresh = set(new_truths)
    for key, truths in _truths(connection, list(predictions)).items():
        before = winning_truth(truth for truth in truths if truth.id not in fresh)
        if before is not None and key not in new_predictions:
            changes.pair(predictions[key], before.value, -1)
        now = winning_truth(truths)
        if now is not None:
            changes.pair(predictions[key], now.value, +1)


def _predictions(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Predicted]:
    rolled_up = _ROLLED_UP.format("inference", "inference.id")
    rows = rows_in(connection, f"{_PREDICTED} WHERE prediction IS NOT NULL AND {rolled_up} AND id IN", keys)
    return dict(map(_predicted, rows))


def _predicted(row: tuple[Key, int, int, int, str, str | None]) -> tuple[Key, Predicted]:
    key, ts, model, origin, prediction, groups = row
    return key, Predicted(ts, model, origin, _decode(prediction), _decode_groups(groups) if groups else None)


def _truths(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, list[Truth]]:
    truths: dict[Key, list[Truth]] = {}
    if connection.execute("SELECT 1 FROM ground_truth LIMIT 1").fetchone() is None:
        return truths
    for of, ts, key, value in rows_in(
        connection,
        "SELECT inference_id, ts, id, value FROM ground_truth"
        f" WHERE {_ROLLED_UP.format('ground_truth', 'ground_truth.id')} AND inference_id IN",
        keys,
    ):
        truths.setdefault(of, []).append(Truth(ts, key, _decode(value)))
    return truths


def restore(_: Transaction, __: Frozen) -> Iterator[None]:
    """Cells of facts that are gone are of no use to any window."""
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Compute the cells from the facts by SQL: another road than `add`, to the same figures."""
    connection = transaction.connection
    for ids in id_ranges(connection, "inference"):
        for seconds in LEVELS_S:
            connection.execute(_COUNTS, (seconds, *ids))
        yield
    for ids in id_ranges(connection, "inference"):
        changes = QualityChanges()
        rows = connection.execute(f"{_PREDICTED} WHERE id BETWEEN ? AND ? AND {IS_GROUPED}", ids)
        for predicted in dict(map(_predicted, rows)).values():
            changes.predicted_of_groups(predicted)
        _write(connection, changes)
        yield
    for ids in id_ranges(connection, "ground_truth"):
        changes = QualityChanges()
        for *row, value in connection.execute(_WINNERS, ids):
            changes.pair(_predicted(tuple(row))[1], _decode(value), +1)
        _write(connection, changes)
        yield


_COUNTS: Final = (
    "INSERT INTO quality_cell (seconds, start, model, origin, predictions, judged)"
    " SELECT ?1, ts - ts % (?1 * 1000000), model, origin, sum(prediction IS NOT NULL), count(*)"
    f" FROM inference WHERE id BETWEEN ?2 AND ?3 AND {IS_JUDGED} GROUP BY 2, 3, 4"
    " ON CONFLICT DO UPDATE SET predictions = predictions + excluded.predictions, judged = judged + excluded.judged"
)
_WINNERS: Final = """
    SELECT i.id, i.ts, i.model, i.origin, i.prediction, json_extract(i.extra, '$.groups'), t.value
    FROM ground_truth t JOIN inference i ON i.id = t.inference_id
    WHERE t.id BETWEEN ? AND ? AND i.prediction IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM ground_truth e WHERE e.inference_id = t.inference_id AND (e.ts, e.id) < (t.ts, t.id))
"""


# ---------------------------------------------------------------- groups of whom nothing is to be known any more


def grouped_hours(connection: sqlite3.Connection, keys: Sequence[bytes | str]) -> list[GroupedHour]:
    """Return the hours of those inferences, by their ids, that are about groups."""
    rows = rows_in(
        connection,
        f"SELECT DISTINCT model, origin, ts - ts % {HOUR_US} FROM inference WHERE {IS_GROUPED} AND id IN",
        keys,
    )
    return sorted({GroupedHour(*row) for row in rows})


def recount_groups(connection: sqlite3.Connection, hours: Iterable[GroupedHour]) -> None:
    """Count groups anew in some hours, after inferences of these lost theirs."""
    for hour in hours:
        span = (hour.model, hour.origin, hour.start, hour.start + HOUR_US)
        for table in (GROUPED.name, GROUPED_CONFUSION.name):
            connection.execute(f"DELETE FROM {table} WHERE model=? AND origin=? AND start >= ? AND start < ?", span)
        rolled_up = _ROLLED_UP.format("inference", "inference.id")
        rows = connection.execute(
            f"{_PREDICTED} WHERE model=? AND origin=? AND ts >= ? AND ts < ? AND {IS_GROUPED} AND {rolled_up}", span
        )
        predictions = dict(map(_predicted, rows))
        changes = QualityChanges()
        for predicted in predictions.values():
            changes.predicted_of_groups(predicted)
        for key, truths in _truths(connection, list(predictions)).items():
            winner = winning_truth(truths)
            if winner is not None:
                changes.pair_of_groups(predictions[key], winner.value, +1)
        _write(connection, changes)


def forget_found_references(connection: sqlite3.Connection, before: Definitions | None, wanted: Definitions) -> None:
    """Remove the references that were found in records which are still there, where other definitions find others."""
    fields = () if before is None else {change.field for change in wanted.differences(before)}
    if {"drift_reference_records", "rules"}.isdisjoint(fields):
        return
    connection.execute(
        "DELETE FROM drift_reference WHERE source = 'first_records' AND first_ts >= ?", (horizon_of(connection),)
    )
