"""Fairness from recorded groups: against fairlearn's known answers and its definitions computed another way."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets, metrics
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.ai.fairness import fairness_report
from otel_measure.definitions.windows import Window
from otel_measure.stats.intervals import difference_interval, widest_difference
from otel_measure.store.types.quality import Group, GroupedLabels
from otel_measure.testing import Capture
from tests.vectors import load

WINDOW = Window(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC), "UTC")
PATH = "/api/v1/metrics/ai/models/m/1/fairness"


def record(capture: Capture, group: str, selected: int, n: int, **fields: Any) -> None:
    """Record n predictions about one age band, the first of which select."""
    for i in range(n):
        capture.ai.record_inference("m", "1", 100.0, prediction=i < selected, groups={"age_band": group}, **fields)


def test_what_is_recorded_has_fairlearns_answers(measured: Capture) -> None:
    """The breast cancer data, recorded call by call with truths in another spelling: fairlearn's figures to 1e-9."""
    expected = load("models", "L1_fairness_breast_cancer")["expected"]
    data = datasets.load_breast_cancer()
    predicted, truth, texture = data.data[:, 0] < 15, data.target == 1, data.data[:, 1]
    groups = np.digitize(texture, np.quantile(texture, [1 / 3, 2 / 3]))
    for i in random.Random(1).sample(range(len(truth)), len(truth)):
        labels = {"texture": str(groups[i]), "half": str(i % 2)}
        measured.ai.record_inference(
            "m", "1", 1.0, prediction=predicted[i], ground_truth=int(truth[i]), groups=labels, inference_id=f"i{i}"
        )
    found = measured.ai.get_fairness_metrics("m", "1")
    assert (list(found.attributes), found.positive) == (["half", "texture"], "true")
    ours = found.attributes["texture"]
    by_group = expected.pop("by_group")
    assert ours.n == {name: int((groups == int(name)).sum()) for name in by_group}
    for rates, key in (
        (ours.selection_rate, "sel"),
        (ours.true_positive_rate, "tpr"),
        (ours.false_positive_rate, "fpr"),
    ):
        assert rates == pytest.approx({name: rate[key] for name, rate in by_group.items()}, rel=1e-9)
    del expected["equalized_odds_difference_mean"]
    assert {name: getattr(ours, name) for name in expected} == pytest.approx(expected, rel=1e-9)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.none() | st.booleans()), min_size=1, max_size=60
    )
)  # fmt: skip
def test_rates_are_those_of_scikit_learn_per_group(rows: list[tuple[str, bool, bool | None]]) -> None:
    """Selection, true and false positive rates and what is between groups equal those computed from the rows."""
    grouped = GroupedLabels()
    for name, guess, truth in rows:
        group, guessed = Group("g", name), str(guess).lower()
        counts = grouped.predictions.setdefault(group, {})
        counts[guessed] = counts.get(guessed, 0) + 1
        if truth is not None:
            pairs, pair = grouped.confusion.setdefault(group, {}), (guessed, str(truth).lower())
            pairs[pair] = pairs.get(pair, 0) + 1
    ours = fairness_report(grouped, None, WINDOW).attributes["g"]
    for name in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == name]
        assert ours.n[name] == len(mine)
        assert ours.selection_rate[name] == pytest.approx(sum(guess for _, guess, _ in mine) / len(mine), rel=1e-12)
        labelled = [(truth, guess) for _, guess, truth in mine if truth is not None]
        for truth, rates in ((True, ours.true_positive_rate), (False, ours.false_positive_rate)):
            of_class = [guess for true, guess in labelled if true is truth]
            expected = metrics.recall_score([True] * len(of_class), of_class) if of_class else math.nan
            assert rates[name] == pytest.approx(expected, rel=1e-12, nan_ok=True)
    known = sorted(ours.selection_rate.values())
    if len(known) > 1:
        assert ours.demographic_parity_difference == pytest.approx(known[-1] - known[0])


def test_a_gap_is_judged_from_100_in_each_group_on(measured: Capture) -> None:
    """Under that there is no verdict; with it the gap takes part in health, is a KPI, and alerts beyond doubt alone."""
    record(measured, "young", 80, 100)
    record(measured, "60+", 30, 99)
    first = measured.ai.get_fairness_metrics("m", "1").attributes["age_band"]
    assert (first.n, first.smallest_group, first.verdict) == ({"60+": 99, "young": 100}, 99, "unknown")
    young = measured.ai.get_model_performance_snapshot("m", "1")
    assert "fairness_gap" not in {one.component for one in young.deductions}
    record(measured, "60+", 0, 1)
    snapshot = measured.ai.get_model_performance_snapshot("m", "1")
    assert snapshot.fairness is not None
    gap = snapshot.fairness.attributes["age_band"]
    assert gap.demographic_parity_difference == pytest.approx(0.5)
    assert gap.demographic_parity_ratio == pytest.approx(0.375)
    assert (gap.verdict, gap.demographic_parity_difference_ci[0] > 0.2) == ("alert", True)
    (taken,) = (one for one in snapshot.deductions if one.component == "fairness_gap")
    assert taken.value == pytest.approx(0.5)
    assert taken.evidence == "age_band: 100 records in the smallest of 2 groups"


def test_the_worst_verdict_is_shown_not_the_widest_gap() -> None:
    """A gap of 0.32 that may be chance hides none of 0.3 that is not; of two alerts the surer one is shown."""

    def counts(attribute: str, **selected: tuple[int, int]) -> dict[Group, dict[str, int]]:
        return {Group(attribute, name): {"true": k, "false": n - k} for name, (k, n) in selected.items()}

    age = counts("age", old=(38, 100), young=(70, 100))
    sex = counts("sex", f=(3_000, 10_000), m=(6_000, 10_000))
    region = counts("region", north=(100, 200), south=(180, 200))
    for predictions, shown in (
        (age, ("age", "warning")),
        ({**age, **sex}, ("sex", "alert")),
        ({**age, **sex, **region}, ("region", "alert")),
        ({**sex, **counts("place", a=(100, 200), b=(170, 200))}, ("sex", "alert")),
    ):
        worst = fairness_report(GroupedLabels(predictions), None, WINDOW).worst()
        assert worst is not None
        assert (worst[0], worst[1].verdict) == shown
    lenient = fairness_report(GroupedLabels({**age, **sex}), None, WINDOW).worst(0.45)
    assert lenient is not None
    assert (lenient[0], lenient[1].verdict) == ("sex", "alert")
    assert fairness_report(GroupedLabels({**counts("age", old=(1, 9))}), None, WINDOW).worst() is None


def test_the_interval_of_a_gap_holds_for_all_pairs() -> None:
    """Newcombe's interval of two, known from his table; of several the widest, each at 95 % for all pairs together."""
    assert difference_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference_interval((0, 0), (1, 2)) == pytest.approx((math.nan, math.nan), nan_ok=True)
    groups = [(50, 100), (70, 100), (55, 100)]
    each = [difference_interval(*pair, 1 - 0.05 / 3) for pair in combinations(groups, 2)]
    expected = max(max(low, -high) for low, high in each), max(max(-low, high) for low, high in each)
    assert widest_difference(groups) == pytest.approx(expected)
    assert widest_difference([(5, 10), (0, 0)]) == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_classes_of_text_need_to_be_told_which_is_positive(measured: Capture) -> None:
    """Without `positive` the question is refused and health leaves it out; with it the class it names is selected."""
    for i in range(4):
        prediction = "approve" if i else "deny"
        measured.ai.record_inference("m", "1", 1.0, prediction=prediction, groups={"sex": "f" if i % 2 else "m"})
    with pytest.raises(ValueError, match=r"positive must say which class counts as selected: .* 'approve', 'deny'"):
        measured.ai.get_fairness_metrics("m", "1")
    found = measured.ai.get_fairness_metrics("m", "1", positive="approve")
    assert found.attributes["sex"].selection_rate == {"f": 1.0, "m": 0.5}
    assert measured.ai.get_model_performance_snapshot("m", "1").fairness is None
    with pytest.raises(ValueError, match="positive must be a class"):
        measured.ai.get_fairness_metrics("m", "1", positive=0.5)


def test_over_http(measured: Capture) -> None:
    """A body takes groups, the route answers by attribute, and a class that is not known is a 400 that names them."""
    client = TestClient(create_app(runtime=measured.runtime), base_url="http://localhost", client=("127.0.0.1", 50_000))
    body = {"model_name": "m", "model_version": "1", "latency_ms": 1.0, "prediction": "yes", "groups": {"sex": "f"}}
    assert client.post("/api/v1/metrics/ai/inferences/record", json=body).status_code == 201
    answer = client.get(PATH, params={"positive": "yes"}).json()["data"]
    assert answer["attributes"]["sex"]["n"] == {"f": 1}
    assert answer["attributes"]["sex"]["selection_rate"] == {"f": 1.0}
    assert answer["attributes"]["sex"]["demographic_parity_difference"] is None
    assert answer["positive"] == "yes"
    refused = client.get(PATH)
    assert (refused.status_code, "'yes'" in refused.text) == (400, True)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([("sex", "f")], "groups must be a mapping, not"),
        ({f"a{i}": "x" for i in range(9)}, "groups must have at most 8 attributes, not 9"),
        ({"age": 60}, r"groups\['age'\] must be a non-empty string, not 60"),
        ({"age": "x" * 65}, r"groups\['age'\] must have at most 64 characters, not 65"),
        ({"x" * 65: "a"}, "a key of groups must have at most 64 characters, not 65"),
    ],
)
def test_what_is_no_group(measured: Capture, groups: Any, message: str) -> None:
    """At most 8 attributes, whose names and labels are text of at most 64 characters."""
    with pytest.raises(ValueError, match=message):
        measured.ai.record_inference("m", "1", 1.0, groups=groups)


def test_groups_are_no_attribute_of_a_metric_and_go_with_the_person(measured: Capture) -> None:
    """No series has them; after the erasure of a person fairness is as if that person's groups had never been told."""
    record(measured, "secret-band", 1, 3, user_id="ann")
    record(measured, "60+", 1, 2, user_id="ben")
    measured.ai.record_inference("m", "1", 1.0, prediction=True, groups={}, user_id="ann")
    client = TestClient(create_app(runtime=measured.runtime), base_url="http://localhost", client=("127.0.0.1", 50_000))
    exposition = client.get("/metrics").text
    assert ("secret-band" in exposition, "age_band" in exposition) == (False, False)
    assert measured.ai.get_fairness_metrics("m", "1").attributes["age_band"].n == {"60+": 2, "secret-band": 3}
    measured.users.delete_user("ann")
    assert measured.ai.get_fairness_metrics("m", "1").attributes["age_band"].n == {"60+": 2}
    assert measured.ai.get_model_performance_snapshot("m", "1").inference_count == 6
