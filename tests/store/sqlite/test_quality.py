"""Predictions and truths in the SQLite store: one answer whatever comes first, however often, in whatever batches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.quality import GRID_BITS, RegressionTotals, is_number, label
from otel_measure.records.kinds import GroundTruth, Inference, Origin, Prediction, Record
from otel_measure.stats.cells import reference_cells
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.quality import CELLS
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.quality import Labels, RecordPosition, Reference
from tests.closing import closed_later
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked

THERE = Origin("other", "prod")


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
            features=draw(st.none() | st.just({"x": 1})),
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
        if is_number(guess) and is_number(true):
            labels.regression += RegressionTotals.of(float(guess), float(true)) or RegressionTotals()
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
    before = dumped(store)
    store.rebuild()
    assert dumped(store) == before


def test_a_window_has_the_predictions_of_its_minutes() -> None:
    """Truths count at the time of the prediction; the window, the model and the service narrow."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept(
        [
            inference("a", NOON, prediction="x"),
            inference("b", NOON + MINUTE, prediction="x"),
            inference("c", NOON + 3 * HOUR, prediction="y", origin=THERE),
            inference("d", NOON + HOUR, prediction="y", version="2"),
            *(truth(f"t{of}", of, "x", NOON + 2 * DAY) for of in "abcd"),
        ]
    )
    hour = asked(store, lambda m: m.quality.labels(NOON, NOON + MINUTE))
    assert hour == {("m", "1"): Labels(1, {("x", "x"): 1})}
    one = asked(store, lambda m: m.quality.labels(NOON, NOON + DAY, ("m", "1")))
    assert one == {("m", "1"): Labels(3, {("x", "x"): 2, ("y", "x"): 1})}
    narrowed = asked(store, lambda m: m.quality.labels(NOON, NOON + DAY, None), Filter("other", "prod"))
    assert narrowed == {("m", "1"): Labels(1, {("y", "x"): 1})}


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


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "true"), (False, "false"), (1, "1"), (1.0, "1"), (-3.0, "-3"), (0.5, None), ("Cat", "Cat")],
)
def test_a_class_is_named_by_its_value(value: Prediction, name: str | None) -> None:
    """Text, booleans and whole numbers name classes; other numbers do not."""
    assert label(value) == name


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=20))
def test_sums_of_pairs_are_exact(pairs: list[tuple[float, float]]) -> None:
    """Sums equal those of exact fractions of the values on the grid, and taking out undoes putting in."""
    total = RegressionTotals()
    grid = 1 << GRID_BITS
    exact = [(round(Fraction(a) * grid), round(Fraction(b) * grid)) for a, b in pairs]
    for a, b in pairs:
        total += RegressionTotals.of(a, b) or RegressionTotals()
    assert total == RegressionTotals(
        len(exact),
        sum(abs(a - b) for a, b in exact),
        sum((a - b) ** 2 for a, b in exact),
        sum(b for _, b in exact),
        sum(b * b for _, b in exact),
    )
    assert total + -total == RegressionTotals()
    assert RegressionTotals.of(1e151, 0.0) is None


def test_a_huge_pair_is_no_pair_of_numbers() -> None:
    """A prediction beyond 1e150 is counted as a prediction and left out of the sums."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept([inference("a", prediction=1e200 + 0.5), truth("t", "a", 0.5)])
    assert asked(store, lambda m: m.quality.labels(NOON, NOON + HOUR)) == {("m", "1"): Labels(1)}


def test_records_stand_in_the_order_of_time_and_id() -> None:
    """Only records with a prediction or features stand there; places, limits and whole hours cut them."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept(
        [
            inference("b", NOON, prediction=2.0),
            inference("a", NOON, features={"x": "red", "y": [1]}),
            inference("none", NOON),
            inference("c", NOON + HOUR, prediction="z", features={"x": None}),
            inference("other", NOON, prediction=1.0, version="2"),
        ]
    )
    model, day = ("m", "1"), (NOON, NOON + DAY)
    with store.asking() as moment:
        ask = moment.quality
        everything = ask.oldest(model, 10)
        assert [(one.position, one.values) for one in everything] == [
            (RecordPosition(NOON, "a"), {"x": "red", "y": [1], "prediction": None}),
            (RecordPosition(NOON, "b"), {"prediction": 2.0}),
            (RecordPosition(NOON + HOUR, "c"), {"x": None, "prediction": "z"}),
        ]
        assert ask.oldest(model, 1) == everything[:1]
        assert ask.newest(model, *day, 2) == everything[1:]
        assert ask.newest(model, *day, 5, RecordPosition(NOON, "a")) == everything[1:]
        assert ask.newest(model, NOON, NOON + HOUR, 5) == everything[:2]
        assert ask.newest(model, 0, NOON, 5) == []
        assert ask.judged_counts(NOON, NOON + HOUR) == {model: 2, ("m", "2"): 1}
        assert ask.judged_counts(0, NOON + DAY, model) == {model: 3}
        assert ask.judged_counts(0, NOON + DAY, model, RecordPosition(NOON, "a")) == {model: 2}
        assert ask.judged_counts(NOON + HOUR, NOON + DAY, model, RecordPosition(NOON + HOUR, "c")) == {model: 0}
        assert (ask.oldest(("nobody", "1"), 5), ask.judged_counts(0, NOON + DAY, ("nobody", "1"))) == ([], {})
        assert moment.horizon == 0


def test_a_reference_is_kept_and_one_found_by_itself_replaces_none_that_was_set() -> None:
    """References come back as they were kept; automatic ones give way to set ones and not the other way round."""
    cells = reference_cells([float(i) for i in range(100)])
    assert cells is not None
    automatic = Reference("first_records", {"x": cells}, RecordPosition(1, b""), RecordPosition(9, "z"))
    given_one = Reference("given", {"prediction": cells})
    store = closed_later(SqliteStore(":memory:"))
    assert asked(store, lambda m: m.quality.references(("m", "1")).get(("m", "1"))) is None
    store.set_reference(("m", "1"), automatic)
    assert asked(store, lambda m: m.quality.references(("m", "1")).get(("m", "1"))) == automatic
    store.set_reference(("m", "1"), given_one)
    store.set_reference(("m", "1"), automatic)
    assert asked(store, lambda m: m.quality.references()) == {("m", "1"): given_one}
    assert [model.name for model in asked(store, lambda m: m.models.models())] == ["m"]


def test_counts_of_zero_leave_no_row() -> None:
    """An earlier truth that replaces another leaves nothing of it behind."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept([inference("a", prediction=1.0), truth("late", "a", 3.0, NOON + 5)])
    store.accept([truth("early", "a", "one", NOON + 1)])
    assert dumped(store)["regression_cell"] == []
    assert Counter(row[4:] for row in dumped(store)["confusion_cell"]) == {("1", "one", 1): 2}
