from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_measure.stats.tests import (
    SampleStatistics,
    benjamini_hochberg,
    difference,
    holm,
    sample_ratio,
    welch_df,
    welch_t,
)
from tests.vectors import load

ALTERNATIVES = {
    "welch_t_two_sided": "two-sided",
    "welch_t_two_sided_proportion": "two-sided",
    "welch_t_one_sided_greater": "greater",
    "welch_t_one_sided_lesser": "less",
}


def arm(fields: dict[str, Any]) -> SampleStatistics:
    """One arm as the vectors write it."""
    if "successes" in fields:
        return SampleStatistics.proportion(fields["successes"], fields["n"])
    return SampleStatistics.from_sums(fields["n"], fields["sum"], fields["sum_squares"])


@pytest.mark.parametrize("vector_id", ["F01", "F03", "F04", "F06", "F08"])
def test_welch_vectors(vector_id: str) -> None:
    """Effect, standard error, p and interval equal the vector's at full precision."""
    vector = load("analytics.json", vector_id)
    given_, expected = vector["input"], vector["full_precision"]
    found = welch_t(
        arm(given_["control"]),
        arm(given_["treatment"]),
        relative=True,
        alpha=given_["alpha"],
        alternative=ALTERNATIVES[vector["category"]],  # type: ignore[arg-type]
    )
    low, high = expected.get("ci", (found.low, found.high))
    answer = {"effect": found.estimate, "se": found.standard_error, "p": found.p_value}
    for name, number in answer.items():
        assert number == pytest.approx(expected.get(name, number), rel=1e-9)
    assert found.low == pytest.approx(-math.inf if low is None else low, rel=1e-9)
    assert found.high == pytest.approx(math.inf if high is None else high, rel=1e-9)


def test_p05_delta_method_variance() -> None:
    """Squared standard errors of the absolute and the relative effect equal the vector's."""
    vector = load("analytics.json", "P05")
    v, expected = vector["input"], vector["full_precision"]
    a, b = SampleStatistics(v["n_a"], v["mean_a"], v["var_a"]), SampleStatistics(v["n_b"], v["mean_b"], v["var_b"])
    assert difference(a, b).standard_error ** 2 == pytest.approx(expected["absolute"], rel=1e-12)
    assert difference(a, b, relative=True).standard_error ** 2 == pytest.approx(expected["relative"], rel=1e-12)


VALUES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=40)


@pytest.mark.filterwarnings("ignore:Precision loss occurred")  # scipy's, for an arm of equal values
@given(control=VALUES, treatment=VALUES, alternative=st.sampled_from(["two-sided", "greater", "less"]))
def test_welch_equals_scipy(control: list[int], treatment: list[int], alternative: Any) -> None:
    """Absolute tests agree with scipy on raw values: p, degrees of freedom and interval."""
    arms = [SampleStatistics.from_sums(len(x), sum(x), sum(v * v for v in x)) for x in (control, treatment)]
    found = welch_t(*arms, alternative=alternative)
    if np.ptp(control) == 0 and np.ptp(treatment) == 0:
        assert math.isnan(found.p_value)
        return
    oracle = stats.ttest_ind(treatment, control, equal_var=False, alternative=alternative)
    interval = oracle.confidence_interval(0.95)
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-6)
    assert found.degrees_of_freedom == pytest.approx(oracle.df, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)


def test_p_is_never_printed_as_zero_too_early() -> None:
    """An effect of 30 standard errors has a p-value near 1e-190, not 0."""
    found = welch_t(SampleStatistics(10_000, 0.0, 1.0), SampleStatistics(10_000, 0.42, 1.0))
    assert 1e-200 < found.p_value < 1e-180


def test_arms_that_say_nothing() -> None:
    """No units, one unit or a control mean of 0 leave what cannot be known nan."""
    empty, one, some = (
        SampleStatistics.from_sums(0, 0.0, 0.0),
        SampleStatistics.from_sums(1, 3.0, 9.0),
        SampleStatistics(50, 0.0, 1.0),
    )
    assert math.isnan(empty.mean)
    assert math.isnan(SampleStatistics.proportion(0, 0).mean)
    assert math.isnan(welch_t(empty, some).p_value)
    assert math.isnan(welch_df(one, some))
    assert math.isnan(welch_t(some, some, relative=True).estimate)
    assert one.mean == 3.0


def test_the_relative_effect_keeps_its_direction() -> None:
    """More is positive also where the control's mean is negative."""
    assert difference(SampleStatistics(10, -2.0, 1.0), SampleStatistics(10, -1.0, 1.0), relative=True).estimate == 0.5


@given(observed=st.lists(st.integers(0, 2000), min_size=2, max_size=6), weights=st.lists(st.integers(1, 9), min_size=6))
def test_sample_ratio_is_the_ratio_of_two_likelihoods(observed: list[int], weights: list[int]) -> None:
    """The e-value is scipy's Dirichlet-multinomial likelihood over its multinomial one."""
    weights = weights[: len(observed)]
    split = sample_ratio(observed, weights)
    if not sum(observed):
        assert math.isnan(split.p_value)
        assert not split.alarm
        return
    shares = np.array(weights) / sum(weights)
    alternative = stats.dirichlet_multinomial(1000 * shares, sum(observed)).logpmf(observed)
    null = stats.multinomial(sum(observed), shares).logpmf(observed)
    assert split.log_e == pytest.approx(alternative - null, rel=1e-8, abs=1e-8)
    assert split.p_value == pytest.approx(min(1.0, math.exp(-split.log_e)))
    assert split.alarm == (split.log_e >= math.log(1000))


def _highest_count_that_alarms(units: int) -> int:
    return next(k for k in range(units // 2, -2, -1) if k < 0 or sample_ratio([k, units - k], (1, 1)).alarm)


def looked_at_200_times(rates: float, experiments: int, seed: int) -> int:
    """How many of these tests of 10,000 users, asked for 50:50, ever alarm."""
    first = np.random.default_rng(seed).binomial(50, rates, size=(experiments, 200)).cumsum(axis=1)
    units = np.arange(50, 10_001, 50)
    # The alarm is a range of counts at each size: it is enough to know where it begins.
    ends = [_highest_count_that_alarms(n) for n in units.tolist()]
    low, high = first <= np.array(ends), first >= units - np.array(ends)
    return int((low | high).any(axis=1).sum())


def test_a_fair_split_may_be_looked_at_often() -> None:
    """Of 10,000 fair tests of 10,000 users looked at 200 times each at most 0.1 % ever alarm."""
    assert looked_at_200_times(0.5, 10_000, seed=1) <= 10


def test_a_split_of_53_to_47_is_found() -> None:
    """Of 2,000 tests that give 53:47 for 50:50 at least 95 % alarm by 10,000 users."""
    assert looked_at_200_times(0.53, 2_000, seed=2) >= 1_900


def test_a_unit_in_an_arm_without_weight_is_an_alarm() -> None:
    """The arm of weight 0 is left out of p and raises the alarm alone; an empty one does not."""
    clean = sample_ratio([50, 50], [0.5, 0.5])
    assert sample_ratio([50, 50, 0], [0.5, 0.5, 0.0]) == clean
    stray = sample_ratio([50, 50, 1], [0.5, 0.5, 0.0])
    assert (stray.p_value, stray.alarm) == (clean.p_value, True)
    assert sample_ratio([5, 1], [1.0, 0.0]).alarm


@pytest.mark.parametrize(("observed", "weights"), [([1], [0.5, 0.5]), ([1, -1], [0.5, 0.5]), ([1, 1], [1.5, -0.5])])
def test_bad_sample_ratios_are_refused(observed: list[int], weights: list[float]) -> None:
    """Lengths that differ and negative numbers raise."""
    with pytest.raises(ValueError, match="observed="):
        sample_ratio(observed, weights)


@pytest.mark.parametrize(("vector_id", "adjust"), [("M01", holm), ("M02", benjamini_hochberg)])
def test_correction_vectors(vector_id: str, adjust: Any) -> None:
    """Adjusted p-values equal the vector's, in input order."""
    vector = load("analytics.json", vector_id)
    expected = vector["full_precision"]["adjusted"]
    assert adjust(vector["input"]["p"]) == pytest.approx(expected, abs=vector["tolerance_abs"])


@given(p_values=st.lists(st.floats(0, 1), max_size=12))
def test_benjamini_hochberg_equals_scipy(p_values: list[float]) -> None:
    """Adjusted p-values agree with scipy."""
    oracle = stats.false_discovery_control(p_values) if p_values else []
    assert benjamini_hochberg(p_values) == pytest.approx(list(oracle))


@given(p_values=st.lists(st.floats(0, 1), max_size=12))
def test_holm_equals_its_definition(p_values: list[float]) -> None:
    """The adjusted p of a hypothesis is the largest step of all hypotheses that are at most as likely."""
    k, ranked = len(p_values), sorted(p_values)
    steps = [(k - rank) * p for rank, p in enumerate(ranked)]
    expected = [min(1.0, max(steps[: ranked.index(p) + 1])) for p in p_values]
    found = holm(p_values)
    assert [f for f, p in zip(found, p_values, strict=True) if p_values.count(p) == 1] == pytest.approx(
        [e for e, p in zip(expected, p_values, strict=True) if p_values.count(p) == 1]
    )
    assert all(f >= p for f, p in zip(found, p_values, strict=True))


@pytest.mark.parametrize("p_values", [[0.1, math.nan], [1.1], [-0.1]])
def test_impossible_p_values_are_refused(p_values: list[float]) -> None:
    """A p-value outside 0..1 raises."""
    with pytest.raises(ValueError, match="p_values="):
        holm(p_values)
