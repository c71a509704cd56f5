"""Drift through the store: windows by (ts, id), references, one answer whatever the order of writing and looking."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.ai import drift_watch
from otel_measure.ai.drift import Drift, Evidence, columns, reference_of
from otel_measure.ai.quality_reader import QualityReader
from otel_measure.definitions.days import moment
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.errors import StoreUnavailable
from otel_measure.records.enums import DriftStatus
from otel_measure.records.kinds import Inference, Origin
from otel_measure.stats import cells
from otel_measure.stats.dependence import known_time
from otel_measure.stats.drift import least_shift, model_drift
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import EVERYTHING
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import JudgedRecord, RecordPosition, Reference
from tests.closing import closed_later
from tests.comparing import comparable
from tests.facts import DAY, HERE, HOUR, NOON, SECOND, inference
from tests.store.asking import asked

MODEL = ("m", "1")
MIDNIGHT = NOON - 12 * HOUR  # of a Thursday, as 1970 began with one: weeks begin here
WEEK = 7 * DAY


class Watched:
    """The models of a store under a watch whose clock stands still; references it finds are kept."""

    def __init__(self, store: SqliteStore, now: int = NOON, size: int = 1000) -> None:
        self.reader = QualityReader(store, lambda: now, Definitions(drift_window_records=size))

    def detect(self, model: ModelKey) -> Drift | None:
        """Return the drift of a model."""
        return self.reader.drift(model)

    def detect_all(self, since: int) -> dict[ModelKey, Drift]:
        """Return the drift of all models."""
        today = TimeSpan(since, since + 1, since // DAY, True, "UTC")
        with self.reader.asking() as at:
            qualities = self.reader.of_models(at, today, EVERYTHING)
        return {model: one.drift for model, one in qualities.items() if one.drift is not None}


def set_normal(store: SqliteStore, seed: int = 1, m: int = 1000) -> None:
    """Set a reference of standard normal predictions."""
    rng = random.Random(seed)
    store.set_reference(
        MODEL, reference_of("given", {"prediction": [rng.gauss(0, 1) for _ in range(m)]}), HERE.environment
    )


def slow_windows(values: Sequence[Inference], size: int, time: float, now: int) -> tuple[list[Inference], ...]:
    """Return the last complete and the running window, by walking through the records one by one."""
    enough = min(10 * size, math.ceil(min(200, size) * (time if 10 * size >= 50 * time else 1.0)))
    complete: list[Inference] = []
    running: list[Inference] = []
    for record, after in pairwise([*values, None]):
        assert record is not None
        running.append(record)
        day_ends = after is None or after.ts // DAY != record.ts // DAY
        week_ends = after is None or after.ts // WEEK != record.ts // WEEK
        is_enough = day_ends and (record.ts // DAY + 1) * DAY <= now and len(running) >= enough
        if len(running) == max(size, enough) or is_enough:
            complete, running = running, []
        if week_ends and (record.ts // WEEK + 1) * WEEK <= now:
            complete, running = running if len(running) >= 50 else complete, []
    return complete, running


def slow_time(ordered: Sequence[Inference]) -> float | None:
    """Return the autocorrelation time of the first records: of 100, or of a quarter more, and so on to 1,000.

    It is infinite where these do not tell it.
    """
    learnt_from = 100
    while (step := min(learnt_from + learnt_from // 4, 1000)) <= len(ordered) and learnt_from < 1000:
        learnt_from = step
    if len(ordered) < learnt_from:
        return None
    return known_time([r.prediction for r in ordered[:learnt_from]]) or math.inf


def slow_drift(store: SqliteStore, records: Sequence[Inference], size: int, now: int) -> tuple[int, int, float] | None:
    """Samples, start and score of the window that is shown, straight from the definition."""
    reference = asked(store, lambda m: m.quality.references(MODEL).get(MODEL))
    assert reference is not None
    ordered = sorted(records, key=lambda r: (r.ts, r.id))
    time = slow_time(ordered)
    if time is None:
        return None
    found = []
    for window in reversed(slow_windows(ordered, size, time, now)):
        counted = cells.WindowCounts(reference.cells)
        for record in window:
            counted.add({"prediction": record.prediction})
        judged = model_drift(reference.cells, counted.counts, {"prediction": time})
        found.append(None if judged is None else (len(window), window[0].ts, judged))
    shown = found[0] if found[0] and found[0][2].alarm else found[1] or found[0]
    return (shown[0], shown[1], shown[2].score) if shown else None


def summary(found: Drift | None) -> tuple[int, datetime, float] | None:
    """What `slow_drift` says, of a drift."""
    return (found.samples, found.window.start, found.drift_score) if found else None


@settings(max_examples=25)
@given(data=st.data())
def test_drift_is_a_function_of_the_facts(data: st.DataObject) -> None:
    """Whatever the order, batches, repetitions and looks in between, the answer is that of sorting and cutting."""
    seed, n = data.draw(st.integers(0, 2**32)), data.draw(st.integers(0, 260))
    shift, days = data.draw(st.sampled_from([0.0, 1.5])), data.draw(st.integers(1, 3))
    rng = random.Random(seed)
    records = [
        inference(
            f"{rng.randrange(1000)}-{i}", MIDNIGHT + rng.randrange(days * 20) * HOUR, prediction=rng.gauss(shift, 1)
        )
        for i in range(n)
    ]
    if data.draw(st.booleans()):
        records.sort(key=lambda r: (r.ts, r.id))
    store = closed_later(SqliteStore(":memory:"))
    set_normal(store, m=200)
    now = MIDNIGHT + data.draw(st.sampled_from([1, days])) * DAY + HOUR
    watching = Watched(store, now, size=60)
    written = 0
    while written < n:
        batch = data.draw(st.integers(1, 90))
        store.accept(records[max(0, written - 5) : written + batch])
        written += batch
        expected = slow_drift(store, records[:written], 60, now)
        shown = (expected[0], moment(expected[1]), expected[2]) if expected else None
        assert summary(watching.detect(MODEL)) == shown
    assert comparable(watching.detect(MODEL)) == comparable(Watched(store, now, size=60).detect(MODEL))
    store.rebuild()
    assert comparable(watching.detect(MODEL)) == comparable(Watched(store, now, size=60).detect(MODEL))


def test_a_late_record_of_the_week_before_is_seen() -> None:
    """While this week has no complete window, the last one of the week before is shown with what came late."""
    store = closed_later(SqliteStore(":memory:"))
    set_normal(store, m=200)
    rng = random.Random(3)
    records = [inference(f"{i:03}", MIDNIGHT - DAY + i, prediction=rng.gauss(0, 1)) for i in range(181)]
    today = inference("today", MIDNIGHT, prediction=0.0)
    watching = Watched(store, MIDNIGHT + HOUR, size=1000)
    store.accept([*records[:173], today])
    first = watching.detect(MODEL)
    store.accept([records[173]])
    second = watching.detect(MODEL)
    assert (first and first.samples, second and second.samples) == (173, 174)


def test_no_reference_and_few_records_give_no_verdict() -> None:
    """Without records, with fewer than 1,000, and with fewer than 50 after them there is no drift."""
    store = closed_later(SqliteStore(":memory:"))
    rng = random.Random(2)
    watching = Watched(store)
    found = [watching.detect(MODEL)]
    for first, last in ((0, 999), (999, 1000), (1000, 1049), (1049, 1050)):
        store.accept([inference(f"{i:04}", NOON + i, prediction=rng.gauss(0, 1)) for i in range(first, last)])
        found.append(watching.detect(MODEL))
    assert found[:4] == [None] * 4
    assert found[4] is not None
    assert (found[4].samples, found[4].reference_source) == (50, "first_records")


def test_the_first_records_are_the_reference_nobody_set() -> None:
    """The first 1,000 by (ts, id) are frozen; a late one among them makes it others, once facts are gone none does."""
    store = closed_later(SqliteStore(":memory:", retention_days=1))
    values = random.Random(1).sample(range(1000), 1000) + list(range(0, 1000, 10))
    records = [inference(f"{i:04}", NOON + i * SECOND, prediction=float(v)) for i, v in enumerate(values)]
    store.accept(records)
    watching = Watched(store, NOON + DAY)
    assert watching.detect(MODEL) is not None
    kept = asked(store, lambda m: m.quality.references(MODEL).get(MODEL))
    assert kept is not None
    assert (kept.last, kept.cells["prediction"].marks[-1]) == (RecordPosition(records[999].ts, "0999"), 999.0)
    assert kept.cells["prediction"].autocorrelation_time == 1.0
    store.accept([inference("late", NOON + 1, prediction=5.5)])
    assert watching.detect(MODEL) is not None
    again = asked(store, lambda m: m.quality.references(MODEL).get(MODEL))
    assert again is not None
    assert again.last == RecordPosition(records[998].ts, "0998")
    store.sweep(NOON + 3 * DAY)
    store.accept([inference(f"n{i:04}", NOON + 3 * DAY + i, prediction=float(i * 37 % 60)) for i in range(60)])
    later = Watched(store, NOON + 3 * DAY + HOUR).detect(MODEL)
    assert asked(store, lambda m: m.quality.references(MODEL).get(MODEL)) == again
    assert later is not None
    assert later.samples == 60


def test_a_reference_that_cannot_be_kept_is_used_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes no writes still answers."""
    store = closed_later(SqliteStore(":memory:"))
    rng = random.Random(6)
    store.accept([inference(f"{i:04}", NOON + i, prediction=rng.gauss(0, 1)) for i in range(1100)])

    def refuse(model: ModelKey, reference: Reference, environment: str) -> None:
        raise StoreUnavailable("read_only", "here", "there")

    monkeypatch.setattr(store, "set_reference", refuse)
    found = Watched(store).detect(MODEL)
    assert found is not None
    assert (found.samples, asked(store, lambda m: m.quality.references(MODEL).get(MODEL))) == (100, None)


def test_clean_windows_are_quiet_and_a_shift_is_found_within_two() -> None:
    """Over 20 clean windows, looked at every 100 records, nothing alarms; 0.5 σ does before two windows end."""
    rng = random.Random(3)
    store = closed_later(SqliteStore(":memory:"))
    watching = Watched(store)
    written = 0

    def write(n: int, shift: float) -> Drift | None:
        nonlocal written
        store.accept(
            [
                inference(f"{i:06}", NOON + i, prediction=rng.gauss(shift, 1), features={"x": rng.gauss(0, 1)})
                for i in range(written, written + n)
            ]
        )
        written += n
        return watching.detect(MODEL)

    clean = [write(100, 0.0) for _ in range(210)]
    assert [one.drift_status for one in clean if one and one.drift_status != DriftStatus.NO_DRIFT] == []
    shifted = [write(100, 0.5) for _ in range(20)]
    found = [i for i, one in enumerate(shifted) if one and one.drift_status != DriftStatus.NO_DRIFT]
    assert found[0] < 5
    assert shifted[-1] is not None
    assert shifted[-1].drift_status in {DriftStatus.MODERATE_DRIFT, DriftStatus.MINOR_DRIFT}
    assert shifted[-1].evidence.drifted == ("prediction",)


def test_an_outlier_changes_nothing() -> None:
    """One value of 1e6 in a window moves score and evidence by next to nothing."""
    rng = random.Random(5)
    values = [rng.gauss(0, 1) for _ in range(900)]
    found = []
    for first in (0.0, 1e6):
        store = closed_later(SqliteStore(":memory:"))
        set_normal(store)
        store.accept([inference(f"{i:04}", NOON + i, prediction=v) for i, v in enumerate([first, *values])])
        found.append(Watched(store).detect(MODEL))
    plain, outlier = found
    assert plain is not None
    assert outlier is not None
    assert outlier.drift_status == plain.drift_status == DriftStatus.NO_DRIFT
    assert outlier.drift_score == pytest.approx(plain.drift_score, abs=0.01)


def test_the_answer_whole() -> None:
    """Scores, quality, evidence, sizes and window of a model with two features, one of which broke."""
    store = closed_later(SqliteStore(":memory:"))
    reference: dict[str, list[cells.Value]] = {
        "prediction": ["a", "b"] * 100,
        "x": [float(i) for i in range(200)],
        "flat": [1.0] * 200,
    }
    store.set_reference(MODEL, reference_of("given", reference), HERE.environment)
    store.accept(
        [
            inference(f"{i:03}", NOON + i, prediction="ab"[i % 2], features={"x": 1000.0 if i % 2 else None})
            for i in range(100)
        ]
    )
    found = Watched(store).detect(MODEL)
    kept = asked(store, lambda m: m.quality.references(MODEL).get(MODEL))
    assert kept is not None
    counted = cells.WindowCounts(kept.cells)
    for i in range(100):
        counted.add({"prediction": "ab"[i % 2], "x": 1000.0 if i % 2 else None})
    expected = model_drift(kept.cells, counted.counts)
    assert expected is not None
    features = [(kept.cells[name], counted.counts[name]) for name in ("x", "flat")]
    qualities = [cells.feature_quality(*feature) or 0.0 for feature in features]
    intervals = [cells.feature_quality_interval(*feature) for feature in features]
    assert max(qualities) < 0.01
    # Half the values of x are missing and the rest out of range; "flat" had one value and is all missing now.
    assert found == Drift(
        drift_status=DriftStatus.SEVERE_DRIFT,
        drift_score=expected.features["x"].score,
        prediction_drift=0.0,
        feature_drift={name: one.score for name, one in expected.features.items() if name != "prediction"},
        not_judged={"flat": "0 values in the window beside 100 missing ones and 0 of another type; 50 are needed"},
        data_quality_score=math.fsum(qualities) / 2,
        data_quality_score_ci=(
            math.fsum(low for low, _ in intervals) / 2,
            math.fsum(high for _, high in intervals) / 2,
        ),
        evidence=Evidence(
            log10_e=expected.log_e / math.log(10),
            alarm=True,
            drifted=expected.drifted,
            effective_samples=50.0,
            least_shift=least_shift(50, 200, 1.0, 2),
            message="The data has drifted beyond doubt: the score is 0.848.",
        ),
        samples=100,
        reference_samples=200,
        reference_source="given",
        window=Window(moment(NOON), moment(NOON + 100), "UTC", environment=HERE.environment),
    )


def test_a_model_without_features_has_no_data_quality() -> None:
    """Quality is of features; the prediction is none."""
    store = closed_later(SqliteStore(":memory:"))
    set_normal(store)
    store.accept([inference(f"{i:03}", NOON + i, prediction=float(i * 37 % 60)) for i in range(120)])
    found = Watched(store).detect(MODEL)
    assert found is not None
    assert [math.isnan(x) for x in (found.data_quality_score, *found.data_quality_score_ci)] == [True] * 3


def test_a_reference_without_cells_gives_no_verdict() -> None:
    """A thousand equal values are a reference that nothing can differ from in two cells."""
    store = closed_later(SqliteStore(":memory:"))
    store.accept([inference(f"{i:04}", NOON + i, features={"x": [1]}) for i in range(1100)])
    assert Watched(store).detect(MODEL) is None
    assert columns(
        [JudgedRecord(RecordPosition(1, "a"), {"x": 1}), JudgedRecord(RecordPosition(2, "b"), {"y": 2})]
    ) == {
        "x": [1, None],
        "y": [None, 2],
    }


def test_all_models_at_once_and_little_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model with enough records is judged, others are left out, and memory is bounded."""
    monkeypatch.setattr(drift_watch, "MAX_REMEMBERED", 2)
    store = closed_later(SqliteStore(":memory:"))
    cells_of = reference_of("given", {"prediction": [float(i) for i in range(100)]})
    for version in "1234":
        store.set_reference(("m", version), cells_of, HERE.environment)
    for version, n in (("1", 100), ("2", 99), ("3", 170), ("4", 180)):
        store.accept([inference(f"{version}{i}", NOON + i, prediction=1.0, version=version) for i in range(n)])
    watching = Watched(store)
    found = watching.detect_all(NOON)
    assert {model: one.samples for model, one in found.items()} == {("m", "1"): 100, ("m", "3"): 170, ("m", "4"): 180}
    assert len(watching.reader._drift._recent) <= 2
    watching.reader.after_fork_in_child()
    assert comparable(watching.detect_all(NOON)) == comparable(found)


def test_staging_does_not_move_the_drift_of_production() -> None:
    """Records of a load test are in no window and no reference of production, and have a drift of their own."""
    rng = random.Random(21)
    store = closed_later(SqliteStore(":memory:"))
    loads = {"production": (0.0, 0.0), "staging": (5.0, 9.0)}
    for n, (environment, (first, then)) in enumerate(loads.items()):
        origin = Origin("shop", environment)
        values = [rng.gauss(first if i < 1000 else then, 1) for i in range(1200)]
        store.accept(
            [inference(f"{n}-{i}", NOON + i * SECOND + n, prediction=v, origin=origin) for i, v in enumerate(values)]
        )
    reader = Watched(store, NOON + HOUR).reader
    told = {of: reader.drift(MODEL, of) for of in (None, "production", "staging")}
    shown = [one and (one.window.environment, one.samples, one.drift_status) for one in told.values()]
    assert shown == [
        ("production", 200, DriftStatus.NO_DRIFT),
        ("production", 200, DriftStatus.NO_DRIFT),
        ("staging", 200, DriftStatus.SEVERE_DRIFT),
    ]
