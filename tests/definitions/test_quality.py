"""What predictions and truths mean: classes, exact sums, the truth that counts, and what an inference contributes."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.quality import (
    CONFUSION,
    GRID_BITS,
    JUDGED,
    Predicted,
    QualityChanges,
    RegressionTotals,
    Truth,
    label,
    predicts_numbers,
    winning_truth,
    with_booleans,
)
from otel_measure.records.kinds import Prediction
from tests.facts import HOUR, MINUTE, NOON


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "true"), (False, "false"), (1, "1"), (1.0, "1"), (-3.0, "-3"), (0.5, None), ("Cat", "Cat")],
)
def test_a_class_is_named_by_its_value(value: Prediction, name: str | None) -> None:
    """Text, booleans and whole numbers name classes; other numbers do not."""
    assert label(value) == name


def counted(pairs: list[tuple[Prediction, Prediction]]) -> tuple[Counter[tuple[str, str]], RegressionTotals]:
    """Return pairs as a store keeps them: the matrix of those that name classes, and the sums of those of numbers."""
    confusion: Counter[tuple[str, str]] = Counter()
    sums = RegressionTotals()
    for guess, truth in pairs:
        named, true = label(guess), label(truth)
        if named is not None and true is not None:
            confusion[named, true] += 1
        sums += RegressionTotals.of(guess, truth) or RegressionTotals()
    return confusion, sums


THIRTY_TWO: list[tuple[Prediction, Prediction]] = [(n, n) for n in range(32)]


@pytest.mark.parametrize(
    ("pairs", "numbers"),
    [
        ([], False),
        (THIRTY_TWO, False),
        ([*THIRTY_TWO, (1, 32)], True),
        ([*THIRTY_TWO, (1, -5.0)], True),
        ([*THIRTY_TWO, (1, 0.5)], True),
        ([(0.5 + n, n) for n in range(32)], False),
        ([(0.5 + n, n) for n in range(33)], True),
        ([*THIRTY_TWO, (1, 32), ("cat", 1)], False),
        ([(str(n), str(n)) for n in range(99)], False),
        ([(True, False)] * 99, False),
    ],
)
def test_a_model_of_many_numbers_predicts_numbers(pairs: list[tuple[Prediction, Prediction]], numbers: bool) -> None:
    """An unregistered one does from 33 distinct numbers on both sides on; what it is registered as goes before that."""
    confusion, sums = counted(pairs)
    assert predicts_numbers("other", confusion, sums) is numbers
    assert predicts_numbers("nlp_generation", confusion, sums) is numbers
    assert predicts_numbers("regression", confusion, sums) is True
    assert predicts_numbers("classification", confusion, sums) is False


@pytest.mark.parametrize(
    ("pairs", "classes"),
    [
        ([(True, 1), (False, 0), (True, 0)], {("true", "true"): 1, ("false", "false"): 1, ("true", "false"): 1}),
        ([(1, True), (0, "False"), (1, "true")], {("true", "true"): 2, ("false", "false"): 1}),
        ([(1, "true"), (0, "unknown"), (2, 0)], {("true", "true"): 1, ("false", "unknown"): 1, ("2", "false"): 1}),
        ([(1, 1), (0, 1)], {("1", "1"): 1, ("0", "1"): 1}),
        ([("True", "True"), ("False", "True")], {("True", "True"): 1, ("False", "True"): 1}),
        ([("1", "one"), ("one", 1)], {("1", "one"): 1, ("one", "1"): 1}),
    ],
)
def test_booleans_of_two_spellings_are_one_class(
    pairs: list[tuple[Prediction, Prediction]], classes: dict[tuple[str, str], int]
) -> None:
    """1, True, "true" and "True" are one class when the other side says so, and else what they are."""
    assert with_booleans(counted(pairs)[0]) == classes


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
    assert total + total.times(-1) == RegressionTotals()
    assert total.times(3) == total + total + total
    assert RegressionTotals.of(1e151, 0.0) is None


@pytest.mark.parametrize(
    ("prediction", "truth", "counted"),
    [(1.5, 2, True), (2, 1e200, False), (True, 1.0, False), (1.0, False, False), ("1", 1.0, False), (1.0, "1", False)],
)
def test_only_two_numbers_are_a_pair_of_numbers(prediction: Prediction, truth: Prediction, counted: bool) -> None:
    """Text and booleans are none, and neither are numbers beyond 1e150."""
    assert (RegressionTotals.of(prediction, truth) is not None) is counted


def test_the_earliest_truth_counts() -> None:
    """At one time the smallest id, where text comes before the 16 bytes of a UUID; of none, none."""
    uuid, later_uuid = bytes(16), bytes([1] * 16)
    ascending = [
        Truth(1, "z", "first"),
        Truth(2, "a", "second"),
        Truth(2, "b", "third"),
        Truth(2, uuid, "fourth"),
        Truth(2, later_uuid, "fifth"),
    ]
    for i in range(len(ascending)):
        for truths in permutations(ascending[i:]):
            assert winning_truth(truths) == ascending[i]
    assert winning_truth([]) is None


def test_an_inference_contributes_to_its_minute_and_its_hour() -> None:
    """Its count, its pair of classes and its pair of numbers; taking away undoes adding."""
    changes = QualityChanges()
    ts = NOON + HOUR + 5 * MINUTE + 7
    minute, hour = (60, NOON + HOUR + 5 * MINUTE, 3, 4), (3600, NOON + HOUR, 3, 4)
    changes.count(ts, 3, 4, predictions=1, judged=2)
    changes.pair(Predicted(ts, 3, 4, "cat"), "dog", +1)
    changes.pair(Predicted(ts, 3, 4, 0.5), 1.5, +1)
    assert dict(changes.cells) == {
        JUDGED: [(minute, [1, 2]), (hour, [1, 2])],
        CONFUSION: [((*minute, "cat", "dog"), [1]), ((*hour, "cat", "dog"), [1])],
    }
    assert changes.regression == dict.fromkeys((minute, hour), RegressionTotals.of(0.5, 1.5))
    changes.pair(Predicted(ts, 3, 4, "cat"), "dog", -1)
    changes.pair(Predicted(ts, 3, 4, 0.5), 1.5, -1)
    assert dict(changes.cells).keys() == {JUDGED}
    assert changes.regression == dict.fromkeys((minute, hour), RegressionTotals())


def test_a_number_that_is_whole_is_a_class_as_well() -> None:
    """Two whole numbers are a pair of classes and a pair of numbers; half a number names no class."""
    changes = QualityChanges()
    changes.pair(Predicted(NOON, 1, 1, 2.0), 3, +1)
    changes.pair(Predicted(NOON, 1, 1, 2.5), 3, +1)
    cell = (60, NOON, 1, 1)
    assert dict(changes.cells)[CONFUSION][0] == ((*cell, "2", "3"), [1])
    assert changes.regression[cell].n == 2
