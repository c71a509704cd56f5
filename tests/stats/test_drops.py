"""Drops that are more than chance: exact witnesses, and how often they are wrong and right on simulated histories."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_measure.stats.drops import proportion_drop, weekday_drop
from tests.stats.simulated_drops import TINY_WEEKENDS, alerts, halved, histories, without_collecting


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_the_drop_of_a_proportion_is_tested_exactly(of_now: int, of_before: int, data: st.DataObject) -> None:
    """P is that of scipy's one-sided exact test."""
    now, before = data.draw(st.integers(0, of_now)), data.draw(st.integers(1, of_before))
    drop = proportion_drop(now, of_now, before, of_before)
    expected = stats.fisher_exact([[now, of_now - now], [before, of_before - before]], alternative="less").pvalue
    assert drop.p_value == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert drop.share == pytest.approx(1 - (now / of_now) / (before / of_before))


@pytest.mark.parametrize("counts", [(0, 0, 3, 9), (1, 9, 0, 0), (1, 9, 0, 9)])
def test_a_drop_from_nothing_is_unknown(counts: tuple[int, int, int, int]) -> None:
    """Without persons in either period, or without a success before, nothing can have dropped."""
    drop = proportion_drop(*counts)
    assert all(math.isnan(number) for number in (drop.share, drop.p_value))


def test_more_successes_than_persons_are_refused() -> None:
    """Counts that cannot be raise, naming themselves."""
    with pytest.raises(ValueError, match="now=3 of 2"):
        proportion_drop(3, 2, 1, 1)


@pytest.mark.parametrize("days", [[], [5], [100] * 14, [0] * 40])
def test_a_day_without_history_has_no_drop(days: list[int]) -> None:
    """Under 14 days before it, or without anybody on the weekdays before, it is unknown."""
    drop = weekday_drop(days)
    assert all(math.isnan(number) for number in (drop.share, drop.p_value))


def test_a_day_is_compared_with_the_mean_of_the_same_weekdays() -> None:
    """The last four, or as many as there are."""
    month = [100, 50, 50, 50, 50, 50, 50] * 5 + [40]
    assert weekday_drop(month).share == pytest.approx(0.6)
    assert weekday_drop([*month[:-1], 0]).share == 1.0
    assert weekday_drop([100, *[50] * 6, 200, *[50] * 6, 75]).before == 150.0
    assert weekday_drop([100, *[50] * 6, 0, *[50] * 6, 75]).before == 100.0


@pytest.mark.no_cover
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("users", [100, 1_000, 10_000])
@pytest.mark.parametrize("days", [15, 43])
def test_healthy_days_are_no_drop(users: int, spread: float, days: int) -> None:
    """At most one look in 1,000 alerts: 10,000 looks with two weeks of history and with six."""
    assert alerts(histories(users, spread, days, 10_000, seed=users + days)) <= 0.001


@pytest.mark.parametrize(("spread", "power"), [(0.05, 0.95), (0.10, 0.85)])
def test_half_the_users_gone_is_found_on_the_first_day(spread: float, power: float) -> None:
    """With six weeks of history and 1,000 users."""
    assert alerts(halved(histories(1_000, spread, 43, 2_000, seed=3))) >= power


@pytest.mark.parametrize("ago", [1, 7, 8, 28])
def test_a_day_on_which_nothing_was_collected_neither_blinds_nor_alarms(ago: int) -> None:
    """Half of 1,000 users gone is found in 95 % all the same, and of 2,000 healthy days at most 2 alert."""
    days = without_collecting(histories(1_000, 0.05, 43, 2_000, seed=5), ago)
    assert alerts(days) <= 0.001
    assert alerts(halved(days[:500])) >= 0.95


def test_weekends_on_which_hardly_anybody_comes_do_not_blind_the_other_days() -> None:
    """Half of 1,000 users gone on a Monday is found in 95 %, with 2 on Saturdays and Sundays."""
    days = histories(1_000, 0.05, 43, 2_000, seed=6, season=TINY_WEEKENDS)
    assert alerts(days) <= 0.001
    assert alerts(halved(days[:500])) >= 0.95


def test_a_conversion_that_halves_is_found_and_a_steady_one_is_not() -> None:
    """20 % halved among 1,000 who entered in 90 % of cases; 1 to 20 % unchanged in at most one look of 1,000."""
    generator = np.random.default_rng(4)

    def share(now: float, before: float, entered: int, looks: int) -> float:
        pairs = generator.binomial(entered, (now, before), size=(looks, 2)).tolist()
        drops = [proportion_drop(a, entered, b, entered) for a, b in pairs]
        return sum(drop.share > 0.3 and drop.p_value < 0.001 for drop in drops) / looks

    assert share(0.10, 0.20, 1_000, 2_000) >= 0.9
    assert max(share(rate, rate, entered, 5_000) for rate in (0.01, 0.05, 0.2) for entered in (100, 1_000)) <= 0.001
