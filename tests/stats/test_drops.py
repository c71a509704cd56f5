"""Drops that are more than chance: exact witnesses, and how often they are wrong and right on simulated histories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from otel_measure.stats.drops import proportion_drop, weekday_drop

WEEKDAYS = np.array([1.2, 1.25, 1.2, 1.15, 1.0, 0.6, 0.6])


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


def histories(users: int, spread: float, days: int, experiments: int, seed: int) -> Any:
    """Active users per day: a weekly season, each day off by its own factor, each person there or not."""
    generator = np.random.default_rng(seed)
    season = np.resize(WEEKDAYS, days) * users
    factors = np.exp(generator.normal(0.0, spread, size=(experiments, days)))
    return generator.poisson(season * factors)


def alerts(days: Any) -> float:
    """The share of these histories whose last day is said to have dropped by over 20 %."""
    drops = [weekday_drop(row) for row in days.tolist()]
    return sum(drop.share > 0.2 and drop.p_value < 0.001 for drop in drops) / len(drops)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("users", [100, 1_000, 10_000])
@pytest.mark.parametrize("days", [15, 43])
def test_healthy_days_are_no_drop(users: int, spread: float, days: int) -> None:
    """At most one look in 1,000 alerts: 10,000 looks with two weeks of history and with six."""
    assert alerts(histories(users, spread, days, 10_000, seed=users + days)) <= 0.001


@pytest.mark.parametrize(("spread", "power"), [(0.05, 0.95), (0.10, 0.85)])
def test_half_the_users_gone_is_found_on_the_first_day(spread: float, power: float) -> None:
    """With six weeks of history and 1,000 users."""
    days = histories(1_000, spread, 43, 2_000, seed=3)
    days[:, -1] //= 2
    assert alerts(days) >= power


def test_a_conversion_that_halves_is_found_and_a_steady_one_is_not() -> None:
    """20 % halved among 1,000 who entered in 90 % of cases; 1 to 20 % unchanged in at most one look of 1,000."""
    generator = np.random.default_rng(4)

    def share(now: float, before: float, entered: int, looks: int) -> float:
        pairs = generator.binomial(entered, (now, before), size=(looks, 2)).tolist()
        drops = [proportion_drop(a, entered, b, entered) for a, b in pairs]
        return sum(drop.share > 0.3 and drop.p_value < 0.001 for drop in drops) / looks

    assert share(0.10, 0.20, 1_000, 2_000) >= 0.9
    assert max(share(rate, rate, entered, 5_000) for rate in (0.01, 0.05, 0.2) for entered in (100, 1_000)) <= 0.001
