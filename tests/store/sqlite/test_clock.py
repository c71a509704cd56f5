"""Nothing is removed, and nothing runs out, by a clock that is not believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore, clock
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, ERASED, TOO_OLD
from otel_measure.store.types.services import RegisteredService
from tests.closing import closed_later
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON, SECOND, event, inference
from tests.store.asking import asked
from tests.store.conformance.test_streams import point

WRONG = 800 * DAY
RETENTION_DAYS = 10
TURN = 15 * SECOND


class Kept:
    """A store, and the two clocks of a process that uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wall = NOON
        self.monotonic_s = 0.0
        self.store = self.opened()
        self.beat()

    def opened(self) -> SqliteStore:
        """Open it, as one more process."""
        return closed_later(
            SqliteStore(str(self.path), retention_days=RETENTION_DAYS, monotonic=lambda: self.monotonic_s)
        )

    def beat(self) -> bool:
        """Note a heartbeat."""
        return self.store.keep_time(self.wall)

    def run(self, for_us: int, turn: int = TURN) -> None:
        """Go on for a time, with a heartbeat each 15 s, or each turn of another length."""
        for _ in range(for_us // turn):
            self.wall += turn
            self.monotonic_s += turn / 1_000_000
            self.beat()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A store of a process whose clock is right."""
    return Kept(tmp_path / "m.db")


def horizon(store: SqliteStore) -> int:
    """Return the time before which facts are gone."""
    return asked(store, lambda m: m.horizon)


@pytest.mark.parametrize("by", [WRONG, -WRONG])
def test_a_wrong_minute_removes_nothing(kept: Kept, by: int) -> None:
    """Facts, their ids, deltas and history stay, what is written meanwhile is kept, and all goes on as before."""
    old = [event(f"e{day}", ts=NOON - day * DAY) for day in range(RETENTION_DAYS + 1)]
    kept.store.accept(old)
    delta = replace(point(3.0, NOON, start=NOON - MINUTE, instance="d"), delta=True)
    assert kept.store.ingest([delta, point(1.0)]).accepted == 2
    assert kept.store.sweep(kept.wall) == 0
    kept.wall += by
    assert kept.store.sweep(kept.wall) == 0  # by the first reading, before any heartbeat
    kept.run(MINUTE)
    meanwhile: list[Record] = [event("meanwhile", ts=kept.wall), inference("too", kept.wall)]
    assert kept.store.accept(meanwhile) == [ACCEPTED] * 2
    assert kept.store.sweep(kept.wall) == 0
    assert kept.opened().sweep(kept.wall) == 0
    kept.wall -= by
    kept.run(MINUTE)
    assert kept.store.accept(old) == [DUPLICATE] * (RETENTION_DAYS + 1)
    assert kept.store.accept(meanwhile) == [DUPLICATE if by > 0 else TOO_OLD] * 2
    assert kept.store.ingest([delta]).duplicate == 1
    assert kept.store.accept([event("later", ts=kept.wall)]) == [ACCEPTED]
    kept.run(HOUR)
    assert kept.store.sweep(kept.wall + DAY) == (1 if by > 0 else 3)


def test_a_clock_that_is_behind_refuses_nothing_of_its_own(kept: Kept) -> None:
    """What it stamps is recent, whatever the horizon; what is as old by any other clock is refused as ever."""
    kept.store.accept([event("a"), event("old", ts=NOON - 20 * DAY)])
    assert kept.store.sweep(kept.wall) == 1
    kept.wall = 1_000 * DAY
    kept.run(MINUTE)
    assert kept.store.accept([event("now", ts=kept.wall), event("b", ts=NOON - 20 * DAY)]) == [ACCEPTED, TOO_OLD]


def test_a_store_that_slept_three_weeks(kept: Kept) -> None:
    """It sweeps again after a day of running, and not before."""
    kept.store.accept([event("a")])
    kept.wall += 21 * DAY
    kept.run(23 * HOUR, 10 * MINUTE)
    assert (kept.beat(), kept.store.sweep(kept.wall)) == (False, 0)
    kept.run(HOUR + 10 * MINUTE, 10 * MINUTE)
    assert (kept.beat(), kept.store.sweep(kept.wall)) == (True, 1)


def test_confirming_the_clock(kept: Kept) -> None:
    """Somebody who has looked at it need not wait for a day."""
    kept.store.accept([event("a")])
    kept.wall += 21 * DAY
    kept.run(MINUTE)
    assert kept.store.doubts_clock()
    with kept.store._database.write() as connection:
        clock.confirm(connection, kept.wall)
    assert kept.beat()
    assert not kept.store.doubts_clock()
    assert kept.store.sweep(kept.wall) == 1


def test_leases_run_out_by_the_believed_time(kept: Kept) -> None:
    """Of two processes whose clock is set, the one that holds a lease keeps it, and one that is gone loses it."""
    lasts = 45 * SECOND
    assert kept.store.take_lease("k", "1", kept.wall, kept.wall + lasts)
    kept.wall += WRONG
    for _ in range(4):
        kept.run(TURN)
        assert not kept.store.take_lease("k", "2", kept.wall, kept.wall + lasts)
        assert kept.store.take_lease("k", "1", kept.wall, kept.wall + lasts)
    kept.wall -= WRONG
    assert not kept.store.take_lease("k", "2", kept.wall, kept.wall + lasts)
    kept.wall += WRONG
    kept.run(MINUTE)
    assert kept.store.take_lease("k", "2", kept.wall, kept.wall + lasts)


def test_an_erasure_by_a_wrong_clock(kept: Kept) -> None:
    """A replay stays refused, and somebody new under the id is not, once the clock is right."""
    erased = event("a", "ann", NOON - DAY)
    kept.store.accept([erased])
    kept.wall += WRONG
    kept.run(MINUTE)
    by_it = event("b", "ann", kept.wall)
    kept.store.accept([by_it])
    kept.store.erase("ann", kept.wall)
    assert kept.store.accept([erased, by_it, event("c", "ann", kept.wall - SECOND)]) == [ERASED] * 3
    kept.wall -= WRONG
    kept.run(MINUTE)
    assert kept.store.accept([erased, by_it]) == [ERASED] * 2
    kept.run(MINUTE)
    assert kept.store.accept([event("d", "ann", kept.wall)]) == [ACCEPTED]


def test_an_erasure_by_a_clock_that_is_behind(kept: Kept) -> None:
    """It erases what was before it by the believed time."""
    kept.wall -= WRONG
    kept.run(MINUTE)
    kept.store.erase("ann", kept.wall)
    assert kept.store.accept([event("queued elsewhere", "ann", NOON - DAY)]) == [ERASED]


def test_services_by_a_wrong_clock(kept: Kept) -> None:
    """It proves no heartbeat, and no registration moves to a time long before there was any."""
    kept.store.register_service(HERE.environment, "api", 99.9, NOON)
    kept.wall -= WRONG
    kept.run(TURN)
    kept.store.beat(HERE.environment, kept.wall)
    kept.store.register_service(HERE.environment, "api", 99.0, kept.wall)
    (history,) = asked(kept.store, lambda m: m.services.histories(0))
    assert history.service == RegisteredService("api", NOON, 99.0)
    assert all(first >= NOON for first, _ in history.heartbeats)


def test_a_horizon_that_is_ahead_is_set_back(kept: Kept) -> None:
    """To the oldest fact, or to now where none is left: what comes from then on is taken again."""
    for found, left in ((event("a", ts=NOON - 3 * DAY), NOON - 3 * DAY), (None, None)):
        if found is None:
            kept.store._sweeper._purge(NOON + DAY)
        else:
            kept.store.accept([found])
        with kept.store._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('horizon', ?)", (str(NOON + 400 * DAY),))
        assert kept.store.accept([event("refused")]) == [TOO_OLD]
        kept.run(TURN)
        assert horizon(kept.store) == (kept.wall if left is None else left)
        assert kept.store.accept([event(f"{left}", ts=kept.wall)]) == [ACCEPTED]


def test_a_store_of_an_older_version(kept: Kept) -> None:
    """Its heartbeats of services tell when it was used last; one around now is enough, wrong ones beside it or not."""

    def older(*heartbeats: tuple[int, int]) -> bool:
        with kept.store._database.write() as connection:
            connection.execute("DELETE FROM meta WHERE key = 'clock'")
            connection.execute("DELETE FROM heartbeats")
            connection.executemany("INSERT INTO heartbeats VALUES ('', ?, ?)", heartbeats)
        return kept.beat()

    assert older()
    assert older((NOON - DAY, NOON - HOUR), (NOON + WRONG, NOON + WRONG))
    assert not older((NOON - 30 * DAY, NOON - 20 * DAY))
    assert not older((NOON + WRONG, NOON + WRONG))


def test_streams_are_left_alone_until_each_has_spoken_by_the_right_clock(kept: Kept) -> None:
    """One that said its last word by a clock long behind would be taken for one that ended, and counted twice."""
    kept.wall -= WRONG
    kept.run(MINUTE)
    kept.store.ingest([point(5.0, kept.wall, start=1)])
    kept.wall += WRONG
    kept.beat()
    kept.store.sweep(kept.wall)
    with kept.store._database.read() as connection:
        assert connection.execute("SELECT count(*) FROM stream WHERE instance <> ''").fetchone() == (1,)
    kept.run(HOUR)
    kept.store.sweep(kept.wall)
    with kept.store._database.read() as connection:
        assert connection.execute("SELECT count(*) FROM stream WHERE instance <> ''").fetchone() == (0,)
