from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.alerting.judgement import Outcome
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import (
    SECOND_US,
    SET_BACK_US,
    AlertChange,
    AlertState,
    dropped,
    step,
    worst_first,
)
from tests.definitions.alerting.judging import MINUTE, NOW, judged, rule

OUTCOMES: Final[tuple[Outcome, ...]] = ("beyond", "within", "unknown")


def walked(outcomes: str, by: AlertRule, minutes: float = 1) -> list[str]:
    """Return what each turn shows: a letter of the phase, and "!" where it fires or "." where it is resolved."""
    state: AlertState | None = None
    shown = []
    for turn, letter in enumerate(outcomes):
        outcome: Outcome = {"b": OUTCOMES[0], "w": OUTCOMES[1], "u": OUTCOMES[2]}[letter]
        state, change = step(state, judged(outcome), by, NOW + int(turn * minutes * MINUTE))
        phase = "-" if state is None else state.phase[0]
        shown.append(phase + ("" if change is None else "!" if change.change == "fired" else f".{change.resolution}"))
    return shown


def test_a_rule_that_holds_at_once_fires_with_the_first_judgement() -> None:
    """Without `holds_s` the first beyond fires; five minutes within resolve it, one beyond starts them anew."""
    assert walked("wbbwwwwww", rule()) == ["-", "f!", "f", "f", "f", "f", "f", "f", "-.within"]
    assert walked("bwwwwbwwwwww", rule())[4:] == ["f", "f", "f", "f", "f", "f", "f", "-.within"]
    assert walked("bw", rule(clears_s=0)) == ["f!", "-.within"]


def test_a_rule_holds_before_it_fires() -> None:
    """It is pending until it was beyond for `holds_s` in a row; one judgement within makes it inactive."""
    assert walked("bbb", rule(holds_s=120)) == ["p", "p", "f!"]
    assert walked("bbwbbb", rule(holds_s=120)) == ["p", "p", "-", "p", "p", "f!"]


def test_unknown_neither_fires_nor_resolves() -> None:
    """The time around an unknown counts as neither beyond nor within, and what was held before it goes on."""
    assert walked("bubbb", rule(holds_s=120)) == ["p", "p", "p", "p", "f!"]
    assert walked("bwwwuwwww", rule()) == ["f!", "f", "f", "f", "f", "f", "f", "f", "-.within"]
    assert walked("uuu", rule()) == ["-", "-", "-"]


def test_an_unknown_keeps_an_alert_for_an_hour() -> None:
    """An hour after the last known outcome it is resolved for lack of data; one that is pending goes in silence."""
    assert walked("bu" + "u" * 5, rule(), minutes=15) == ["f!", "f", "f", "f", "-.no data", "-", "-"]
    assert walked("bu" + "u" * 5, rule(holds_s=7200), minutes=15) == ["p", "p", "p", "p", "-", "-", "-"]


def test_what_an_alert_says() -> None:
    """It fires with the judgement of the turn, and is resolved with the last one that was beyond."""
    first, later = judged("beyond", value=0.5), judged("beyond", value=0.9)
    state, fired = step(None, first, rule(), NOW)
    assert fired == AlertChange("fired", "", NOW, NOW, "page", first)
    state, _ = step(state, later, rule(), NOW + MINUTE)
    state, _ = step(state, judged("within", value=0.0), rule(), NOW + 2 * MINUTE)
    _, resolved = step(state, judged("within", value=0.0), rule(), NOW + 9 * MINUTE)
    assert resolved == AlertChange("resolved", "within", NOW + 9 * MINUTE, NOW, "page", later)


def test_a_rule_that_is_gone_resolves_what_fires() -> None:
    """Who fires is resolved, who is pending goes."""
    firing, fired = step(None, judged("beyond"), rule(), NOW)
    pending, _ = step(None, judged("beyond"), rule(holds_s=60), NOW)
    assert firing is not None
    assert pending is not None
    assert fired is not None
    assert dropped(firing, NOW + 1) == replace(fired, change="resolved", resolution="no rule", at_us=NOW + 1)
    assert dropped(pending, NOW + 1) is None


def test_a_severity_that_was_changed_counts_from_the_next_turn() -> None:
    """What was a page and is a ticket now is shown as a ticket."""
    state, _ = step(None, judged("beyond"), rule(severity="page"), NOW)
    state, _ = step(state, judged("beyond"), rule(severity="ticket"), NOW + MINUTE)
    assert state is not None
    assert state.severity == "ticket"


def test_the_worst_comes_first() -> None:
    """Pages come before tickets, then the older one."""

    def firing(key: str, severity: str, at: int) -> AlertState:
        state, _ = step(None, judged("beyond", key), rule(key, "page" if severity == "page" else "ticket"), at)
        assert state is not None
        return state

    states = [firing("a", "ticket", NOW), firing("b", "page", NOW + 2), firing("c", "page", NOW + 1)]
    assert [state.rule for state in worst_first(states)] == ["c", "b", "a"]


TURNS: Final = st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(-120, 4000)), min_size=1, max_size=60)


@given(turns=TURNS, holds_s=st.integers(0, 600), clears_s=st.integers(0, 600))
def test_laws_of_an_alert(turns: list[tuple[Outcome, int]], holds_s: int, clears_s: int) -> None:
    """It fires only at a judgement beyond, changes by turns between fired and resolved, and times never lie ahead.

    But for that until which a clock goes through a time again, after it was set back.
    """
    by, now, state = rule(holds_s=holds_s, clears_s=clears_s), NOW, None
    told = []
    for outcome, seconds in turns:
        now += seconds * SECOND_US
        state, change = step(state, judged(outcome), by, now)
        if change is not None:
            told.append(change.change)
            assert change.at_us == now >= change.since_us
            assert (change.change == "fired") <= (outcome == "beyond")
            assert (change.resolution == "no data") == (change.change == "resolved" and outcome == "unknown")
        if state is not None:
            assert max(state.since_us, state.judged_us) <= now
            assert state.known_us <= now + (SET_BACK_US if state.phase == "firing" else 0)
            assert (state.phase == "firing") == (told[-1:] == ["fired"])
            assert state.held_us >= 0
    assert told == ["fired", "resolved"] * (len(told) // 2) + ["fired"] * (len(told) % 2)


def test_a_model_without_targets_of_its_own_is_as_urgent_as_its_judgement_says() -> None:
    """What a judgement says of the severity holds before that of the rule."""
    ticket = replace(judged("beyond"), severity="ticket")
    state, change = step(None, ticket, rule(severity="page"), NOW)
    assert state is not None
    assert change is not None
    assert (state.severity, change.severity) == ("ticket", "ticket")
    state, _ = step(state, judged("beyond"), rule(severity="page"), NOW + MINUTE)
    assert state is not None
    assert state.severity == "page"


@pytest.mark.parametrize("again", ["within", "unknown", "beyond"])
@pytest.mark.parametrize("back", [1, 60, 120])
def test_a_clock_that_is_set_back_resolves_nothing_before_it_is_as_late_again(again: Outcome, back: int) -> None:
    """What fired goes on firing while the clock goes through the same time again, and is then resolved as ever."""
    state, _ = step(None, judged("beyond"), rule(), NOW)
    for minute in range(-back, 1):
        state, change = step(state, judged(again), rule(), NOW + minute * MINUTE)
        assert (state is not None, change) == (True, None)
    changes = [change]
    for minute in range(1, 7):
        state, change = step(state, judged("within"), rule(), NOW + minute * MINUTE)
        changes.append(change)
    assert [one.resolution for one in changes if one is not None] == ["within"]
    assert state is None


def test_a_clock_that_was_hours_ahead_was_wrong() -> None:
    """What fired by it is judged by the time that it is now, which is the first that is known of it."""
    state, _ = step(None, judged("beyond"), rule(), NOW)
    earlier = NOW - SET_BACK_US
    changes = []
    for minute in range(-1, 5):
        state, change = step(state, judged("within"), rule(), earlier + minute * MINUTE)
        changes.append(change)
    assert [change is not None for change in changes] == [False] * 5 + [True]
