"""Ratios over blocks of time, and whether two of them differ by more than chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from otel_measure.stats.blocks import BlockRatio, block_ratio, change_p_value


def test_the_ratio_of_equal_blocks_is_their_mean() -> None:
    """Its squared error is then that of a mean, and the p-value that of Student's test of two means."""
    generator = np.random.default_rng(3)
    now, before = (generator.normal(10, 1, size=12).tolist() for _ in range(2))
    told = [block_ratio((x, 1.0) for x in values) for values in (now, before)]
    assert told[0].value == pytest.approx(np.mean(now))
    assert told[0].squared_error == pytest.approx(np.var(now, ddof=1) / 12)
    assert (told[0].total, told[0].effective_blocks) == (12.0, 12.0)
    t = abs(np.mean(now) - np.mean(before)) / math.sqrt((np.var(now, ddof=1) + np.var(before, ddof=1)) / 12)
    assert change_p_value(told[0], told[1], 0.0) == pytest.approx(2 * stats.t.sf(t, 11))


def test_one_large_block_is_hardly_more_than_one() -> None:
    """Blocks count by their size: what nearly all calls of a window are in tells little of how much it strays."""
    ratio = block_ratio([(50.0, 1000.0), *((0.0, 1.0) for _ in range(20)), (7.0, 0.0)])
    assert ratio.value == 50 / 1020
    assert ratio.effective_blocks == pytest.approx(1020**2 / (1000**2 + 20))


def test_blocks_may_not_say_less_than_independent_calls_would() -> None:
    """Where no block strays the least variance is what decides; without any, every difference is one."""
    even = [block_ratio((x, 100.0) for _ in range(10)) for x in (10.0, 5.0)]
    z = 0.05 / math.sqrt(0.09 / 1000 + 0.09 / 1000)
    assert change_p_value(even[0], even[1], 0.09) == pytest.approx(2 * stats.t.sf(z, 9))
    assert change_p_value(even[0], even[1], 0.0) == 0.0
    assert change_p_value(even[0], even[0], 0.09) == 1.0


def test_what_cannot_be_told() -> None:
    """Nothing has no ratio, and one block no error."""
    nothing, one = block_ratio([]), block_ratio([(1.0, 2.0)])
    assert (nothing.total, math.isnan(nothing.value)) == (0.0, True)
    assert (one.value, math.isnan(one.squared_error)) == (0.5, True)
    assert math.isnan(change_p_value(BlockRatio(0.5, 9.0, 0.1, 3.0), one, 0.1))
