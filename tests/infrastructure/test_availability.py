"""Availability: the interval arithmetic against a brute force, and each definition by an example."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.days import moment
from otel_measure.definitions.windows import Window
from otel_measure.infrastructure.availability import (
    SECOND_US,
    Availability,
    Incident,
    Interval,
    Transition,
    availability,
    gaps,
    in_order,
    is_down,
    touching,
)
from tests.comparing import comparable

HISTORIES = 3000


def seconds(*spans: tuple[int, int]) -> list[Interval]:
    """Intervals of whole seconds, in µs."""
    return [(start * SECOND_US, end * SECOND_US) for start, end in spans]


def at(second: int, state: str, reason: str | None = None, event_id: str = "") -> Transition:
    """A transition at a whole second."""
    assert state in ("up", "down")
    return Transition(second * SECOND_US, "up" if state == "up" else "down", reason, event_id)


def measured(
    transitions: Sequence[Transition],
    unwatched: list[Interval] | None = None,
    planned: list[Interval] | None = None,
    *,
    now: int = 1000,
    registered: int = 0,
    window_s: float = 1000,
    sla_target: float = 99.0,
) -> Availability:
    """The availability of a service with these states, in seconds."""
    return availability(
        "api",
        registered_us=registered * SECOND_US,
        transitions=transitions,
        unwatched=unwatched or [],
        planned=planned or [],
        now_us=now * SECOND_US,
        window_s=window_s,
        sla_target=sla_target,
    )


def told_down(transitions: list[Transition], second: int) -> bool:
    """What the last transition until a second says."""
    told = [t for t in sorted(transitions, key=lambda t: (t.at_us, t.event_id)) if t.at_us <= second * SECOND_US]
    return bool(told) and told[-1].state == "down"


def inside(second: int, intervals: list[Interval]) -> bool:
    """Whether a second lies in any of the intervals."""
    return any(a <= second * SECOND_US < b for a, b in intervals)


def state_by_second(
    transitions: list[Transition], unwatched: list[Interval], planned: list[Interval], start: int, end: int
) -> list[str]:
    """The definition itself: what state each second of the window is in."""
    states = []
    for second in range(start, end):
        if inside(second, planned):
            states.append("maintenance")
        elif told_down(transitions, second):
            states.append("down")
        else:
            states.append("unknown" if inside(second, unwatched) else "up")
    return states


def outage_lengths(transitions: list[Transition], states: list[str], start: int, end: int) -> tuple[int, list[int]]:
    """The number of outages of which something counts in a window, and the lengths of those that ended."""
    runs: list[list[str]] = [[]]
    for second in range(start, end):
        if told_down(transitions, second):
            runs[-1].append(states[second - start])
        elif runs[-1]:
            runs.append([])
    lengths = [run.count("down") for run in runs]
    is_open = bool(runs[-1]) and told_down(transitions, end)
    ended = lengths[:-1] if is_open else lengths
    return sum(n > 0 for n in lengths), [n for n in ended if n]


def same(a: float, b: float) -> bool:
    """Equal, or both unknown."""
    return (isnan(a) and isnan(b)) or a == pytest.approx(b, rel=1e-12, abs=1e-9)


def random_intervals(rng: random.Random, now: int) -> list[Interval]:
    """Up to four intervals that may overlap."""
    starts = [rng.randint(-30, now) for _ in range(rng.randint(0, 4))]
    return seconds(*((start, start + rng.randint(0, 40)) for start in starts))


def random_history(
    rng: random.Random,
) -> tuple[list[Transition], list[Interval], list[Interval], int, int, int, float]:
    """States, gaps, maintenance, now, registration, window and target of a service, at random."""
    now = rng.randint(1, 120)
    registered = rng.randint(-20, now)
    transitions = [
        at(rng.randint(-30, now + 10), rng.choice(["up", "down"]), event_id=f"{n:03}") for n in range(rng.randint(0, 8))
    ]
    unwatched, planned = random_intervals(rng, now), random_intervals(rng, now) if rng.random() < 0.5 else []
    window_s, target = rng.randint(1, 150), rng.choice([50.0, 90.0, 99.0, 99.9, 100.0])
    return transitions, unwatched, planned, now, registered, window_s, target


def test_random_histories_equal_a_second_by_second_brute_force() -> None:
    """Over 3,000 random histories every figure is what counting the seconds one by one gives."""
    rng = random.Random(20_240_601)
    for _ in range(HISTORIES):
        transitions, unwatched, planned, now, registered, window_s, target = random_history(rng)
        start = min(now, max(registered, now - window_s))
        states = state_by_second(transitions, unwatched, planned, start, now)
        down, unknown, maintenance = (states.count(state) for state in ("down", "unknown", "maintenance"))
        length = len(states) - maintenance
        observed = length - unknown
        incidents, ended = outage_lengths(transitions, states, start, now)
        budget = (1 - target / 100) * observed
        got = measured(
            transitions, unwatched, planned, now=now, registered=registered, window_s=window_s, sla_target=target
        )
        expected = {
            "availability_percent": 100 * (observed - down) / observed if observed else nan,
            "availability_percent_low": 100 * (observed - down) / length if length else nan,
            "availability_percent_high": 100 * (length - down) / length if length else nan,
            "uptime_seconds": observed - down,
            "downtime_seconds": down,
            "unknown_seconds": unknown,
            "maintenance_seconds": maintenance,
            "coverage_ratio": observed / length if length else nan,
            "incidents": incidents,
            "mtbf_seconds": (observed - down) / incidents if incidents else nan,
            "mttr_seconds": sum(ended) / len(ended) if ended else nan,
            "error_budget_remaining_seconds": budget - down,
            "error_budget_remaining_ratio": 1 - down / budget if budget else nan,
        }
        wrong = {k: (getattr(got, k), v) for k, v in expected.items() if not same(getattr(got, k), v)}
        assert wrong == {}, (transitions, unwatched, planned, now, registered, window_s)
        assert is_down(transitions, now * SECOND_US) == told_down(transitions, now)


def test_one_outage_is_reported_whole() -> None:
    """Every field of a result with one ended outage, a gap and a target follows from its definition."""
    transitions = [at(600, "down", "disk full"), at(610, "up")]
    assert measured(transitions, seconds((0, 100)), sla_target=98.0) == Availability(
        service_name="api",
        availability_percent=100 * 890 / 900,
        availability_percent_low=89.0,
        availability_percent_high=99.0,
        uptime_seconds=890.0,
        downtime_seconds=10.0,
        unknown_seconds=100.0,
        maintenance_seconds=0.0,
        coverage_ratio=0.9,
        incidents=1,
        mtbf_seconds=890.0,
        mttr_seconds=10.0,
        sla_target=98.0,
        sla_compliance=None,
        sla_status="insufficient_data",
        error_budget_remaining_seconds=((1 - 0.98) * 900e6 - 10e6) / 1e6,
        error_budget_remaining_ratio=1 - 10e6 / ((1 - 0.98) * 900e6),
        last_incident=Incident(moment(600 * SECOND_US), moment(610 * SECOND_US), 10.0, "disk full"),
        window=Window(moment(0), moment(1000 * SECOND_US), "UTC"),
    )


@given(st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(rng: random.Random) -> None:
    """Any permutation and any repetition of the same records gives the same answer."""
    transitions, unwatched, planned, now, registered, window_s, target = random_history(rng)
    shuffled = [*transitions, *transitions[:2]]
    rng.shuffle(shuffled)
    first = measured(
        transitions, unwatched, planned, now=now, registered=registered, window_s=window_s, sla_target=target
    )
    again = measured(
        shuffled, unwatched[::-1], planned[::-1], now=now, registered=registered, window_s=window_s, sla_target=target
    )
    assert repr(again) == repr(first)


@given(st.randoms(use_true_random=False))
def test_what_touches_a_window_tells_it_as_all_states_do(rng: random.Random) -> None:
    """A part of a history, however short, has the answer of the whole."""
    transitions, unwatched, planned, now, registered, window_s, target = random_history(rng)
    window = ((now - window_s) * SECOND_US, now * SECOND_US)
    whole, part = (
        measured(states, unwatched, planned, now=now, registered=registered, window_s=window_s, sla_target=target)
        for states in (transitions, touching(in_order(transitions), window))
    )
    assert repr(part) == repr(whole)


def test_down_while_down_is_the_same_outage_and_up_while_up_is_nothing() -> None:
    """Repeated states neither split an outage nor end it twice."""
    once = [at(100, "down", "a"), at(200, "up")]
    repeated = [at(50, "up"), *once, at(150, "down", "b"), at(300, "up")]
    assert measured(repeated) == measured(once)


def test_up_of_no_length_between_two_outages_is_no_recovery() -> None:
    """An "up" and a "down" in the same moment leave one outage."""
    split = [at(100, "down", "a"), at(150, "up", event_id="1"), at(150, "down", "b", event_id="2"), at(200, "up")]
    assert measured(split) == measured([at(100, "down", "a"), at(200, "up")])


def test_outage_open_before_a_gap_stays_open_through_it() -> None:
    """Time in which nobody watched counts as down, not unknown, while an outage is open."""
    result = measured([at(100, "down"), at(400, "up")], seconds((200, 500)))
    assert (result.downtime_seconds, result.unknown_seconds, result.incidents) == (300.0, 100.0, 1)


def test_planned_time_counts_nowhere() -> None:
    """An outage that lies in maintenance is none, one that reaches out of it is one incident of what is outside."""
    planned = seconds((100, 200), (150, 300), (900, 1000))
    result = measured(
        [at(120, "down"), at(180, "up"), at(250, "down", "late"), at(310, "up")], seconds((0, 50), (280, 290)), planned
    )
    assert (result.maintenance_seconds, result.downtime_seconds, result.unknown_seconds) == (300.0, 10.0, 50.0)
    assert (result.uptime_seconds, result.incidents, result.mttr_seconds) == (640.0, 1, 10.0)
    assert (result.availability_percent, result.coverage_ratio) == (100 * 640 / 650, 650 / 700)
    assert result.last_incident == Incident(moment(300 * SECOND_US), moment(310 * SECOND_US), 10.0, "late")


def test_of_a_window_that_was_planned_nothing_is_known() -> None:
    """Neither availability nor a breach."""
    result = measured([at(100, "down")], planned=seconds((0, 2000)))
    assert (result.maintenance_seconds, result.downtime_seconds, result.incidents) == (1000.0, 0.0, 0)
    assert isnan(result.availability_percent)
    assert (result.sla_status, result.last_incident) == ("insufficient_data", None)


def test_open_outage_counts_as_incident_and_not_as_repair() -> None:
    """An outage that lasts is down time and an incident; there is no time to repair yet."""
    result = measured([at(900, "down", "gone")])
    assert (result.downtime_seconds, result.incidents) == (100.0, 1)
    assert isnan(result.mttr_seconds)
    assert result.last_incident == Incident(moment(900 * SECOND_US), None, 100.0, "gone")


def test_outage_that_began_before_the_window_counts_with_its_part_inside() -> None:
    """Down time is clipped to the window; the incident tells its whole length."""
    result = measured([at(100, "down"), at(850, "up")], window_s=200)
    assert (result.downtime_seconds, result.mttr_seconds) == (50.0, 50.0)
    assert result.last_incident == Incident(moment(100 * SECOND_US), moment(850 * SECOND_US), 750.0, None)


def test_window_never_begins_before_registration() -> None:
    """Time before a service was registered is neither up nor unknown."""
    result = measured([], registered=900)
    assert (result.uptime_seconds, result.coverage_ratio) == (100.0, 1.0)
    assert result.window == Window(moment(900 * SECOND_US), moment(1000 * SECOND_US), "UTC")


def test_service_registered_just_now_has_nothing_to_tell() -> None:
    """An empty window leaves every ratio unknown and the target undecided."""
    result = measured([], registered=1000)
    ratios = (result.availability_percent, result.coverage_ratio, result.mtbf_seconds, result.mttr_seconds)
    assert all(isnan(ratio) for ratio in ratios)
    assert (result.sla_compliance, result.sla_status, result.last_incident) == (None, "insufficient_data", None)


@pytest.mark.parametrize(
    ("down", "unwatched", "verdict", "status"),
    [
        (10, (0, 0), True, "met"),
        (11, (0, 0), False, "breached"),
        (0, (0, 100), True, "met"),
        (0, (0, 101), None, "insufficient_data"),
        (10, (0, 50), None, "insufficient_data"),
        (11, (0, 500), False, "breached"),
    ],
)
def test_sla_is_judged_on_what_was_seen(
    down: int, unwatched: tuple[int, int], verdict: bool | None, status: str
) -> None:
    """Breached when even the best case misses, met when enough was seen and it holds, else undecided."""
    transitions = [at(6000, "down"), at(6000 + 10 * down, "up")]
    unseen = seconds((10 * unwatched[0], 10 * unwatched[1]))
    result = measured(transitions, unseen, now=10_000, window_s=10_000)
    assert (result.sla_compliance, result.sla_status) == (verdict, status)


@pytest.mark.parametrize(("observed_s", "status"), [(3599, "insufficient_data"), (3600, "met")])
def test_a_target_is_met_after_an_hour_at_the_earliest(observed_s: int, status: str) -> None:
    """A service that has just been registered has kept nothing yet."""
    assert measured([], registered=10_000 - observed_s, now=10_000, window_s=10_000).sla_status == status


def test_a_target_that_is_a_ratio_is_refused() -> None:
    """A target of 0.999 is meant as 99.9 and would never be missed."""
    with pytest.raises(ValueError, match=r"in percent, above 1 and up to 100 \(99.9, not 0.999\), not 0.999"):
        measured([], sla_target=0.999)


def test_error_budget_may_be_overdrawn() -> None:
    """Twice the allowed down time leaves minus one budget."""
    result = measured([at(100, "down"), at(120, "up")])
    assert result.error_budget_remaining_seconds == pytest.approx(-10.0)
    assert result.error_budget_remaining_ratio == pytest.approx(-1.0)


def test_target_of_hundred_percent_has_no_budget_to_share() -> None:
    """With nothing allowed, the share left is undefined and the seconds are what was overdrawn."""
    result = measured([at(100, "down"), at(120, "up")], sla_target=100.0)
    assert (result.error_budget_remaining_seconds, result.sla_compliance) == (-20.0, False)
    assert isnan(result.error_budget_remaining_ratio)


def test_records_of_the_future_are_not_yet_true() -> None:
    """A state recorded for later than now changes nothing."""
    assert comparable(measured([at(1001, "down")])) == comparable(measured([]))
    assert not is_down([at(1001, "down")], 1000 * SECOND_US)


def test_gaps_are_the_rest_of_what_was_watched() -> None:
    """Overlapping and foreign watches are clipped and joined before the rest is taken."""
    watched = seconds((10, 20), (15, 30), (50, 60), (-5, 2), (90, 500))
    assert gaps(watched, 0, 100 * SECOND_US) == seconds((2, 10), (30, 50), (60, 90))
    assert gaps([], 0, 10) == [(0, 10)]
    assert gaps([], 10, 10) == []


@pytest.mark.parametrize("target", [0, -1, 100.1, nan, True])
def test_impossible_target_is_refused(target: float) -> None:
    """A target outside (0, 100] raises, naming the argument and the rule."""
    with pytest.raises(ValueError, match="sla_target must be in percent, above 1 and up to 100"):
        measured([], sla_target=target)


@pytest.mark.parametrize("window_s", [0, -1, float("inf"), nan])
def test_impossible_window_is_refused(window_s: float) -> None:
    """A window without a length raises, naming the argument and the rule."""
    with pytest.raises(ValueError, match="window_s must be a positive number of seconds"):
        measured([], window_s=window_s)


def test_results_are_frozen() -> None:
    """A result is a value: a changed copy is another one."""
    result = measured([])
    assert replace(result, incidents=1) != result
