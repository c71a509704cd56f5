from __future__ import annotations

from math import isnan, nan
from random import Random

import pytest

from otel_measure.experiments.arms import Arm
from otel_measure.experiments.still_needed import AS_IT_SEEMS, still_needed
from otel_measure.stats.ab_test import StillNeeded, Verdict
from otel_measure.stats.sequential import confidence_sequence, growth_until_told
from otel_measure.stats.tests import difference

ALPHA = 0.0475
HALVES = {"old": 0.5, "new": 0.5}
EVEN_DAYS = [(day * 24, users) for day, users in enumerate((40, 44, 36, 40, 38, 42, 40))]


def needs(
    verdict: Verdict,
    old: tuple[int, int],
    new: tuple[int, int],
    exposed: list[tuple[int, int]] = EVEN_DAYS,
    last_hour: int = 7 * 24,
) -> StillNeeded | None:
    """What a test of two variants still needs after seven days with 40 persons each."""
    arms = {"old": Arm(*old), "new": Arm(*new)}
    return still_needed(verdict, arms, HALVES, ALPHA, exposed, last_hour)


@pytest.mark.parametrize("verdict", ["winner", "sample_ratio_mismatch", "effect_changed"])
def test_a_test_that_is_decided_needs_nothing(verdict: Verdict) -> None:
    """More persons do not change what it says."""
    assert needs(verdict, (500, 50), (500, 80)) is None


def test_until_there_are_users_enough() -> None:
    """At 40 a day, half of them in each, an arm with 50 of 100 needs 100 persons more and 2.5 days."""
    told = needs("not_enough_data", (50, 10), (50, 10))
    assert told is not None
    assert (told.users, told.users_per_day, told.days) == (100, 40.0, 2.5)
    assert (told.provided_that, told.unknown_because) == ("", "")
    low, high = told.days_ci
    assert low == 100 / told.users_per_day_ci[1] < 2.5 < 100 / told.users_per_day_ci[0] == high


def test_until_there_are_conversions_enough() -> None:
    """With 2 of 10 conversions it takes five times the persons; so few leave the days open within a wide interval."""
    told = needs("not_enough_data", (200, 1), (200, 1))
    assert told is not None
    assert (told.users, told.days) == (1600, 40.0)
    assert told.days_ci[0] < 15.0 < 100.0 < told.days_ci[1]


def test_until_a_winner_shows() -> None:
    """With so many persons more the confidence sequence of the same effect just leaves out zero."""
    old, new = (600, 60), (600, 75)
    told = needs("no_winner_yet", old, new)
    assert told is not None
    assert told.users is not None
    assert told.provided_that == AS_IT_SEEMS
    assert told.days_ci[0] < told.days < told.days_ci[1]
    effect = difference(Arm(*old).cautious_sample, Arm(*new).cautious_sample)
    growth = (1200 + told.users) / 1200
    for factor, is_told in ((growth, True), (growth * 0.999, False)):
        grown = type(effect)(effect.estimate, effect.standard_error / factor**0.5, round(effect.n * factor))
        assert (confidence_sequence(grown, alpha=ALPHA).low > 0.0) is is_told


def test_the_first_variant_that_is_better_ends_it() -> None:
    """Of two better variants the clearer one decides; where all are worse, the control waits for the less clear one."""
    weights = {"old": 0.4, "one": 0.3, "two": 0.3}

    def users(one: int, two: int) -> int | None:
        arms = {"old": Arm(600, 60), "one": Arm(600, one), "two": Arm(600, two)}
        told = still_needed("no_winner_yet", arms, weights, ALPHA / 2, EVEN_DAYS, 7 * 24)
        return None if told is None else told.users

    assert users(80, 70) == users(80, 40) == users(80, 60)
    assert users(40, 50) == users(60 - 10, 35)


@pytest.mark.parametrize(
    ("old", "new", "exposed", "verdict", "reason"),
    [
        ((200, 0), (200, 0), EVEN_DAYS, "not_enough_data", "nobody who is compared has converted yet"),
        ((200, 2), (200, 2), [(167, 400)], "not_enough_data", "no whole day has passed since the first met the test"),
        ((200, 2), (200, 2), [], "not_enough_data", "no whole day has passed since the first met the test"),
        ((200, 2), (200, 2), [(-200, 400)], "not_enough_data", "nobody met the test in the last 7 days"),
        ((200, 20), (200, 20), EVEN_DAYS, "no_winner_yet", "the variants convert alike so far"),
        ((20_000, 2001), (20_000, 2000), EVEN_DAYS, "no_winner_yet", "at this rate it would be more than ten years"),
    ],
)
def test_what_nobody_knows_is_not_told(
    old: tuple[int, int], new: tuple[int, int], exposed: list[tuple[int, int]], verdict: Verdict, reason: str
) -> None:
    """Where the days cannot be said they are unknown, and the reason is said."""
    told = needs(verdict, old, new, exposed)
    assert told is not None
    assert (told.unknown_because, isnan(told.days), all(map(isnan, told.days_ci))) == (reason, True, True)


def test_days_that_differ_leave_the_rate_open() -> None:
    """A single day has no interval, and days between 0 and 280 persons have no least rate: no most days are told."""
    one_day = needs("no_winner_yet", (600, 60), (600, 75), [(144, 40)])
    assert one_day is not None
    assert (one_day.users_per_day, one_day.days > 0.0) == (40.0, True)
    assert all(map(isnan, (*one_day.users_per_day_ci, *one_day.days_ci)))
    bursts = needs("no_winner_yet", (600, 60), (600, 75), [(0, 0), (150, 280)])
    assert bursts is not None
    assert (bursts.users_per_day, bursts.users_per_day_ci[0]) == (40.0, 0.0)
    assert 0.0 < bursts.days_ci[0] < bursts.days
    assert isnan(bursts.days_ci[1])


def test_days_are_told_with_the_confidence_that_is_claimed() -> None:
    """Of 300 tests with few conversions and days that differ, the days until 10 are expected lie inside in 285."""
    generator = Random(20_261_129)
    missed = 0
    for _ in range(300):
        busy, rate = generator.uniform(30.0, 120.0), generator.uniform(0.005, 0.01)
        days = [round(max(0.0, generator.gauss(busy, busy / 5))) for _ in range(7)]
        arms = [sum(days) // 2, sum(days) - sum(days) // 2]
        converted = [sum(generator.random() < rate for _ in range(users)) for users in arms]
        if min(arms) < 100 or sum(converted) >= 10:
            continue
        exposed = [(day * 24, users) for day, users in enumerate(days)]
        told = needs("not_enough_data", (arms[0], converted[0]), (arms[1], converted[1]), exposed)
        assert told is not None
        if told.unknown_because:
            continue
        truth = max(0.0, (10 / rate - sum(days)) / busy)
        low, high = told.days_ci
        missed += not low <= truth or (not isnan(high) and truth > high)
    assert missed <= 15


def test_growth_of_nothing() -> None:
    """An effect of 0 is never told, one beyond its interval is told already, and an unknown one stays unknown."""
    effect = difference(Arm(500, 50).cautious_sample, Arm(500, 50).cautious_sample)
    assert growth_until_told(effect) == float("inf")
    assert growth_until_told(difference(Arm(5000, 50).sample, Arm(5000, 900).sample)) == 1.0
    assert isnan(growth_until_told(difference(Arm().sample, Arm(5, 1).sample)))
    assert isnan(growth_until_told(type(effect)(nan, 0.1, 10)))
