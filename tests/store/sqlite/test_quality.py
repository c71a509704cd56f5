"""Predictions and truths in the SQLite store: one answer whatever comes first, however often, in whatever batches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from otel_measure.definitions.quality import RegressionTotals, label
from otel_measure.records.kinds import GroundTruth, Inference, Origin, Prediction, Record
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.quality import CELLS
from otel_measure.store.types.quality import Group, GroupedLabels, Labels
from tests.closing import closed_later
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked

THERE = Origin("other", "test")  # of the same environment: an answer is about one


def truth(id: str, of: str, value: Prediction, ts: int = NOON) -> GroundTruth:
    """A truth for an inference."""
    return GroundTruth(id=id, ts=ts, origin=THERE, inference_id=of, value=value)


def dumped(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    """Every roll-up row."""
    with store._database.read() as connection:
        names = dict(connection.execute("SELECT id, name || ' ' || version FROM model"))
        origins = dict(connection.execute("SELECT id, service FROM origin"))
        return {
            table: sorted(
                (row[0], row[1], names[row[2]], origins[row[3]], *row[4:])
                for row in connection.execute(f"SELECT * FROM {table}")
            )
            for table in CELLS
        }


_VALUES: st.SearchStrategy[Prediction] = st.sampled_from(["cat", "dog", True, False, 1.0, 2.0, 0.25, -3.5])
_IDS = st.integers(0, 7)


@st.composite
def _records(draw: st.DrawFn) -> list[Record]:
    """Inferences with and without predictions, and truths of them and of inferences that never come."""
    found: list[Record] = [
        inference(
            f"i{i}",
            NOON + draw(st.integers(0, 3)) * 40 * MINUTE,
            prediction=draw(st.none() | _VALUES),
            features=draw(st.sampled_from([None, {"x": 1}, {"x": "red"}])),
            groups=draw(st.sampled_from([None, {"age": "60+"}, {"age": "20-29", "sex": "f"}])),
            user_id=draw(st.sampled_from([None, "ann", "ben"])),
            version=draw(st.sampled_from(["1", "2"])),
        )
        for i in range(draw(st.integers(0, 6)))
    ]
    found += [
        truth(f"t{i}", f"i{draw(_IDS)}", draw(_VALUES), NOON + draw(st.integers(0, 2)))
        for i in range(draw(st.integers(0, 8)))
    ]
    return found


def brute_force(records: Sequence[Record]) -> dict[tuple[str, str], Labels]:
    """Labels straight from the definition."""
    winners: dict[str, GroundTruth] = {}
    for record in records:
        if isinstance(record, GroundTruth):
            old = winners.get(record.inference_id)
            if old is None or (record.ts, record.id) < (old.ts, old.id):
                winners[record.inference_id] = record
    found: dict[tuple[str, str], Labels] = {}
    for record in records:
        if not isinstance(record, Inference) or (record.prediction is None and record.features is None):
            continue
        labels = found.setdefault((record.model, record.version), Labels())
        if record.prediction is None:
            continue
        labels.predictions += 1
        if record.id not in winners:
            continue
        guess, true = record.prediction, winners[record.id].value
        pair = (label(guess), label(true))
        if pair[0] is not None and pair[1] is not None:
            named = (pair[0], pair[1])
            labels.confusion[named] = labels.confusion.get(named, 0) + 1
        if type(guess) is float and type(true) is float:
            labels.regression += RegressionTotals.of(guess, true) or RegressionTotals()
    return found


def brute_force_of_groups(records: Sequence[Record]) -> dict[tuple[str, str], GroupedLabels]:
    """Labels by group: those of the inferences of each group, taken alone."""
    found: dict[tuple[str, str], GroupedLabels] = {}
    inferences = [one for one in records if isinstance(one, Inference)]
    for group in sorted({Group(*item) for one in inferences for item in (one.groups or {}).items()}):
        of_group = [one for one in inferences if (one.groups or {}).get(group.attribute) == group.label]
        for one in of_group:
            named = None if one.prediction is None else label(one.prediction)
            if named is not None:
                counts = found.setdefault((one.model, one.version), GroupedLabels()).predictions.setdefault(group, {})
                counts[named] = counts.get(named, 0) + 1
        truths = [one for one in records if isinstance(one, GroundTruth)]
        for model, labels in brute_force([*of_group, *truths]).items():
            if labels.confusion:
                found[model].confusion[group] = labels.confusion
    return found


@given(records=_records(), data=st.data())
def test_labels_are_a_function_of_the_facts(records: list[Record], data: st.DataObject) -> None:
    """Any order, batching and repetition gives the brute force's labels, and a rebuild the same rows."""
    again = data.draw(st.lists(st.sampled_from(records))) if records else []
    shuffled = data.draw(st.permutations(records + again))
    store = closed_later(SqliteStore(":memory:"))
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        batch, shuffled = shuffled[:size], shuffled[size:]
        store.accept(batch)
    assert asked(store, lambda m: m.quality.labels(NOON - DAY, NOON + DAY)) == brute_force(records)
    assert asked(store, lambda m: m.quality.grouped_labels(NOON - DAY, NOON + DAY)) == brute_force_of_groups(records)
    before = dumped(store)
    store.rebuild()
    assert dumped(store) == before
    store.erase("ann", NOON + DAY)
    never = closed_later(SqliteStore(":memory:"))
    never.accept([replace(one, groups=None) if getattr(one, "user_id", "") == "ann" else one for one in records])
    assert dumped(store) == dumped(never)


def test_four_writers_add(tmp_path: Path) -> None:
    """Four stores on one file that write in turns give what one store gives."""
    rng = random.Random(4)
    records: list[Record] = [inference(f"i{i}", NOON + i * 1000, prediction=rng.choice("ab")) for i in range(400)]
    records += [truth(f"t{i}", f"i{i}", rng.choice("ab")) for i in range(300)]
    rng.shuffle(records)
    alone = closed_later(SqliteStore(":memory:"))
    alone.accept(records)
    stores = [closed_later(SqliteStore(str(tmp_path / "measure.db"))) for _ in range(4)]
    for i in range(0, len(records), 35):
        stores[i // 35 % 4].accept(records[i : i + 35])
    assert dumped(stores[0]) == dumped(alone)
    for store in stores:
        store.close()


def test_retention_takes_the_cells_with_the_facts() -> None:
    """What the sweep removes is no longer counted, and what is younger stays."""
    store = closed_later(SqliteStore(":memory:", retention_days=10))
    store.accept([inference("old", NOON - 20 * DAY, prediction="x"), inference("new", NOON, prediction="x")])
    assert store.sweep(NOON) == 1
    assert [row[-2:] for row in dumped(store)["quality_cell"]] == [(1, 1), (1, 1)]
    assert asked(store, lambda m: m.horizon) == NOON - 12 * HOUR - 10 * DAY


def test_counts_of_zero_leave_no_row() -> None:
    """An earlier truth that replaces another leaves nothing of it behind."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept([inference("a", prediction=1.0), truth("late", "a", 3.0, NOON + 5)])
    store.accept([truth("early", "a", "one", NOON + 1)])
    assert dumped(store)["regression_cell"] == []
    assert Counter(row[4:] for row in dumped(store)["confusion_cell"]) == {("1", "one", 1): 2}
