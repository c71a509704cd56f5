"""What predictions and truths mean: classes, exact sums, the truth that counts, and what an inference contributes."""

from __future__ import annotations

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
    winning_truth,
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
