"""The calls of `get_ai_model_service()`: what they record, answer and refuse."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn import metrics

from otel_measure.ai.health import Deduction
from otel_measure.ai.pricing import PriceTableLoader
from otel_measure.ai.quality import Accuracy, ClassQuality, Regression
from otel_measure.ai.reports import Cost, Errors, Latency, Snapshot
from otel_measure.ai.service import AiModelService
from otel_measure.config import Settings
from otel_measure.definitions.windows import Window
from otel_measure.errors import NoStore
from otel_measure.records.enums import DriftStatus, ModelType
from otel_measure.records.kinds import GroundTruth, Inference
from otel_measure.runtime import Runtime
from otel_measure.store.types.models import Model
from otel_measure.testing import START, Capture

EITHER = "set_drift_reference takes predictions and features, or a window, and not both"
NOTHING = "nothing to compare with: a prediction or feature needs 50 values that fall into at least two cells"
DAY = Window(START - timedelta(days=1) + timedelta(microseconds=1), START + timedelta(microseconds=1), "UTC")


@pytest.fixture
def measured() -> Iterator[Capture]:
    """A runtime on an empty store in memory, whose clock stands."""
    with Capture() as capture:
        yield capture


@pytest.fixture
def storeless() -> Iterator[AiModelService]:
    """The service of a runtime without a store."""
    with Capture(replace(Settings(), store=None)) as capture:
        yield capture.ai


def parameters(method: object) -> list[str]:
    """The names, kinds and defaults of a method's arguments, as the contract writes them."""
    signature = inspect.signature(method)  # type: ignore[arg-type]
    return [str(p).partition(":")[0] for p in signature.parameters.values()]


def test_the_signature_others_rely_on() -> None:
    """`record_inference` and `set_drift_reference` take the contract's arguments by name, and no others."""
    assert parameters(AiModelService.record_inference) == [
        "self",
        "model_name",
        "model_version",
        "latency_ms",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "prediction",
        "ground_truth",
        "features",
        "user_id",
        "session_id",
        "provider",
        "operation",
        "error_type",
        "metadata",
        "timestamp",
        "inference_id",
    ]
    assert parameters(AiModelService.set_drift_reference) == [
        "self",
        "model_name",
        "model_version",
        "predictions",
        "features",
        "window",
    ]
    keyword_only = [
        p.name
        for p in inspect.signature(AiModelService.record_inference).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert keyword_only[0] == "prediction"


def test_calls_are_measured_with_their_truths(measured: Capture) -> None:
    """The decorator, the context and the stream record what was said of the call; a wrong argument is told at once."""
    ai = measured.ai

    @ai.measure("m", "1", prediction="a", ground_truth="a")
    def answer() -> int:
        return 7

    assert answer() == 7
    with ai.inference("m", "1", input_tokens=1, output_tokens=2, cost_usd=0.5) as call:
        call.set(prediction="a", ground_truth="b")
    assert list(ai.measure_stream(iter([1, 2]), "m", "1")) == [1, 2]
    assert call.inference_id is not None
    found = ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, found.labelled) == (0.5, 2)
    assert ai.get_latency_metrics("m", "1").sample_count == 3
    assert (ai.get_cost_metrics("m", "1").total_usd, ai.knows_model("m", "1")) == (0.5, True)
    with pytest.raises(ValueError, match="ground_truth must be a number"):
        ai.inference("m", "1", ground_truth=object())


def test_a_call_goes_on_when_it_cannot_be_recorded() -> None:
    """A fault of ours around a call is counted and the answer stays."""
    with Capture(raise_faults=False) as capture:

        @capture.ai.measure("m", "1")
        def answer() -> int:
            capture.ai._recording._builder.build = None  # type: ignore[assignment, method-assign]
            return 7

        assert answer() == 7


# ---------------------------------------------------------------- accuracy


def test_accuracy_equals_scikit_learn(measured: Capture) -> None:
    """Labels with truths that come early, late, twice and never give scikit-learn's figures over the labelled part."""
    ai, rng = measured.ai, random.Random(7)
    ai.register_model("m", "1", ModelType.CLASSIFICATION)
    guesses, truths = [], []
    for i in range(500):
        guess, true = rng.choice("abc"), rng.choice("abcd")
        fate = rng.choice(["early", "late", "with", "twice", "never"])
        if fate == "early":
            ai.record_ground_truth(f"i{i}", true)
        ai.record_inference(
            "m", "1", 5.0, prediction=guess, inference_id=f"i{i}", ground_truth=true if fate == "with" else None
        )
        if fate in ("late", "twice"):
            ai.record_ground_truth(f"i{i}", true, ground_truth_id=f"a{i}")
        if fate == "twice":
            ai.record_ground_truth(f"i{i}", "wrong", ground_truth_id=f"b{i}")
        if fate != "never":
            guesses.append(guess)
            truths.append(true)
    found = ai.get_accuracy_metrics("m", "1")
    labels = ["a", "b", "c", "d"]
    matrix = metrics.confusion_matrix(truths, guesses, labels=labels)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truths, guesses, labels=labels, zero_division=np.nan
    )
    assert found.accuracy == metrics.accuracy_score(truths, guesses)
    assert found.confusion_matrix == {
        t: {g: int(matrix[i][j]) for j, g in enumerate(labels)} for i, t in enumerate(labels)
    }
    assert [one.support for one in found.per_class.values()] == list(support)
    assert [one.recall for one in found.per_class.values()] == pytest.approx(list(recall))
    assert [one.precision for one in found.per_class.values()] == pytest.approx(list(precision), nan_ok=True)
    assert (found.precision, found.recall) == pytest.approx((np.nanmean(precision), np.nanmean(recall)))
    assert (found.labelled, found.label_coverage) == (len(truths), len(truths) / 500)
    assert f1[3] == found.per_class["d"].f1 == 0


def test_numbers_are_judged_as_scikit_learn_does(measured: Capture) -> None:
    """Mean absolute error, root mean squared error and R² of a model that predicts numbers, far from zero."""
    ai, rng = measured.ai, random.Random(8)
    ai.register_model("r", "1", ModelType.REGRESSION)
    truths = [1e6 + rng.gauss(0, 1) for _ in range(300)]
    guesses = [true + rng.gauss(0, 0.3) for true in truths]
    for guess, true in zip(guesses, truths, strict=True):
        ai.record_inference("r", "1", 1.0, prediction=guess, ground_truth=true)
    ai.record_inference("r", "1", 1.0, prediction=0.5)
    found = ai.get_regression_metrics("r", "1")
    assert found == Regression(
        mae=pytest.approx(metrics.mean_absolute_error(truths, guesses)),  # type: ignore[arg-type]
        rmse=pytest.approx(metrics.root_mean_squared_error(truths, guesses)),  # type: ignore[arg-type]
        r2=pytest.approx(metrics.r2_score(truths, guesses)),  # type: ignore[arg-type]
        labelled=300,
        label_coverage=300 / 301,
        window=DAY,
    )
    assert ai.get_model_performance_snapshot("r", "1").accuracy is None


def test_numpy_scalars_are_what_they_stand_for(measured: Capture) -> None:
    """Predictions and truths as a library returns them meet those that were typed."""
    ai = measured.ai
    for i, (guess, true) in enumerate([(np.bool_(True), True), (np.int64(3), 3), (np.str_("cat"), "cat")]):
        ai.record_inference("m", "1", 1.0, prediction=guess, inference_id=f"{i}", features={"x": np.str_("red")})
        ai.record_ground_truth(f"{i}", true)
    found = ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, sorted(found.per_class)) == (1.0, ["3", "cat", "true"])


def test_beyond_256_classes_there_is_no_matrix(measured: Capture) -> None:
    """The figures stay and the matrix that nobody could read is empty."""
    for i in range(300):
        measured.ai.record_inference("m", "1", 1.0, prediction=float(i), ground_truth=float(i))
    found = measured.ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, len(found.per_class), found.confusion_matrix) == (1.0, 300, {})


def test_text_is_not_stored(measured: Capture) -> None:
    """Answers of a language model and their truths leave a length; a long truth alone is refused."""
    ai = measured.ai
    ai.register_model("gpt", "1", ModelType.NLP_GENERATION)
    answer = ai.inference_records("gpt", "1", 1.0, prediction="Paris", ground_truth="Paris")
    assert [type(one) for one in answer] == [Inference]
    assert (answer[0].prediction, answer[0].metadata) == (None, {"prediction_chars": 5})
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        ai.record_ground_truth("i", "x" * 65)
    assert str(caught.value).startswith("value must be a number, a boolean or a label of at most 64 characters")
    assert ai.inference_records("m", "1", 1.0, prediction="  ")[0].prediction is None


def test_a_truth_given_with_the_prediction_is_a_record_of_its_own(measured: Capture) -> None:
    """It has an id made of the inference's, so that a retry of the call is a duplicate of both."""
    inference, truth = measured.ai.inference_records("m", "1", 1.0, prediction="a", ground_truth="b", inference_id="i")  # type: ignore[misc]
    assert truth == GroundTruth(id="i/truth", ts=inference.ts, origin=inference.origin, inference_id="i", value="b")
    later = measured.ai.ground_truth_record("i", 1, timestamp=START - timedelta(hours=1), ground_truth_id="g")
    assert (later.id, later.ts, later.value) == ("g", inference.ts - 3_600_000_000, 1.0)


# ---------------------------------------------------------------- drift


def test_drift_from_given_values(measured: Capture) -> None:
    """A reference of values is kept, and half a standard deviation from it is found."""
    ai, rng = measured.ai, random.Random(9)
    ai.set_drift_reference(
        "m", "1",
        predictions=np.array([rng.gauss(0, 1) for _ in range(500)]),
        features={
            "plan": ["pro", "free"] * 250,
            "note": ["x" * 70] * 250 + ["y" * 80] * 250,
            "age": [None, 1, 2, math.nan] * 125,
        },
    )  # fmt: skip
    assert ai.detect_model_drift("m", "1") is None
    for i in range(400):
        ai.record_inference(
            "m", "1", 1.0,
            prediction=rng.gauss(0.8, 1),
            features={"plan": ["pro", "free"][i % 2], "note": ("x" * 70, "y" * 80)[i % 2], "age": 1},
        )  # fmt: skip
    found = ai.detect_model_drift("m", "1")
    assert found is not None
    assert (found.drift_status, found.reference_source, found.samples) == (DriftStatus.SEVERE_DRIFT, "given", 400)
    assert sorted(found.feature_drift) == ["age", "note_chars", "plan"]
    assert found.evidence.drifted == ("age", "prediction")
    assert msgspec.json.decode(msgspec.json.encode(found))["drift_status"] == "severe_drift"


def test_drift_from_a_window(measured: Capture) -> None:
    """What was recorded in a window becomes the reference at once, what was still queued included."""
    ai, rng = measured.ai, random.Random(10)
    for _ in range(200):
        ai.record_inference("m", "1", 1.0, prediction=rng.gauss(0, 1))
    ai.set_drift_reference("m", "1", window="1h")
    found = ai.detect_model_drift("m", "1")
    assert found is not None
    assert (found.drift_status, found.reference_source, found.reference_samples) == (
        DriftStatus.NO_DRIFT,
        "window",
        200,
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, EITHER),
        ({"predictions": [1], "window": "1h"}, EITHER),
        ({"features": {"prediction": [1]}}, "features must not have the key 'prediction': give predictions=..."),
        ({"predictions": "abc"}, "predictions must be a sequence of values, not 'abc'"),
        ({"predictions": [object]}, "predictions must hold numbers, text, booleans or None, not <class 'object'>"),
        (
            {"predictions": [1, 2, 3]},
            f"the reference has 3 records and {NOTHING}",
        ),
        (
            {"window": "1h"},
            f"window='1h' has 0 records and {NOTHING}",
        ),
    ],
)  # fmt: skip
def test_what_is_no_reference(measured: Capture, given: dict[str, Any], message: str) -> None:
    """Each wrong reference is refused with the rule it breaks."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        measured.ai.set_drift_reference("m", "1", **given)
    assert str(caught.value) == message


# ---------------------------------------------------------------- snapshot


def test_the_snapshot_whole(measured: Capture) -> None:
    """Everything about a model with a target of its own, slow calls, wrong answers and a price."""
    ai = measured.ai
    ai.register_model("m", "1", "classification", {"team": "a"}, targets={"latency_p95_ms": 100})
    for i in range(100):
        ai.record_inference(
            "m", "1", 175.0, 10, 5, 0.001, prediction="ab"[i % 2], ground_truth="ab"[i % 2 if i < 93 else 1 - i % 2]
        )
    found = ai.get_model_performance_snapshot("m", "1")
    accuracy = Accuracy(
        accuracy=0.93,
        precision=pytest.approx((47 / 50 + 46 / 50) / 2),  # type: ignore[arg-type]
        recall=pytest.approx((47 / 51 + 46 / 49) / 2),  # type: ignore[arg-type]
        f1_macro=pytest.approx((94 / 101 + 92 / 99) / 2),  # type: ignore[arg-type]
        per_class={
            "a": ClassQuality(47 / 50, 47 / 51, 94 / 101, 51),
            "b": ClassQuality(46 / 50, 46 / 49, 92 / 99, 49),
        },
        confusion_matrix={"a": {"a": 47, "b": 4}, "b": {"a": 3, "b": 46}},
        labelled=100,
        label_coverage=1.0,
        window=DAY,
    )
    slow = Deduction(
        component="latency_p95_ms",
        points=pytest.approx(35 * 0.25 + 65 * 15 / 70 * 0.25),  # type: ignore[arg-type]
        score=0.75,
        value=175.0,
        target=100.0,
        alert=250.0,
        evidence="100 inferences",
        recommendation="Inference latency p95 is 175 ms (target < 100 ms, alert > 250 ms; 100 inferences): "
        "shorten the input or output, cache answers, or use a smaller or nearer model.",
    )
    wrong = Deduction(
        component="accuracy",
        points=pytest.approx(65 * 25 / 70 * 0.2),  # type: ignore[arg-type]
        score=pytest.approx(0.8),  # type: ignore[arg-type]
        value=0.93,
        target=0.95,
        alert=0.90,
        evidence="100 labelled predictions",
        recommendation="Model accuracy is 93 % (target > 95 %, alert < 90 %; 100 labelled predictions): "
        "retrain with recent labelled data, starting with the classes of the lowest recall.",
    )
    assert found == Snapshot(
        model_name="m",
        model_version="1",
        model_type="classification",
        health_score=pytest.approx(100 - 35 * 0.25 - 65 * (15 * 0.25 + 25 * 0.2) / 70),  # type: ignore[arg-type]
        health_coverage=0.7,
        deductions=(slow, wrong),
        recommendations=(slow.recommendation, wrong.recommendation),
        latency=Latency(*(175.0,) * 7, 100, found.latency.relative_error, DAY),
        cost=Cost(0.1, 0.001, pytest.approx(0.1 / 1.5), 1000, 500, 100, 1.0, {"caller": 100}, DAY),  # type: ignore[arg-type]
        errors=Errors(0, 0.0),
        accuracy=accuracy,
        drift=None,
        targets={"latency_p95_ms": 100},
        inference_count=100,
        timestamp=START,
        window=DAY,
    )
    assert sum(one.points for one in found.deductions) == 100 - found.health_score
    assert ai.list_models().models == (found,)


def test_drift_takes_points_only_with_an_alarm(measured: Capture) -> None:
    """Drift is in the snapshot of today, names the features, and is not said of another day or a part of the data."""
    ai, rng = measured.ai, random.Random(11)
    for i in range(1300):
        shift = 0.0 if i < 1000 else 1.0
        ai.record_inference("m", "1", 1.0, features={f"f{n}": rng.gauss(shift, 1) for n in range(7)})
    found = ai.get_model_performance_snapshot("m", "1")
    assert found.drift is not None
    assert (found.drift.samples, found.drift.reference_source) == (300, "first_records")
    assert found.deductions[0].component == "drift_score"
    assert found.deductions[0].evidence == "300 records; drifted: f0, f1, f2, f3, f4 and 2 more"
    assert ai.get_model_performance_snapshot("m", "1", environment="prod").drift is None
    measured.clock.advance(timedelta(days=3))
    later = ai.get_model_performance_snapshot("m", "1")
    assert (later.drift, ai.detect_model_drift("m", "1") is None) == (None, False)
    assert ai.get_model_performance_snapshot("m", "1", as_of=START.date()).drift is None


def test_nothing_is_known_of_a_model_nobody_has_heard_of(measured: Capture) -> None:
    """Every getter answers with n = 0 and unknowns; the use cases of the quick start run on an empty store."""
    ai = measured.ai
    snapshot = ai.get_model_performance_snapshot("gpt-4", "1.0")
    assert (snapshot.inference_count, snapshot.recommendations, snapshot.accuracy) == (0, (), None)
    assert math.isnan(snapshot.health_score)
    assert f"Health Score: {snapshot.health_score}/100" == "Health Score: nan/100"
    drift = ai.detect_model_drift("gpt-4", "1.0")
    assert not (drift and drift.drift_status != DriftStatus.NO_DRIFT)
    accuracy = ai.get_accuracy_metrics("gpt-4", "1.0")
    assert (accuracy.labelled, math.isnan(accuracy.accuracy), math.isnan(accuracy.label_coverage)) == (0, True, True)
    assert math.isnan(ai.get_regression_metrics("gpt-4", "1.0").rmse)
    assert not ai.knows_model("gpt-4", "1.0")


def test_many_models_cost_no_query_each(measured: Capture) -> None:
    """Listing 30 models without drift asks as many questions of the store as listing one."""

    def statements(models: int) -> int:
        for i in range(models):
            measured.ai.record_inference(f"m{i}", "1", 5.0, prediction="a", ground_truth="a")
        measured.runtime.flush()
        store: Any = measured.runtime.store
        seen: list[str] = []
        with store._database.read() as connection:
            connection.set_trace_callback(seen.append)
            try:
                assert measured.ai.list_models().total_models == models
            finally:
                connection.set_trace_callback(None)
        return len(seen)

    assert statements(1) == statements(30)


# ---------------------------------------------------------------- registration, other processes, no store


def test_targets_are_checked_when_they_are_set(measured: Capture) -> None:
    """An unknown target is refused at the call, not when a snapshot is taken."""
    with pytest.raises(ValueError, match="targets has the unknown key 'speed'"):
        measured.ai.register_model("m", "1", targets={"speed": 1.0})


def test_a_type_registered_by_another_process_is_known(tmp_path: Any) -> None:
    """A model's type reaches a process that did not register it, within half a minute."""
    seconds = 0.0
    settings = replace(Settings(), store=str(tmp_path / "measure.db"))
    runtimes = [Runtime(settings) for _ in range(2)]
    here, there = runtimes
    here.ai._registry._monotonic = lambda: seconds
    assert here.ai.inference_records("m", "1", 1.0)[0].operation == "predict"
    there.ai.register_model("m", "1", ModelType.NLP_GENERATION)
    assert here.ai.inference_records("m", "1", 1.0)[0].operation == "predict"
    seconds = 31.0
    assert here.ai.inference_records("m", "1", 1.0)[0].operation == "chat"
    for runtime in runtimes:
        runtime.shutdown()


def test_without_a_store_what_needs_one_says_so(storeless: AiModelService) -> None:
    """Use and health are known from this process; truths, drift and other days need a store."""
    ai = storeless
    ai.register_model("m", "1", ModelType.CLASSIFICATION)
    ai.record_inference("m", "1", 5.0, prediction="a", ground_truth="a")
    ai.record_ground_truth("i", "a")
    snapshot = ai.get_model_performance_snapshot("m", "1")
    assert (snapshot.model_type, snapshot.health_score, snapshot.accuracy) == ("classification", 100.0, None)
    assert [one.model_type for one in ai.list_models().models] == ["classification"]
    for question in (
        lambda: ai.get_accuracy_metrics("m", "1"),
        lambda: ai.get_regression_metrics("m", "1"),
        lambda: ai.detect_model_drift("m", "1"),
        lambda: ai.set_drift_reference("m", "1", window="1h"),
        lambda: ai.list_models(as_of=START.date()),
    ):
        with pytest.raises(NoStore):
            question()
    ai.after_fork_in_child()


def test_types_are_remembered_for_few_models(measured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with model names, and a store that fails leaves the type that was known."""
    from otel_measure.ai import registry
    from otel_measure.errors import StoreUnavailable

    monkeypatch.setattr(registry, "MAX_REMEMBERED", 3)
    ours = measured.ai._registry
    for i in range(10):
        assert ours.type_of(f"m{i}", "1") == "other"
    assert len(ours._types) <= 3

    def fail() -> None:
        raise StoreUnavailable("locked", "here", "wait")

    ours.register(Model("x", "1", "embeddings"))
    monkeypatch.setattr(measured.runtime.store, "asking", fail)
    ours._monotonic = lambda: math.inf
    assert (ours.type_of("x", "1"), ours.type_of("unknown", "1")) == ("embeddings", "other")


def test_prices_are_loaded_once_and_beside_the_calls() -> None:
    """The table is looked up on one thread of its own, and not at all when it is not installed."""
    asked: list[tuple[str | None, str]] = []
    loader = PriceTableLoader(lambda provider, model: asked.append((provider, model)), lambda: True)
    loader.finish()
    for _ in range(3):
        loader.start()
    loader.finish()
    assert asked == [(None, "gpt-4o")]
    absent = PriceTableLoader(lambda provider, model: asked.append((provider, model)), lambda: False)
    absent.start()
    absent.finish()
    assert len(asked) == 1
    PriceTableLoader().start()
