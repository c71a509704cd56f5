from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from otel_measure.stats.sequential import (
    confidence_sequence,
    proportion_sequence,
    published_p,
    running_minimum,
    tuning_rho,
)
from otel_measure.stats.tests import Difference, SampleStatistics, difference
from tests.stats.test_tests import arm
from tests.vectors import load


@pytest.mark.parametrize("vector_id", ["S01", "S02"])
def test_confidence_sequence_vectors(vector_id: str) -> None:
    """Effect, p and interval equal the vector's at full precision."""
    vector = load("analytics.json", vector_id)
    given_, expected = vector["input"], vector["full_precision"]
    effect = difference(arm(given_["control"]), arm(given_["treatment"]), relative=True)
    found = confidence_sequence(effect, alpha=given_["alpha"], tuning_units=given_["tuning_N"])
    answer = (found.estimate, effect.standard_error, found.p_value, found.low, found.high)
    assert answer == pytest.approx((expected["effect"], expected["se"], expected["p"], *expected["ci"]), rel=1e-9)


@given(
    d=st.floats(-1, 1),
    se=st.floats(0.001, 10),
    n=st.integers(1, 10**6),
    alpha=st.floats(0.001, 0.5),
    tuning_units=st.integers(10, 10**5),
)
def test_interval_and_evidence_agree(d: float, se: float, n: int, alpha: float, tuning_units: int) -> None:
    """The sequence excludes 0 exactly when the e-value reaches 1 / alpha, that is when p <= alpha."""
    found = confidence_sequence(Difference(d, se, n), alpha=alpha, tuning_units=tuning_units)
    margin = found.log_e + math.log(alpha)
    if abs(margin) > 1e-6:
        assert (found.low > 0 or found.high < 0) == (margin > 0) == (found.p_value < alpha)


def test_the_sequence_is_tightest_near_its_tuning() -> None:
    """At n = N* no other tuning gives a half-width that is more than 1 % smaller."""
    widths = {
        tuning: confidence_sequence(Difference(0.0, 0.1, 5000), tuning_units=tuning).high
        for tuning in (500, 1000, 2500, 5000, 10_000, 20_000, 50_000)
    }
    assert widths[5000] <= 1.01 * min(widths.values())


@pytest.mark.parametrize("se", [math.nan, 0.0, math.inf])
def test_nothing_is_said_without_a_standard_error(se: float) -> None:
    """Ends, evidence and p are nan, the estimate stands."""
    found = confidence_sequence(Difference(0.3, se, 10))
    assert found.estimate == 0.3
    assert all(math.isnan(number) for number in (found.low, found.high, found.log_e, found.p_value))


def test_published_p_never_rises() -> None:
    """What is published is the smallest p so far; before the first known one it is unknown."""
    published = running_minimum([math.nan, 0.4, math.nan, 0.6, 0.1, 0.2])
    assert published == pytest.approx([math.nan, 0.4, 0.4, 0.4, 0.1, 0.1], nan_ok=True)
    assert published_p(math.nan, 0.7) == 0.7


@pytest.mark.parametrize(("alpha", "tuning_units"), [(0.0, 5000), (1.0, 5000), (math.nan, 5000), (0.05, 0)])
def test_wrong_arguments_are_refused(alpha: float, tuning_units: int) -> None:
    """An error rate outside 0..1 or a tuning below one unit raises."""
    with pytest.raises(ValueError, match=r"alpha=|tuning_units="):
        tuning_rho(alpha, tuning_units)


def test_equal_arms_rarely_show_a_winner() -> None:
    """Of 1,000 A/A experiments looked at 100 times each at most 5 % ever show one, where plain p < 0.05 finds 30 %."""
    generator = np.random.default_rng(20_240_101)
    successes = generator.binomial(100, 0.1, size=(1000, 2, 100)).cumsum(axis=2)
    anytime = plain = 0
    for control, treatment in successes.tolist():
        looks = [
            difference(SampleStatistics.proportion(a, n), SampleStatistics.proportion(b, n))
            for n, a, b in zip(range(100, 10_001, 100), control, treatment, strict=True)
        ]
        anytime += running_minimum(confidence_sequence(look).p_value for look in looks)[-1] <= 0.05
        plain += any(abs(look.estimate) > 1.96 * look.standard_error for look in looks)
    assert anytime <= 50
    assert plain >= 300


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 40), (12, 6_000), (500, 1_000), (9_999, 10_000)])
def test_a_sequence_of_a_proportion_ends_where_the_mixture_is_alpha_times_likelier(successes: int, n: int) -> None:
    """The mixture is scipy's beta-binomial likelihood; what cannot be left out is in the interval."""
    low, high = proportion_sequence(successes, n, alpha=0.01)
    mixture = special.betaln(successes + 0.5, n - successes + 0.5) - special.betaln(0.5, 0.5)
    for end, is_open in ((low, successes > 0), (high, successes < n)):
        likelihood = special.xlogy(successes, end) + special.xlog1py(n - successes, -end)
        assert not is_open or mixture - likelihood == pytest.approx(-math.log(0.01), abs=1e-6)
    assert (low == 0.0, high == 1.0) == (successes == 0, successes == n)
    assert low <= successes / n <= high


def test_a_sequence_of_a_proportion_holds_at_every_look() -> None:
    """Of 100 series of 1,000 users looked at 50 times each at most 5 % ever have an interval that misses."""
    generator = np.random.default_rng(11)
    counts = generator.binomial(20, 0.01, size=(100, 50)).cumsum(axis=1)
    missed = 0
    for series in counts.tolist():
        intervals = [proportion_sequence(x, 20 * k, alpha=0.05) for k, x in enumerate(series, 1)]
        missed += any(not low <= 0.01 <= high for low, high in intervals)
    assert missed <= 5


def test_a_proportion_of_nobody_is_unknown() -> None:
    """Without units there is no interval."""
    assert all(math.isnan(end) for end in proportion_sequence(0, 0, alpha=0.05))
