"""Means of skewed values: their moments, and the interval that leans to the long tail."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_measure.stats.means import Moments, skewed_mean_interval


def moments_of(values: list[float]) -> Moments:
    """The moments of some values, as a store adds them up."""
    return Moments.of_counts(Counter(values))


@given(values=st.lists(st.sampled_from((0.1, 0.2, 0.3, 1e-9, 12.7))), seed=st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_the_order(values: list[float], seed: random.Random) -> None:
    """Two stores that hold the same calls say the same digits."""
    shuffled = list(values)
    seed.shuffle(shuffled)
    assert repr(moments_of(shuffled)) == repr(moments_of(values))


@given(values=st.lists(st.just(0.0) | st.floats(1e-9, 1e6), min_size=2, max_size=50))
def test_moments_equal_scipy(values: list[float]) -> None:
    """Mean, variance and skewness of values that vary are scipy's; of values that do not, the last two are 0."""
    found = moments_of(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values))
    if np.std(values) > 1e-6 * np.mean(values):
        assert found.variance == pytest.approx(np.var(values, ddof=1), rel=1e-6)
        assert found.skewness == pytest.approx(stats.skew(values), rel=1e-4, abs=1e-6)
    elif not found.variance:
        assert found.skewness == 0.0


def test_numbers_too_small_to_be_cubed_are_moments_too() -> None:
    """They are no error."""
    assert moments_of([0.0, 2.0**-365]).skewness == 0.0


def test_the_interval_of_symmetric_values_is_students() -> None:
    """Without skewness it is Student's t interval, and that of equal values is the value."""
    symmetric = moments_of([1.0, 2.0, 3.0, 4.0, 5.0])
    oracle = stats.t.interval(0.95, 4, loc=3.0, scale=math.sqrt(2.5 / 5))
    assert skewed_mean_interval(symmetric) == pytest.approx(oracle)
    assert skewed_mean_interval(moments_of([0.1] * 30)) == pytest.approx((0.1, 0.1))


def test_the_interval_inverts_halls_transformation() -> None:
    """The studentised distance of each end from the mean, transformed as Hall does, is the quantile of Student's t."""
    values = np.random.default_rng(1).lognormal(size=40)
    found = moments_of(values.tolist())
    error, g = math.sqrt(found.variance / 40), found.skewness / math.sqrt(40)
    for end, t in zip(skewed_mean_interval(found), stats.t.ppf([0.975, 0.025], 39), strict=True):
        z = (found.mean - end) / error
        assert z + g * z**2 / 3 + g**2 * z**3 / 27 + g / 6 == pytest.approx(t)


def test_of_fewer_than_two_values_nothing_is_known() -> None:
    """The mean of none is unknown, and so is the interval of one."""
    assert math.isnan(moments_of([]).mean)
    assert moments_of([2.0]).mean == 2.0
    assert all(math.isnan(end) for values in ([], [2.0]) for end in skewed_mean_interval(moments_of(values)))
