"""Predictions and truths in the SQLite store: one answer whatever comes first, however often, in whatever batches."""

from __future__ import annotations

from otel_measure.records.kinds import GroundTruth, Origin, Prediction
from otel_measure.stats.cells import reference_cells
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.quality import Labels, RecordPosition, Reference
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

THERE = Origin("other", "prod")


def truth(id: str, of: str, value: Prediction, ts: int = NOON) -> GroundTruth:
    """A truth for an inference."""
    return GroundTruth(id=id, ts=ts, origin=THERE, inference_id=of, value=value)


def test_a_window_has_the_predictions_of_its_minutes(engine: EngineCase) -> None:
    """Truths count at the time of the prediction; the window, the model and the service narrow."""
    store = engine.open()
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
    assert one == {("m", "1"): Labels(2, {("x", "x"): 2})}
    narrowed = asked(store, lambda m: m.quality.labels(NOON, NOON + DAY, None), Filter("other", "prod"))
    assert narrowed == {("m", "1"): Labels(1, {("y", "x"): 1})}


def test_a_huge_pair_is_no_pair_of_numbers(engine: EngineCase) -> None:
    """A prediction beyond 1e150 is counted as a prediction and left out of the sums."""
    store = engine.open()
    store.accept([inference("a", prediction=1e200 + 0.5), truth("t", "a", 0.5)])
    assert asked(store, lambda m: m.quality.labels(NOON, NOON + HOUR)) == {("m", "1"): Labels(1)}


def test_records_stand_in_the_order_of_time_and_id(engine: EngineCase) -> None:
    """Only records with a prediction or features stand there; places, limits and whole hours cut them."""
    store = engine.open()
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
        assert ask.judged_hours(model, 0, NOON + DAY) == [(NOON, 2), (NOON + HOUR, 1)]
        assert ask.judged_hours(model, NOON + HOUR, NOON + 2 * HOUR) == [(NOON + HOUR, 1)]
        assert ask.judged_counts(0, NOON + DAY, model, RecordPosition(NOON, "a")) == {model: 2}
        assert ask.judged_counts(NOON + HOUR, NOON + DAY, model, RecordPosition(NOON + HOUR, "c")) == {model: 0}
        assert (ask.oldest(("nobody", "1"), 5), ask.judged_counts(0, NOON + DAY, ("nobody", "1"))) == ([], {})
        assert moment.horizon == 0


def test_a_reference_is_kept_and_one_found_by_itself_replaces_none_that_was_set(engine: EngineCase) -> None:
    """References come back as they were kept; automatic ones give way to set ones and not the other way round."""
    cells = reference_cells([float(i) for i in range(100)])
    assert cells is not None
    automatic = Reference("first_records", {"x": cells}, RecordPosition(1, b""), RecordPosition(9, "z"), {"y": "why"})
    given_one = Reference("given", {"prediction": cells})
    store = engine.open()
    assert asked(store, lambda m: m.quality.references(("m", "1")).get(("m", "1"))) is None
    store.set_reference(("m", "1"), automatic)
    assert asked(store, lambda m: m.quality.references(("m", "1")).get(("m", "1"))) == automatic
    store.set_reference(("m", "1"), given_one)
    store.set_reference(("m", "1"), automatic)
    assert asked(store, lambda m: m.quality.references()) == {("m", "1"): given_one}
    assert [model.name for model in asked(store, lambda m: m.models.models())] == ["m"]
