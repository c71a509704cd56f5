"""What answers were given: sums that no order of adding changes."""

from __future__ import annotations

from fractions import Fraction
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.evaluations import Evaluated, SameAnswers, evaluated

_SCORES = st.lists(st.floats(-1e12, 1e12) | st.sampled_from((0.1, 1e12, -1e12, 5e-324)), min_size=1, max_size=30)


@given(scores=_SCORES, data=st.data())
def test_a_sum_is_the_float_next_to_the_exact_one(scores: list[float], data: st.DataObject) -> None:
    """In any order, and with equal scores told together or apart."""
    order = data.draw(st.permutations(scores))
    apart = evaluated(SameAnswers("m", "1", "tone", None, score, 1) for score in order)
    together = evaluated(SameAnswers("m", "1", "tone", None, each, scores.count(each)) for each in sorted(set(scores)))
    total = float(sum(map(Fraction, scores)))
    n = len(scores)
    assert apart == together == [Evaluated("m", "1", "tone", n, n, total, min(scores), max(scores), {})]


def test_answers_by_model_version_and_name() -> None:
    """Answers without a score are counted and scored by none; one that is no model's has no version."""
    rows = [
        SameAnswers("m", "2", "tone", "good", None, 2),
        SameAnswers("m", "1", "tone", "good", 0.5, 2),
        SameAnswers("m", "1", "tone", "bad", 1.0, 1),
        SameAnswers("", "9", "tone", None, None, 1),
    ]
    assert evaluated(rows) == [
        Evaluated("", "", "tone", 1, 0, 0.0, inf, -inf, {}),
        Evaluated("m", "1", "tone", 3, 3, 2.0, 0.5, 1.0, {"bad": 1, "good": 2}),
        Evaluated("m", "2", "tone", 2, 0, 0.0, inf, -inf, {"good": 2}),
    ]
