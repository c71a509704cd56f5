from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import nan

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.contributions import MIXED
from otel_measure.experiments.analyse import analyse
from otel_measure.stats.ab_test import AbTest, Effect
from otel_measure.store.types.experiments import Cell, Experiment
from tests.vectors import load

A, B, C = "control", "variant_a", "variant_b"
TWO = Experiment("t", "T", (A, B), (0.5, 0.5), 1.0, created=1_000_000)
THREE = Experiment("t", "T", (A, B, C), (0.5, 0.25, 0.25), 1.0)


def hour(*arms: tuple[int, int], at: int = 0, names: Sequence[str] = (A, B, C)) -> list[Cell]:
    """What one hour adds, users and conversions per variant."""
    return [Cell(at, name, *arm) for name, arm in zip(names, arms, strict=False)]


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
        effects={B: effect},
        users=0,
        conversions=0,
        excluded_users=0,
        sample_ratio_p_value=nan,
        sample_ratio_mismatch=False,
        p_value=nan,
        verdict="not_enough_data",
        winner=None,
        coverage=1.0,
        created_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    )
    assert msgspec.json.encode(analyse(TWO, [])) == msgspec.json.encode(expected)


def test_s02_effect_and_confidence_sequence() -> None:
    """The relative effect and its interval are the vector's."""
    vector = load("analytics.json", "S02")
    arms = [(vector["input"][arm]["n"], vector["input"][arm]["successes"]) for arm in ("control", "treatment")]
    found = analyse(TWO, hour(*arms)).effects[B]
    expected = vector["full_precision"]
    assert (found.relative, *found.relative_ci) == pytest.approx((expected["effect"], *expected["ci"]), rel=1e-9)


def test_intervals_hold_nothing_impossible() -> None:
    """A difference of rates is in -1..1 and a relative effect above -1; without any variance both are unknown."""
    few, none = analyse(TWO, hour((4, 1), (2, 1))).effects[B], analyse(TWO, hour((4, 0), (2, 0))).effects[B]
    assert (few.absolute_ci, few.relative_ci[0]) == ((-1.0, 1.0), -1.0)
    assert all(math.isnan(end) for end in (*none.absolute_ci, *none.relative_ci, none.p_value))


@pytest.mark.parametrize("vector_id", ["R01", "R03"])
def test_sample_ratio_vectors(vector_id: str) -> None:
    """The p-value of the split is the vector's, and the alarm comes before any other verdict."""
    vector = load("analytics.json", vector_id)
    observed, weights = vector["input"]["observed"], vector["input"]["weights"]
    names = tuple(f"v{i}" for i in range(len(weights)))
    experiment = Experiment("t", "T", names, tuple(weights), 1.0)
    found = analyse(experiment, hour(*((n, n // 5) for n in observed), names=names))
    assert found.sample_ratio_p_value == pytest.approx(
        vector["full_precision"]["p"], rel=1e-9, abs=vector["tolerance_abs"]
    )
    assert (found.sample_ratio_mismatch, found.verdict, found.winner) == (True, "sample_ratio_mismatch", None)


@pytest.mark.parametrize(
    ("experiment", "arms", "verdict", "winner"),
    [
        (TWO, [(1000, 100), (1000, 300)], "winner", B),
        (TWO, [(1000, 300), (1000, 100)], "winner", A),
        (TWO, [(1000, 100), (1000, 101)], "no_winner_yet", None),
        (TWO, [(99, 20), (100, 90)], "not_enough_data", None),
        (TWO, [(1000, 9), (1000, 300)], "not_enough_data", None),
        (TWO, [(100, 10), (100, 95)], "winner", B),
        (TWO, [(1000, 100), (1200, 300)], "sample_ratio_mismatch", None),
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


def test_users_who_left_or_met_an_unknown_variant_are_counted_apart() -> None:
    """Who is seen in two variants leaves the first at that hour; unknown variants belong to no arm."""
    cells = [*hour((10, 2), (10, 1)), Cell(3, A, -1, -1), Cell(3, MIXED, 1, 0), Cell(4, "else", 2, 1)]
    found = analyse(TWO, cells)
    assert (found.variant_users, found.variant_conversions, found.users, found.conversions, found.excluded_users) == (
        {A: 9, B: 10},
        {A: 1, B: 1},
        19,
        2,
        3,
    )


def test_the_p_value_is_the_smallest_of_all_looks() -> None:
    """An effect that was clear and fades keeps its p-value; the interval is that of now."""
    clear = hour((2000, 200), (2000, 300))
    faded = [*clear, *hour((2000, 300), (2000, 200), at=1)]
    before, after = analyse(TWO, clear), analyse(TWO, faded)
    assert after.p_value == before.p_value < 0.05
    assert (before.winner, after.winner, after.effects[B].absolute) == (B, None, 0.0)


def test_an_effect_that_turned_round_wins_nothing() -> None:
    """The p-value of a look in favour of one variant does not make the other win."""
    turned = [*hour((2000, 200), (2000, 300)), *hour((2000, 210), (2000, 100), at=1)]
    found = analyse(TWO, turned)
    assert (found.p_value < 0.05, found.effects[B].absolute < 0, found.winner) == (True, True, None)


def test_several_variants_are_adjusted_by_holm() -> None:
    """The smaller of two p-values doubles; the test's p-value is the smallest adjusted one."""
    found = analyse(THREE, hour((2000, 200), (1000, 130), (1000, 140)))
    low, high = found.effects[C], found.effects[B]
    assert low.adjusted_p_value == pytest.approx(min(1.0, 2 * low.p_value))
    assert high.adjusted_p_value == pytest.approx(max(low.adjusted_p_value, high.p_value))
    assert found.p_value == low.adjusted_p_value


def history(looks: Iterable[Sequence[tuple[int, int]]]) -> list[Cell]:
    """One hour after another."""
    return [cell for i, arms in enumerate(looks) for cell in hour(*arms, at=i)]


_ARM = st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@given(st.lists(st.tuples(_ARM, _ARM, _ARM), min_size=2, max_size=12))
def test_p_values_never_rise_as_hours_pass(hours: list[tuple[tuple[int, int], ...]]) -> None:
    """Facts of later hours lower every published p-value or leave it, and never make a known one unknown."""
    looks = [analyse(THREE, history(hours[: i + 1])) for i in range(len(hours))]
    for before, after in pairwise(looks):
        for variant in (B, C):
            old, new = before.effects[variant].p_value, after.effects[variant].p_value
            assert math.isnan(old) or new <= old


def simulated(experiments: int, control: float, treatment: float, seed: int) -> list[list[list[tuple[int, int]]]]:
    """Experiments of 100 hours with 100 new users per hour and arm."""
    generator = np.random.default_rng(seed)
    draws = [generator.binomial(100, rate, size=(experiments, 100)).tolist() for rate in (control, treatment)]
    return [[[(100, a), (100, b)] for a, b in zip(*pair, strict=True)] for pair in zip(*draws, strict=True)]


def test_equal_arms_rarely_show_a_winner() -> None:
    """Of 1,000 A/A experiments looked at 100 times each at most 5 % ever show a winner."""
    ever = 0
    for looks in simulated(1000, 0.1, 0.1, seed=20_260_101):
        # A winner needs a p-value of 0.05, and that never rises: only who ends there can have shown one.
        if analyse(TWO, history(looks)).p_value <= 0.05:
            ever += any(analyse(TWO, history(looks[: i + 1])).verdict == "winner" for i in range(100))
    assert 0 < ever <= 50


def test_a_real_difference_is_found() -> None:
    """With 10 % against 13 % a winner is found in at least 95 % of 200 experiments of 10,000 users an arm."""
    found = [analyse(TWO, history(looks)).winner for looks in simulated(200, 0.10, 0.13, seed=5)]
    assert found.count(B) >= 190
