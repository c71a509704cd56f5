"""The ledger when the clock steps, or differs between processes, and when probes fail."""

from __future__ import annotations

import pytest

from otel_measure.infrastructure.commands import STEPPED_BACK
from tests.infrastructure.worlds import START, World


def test_a_forward_step_is_a_gap(world: World) -> None:
    """An hour that the clock leaps over was watched by nobody; an outage lasts through it."""
    world.live(60)
    world.step(3600)
    world.live(60)
    assert world.figures() == (105, 0, 3615, 0)
    world.ledger.record("api", "down")
    world.step(3600)
    world.live(30)
    world.ledger.record("api", "up")
    assert world.figures() == (105, 3630, 3615, 1)


def test_an_outage_lasts_through_a_backward_step(world: World) -> None:
    """After the clock is set back the service is still down, comes up once, and nothing comes back an hour later."""
    world.live(7200)
    world.ledger.record("api", "down", reason="disk")
    world.live(60)
    world.step(-3600)
    world.ledger.beat()
    assert world.is_down()
    last = world.ledger.availability("api").last_incident
    assert last is None  # at this very microsecond it has lasted for no time
    world.live(60)
    last = world.ledger.availability("api").last_incident
    assert last is not None
    assert (last.duration_seconds, last.reason) == (60, STEPPED_BACK)
    world.ledger.record("api", "up")
    world.live(300)
    assert not world.is_down()
    assert world.figures()[1::2] == (60, 1)
    world.live(7200)
    assert not world.is_down()
    assert world.figures() == (7200 + 60 - 3600 + 60 + 300 + 7200 - 60, 60, 0, 1)


def test_a_state_of_a_clock_a_little_ahead_is_not_of_a_clock_set_back(world: World) -> None:
    """What another process records while a heartbeat looks, or by a clock some seconds ahead, is not stated again."""
    world.live(7200)
    world.step(30)
    world.ledger.record("api", "down", reason="disk")
    world.step(-30)
    world.ledger.beat()
    world.live(60)
    last = world.ledger.availability("api").last_incident
    assert last is not None
    assert (last.reason, last.duration_seconds) == ("disk", 30)


def test_an_outage_begins_at_the_first_failure_of_its_probe(world: World) -> None:
    """A probe that was asked again tells since when it fails; the outage never begins before the last state."""
    world.live(7200)
    world.ledger.observe("api", "HTTP 503", 6.0)
    world.live(60)
    world.ledger.observe("api", None)
    assert world.figures()[1::2] == (66, 1)
    world.live(2)
    world.ledger.observe("api", "HTTP 503", 10.0)
    world.live(60)
    world.ledger.observe("api", None)
    last = world.ledger.availability("api").last_incident
    assert last is not None
    assert last.duration_seconds == pytest.approx(62, abs=1e-5)


def test_an_outage_after_a_backward_step_is_not_ended_by_an_older_recovery(world: World) -> None:
    """A recovery that now lies ahead of the clock ends no outage that begins before it."""
    world.live(7200)
    world.ledger.record("api", "down")
    world.live(60)
    world.ledger.record("api", "up")
    world.step(-600)
    world.ledger.record("api", "down")
    world.live(1200)
    assert world.is_down()
    assert world.figures()[1::2] == (1200, 1)


def test_two_states_after_a_backward_step_both_count(world: World) -> None:
    """Each state recorded while older ones lie ahead revokes the last of those, however often that happens."""
    world.live(7200)
    world.ledger.record("api", "down")
    world.step(-3600)
    for _ in range(3):
        world.ledger.record("api", "up")
        world.live(60)
        world.ledger.record("api", "down")
        world.live(60)
    world.ledger.record("api", "up")
    world.live(7200)
    assert not world.is_down()
    assert world.figures()[1::2] == (180, 3)


def test_an_hour_back_and_forth_leaves_the_ledger_whole(world: World) -> None:
    """A clock that is wrong for a minute costs that minute: no figure is negative and all add up to the window."""
    for hours in (-1, 1):
        world.live(7200)
        world.step(hours * 3600)
        world.live(60)
        world.step(-hours * 3600)
        world.live(60)
    up, down, unknown, incidents = world.figures()
    assert (up + down + unknown, down, incidents) == (14_400 + 240, 0, 0)
    assert 0 <= unknown <= 150


def test_a_back_fill_revokes_nothing(world: World) -> None:
    """A state with a time of its own says nothing about now."""
    world.live(7200)
    world.ledger.record("api", "down")
    world.step(-60)
    world.ledger.record("api", "up", at=START)
    world.live(120)
    assert world.is_down()
