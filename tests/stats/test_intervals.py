from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_measure.stats.intervals import (
    difference_interval,
    fewest_values,
    normal_quantile,
    normal_sf,
    nps_interval,
    quantile_ranks,
    ratio_interval,
    square_and_add,
    wilson_interval,
)


@given(z=st.floats(-35, 35))
def test_the_normal_tail_equals_scipy(z: float) -> None:
    """It agrees with scipy in relative terms, 35 standard errors out."""
    assert normal_sf(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)


@given(p=st.floats(1e-12, 1 - 1e-12))
def test_normal_quantile_inverts_the_cdf(p: float) -> None:
    """The quantile agrees with scipy."""
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-7, abs=1e-12)


@given(n=st.integers(1, 10**6), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(n: int, share: float, confidence: float) -> None:
    """The interval is scipy's, holds the observed share and stays within 0..1."""
    successes = round(share * n)
    low, high = wilson_interval(successes, n, confidence)
    oracle = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)
    assert 0.0 <= low <= successes / n <= high <= 1.0


def test_wilson_of_nothing_is_unknown() -> None:
    """Without persons both ends are nan."""
    assert all(math.isnan(end) for end in wilson_interval(0, 0))


@given(n=st.integers(1, 10**7), q=st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_the_ranks_of_a_quantile_miss_as_rarely_as_they_say(n: int, q: float) -> None:
    """Where they are inside, the true quantile lies below the low one in at most 2.5 %, and so above the high one."""
    low, high = quantile_ranks(n, q)
    assert low <= n * q <= high
    if low >= 1:
        assert stats.binom.cdf(low - 1, n, q) <= 0.0251
    if high <= n:
        assert stats.binom.sf(high - 1, n, q) <= 0.0251


def test_how_many_values_tell_of_a_quantile() -> None:
    """Both ranks are there from 6 values on for the median, 76 for p95, 388 for p99; with one fewer they are not."""
    assert [fewest_values(q) for q in (0.5, 0.95, 0.99)] == [6, 76, 388]
    low, high = quantile_ranks(75, 0.95)
    assert low >= 1
    assert high > 75


def test_a_difference_of_two_estimates_has_the_squares_of_both_distances() -> None:
    """Of proportions it is Newcombe's method 10, whose own example it is; what is unknown stays so."""
    low, high = difference_interval((56, 70), (48, 80))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
    assert square_and_add(5.0, (2.0, 9.0), 1.0, (-2.0, 5.0)) == (-1.0, 9.0)
    assert all(math.isnan(end) for end in square_and_add(5.0, (2.0, 9.0), 1.0, (math.nan, math.nan)))


def test_a_ratio_is_a_difference_of_logarithms() -> None:
    """It lies as far in both directions, turns over with the two, and is unknown where an end is not above 0."""
    low, high = ratio_interval(4.0, (2.0, 8.0), 1.0, (0.5, 2.0))
    assert (low, high) == pytest.approx((4.0 / 2 ** math.sqrt(2), 4.0 * 2 ** math.sqrt(2)))
    assert ratio_interval(1.0, (0.5, 2.0), 4.0, (2.0, 8.0)) == pytest.approx((1 / high, 1 / low))
    for interval in ((0.0, 8.0), (-1.0, 8.0), (math.nan, math.nan)):
        assert all(math.isnan(end) for end in ratio_interval(4.0, interval, 1.0, (0.5, 2.0)))


def test_nps_interval_is_that_of_four_quarters_more() -> None:
    """The Wald interval after 3/4 promoters, 3/2 passives and 3/4 detractors more; no answers give an unknown one."""
    p, d, n = 60.75 / 103, 20.75 / 103, 103
    half = 100 * normal_quantile(0.975) * math.sqrt((p + d - (p - d) ** 2) / n)
    assert nps_interval(60, 20, 100) == pytest.approx((100 * (p - d) - half, 100 * (p - d) + half))
    assert all(math.isnan(end) for end in nps_interval(0, 0, 0))


def test_nps_interval_of_answers_that_agree_has_a_width() -> None:
    """One detractor says little, thirty say more; the interval holds the score itself."""
    assert nps_interval(0, 1, 1) == pytest.approx((-100.0, 48.5), abs=0.1)
    assert nps_interval(30, 0, 30) == pytest.approx((78.7, 100.0), abs=0.1)
    low, high = nps_interval(0, 0, 9)
    assert low == -high < 0.0


def test_nps_interval_covers_as_often_as_it_says() -> None:
    """Over scores from -88 to 94 and 10 to 300 answers 95 % of intervals hold the true score, nowhere under 91 %."""
    coverage = []
    for shares in ((0.95, 0.04, 0.01), (0.5, 0.3, 0.2), (0.1, 0.8, 0.1), (0.02, 0.08, 0.9)):
        truth = 100 * (shares[0] - shares[2])
        for n in (10, 30, 300):
            samples = np.random.default_rng(n).multinomial(n, shares, size=10_000)
            kinds, counts = np.unique(samples, axis=0, return_counts=True)
            ends = [nps_interval(promoters, detractors, n) for promoters, _, detractors in kinds.tolist()]
            holds = [low <= truth <= high for low, high in ends]
            coverage.append(float(np.average(holds, weights=counts)))
    assert min(coverage) >= 0.91
    assert sum(coverage) / len(coverage) >= 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normal_quantile(0.0), "p=0.0"),
        (lambda: normal_quantile(1.0), "p=1.0"),
        (lambda: wilson_interval(2, 1), "successes=2"),
        (lambda: wilson_interval(-1, 1), "successes=-1"),
        (lambda: wilson_interval(1, 2, 1.0), "p=1.0"),
        (lambda: nps_interval(2, 2, 3), "promoters=2"),
        (lambda: nps_interval(-1, 2, 3), "promoters=-1"),
    ],
)
def test_wrong_arguments_are_named(call: object, message: str) -> None:
    """A wrong argument raises a ValueError that names it."""
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
