from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_measure.stats.intervals import (
    normal_cdf,
    normal_quantile,
    normal_sf,
    nps_margin,
    wilson_interval,
)


@given(z=st.floats(-35, 35))
def test_normal_tails_equal_scipy(z: float) -> None:
    """Both tails agree with scipy in relative terms, 35 standard errors out."""
    assert normal_sf(z) == pytest.approx(stats.norm.sf(z), rel=1e-9)
    assert normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-9)


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


def test_nps_margin_follows_its_formula() -> None:
    """60 promoters and 20 detractors of 100 give 40 ± 15.68; all alike give no margin; no answers an unknown one."""
    assert nps_margin(60, 20, 100) == pytest.approx(100 * normal_quantile(0.975) * math.sqrt((0.8 - 0.16) / 100))
    assert nps_margin(0, 0, 9) == nps_margin(9, 0, 9) == 0.0
    assert math.isnan(nps_margin(0, 0, 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normal_quantile(0.0), "p=0.0"),
        (lambda: normal_quantile(1.0), "p=1.0"),
        (lambda: wilson_interval(2, 1), "successes=2"),
        (lambda: wilson_interval(-1, 1), "successes=-1"),
        (lambda: wilson_interval(1, 2, 1.0), "p=1.0"),
        (lambda: nps_margin(2, 2, 3), "promoters=2"),
        (lambda: nps_margin(-1, 2, 3), "promoters=-1"),
    ],
)
def test_wrong_arguments_are_named(call: object, message: str) -> None:
    """A wrong argument raises a ValueError that names it."""
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
