"""Quality of answers against scikit-learn, plain sums and the known answers of fairness."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from itertools import starmap
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets, metrics

from otel_measure.ai.groups import Fairness, GroupCounts, fairness
from otel_measure.ai.quality import (
    CALIBRATION_BINS,
    Accuracy,
    Calibration,
    ClassQuality,
    RegressionSums,
    classification,
)
from otel_measure.definitions.windows import Window
from otel_measure.stats.intervals import widest_difference
from tests.vectors import load

LABELS = st.sampled_from(["a", "b", "c", "d"])
NAN = math.nan
WINDOW = Window(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC), "UTC")


def _same(ours: Any, theirs: Any, tolerance: float = 1e-9) -> bool:
    """Equal within a relative tolerance, ``nan`` being equal to itself."""
    return bool(np.allclose(ours, theirs, rtol=tolerance, atol=1e-12, equal_nan=True))


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40))
def test_classification_equals_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """Accuracy, macro and per-class figures and the matrix are scikit-learn's, with undefined ones left out."""
    guesses, truths = zip(*pairs, strict=True)
    ours = classification(Counter(pairs), len(pairs), WINDOW)
    classes = sorted({*guesses, *truths})
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truths, guesses, labels=classes, zero_division=np.nan
    )
    macro = metrics.precision_recall_fscore_support(truths, guesses, average="macro", zero_division=np.nan)
    assert list(ours.per_class) == classes
    assert _same([q.precision for q in ours.per_class.values()], precision)
    assert _same([q.recall for q in ours.per_class.values()], recall)
    assert _same([q.f1 for q in ours.per_class.values()], f1)
    assert [q.support for q in ours.per_class.values()] == list(support)
    assert _same((ours.precision, ours.recall, ours.f1_macro), macro[:3])
    assert _same(ours.accuracy, metrics.accuracy_score(truths, guesses))
    matrix = [[ours.confusion_matrix[truth][guess] for guess in classes] for truth in classes]
    theirs = metrics.confusion_matrix(truths, guesses, labels=[*classes, "never"])
    assert matrix == theirs[:-1, :-1].tolist()


def test_a_classifier_result_is_whole() -> None:
    """Every field of a small window: one class is never predicted, half of the predictions have no truth yet."""
    assert repr(classification({("cat", "cat"): 2, ("cat", "dog"): 1, ("dog", "cat"): 0}, 6, WINDOW)) == repr(
        Accuracy(
            accuracy=2 / 3,
            precision=2 / 3,
            recall=0.5,
            f1_macro=0.4,
            per_class={"cat": ClassQuality(2 / 3, 1.0, 0.8, 2), "dog": ClassQuality(NAN, 0.0, 0.0, 1)},
            confusion_matrix={"cat": {"cat": 2, "dog": 0}, "dog": {"cat": 1, "dog": 0}},
            labelled=3,
            label_coverage=0.5,
            window=WINDOW,
        )
    )


def test_nothing_labelled_is_unknown_and_not_zero() -> None:
    """Without a label every figure is nan; the coverage is 0 of the predictions, or nan without any."""
    empty = Accuracy(NAN, NAN, NAN, NAN, {}, {}, 0, 0.0, WINDOW)
    assert repr(classification({}, 5, WINDOW)) == repr(empty)
    assert math.isnan(classification({}, 0, WINDOW).label_coverage)


@pytest.mark.parametrize(
    ("confusion", "predictions", "message"),
    [
        ({("a", "a"): 3}, 2, "predictions is 2; it must be at least the 3 labelled ones"),
        ({("a", "a"): -1}, 2, "confusion has a negative count; counts must be at least 0"),
    ],
)
def test_impossible_counts_are_refused(confusion: dict[tuple[str, str], int], predictions: int, message: str) -> None:
    """More labels than predictions, or less than nothing, is an error that says so."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        classification(confusion, predictions, WINDOW)
    assert str(caught.value) == message


NUMBERS = st.floats(-1e4, 1e4).map(lambda value: round(value, 3))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=30)


@given(PAIRS, st.integers(0, 30), st.sampled_from([0.0, 1e9]))
def test_regression_equals_scikit_learn_however_it_is_split(
    pairs: list[tuple[float, float]], cut: int, offset: float
) -> None:
    """MAE, RMSE and R² of merged halves are those of the whole, also far from zero where sums of squares fail."""
    shifted = [(guess + offset, truth + offset) for guess, truth in pairs]
    halves = [
        reduce(add, starmap(RegressionSums.of, part), RegressionSums()) for part in (shifted[:cut], shifted[cut:])
    ]
    ours = halves[0] + halves[1]
    guesses, truths = zip(*shifted, strict=True)
    assert _same(ours.mae, metrics.mean_absolute_error(truths, guesses))
    assert _same(ours.rmse, math.sqrt(metrics.mean_squared_error(truths, guesses)))
    if len(set(truths)) > 1:
        assert _same(ours.r2, metrics.r2_score(truths, guesses), 1e-6)


def test_regression_without_pairs_or_spread_is_unknown() -> None:
    """Of no pairs nothing is known; of a truth that does not vary R² is not."""
    nothing = RegressionSums() + RegressionSums()
    assert all(map(math.isnan, (nothing.mae, nothing.rmse, nothing.r2)))
    flat = RegressionSums.of(1.0, 2.0) + RegressionSums.of(5.0, 2.0)
    assert (flat.mae, flat.rmse) == (2.0, math.sqrt(5.0))
    assert math.isnan(flat.r2)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_equals_its_definitions(pairs: list[tuple[float, bool]]) -> None:
    """The Brier score is scikit-learn's, the calibration error that of numpy's bins over the raw pairs."""
    ours = reduce(add, starmap(Calibration.of, pairs), Calibration())
    probabilities = np.array([p for p, _ in pairs])
    outcomes = np.array([float(o) for _, o in pairs])
    assert _same(ours.brier, metrics.brier_score_loss(outcomes, probabilities, pos_label=1))
    bins = np.clip(np.ceil(probabilities * CALIBRATION_BINS) - 1, 0, CALIBRATION_BINS - 1)
    error = sum(
        (bins == b).mean() * abs(outcomes[bins == b].mean() - probabilities[bins == b].mean()) for b in set(bins)
    )
    assert _same(ours.ece, error)


def test_calibration_of_nothing_is_unknown() -> None:
    """Without a pair there is neither a Brier score nor a calibration error."""
    assert math.isnan(Calibration().brier)
    assert math.isnan(Calibration().ece)


def test_whole_numbers_are_probabilities_too() -> None:
    """Certain predictions may be given as the ints 0 and 1; the edges fall into the first and last bin."""
    sums = Calibration.of(0, False) + Calibration.of(1, True)
    assert (sums.counts[0], sums.counts[-1], sums.brier, sums.ece) == (1, 1, 0.0, 0.0)


@pytest.mark.parametrize("probability", [-0.1, 1.1, NAN])
def test_what_is_no_probability_is_refused(probability: float) -> None:
    """A probability outside 0 to 1 is an error that shows it."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        Calibration.of(probability, True)
    assert str(caught.value) == f"probability is {probability!r}; it must be in 0 to 1"


def _counts(predicted: Any, truth: Any) -> GroupCounts:
    return GroupCounts(
        n=len(truth),
        selected=int(predicted.sum()),
        positives=int(truth.sum()),
        true_positives=int((predicted & truth).sum()),
        negatives=int((~truth).sum()),
        false_positives=int((predicted & ~truth).sum()),
    )


def test_fairness_of_a_real_classifier_is_the_known_one() -> None:
    """Three groups of the breast cancer data have fairlearn's rates, differences and ratios."""
    expected = load("models", "L1_fairness_breast_cancer")["expected"]
    data = datasets.load_breast_cancer()
    predicted, truth, texture = data.data[:, 0] < 15, data.target == 1, data.data[:, 1]
    group = np.digitize(texture, np.quantile(texture, [1 / 3, 2 / 3]))
    ours = fairness({str(g): _counts(predicted[group == g], truth[group == g]) for g in range(3)})
    by_group = expected.pop("by_group")
    rates = (ours.selection_rate, ours.true_positive_rate, ours.false_positive_rate)
    assert [list(rate) for rate in rates] == [["0", "1", "2"]] * 3
    for rate, name in zip(rates, ("sel", "tpr", "fpr"), strict=True):
        assert _same(list(rate.values()), [by_group[group][name] for group in rate], 1e-12)
    del expected["equalized_odds_difference_mean"]  # the other aggregation, which we do not offer
    assert {name: getattr(ours, name) for name in expected} == pytest.approx(expected, rel=1e-12)
    assert (ours.undefined, ours.smallest_group, ours.verdict) == ((), 188, "alert")


def test_groups_without_labels_have_selection_rates_alone() -> None:
    """Demographic parity needs no truth; undefined rates are listed and are no disparity."""
    ours = fairness({"b": GroupCounts(n=200, selected=90), "a": GroupCounts(n=100, selected=50)})
    assert repr(ours) == repr(
        Fairness(
            n={"a": 100, "b": 200},
            selection_rate={"a": 0.5, "b": 0.45},
            true_positive_rate={"a": NAN, "b": NAN},
            false_positive_rate={"a": NAN, "b": NAN},
            demographic_parity_difference=0.5 - 0.45,
            demographic_parity_difference_ci=widest_difference([(50, 100), (90, 200)]),
            demographic_parity_ratio=0.9,
            equal_opportunity_difference=NAN,
            equal_opportunity_ratio=NAN,
            equalized_odds_difference=NAN,
            equalized_odds_ratio=NAN,
            undefined=(
                "a: true_positive_rate",
                "b: true_positive_rate",
                "a: false_positive_rate",
                "b: false_positive_rate",
            ),
            smallest_group=100,
            left_out=(),
            verdict="ok",
        )
    )


def test_one_undefined_rate_does_not_hide_the_other() -> None:
    """Where one group has no positives, equalized odds rest on the false positive rates alone."""
    groups = {"a": GroupCounts(10, 5, 4, 2, 6, 3), "b": GroupCounts(10, 5, 0, 0, 10, 2)}
    ours = fairness(groups)
    assert ours.undefined == ("b: true_positive_rate",)
    assert math.isnan(ours.equal_opportunity_difference)
    assert (ours.equalized_odds_difference, ours.equalized_odds_ratio) == (0.5 - 0.2, 0.4)


@pytest.mark.parametrize(
    ("groups", "verdict"),
    [
        ({}, "unknown"),
        ({"a": GroupCounts(1000, 500)}, "unknown"),
        ({"a": GroupCounts(1000, 500), "b": GroupCounts(99, 0)}, "unknown"),
        ({"a": GroupCounts(1000, 500), "b": GroupCounts(100, 0)}, "alert"),
        ({"a": GroupCounts(1000, 500), "b": GroupCounts(100, 35)}, "warning"),
    ],
)
def test_small_groups_give_no_verdict(groups: dict[str, GroupCounts], verdict: str) -> None:
    """Under two groups of 100 records there is no verdict, whatever the gap."""
    assert fairness(groups).verdict == verdict


def test_a_small_group_is_left_out_and_named() -> None:
    """One record with a label of its own changes no difference and no verdict of the groups of 10,000 beside it."""
    large = {"f": GroupCounts(10_000, 3_000, 500, 400, 500, 90), "m": GroupCounts(10_000, 6_000, 500, 450, 500, 60)}
    alone = fairness(large)
    typo = fairness({**large, "typo": GroupCounts(1, 1, 1, 0)})
    assert (alone.left_out, alone.verdict) == ((), "alert")
    assert typo == replace(
        alone,
        n={"f": 10_000, "m": 10_000, "typo": 1},
        selection_rate={**alone.selection_rate, "typo": 1.0},
        true_positive_rate={**alone.true_positive_rate, "typo": 0.0},
        false_positive_rate=typo.false_positive_rate,
        undefined=("typo: false_positive_rate",),
        left_out=("typo",),
    )


def test_selecting_nobody_is_equal_and_has_no_ratio() -> None:
    """When no group is ever selected the difference is 0 and the ratio of nothing is nan."""
    ours = fairness({"a": GroupCounts(100, 0), "b": GroupCounts(100, 0)})
    assert ours.demographic_parity_difference == 0
    assert math.isnan(ours.demographic_parity_ratio)


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 6).map(lambda counts: GroupCounts(*counts)), min_size=3, max_size=3))
def test_counts_of_a_group_add_in_any_order(parts: list[GroupCounts]) -> None:
    """Windows and processes may be merged as they come."""
    a, b, c = parts
    assert (a + b) + c == c + (b + a)
