"""What counts as a change: beyond chance after everything that was compared, and large enough."""

from __future__ import annotations

import math

import pytest

from otel_measure.definitions.changes import Compared, changed, cost_variance, p_value_of, share_variance
from otel_measure.stats.blocks import block_ratio
from tests.definitions.simulated_changes import SPREADS, detected, invented


def test_what_is_told_is_beyond_chance_and_large() -> None:
    """Beyond chance among all, and 20 %: the largest change first, whichever way; a change from 0 counts."""
    compared = [
        Compared(1.19, 1.0, 0.0),
        Compared(1.2, 1.0, 1e-9),
        Compared(0.4, 1.0, 1e-9),
        Compared(3.0, 1.0, 0.0004),
        Compared(0.1, 0.0, 1e-9),
        Compared(0.0, 0.0, 1e-9),
    ]
    assert [i for i, _ in changed(compared)] == [4, 2, 1]
    assert [compared[i].change for i in (1, 2)] == [1.2 / 1.0 - 1.0, 0.4 - 1.0]
    assert math.isnan(compared[4].change)
    assert dict(changed(compared))[2] == pytest.approx(6e-9)
    assert changed([]) == []


def test_what_was_not_large_was_compared_as_well() -> None:
    """A p-value that is small among few is none among many, also when the others are too small to be told of."""
    one = Compared(2.0, 1.0, 1e-5)
    assert changed([one, *[Compared(1.0, 1.0, 0.0)] * 99]) == []
    assert changed([one, *[Compared(1.0, 1.0, 0.0)] * 98]) == [(0, 99 * 1e-5)]


def test_too_little_is_no_change() -> None:
    """Under 20 calls, or under six blocks of a window, nobody is told of anything."""
    few, short = block_ratio([(1.0, 2.0)] * 9), block_ratio([(10.0, 100.0)] * 5)
    many = block_ratio([(0.0, 100.0)] * 10)
    assert p_value_of(few, many, 0.01) == p_value_of(many, few, 0.01) == 1.0
    assert p_value_of(short, many, 0.01) == 1.0
    assert p_value_of(block_ratio([(10.0, 100.0)] * 6), many, 0.01) < 0.001


def test_how_much_one_call_strays_at_least() -> None:
    """Of both windows together: one that is or is not of a kind as a coin, a cost as much as it is."""
    now, before = block_ratio([(10.0, 100.0)] * 6), block_ratio([(0.0, 100.0)] * 6)
    assert share_variance(now, before) == 0.05 * 0.95
    assert cost_variance(now, before) == 0.05**2


def test_nothing_is_invented_and_what_trebles_is_found() -> None:
    """Of 100 subjects that have not changed nobody is told, however calls come; of some that have trebled one is."""
    assert [invented(spread, 1, seed=5, subjects=100) for spread in SPREADS] == [0, 0, 0]
    assert detected(SPREADS[0], 3.0, 1, seed=1, subjects=200) > 0.2
