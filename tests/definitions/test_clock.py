"""Which time is believed, by what heartbeats have said."""

from __future__ import annotations

import pytest

from otel_measure.definitions.clock import Heartbeat, KeptClock, believed_us, believes, heard, is_of_doubted_time
from tests.facts import DAY, HOUR, MINUTE, NOON, SECOND

WRONG = 800 * DAY
TURN = 15 * SECOND


class BeatingProcess:
    """A process that beats every 15 s by a wall clock that can be set, and by one that cannot."""

    def __init__(self, kept: KeptClock | None = None, wall: int = NOON) -> None:
        self.kept = kept
        self.wall = wall
        self.monotonic = 0
        self.before: Heartbeat | None = None
        self.beat()

    def beat(self) -> None:
        """Beat now."""
        beat = Heartbeat(self.wall, self.monotonic)
        self.kept = heard(self.kept, beat, self.before)
        self.before = beat

    def run(self, for_us: int, *, drift: float = 0.0) -> BeatingProcess:
        """Go on for a time, by a wall clock that drifts."""
        for _ in range(for_us // TURN):
            self.monotonic += TURN
            self.wall += round(TURN * (1 + drift))
            self.beat()
        return self

    def step(self, by_us: int) -> BeatingProcess:
        """Set the wall clock."""
        self.wall += by_us
        return self

    @property
    def believed(self) -> int:
        """The time that is believed now."""
        return believed_us(self.kept, self.wall)


def test_a_store_without_heartbeats_believes() -> None:
    """Nothing is known against any time."""
    assert believes(None, NOON + WRONG)
    assert believed_us(None, 7) == 7
    assert not is_of_doubted_time(None, NOON)
    assert heard(None, Heartbeat(NOON, 0), None) == KeptClock(NOON)


@pytest.mark.parametrize("by", [WRONG, -WRONG, DAY + HOUR, -DAY - HOUR])
def test_a_wrong_minute(by: int) -> None:
    """A clock more than a day off is doubted at once, time goes on meanwhile, and a clock that is back is believed."""
    one = BeatingProcess().run(HOUR).step(by)
    assert not believes(one.kept, one.wall)
    assert abs(one.believed - (NOON + HOUR)) <= TURN
    one.run(10 * MINUTE)
    assert one.kept is not None
    assert one.kept.is_doubted
    assert is_of_doubted_time(one.kept, one.wall)
    assert one.believed == pytest.approx(NOON + HOUR + 10 * MINUTE, abs=TURN)
    one.step(-by).run(TURN)
    assert one.kept == KeptClock(one.wall, since=one.wall)
    assert one.believed == one.wall


@pytest.mark.parametrize("by", [3 * SECOND, -3 * SECOND, HOUR, -HOUR, DAY - MINUTE])
def test_a_small_step_is_believed(by: int) -> None:
    """NTP, summer time told to the wrong clock, and a night without a heartbeat are all less than a day."""
    one = BeatingProcess().run(HOUR).step(by).run(MINUTE)
    assert one.kept == KeptClock(one.wall)


@pytest.mark.parametrize("by", [21 * DAY, -21 * DAY])
def test_a_day_of_running_is_believed(by: int) -> None:
    """A store that slept three weeks believes a clock that went as the monotonic one for a day; NTP may correct it."""
    kept = BeatingProcess().run(HOUR).kept
    one = BeatingProcess(kept, NOON + HOUR + by)
    one.run(12 * HOUR, drift=1e-4).step(5 * SECOND).run(12 * HOUR - MINUTE)
    assert not believes(one.kept, one.wall)
    one.run(MINUTE)
    assert one.kept == KeptClock(one.wall, since=one.kept.since if one.kept else 0)
    assert believes(one.kept, one.wall)


def test_a_clock_that_does_not_go_as_the_monotonic_one() -> None:
    """A step of more than a minute, and a clock that stands, begin the day anew."""
    kept = BeatingProcess().kept
    stepping = BeatingProcess(kept, NOON + WRONG).run(23 * HOUR).step(2 * MINUTE).run(23 * HOUR)
    assert not believes(stepping.kept, stepping.wall)
    standing = BeatingProcess(kept, NOON + WRONG).run(48 * HOUR, drift=-1)
    assert standing.kept is not None
    assert standing.kept.agreed == 0
    again = stepping.step(100 * DAY).run(23 * HOUR)
    assert not believes(again.kept, again.wall)
    assert again.run(HOUR + TURN).believed == again.wall


def test_two_processes_make_no_two_days() -> None:
    """The time that both of them run counts once; a process that starts adds to what the one before it has seen."""
    kept = BeatingProcess().kept
    first = BeatingProcess(kept, NOON + WRONG)
    second = BeatingProcess(first.kept, NOON + WRONG)
    for _ in range(13 * HOUR // TURN):
        for one, other in ((first, second), (second, first)):
            one.kept = other.kept
            one.run(TURN)
    assert second.kept is not None
    assert second.kept.agreed == 13 * HOUR - (13 * HOUR) % TURN
    third = BeatingProcess(second.kept, second.wall + HOUR).run(11 * HOUR)
    assert believes(third.kept, third.wall)


def test_one_wrong_clock_beside_a_right_one() -> None:
    """Each heartbeat of the right one ends the doubt, so the wrong one never comes to its day."""
    right = BeatingProcess()
    wrong = BeatingProcess(right.kept, NOON + WRONG)
    for _ in range(30 * HOUR // TURN):
        wrong.kept = right.kept
        wrong.run(TURN)
        right.kept = wrong.kept
        right.run(TURN)
    assert believes(right.kept, right.wall)
    assert not believes(right.kept, wrong.wall)


def test_what_is_believed_is_believed_again() -> None:
    """The believed time of a believed time is itself: who asks twice gets the same."""
    doubted = BeatingProcess().run(HOUR).step(WRONG).run(HOUR)
    assert believed_us(doubted.kept, doubted.believed) == doubted.believed
