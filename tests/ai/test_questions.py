"""Everything about one model and about all of them."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

import pytest

from otel_measure.ai.drift import DataQuality
from otel_measure.ai.health import Deduction
from otel_measure.ai.latency import Latency
from otel_measure.ai.quality import Accuracy, ClassQuality
from otel_measure.ai.reports import Cost, Errors, Snapshot
from otel_measure.definitions.windows import Window
from otel_measure.judging.scorecard import scorecard
from otel_measure.records.enums import DriftStatus
from otel_measure.testing import START, Capture
from tests.comparing import comparable

DAY = Window(START - timedelta(days=1) + timedelta(microseconds=1), START + timedelta(microseconds=1), "UTC")


USED = Cost(
    total_usd=0.1,
    per_request_usd=0.001,
    per_1k_tokens_usd=pytest.approx(0.1 / 1.5),  # type: ignore[arg-type]
    input_tokens=1000,
    output_tokens=500,
    cached_input_tokens=400,
    reasoning_tokens=100,
    cache_hit_ratio=0.4,
    cache_savings_usd=pytest.approx(math.nan, nan_ok=True),  # type: ignore[arg-type]
    requests=100,
    unpriced_requests=0,
    priced_ratio=1.0,
    sources={"caller": 100},
    usd_by_source={"caller": 0.1},
    window=DAY,
)


def test_the_snapshot_whole(measured: Capture) -> None:
    """Everything about a model with a target of its own, slow calls, wrong answers and a price."""
    ai = measured.ai
    ai.register_model("m", "1", "classification", {"team": "a"}, targets={"latency_p95_ms": 100})
    for i in range(100):
        ai.record_inference(
            "m", "1", 175.0, 10, 5, 0.001, cached_input_tokens=4, reasoning_tokens=1,
            prediction="ab"[i % 2], ground_truth="ab"[i % 2 if i < 93 else 1 - i % 2],
        )  # fmt: skip
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
        latency=Latency(
            *(175.0,) * 7, 100, found.latency.relative_error, found.latency.time_to_first_chunk, (175.0, 175.0), DAY
        ),
        cost=USED,
        errors=Errors(0, 0.0),
        accuracy=accuracy,
        fairness=None,
        drift=None,
        data_quality=None,
        targets={"latency_p95_ms": 100},
        inference_count=100,
        timestamp=START,
        window=DAY,
    )
    assert sum(one.points for one in found.deductions) == 100 - found.health_score
    assert comparable(ai.list_models().models) == comparable((found,))


@pytest.mark.parametrize(("labelled", "coverage"), [(1, 0.4), (49, 0.4), (50, 0.65)])
def test_too_few_labels_take_no_points(measured: Capture, labelled: int, coverage: float) -> None:
    """Wrong labels lower the health of a model when there are as many as a verdict on accuracy needs."""
    ai = measured.ai
    for number in range(60):
        truth = "b" if number < labelled else None
        ai.record_inference("m", "1", 100.0, prediction="a", ground_truth=truth)
    found = ai.get_model_performance_snapshot("m", "1")
    components = [one.component for one in found.deductions]
    assert (components, found.health_coverage) == (["accuracy"] if labelled >= 50 else [], coverage)
    assert (found.health_score == 100.0) == (labelled < 50)


def test_fast_calls_have_true_percentiles(measured: Capture) -> None:
    """Calls of 1 to 100 µs have their percentiles, and an error that is stated; among calls of 0 µs it has no bound."""
    ai = measured.ai
    for microseconds in range(1, 101):
        ai.record_inference("m", "1", microseconds / 1000)
    found = ai.get_latency_metrics("m", "1")
    exact = [0.05, 0.095, 0.099, 0.1]
    assert [found.p50_ms, found.p95_ms, found.p99_ms, found.p999_ms] == pytest.approx(exact, rel=found.relative_error)
    assert 0.01 < found.relative_error < 0.0222
    for _ in range(300):
        ai.record_inference("m", "1", 0.0)
    found = ai.get_latency_metrics("m", "1")
    assert found.p50_ms == pytest.approx(0.001, abs=0.0001)
    assert found.relative_error == math.inf


def test_a_model_of_prices_is_no_wrong_classifier(measured: Capture) -> None:
    """Prices that are 1 off have an error and no accuracy, unless the model is registered as a classifier."""
    ai = measured.ai
    for price in range(100, 160):
        ai.record_inference("m", "1", 100.0, prediction=price, ground_truth=price + 1)
    found = ai.get_model_performance_snapshot("m", "1")
    asked = ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, found.health_score) == (None, 100.0)
    assert (math.isnan(asked.accuracy), asked.per_class, asked.labelled, asked.label_coverage) == (True, {}, 60, 1.0)
    assert ai.get_regression_metrics("m", "1").mae == 1.0
    ai.register_model("m", "1", "classification")
    assert ai.get_accuracy_metrics("m", "1").accuracy == 0.0


def test_true_is_one_where_truths_are_numbers(measured: Capture) -> None:
    """Predictions `True` and `False` whose truths are 1 and 0 are right."""
    ai = measured.ai
    for n in range(10):
        ai.record_inference("m", "1", 100.0, prediction=n < 5, ground_truth=int(n < 5))
    found = ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, list(found.per_class)) == (1.0, ["false", "true"])


def test_drift_takes_points_only_with_an_alarm(measured: Capture) -> None:
    """Drift is in the snapshot of today, names the features, and is not said of another day or of one service."""
    ai, rng = measured.ai, random.Random(11)
    for i in range(1300):
        shift = 0.0 if i < 1000 else 1.0
        ai.record_inference("m", "1", 1.0, features={f"f{n}": rng.gauss(shift, 1) for n in range(7)})
    found = ai.get_model_performance_snapshot("m", "1")
    assert found.drift is not None
    assert (found.drift.samples, found.drift.reference_source) == (300, "first_records")
    assert found.deductions[0].component == "drift_score"
    assert found.deductions[0].evidence == "300 records; drifted: f0, f1, f2, f3, f4 and 2 more"
    assert comparable(found.drift) == comparable(ai.get_model_performance_snapshot("m", "1", environment="").drift)
    assert ai.get_model_performance_snapshot("m", "1", environment="prod").drift is None
    assert ai.get_model_performance_snapshot("m", "1", service="shop").drift is None
    measured.clock.advance(timedelta(days=3))
    later = ai.get_model_performance_snapshot("m", "1")
    assert (later.drift, ai.detect_model_drift("m", "1") is None) == (None, False)
    assert ai.get_model_performance_snapshot("m", "1", as_of=START.date()).drift is None


@pytest.mark.parametrize(("reference", "there"), [("found", 0), ("found", 20), ("given", 0)])
def test_data_of_which_nearly_all_is_missing_is_the_worst(measured: Capture, reference: str, there: int) -> None:
    """Drift cannot be told without values; health, KPI, alert and gauge see data quality near 0 all the same."""
    ai, rng = measured.ai, random.Random(5)
    if reference == "given":
        ai.set_drift_reference("m", "1", features={"age": [rng.gauss(40, 9) for _ in range(1000)]})
    else:
        for _ in range(1000):
            ai.record_inference("m", "1", 1.0, prediction=rng.random(), features={"age": rng.gauss(40, 9)})
    for i in range(400):
        ai.record_inference("m", "1", 1.0, features={"age": rng.gauss(40, 9) if i < there else None})
    found = ai.get_model_performance_snapshot("m", "1")
    assert (found.drift, ai.detect_model_drift("m", "1")) == (None, None)
    assert found.data_quality is not None
    low, high = found.data_quality.score_ci
    assert found.data_quality.score == pytest.approx(there / 400, abs=0.001)
    assert (found.data_quality.samples, low <= found.data_quality.score <= high < 0.1) == (400, True)
    assert [one.component for one in found.deductions] == ["data_quality"]
    assert comparable(ai.list_models().models) == comparable((found,))
    (judged,) = (one for one in scorecard(measured.runtime.overview()).kpis if one.key == "data_quality")
    assert (judged.verdict, judged.value) == ("alert", found.data_quality.score)
    (family,) = (
        one for one in measured.runtime.exposition.families() if one.name == "otel_measure.ai.data_quality.ratio"
    )
    assert [sample.value for sample in family.samples] == [found.data_quality.score]


def test_data_quality_needs_50_records_and_a_feature_of_the_reference(measured: Capture) -> None:
    """It is that of the window of the drift, where there is one."""
    ai, rng = measured.ai, random.Random(6)
    ai.set_drift_reference("m", "1", features={"age": [rng.gauss(40, 9) for _ in range(1000)]})
    ai.set_drift_reference("p", "1", predictions=[rng.gauss(0, 1) for _ in range(1000)])
    for i in range(200):
        ai.record_inference("m", "1", 1.0, features={"age": rng.gauss(40, 9) if i % 2 else None})
        ai.record_inference("p", "1", 1.0, prediction=rng.gauss(0, 1))
    found = ai.get_model_performance_snapshot("m", "1")
    assert found.drift is not None
    assert found.data_quality == DataQuality(
        found.drift.data_quality_score, found.drift.data_quality_score_ci, 200, found.drift.window
    )
    without = ai.get_model_performance_snapshot("p", "1")
    assert (without.drift is None, without.data_quality) == (False, None)


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
    """Listing 30 models without drift asks as many questions of the store as listing ten, once some are kept."""

    def statements(models: int) -> int:
        for i in range(models):
            measured.ai.record_inference(f"m{i}", "1", 5.0, prediction="a", ground_truth="a")
        measured.runtime.flush()
        store: Any = measured.runtime.store
        seen: list[str] = []
        with store._database.read() as connection:
            connection.set_trace_callback(seen.append)
            try:
                assert len(measured.ai.list_models().models) == models
            finally:
                connection.set_trace_callback(None)
        return len(seen)

    statements(1)
    assert statements(10) == statements(30)
