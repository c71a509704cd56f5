from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from math import nan

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.contributions import CROSSED_OVER
from otel_measure.definitions.windows import HOUR_US
from otel_measure.experiments.analyse import analyse
from otel_measure.stats.ab_test import AbTest, Effect, StillNeeded
from otel_measure.stats.sequential import proportion_sequence
from otel_measure.store.types.experiments import ArmHour, Experiment
from tests.stats.simulated_ab_test import Course, simulate
from tests.vectors import load

A, B, C = "control", "variant_a", "variant_b"
TWO = Experiment("t", "T", (A, B), (0.5, 0.5), 1.0, created=1_000_000)
THREE = Experiment("t", "T", (A, B, C), (0.5, 0.25, 0.25), 1.0)


def hour(*arms: tuple[int, int], at: int = 0, names: Sequence[str] = (A, B, C)) -> list[ArmHour]:
    """What one hour adds, users and conversions per variant."""
    return [ArmHour(at, name, *arm) for name, arm in zip(names, arms, strict=False)]


def test_an_empty_test_knows_nothing() -> None:
    """Every number is unknown, counts are 0, every variant is a key; JSON has null."""
    unknown = (nan, nan)
    effect = Effect(nan, unknown, nan, unknown, nan, nan)
    expected = AbTest(
        test_id="t",
        test_name="T",
        control_variant=A,
        control_conversion_rate=nan,
        control_conversion_rate_ci=unknown,
        control_users=0,
        variant_conversion_rates={A: nan, B: nan},
        variant_conversion_rates_ci={A: unknown, B: unknown},
        variant_users={A: 0, B: 0},
        variant_conversions={A: 0, B: 0},
        variant_weights={A: 0.5, B: 0.5},
        compared_within_hours=0,
        compared_users={A: 0, B: 0},
        compared_conversions={A: 0, B: 0},
        effects={B: effect},
        users=0,
        conversions=0,
        crossed_over=0,
        excluded_users=0,
        sample_ratio_p_value=nan,
        sample_ratio_mismatch=False,
        p_value=nan,
        verdict="not_enough_data",
        winner=None,
        needs=StillNeeded(None, nan, unknown, nan, unknown, "", "nobody who is compared has converted yet"),
        explanation="Not enough data: looks count from 100 compared users in each variant and 10 conversions together "
        "on. So far control has 0 and 0, variant_a has 0 and 0. "
        "How long that takes is not known: nobody who is compared has converted yet.",
        reasons=(
            "Compared is what people did within the hour of meeting the test. 0 of 0 have reached that age.",
            "100 % of the users take part.",
        ),
        coverage=1.0,
        environment="test",
        created_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        stopped_at=None,
        served_variant=None,
        definitions="current",
    )
    assert msgspec.json.encode(analyse(TWO, [], environment="test")) == msgspec.json.encode(expected)


def test_a_relative_effect_is_the_absolute_one_as_a_share_of_the_control() -> None:
    """Its interval is every absolute effect over every rate of the control, wider than the delta method's (S02)."""
    vector = load("analytics.json", "S02")
    arms = [(vector["input"][arm]["n"], vector["input"][arm]["successes"]) for arm in ("control", "treatment")]
    effect = analyse(TWO, hour(*arms)).effects[B]
    expected = vector["full_precision"]
    least, greatest = proportion_sequence(arms[0][1], arms[0][0], alpha=0.0025)
    assert effect.relative == pytest.approx(expected["effect"], rel=1e-9)
    assert effect.absolute_ci[0] > 0.0
    assert effect.relative_ci == (effect.absolute_ci[0] / greatest, effect.absolute_ci[1] / least)
    assert 0.0 < effect.relative_ci[0] < expected["ci"][0]
    assert effect.relative_ci[1] > expected["ci"][1]


def test_intervals_hold_nothing_impossible() -> None:
    """A relative effect is above -1; before the arms have 10 conversions together no interval is known."""
    least, fewer, fewest = (
        analyse(TWO, hour((100, 10), (100, 10))).effects[B],
        analyse(TWO, hour((100, 9), (100, 50))).effects[B],
        analyse(TWO, hour((1000, 4), (1000, 5))).effects[B],
    )
    assert least.relative_ci[0] == -1.0
    assert -1.0 <= least.absolute_ci[0] < 0.0 < least.absolute_ci[1] <= 1.0
    assert (round(fewer.absolute, 9), math.isnan(fewer.relative)) == (0.41, True)
    assert all(math.isnan(end) for end in (*fewer.relative_ci, *fewest.absolute_ci, fewest.p_value))


def test_a_variant_that_kills_conversion_loses() -> None:
    """10 conversions in the two arms together are enough to tell them apart, and a relative effect ends at -1."""
    dead = analyse(TWO, hour((50_000, 5_000), (50_000, 0)))
    effect = dead.effects[B]
    assert (dead.verdict, dead.winner, effect.absolute, effect.relative) == ("winner", A, -0.1, -1.0)
    assert -0.11 < effect.absolute_ci[0] < -0.1 < effect.absolute_ci[1] < -0.09
    assert (effect.p_value < 1e-9, effect.relative_ci[0]) == (True, -1.0)
    assert -1.0 < effect.relative_ci[1] < -0.8
    beside_a_better_one = analyse(THREE, hour((50_000, 5_000), (25_000, 0), (25_000, 4_000)))
    assert (beside_a_better_one.verdict, beside_a_better_one.winner) == ("winner", C)
    revived = analyse(TWO, hour((50_000, 0), (50_000, 5_000)))
    assert (revived.verdict, revived.winner, math.isnan(revived.effects[B].relative)) == ("winner", B, True)


@pytest.mark.parametrize(
    ("users", "rates"), [((950, 50), (0.002, 0.002)), ((950, 50), (0.002, 0.02)), ((50, 950), (0.005, 0.001))]
)
def test_rare_conversions_keep_the_intervals_valid(users: tuple[int, int], rates: tuple[float, float]) -> None:
    """Of 100 tests with a small arm and few conversions at most 5 ever have a look whose interval misses the effect."""
    generator = np.random.default_rng(20_261_128)
    experiment = replace(TWO, weights=(users[0] / 1000, users[1] / 1000))
    missed = 0
    for _ in range(100):
        each = (generator.binomial(n, rate, size=100).tolist() for n, rate in zip(users, rates, strict=True))
        looks = [list(zip(users, arms, strict=True)) for arms in zip(*each, strict=True)]
        low, high = analyse(experiment, history(looks)).effects[B].absolute_ci
        missed += not low <= rates[1] - rates[0] <= high
    assert missed <= 5


@pytest.mark.parametrize(("vector_id", "is_mismatch"), [("R01", False), ("R03", True)])
def test_sample_ratio_vectors(vector_id: str, is_mismatch: bool) -> None:
    """What one chi-square test finds at p = 0.00016 is not enough where every hour is a look; 7e-166 is."""
    vector = load("analytics.json", vector_id)
    observed, weights = vector["input"]["observed"], vector["input"]["weights"]
    names = tuple(f"v{i}" for i in range(len(weights)))
    experiment = Experiment("t", "T", names, tuple(weights), 1.0)
    result = analyse(experiment, hour(*((n, n // 5) for n in observed), names=names))
    assert vector["full_precision"]["p"] < result.sample_ratio_p_value < 0.01
    assert result.sample_ratio_mismatch == is_mismatch == (result.verdict == "sample_ratio_mismatch")


def test_a_mismatch_that_was_seen_stays() -> None:
    """The published p-value of the split is the smallest of all looks."""
    uneven = hour((1000, 100), (1500, 150))
    later = [*uneven, *hour((500, 50), (0, 0), at=1)]
    before, after = analyse(TWO, uneven), analyse(TWO, later)
    assert after.sample_ratio_p_value == before.sample_ratio_p_value < 0.001
    assert after.verdict == "sample_ratio_mismatch"


@pytest.mark.parametrize(
    ("experiment", "arms", "verdict", "winner"),
    [
        (TWO, [(1000, 100), (1000, 300)], "winner", B),
        (TWO, [(1000, 300), (1000, 100)], "winner", A),
        (TWO, [(1000, 100), (1000, 101)], "no_winner_yet", None),
        (TWO, [(99, 20), (100, 90)], "not_enough_data", None),
        (TWO, [(1000, 9), (1000, 300)], "winner", B),
        (TWO, [(1000, 4), (1000, 5)], "not_enough_data", None),
        (TWO, [(1000, 0), (1000, 0)], "not_enough_data", None),
        (TWO, [(1000, 1000), (1000, 1000)], "no_winner_yet", None),
        (THREE, [(2000, 5), (1000, 4), (1000, 300)], "winner", C),
        (THREE, [(2000, 5), (1000, 4), (1000, 6)], "not_enough_data", None),
        (Experiment("t", "T", (A, B), (1.0, 0.0), 1.0), [(1000, 9), (0, 0)], "not_enough_data", None),
        (TWO, [(100, 10), (100, 95)], "winner", B),
        (TWO, [(1000, 100), (1400, 300)], "sample_ratio_mismatch", None),
        (TWO, [(2, 0), (0, 0)], "not_enough_data", None),
        (TWO, [(10_000, 500), (0, 0)], "sample_ratio_mismatch", None),
        (THREE, [(2000, 200), (1000, 300), (1000, 400)], "winner", C),
        (THREE, [(2000, 800), (1000, 300), (1000, 100)], "winner", A),
        (THREE, [(2000, 800), (1000, 400), (1000, 100)], "no_winner_yet", None),
        (Experiment("t", "T", (A, B), (0.99, 0.01), 1.0), [(0, 0), (1, 0)], "not_enough_data", None),
        (Experiment("t", "T", (A, B), (1.0, 0.0), 1.0), [(1000, 100), (1, 0)], "sample_ratio_mismatch", None),
        (Experiment("t", "T", (A, B), (1.0, 0.0), 1.0), [(1000, 100), (0, 0)], "no_winner_yet", None),
    ],
)  # fmt: skip
def test_verdicts(experiment: Experiment, arms: list[tuple[int, int]], verdict: str, winner: str | None) -> None:
    """A mismatch comes before too little data, that before a winner; the best of several wins, or the control."""
    found = analyse(experiment, hour(*arms))
    assert (found.verdict, found.winner) == (verdict, winner)


def test_users_who_crossed_over_or_met_an_unknown_variant_are_counted_apart() -> None:
    """Who met a second variant is counted beside the arm; who met one that the test does not have is in no arm."""
    cells = [*hour((10, 2), (10, 1)), ArmHour(3, CROSSED_OVER, 1, 0), ArmHour(4, "else", 2, 1)]
    result = analyse(TWO, cells)
    assert (result.variant_users, result.variant_conversions) == ({A: 10, B: 10}, {A: 2, B: 1})
    assert (result.users, result.conversions, result.crossed_over, result.excluded_users) == (20, 3, 1, 2)


def test_a_stopped_test_says_so() -> None:
    """When, and what everybody gets since."""
    result = analyse(replace(TWO, stopped=2_000_000, served=B), [])
    assert (result.stopped_at, result.served_variant) == (datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), B)


def test_the_p_value_is_the_smallest_of_all_looks() -> None:
    """An effect that was clear and fades keeps its p-value and what the looks have in common: the interval decides."""
    clear = hour((2000, 200), (2000, 300))
    faded = [*clear, *hour((2000, 250), (2000, 230), at=1)]
    before, after = analyse(TWO, clear), analyse(TWO, faded)
    assert after.p_value == before.p_value < 0.05
    assert before.effects[B].absolute_ci[0] == after.effects[B].absolute_ci[0] > 0
    assert after.effects[B].absolute_ci[1] < before.effects[B].absolute_ci[1]
    assert (before.winner, after.winner) == (B, B)


def test_an_effect_that_turned_round_has_changed() -> None:
    """Looks that no effect satisfies together leave no interval, and no winner."""
    turned = [*hour((2000, 200), (2000, 300)), *hour((4000, 420), (4000, 200), at=1)]
    result = analyse(TWO, turned)
    assert (result.verdict, result.winner) == ("effect_changed", None)
    assert all(math.isnan(end) for end in (*result.effects[B].absolute_ci, *result.effects[B].relative_ci))


def test_several_variants_share_the_error_rate() -> None:
    """Each p-value counts as often as there are variants beside the control, as each interval does.

    A twentieth of the error rate is that of the control's own interval.
    """
    result = analyse(THREE, hour((2000, 200), (1000, 130), (1000, 140)))
    for effect in (result.effects[B], result.effects[C]):
        assert effect.adjusted_p_value == pytest.approx(min(1.0, 2 * effect.p_value / 0.95))
    assert result.p_value == result.effects[C].adjusted_p_value
    alone = analyse(TWO, hour((2000, 200), (1000, 140), names=(A, B)))
    assert result.effects[C].absolute_ci[0] < alone.effects[B].absolute_ci[0]


def history(looks: Iterable[Sequence[tuple[int, int]]]) -> list[ArmHour]:
    """One hour after another."""
    return [cell for i, arms in enumerate(looks) for cell in hour(*arms, at=i)]


_ARM = st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(st.lists(st.tuples(_ARM, _ARM, _ARM), min_size=2, max_size=12))
def test_p_values_never_rise_as_hours_pass(hours: list[tuple[tuple[int, int], ...]]) -> None:
    """Facts of later hours lower every p-value of an age or leave it, and never make a known one unknown."""
    looks = [analyse(THREE, history(hours[: i + 1])) for i in range(len(hours))]
    for before, after in pairwise(looks):
        if before.compared_within_hours != after.compared_within_hours:
            continue  # effects of another age
        for variant in (B, C):
            old, new = before.effects[variant].p_value, after.effects[variant].p_value
            assert math.isnan(old) or new <= old


@given(st.lists(st.tuples(_ARM, _ARM, _ARM), min_size=1, max_size=12))
def test_verdict_and_interval_never_disagree(hours: list[tuple[tuple[int, int], ...]]) -> None:
    """Who wins has an interval above 0 and a p-value of 0.05; the relative interval is on the side of the absolute."""
    result = analyse(THREE, history(hours))
    for variant, effect in result.effects.items():
        (low, high), (relative_low, relative_high) = effect.absolute_ci, effect.relative_ci
        if low > 0.0 or high < 0.0:
            assert effect.adjusted_p_value <= 0.05
        if math.isnan(low):
            assert result.winner != variant
        if math.isnan(low) or math.isnan(relative_low):
            continue
        assert (low > 0.0) <= (relative_low >= 0.0)
        assert (high < 0.0) <= (relative_high <= 0.0)
        assert (low <= 0.0 <= high) <= (relative_low <= 0.0 <= relative_high)
    if result.winner in result.effects:
        assert result.effects[result.winner].absolute_ci[0] > 0.0


# Of each arm 10 users an hour for 10 hours, of whom 1 converts at once, 2 two hours later, 4 a day later.
LATE = [
    cell
    for at in range(10)
    for name in (A, B)
    for cell in (ArmHour(at, name, 10, 1), ArmHour(at, name, 0, 2, 2), ArmHour(at, name, 0, 4, 24))
]


@pytest.mark.parametrize(
    ("now_hour", "age", "users", "conversions"),
    [(0, 1, 90, 9), (9, 1, 90, 9), (10, 2, 90, 27), (12, 4, 90, 27), (13, 4, 100, 30), (33, 24, 100, 70),
     (32, 24, 90, 63), (31, 12, 100, 30), (2000, 672, 100, 70)],
)  # fmt: skip
def test_persons_are_compared_at_an_age_that_nine_in_ten_have_reached(
    now_hour: int, age: int, users: int, conversions: int
) -> None:
    """Each by what happened until that age; younger ones wait, and older ones count no more than they did then."""
    result = analyse(TWO, LATE, now=now_hour * HOUR_US + 5)
    assert (result.compared_within_hours, result.compared_users[B], result.compared_conversions[B]) == (
        age, users, conversions,
    )  # fmt: skip
    assert (result.users, result.conversions) == (200, 140)


def test_after_the_stop_nobody_grows_older() -> None:
    """Conversions do not count from then on, so who was young then is left out for good."""
    stopped = replace(TWO, stopped=10 * HOUR_US)
    assert {analyse(stopped, LATE, now=hours * HOUR_US).compared_within_hours for hours in (10, 2000)} == {1}


@pytest.mark.no_cover
@pytest.mark.parametrize(("lag_hours", "hours"), [(24.0, 336), (72.0, 400)])
def test_conversions_that_come_late_are_no_change(lag_hours: float, hours: int) -> None:
    """10 % against 13 % is a winner in all of 20 tests, however long after the exposure people convert."""
    outcome = simulate(Course(0.10, [0.13], lag_hours, hours), tests=20, look_every=hours, seed=3)
    assert (outcome.at_end_winner, outcome.ever_changed, outcome.ever_missed) == (20, 0, 0)


def simulated(experiments: int, control: float, treatment: float, seed: int) -> list[list[list[tuple[int, int]]]]:
    """Experiments of 100 hours with 100 new users per hour and arm."""
    generator = np.random.default_rng(seed)
    draws = [generator.binomial(100, rate, size=(experiments, 100)).tolist() for rate in (control, treatment)]
    return [[[(100, a), (100, b)] for a, b in zip(*pair, strict=True)] for pair in zip(*draws, strict=True)]


@pytest.mark.no_cover
def test_equal_arms_rarely_show_a_winner() -> None:
    """Of 1,000 A/A experiments looked at 100 times each at most 5 % ever show a winner."""
    ever = 0
    for looks in simulated(1000, 0.1, 0.1, seed=20_260_101):
        # A winner needs a p-value of 0.05, and that never rises: only who ends there can have shown one.
        if analyse(TWO, history(looks)).p_value <= 0.05:
            ever += any(analyse(TWO, history(looks[: i + 1])).verdict == "winner" for i in range(100))
    assert 0 < ever <= 50


@pytest.mark.no_cover
def test_a_real_difference_is_found() -> None:
    """With 10 % against 13 % a winner is found in at least 95 % of 200 experiments of 10,000 users an arm."""
    found = [analyse(TWO, history(looks)).winner for looks in simulated(200, 0.10, 0.13, seed=5)]
    assert found.count(B) >= 190


def test_an_effect_that_changes_while_the_test_runs_is_no_winner() -> None:
    """4 points more for a quarter of the test, 1 less from then on: 95 of 100 tests say that it changed."""
    generator = np.random.default_rng(7)
    rates = [0.14] * 25 + [0.09] * 75
    verdicts = []
    for _ in range(100):
        control = generator.binomial(400, 0.10, size=100).tolist()
        treatment = [int(generator.binomial(400, rate)) for rate in rates]
        looks = [[(400, a), (400, b)] for a, b in zip(control, treatment, strict=True)]
        verdicts.append(analyse(TWO, history(looks)).verdict)
    assert verdicts.count("effect_changed") >= 95
    assert "winner" not in verdicts
