from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from otel_measure.stats.special import (
    regularised_beta,
    student_t_quantile,
    student_t_sf,
)

SHAPES = st.floats(math.log(0.05), math.log(2000)).map(math.exp)


@given(a=SHAPES, b=SHAPES, x=st.floats(0, 1))
def test_regularised_beta_equals_scipy(a: float, b: float, x: float) -> None:
    """I_x(a, b) agrees with scipy."""
    assert regularised_beta(a, b, x, 1 - x) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-13)


@given(t=st.floats(-40, 40), df=st.floats(math.log(0.5), math.log(1e7)).map(math.exp))
def test_student_t_tail_equals_scipy(t: float, df: float) -> None:
    """The tail of t agrees with scipy in relative terms."""
    assert student_t_sf(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-8)


@given(p=st.floats(1e-6, 1 - 1e-6), df=st.floats(math.log(1), math.log(1e6)).map(math.exp))
def test_student_t_quantile_equals_scipy(p: float, df: float) -> None:
    """The quantile of t agrees with scipy."""
    assert student_t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-8, abs=1e-8)


def test_ends_and_unknowns() -> None:
    """Infinite statistics have no tail, huge degrees of freedom are normal, and what is unknown stays unknown."""
    assert student_t_sf(math.inf, 5.0) == student_t_sf(1e200, 5.0) == 0.0
    assert student_t_sf(-math.inf, 5.0) == regularised_beta(2.0, 3.0, 1.0, 0.0) == 1.0
    assert student_t_sf(2.0, 1e12) == pytest.approx(stats.norm.sf(2.0), rel=1e-12)
    assert student_t_quantile(0.5, 7.0) == 0.0
    unknown = [student_t_sf(math.nan, 1.0), student_t_sf(1.0, math.nan)]
    unknown.append(regularised_beta(1.0, 1.0, math.nan, math.nan))
    assert all(math.isnan(number) for number in unknown)
