"""How right models are by their truths, and how far their data moved from a reference."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn import metrics

from otel_measure.ai.quality import Regression
from otel_measure.definitions.windows import Window
from otel_measure.records.enums import DriftStatus, ModelType
from otel_measure.testing import START, Capture

EITHER = "set_drift_reference takes predictions and features, or a window, and not both"
NOTHING = "nothing to compare with: a prediction or feature needs 50 values that fall into at least two cells"
DAY = Window(START - timedelta(days=1) + timedelta(microseconds=1), START + timedelta(microseconds=1), "UTC")


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
    measured.ai.register_model("m", "1", "classification")  # else 300 numbers are a regression
    for i in range(300):
        measured.ai.record_inference("m", "1", 1.0, prediction=float(i), ground_truth=float(i))
    found = measured.ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, len(found.per_class), found.confusion_matrix) == (1.0, 300, {})


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
