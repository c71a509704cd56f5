"""Watched services in SQLite: heartbeats as runs, states in any order, and what retention leaves."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.heartbeats import LONGEST_GAP_US
from otel_measure.infrastructure.availability import Availability, Transition, availability, gaps
from otel_measure.records.kinds import Maintenance, ServiceState
from otel_measure.store.protocol import Store
from otel_measure.store.types.services import RegisteredService, ServiceHistory, StateChange, WatchRun
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON, SECOND
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store in memory."""
    return engine.open()


def state(id: str, ts: int, state: str = "down", service: str = "api", reason: str | None = None) -> ServiceState:
    """A recorded state."""
    return ServiceState(id=id, ts=ts, origin=HERE, service=service, state=state, reason=reason)


def watched_by(beats: set[int]) -> list[tuple[int, int]]:
    """Return what beats vouch for: from each to the next one that came in time."""
    return [(a, b) for a, b in pairwise(sorted(beats)) if b - a <= LONGEST_GAP_US]


def history(store: Store, start: int = 0, name: str = "api") -> ServiceHistory:
    """What the store knows of one service."""
    (found,) = asked(store, lambda m: m.services.histories(start, name))
    return found


def reckoned(found: ServiceHistory, start: int, now: int) -> Availability:
    """The availability over [start, now)."""
    return availability(
        "api",
        registered_us=found.service.registered,
        transitions=[
            Transition(c.at, "up" if c.state == "up" else "down", c.reason, c.event_id) for c in found.changes
        ],
        unwatched=gaps(found.heartbeats, start, now),
        now_us=now,
        window_s=(now - start) / SECOND,
    )


def test_register_is_idempotent_and_sets_the_target(store: Store) -> None:
    """Registering again keeps the first registration and takes the new target; services come sorted by name."""
    assert store.register_service(HERE.environment, "b", 99.9, NOON) == RegisteredService("b", NOON, 99.9)
    assert store.register_service(HERE.environment, "a", 99.0, NOON) == RegisteredService("a", NOON, 99.0)
    assert store.register_service(HERE.environment, "b", 95.0, NOON + DAY) == RegisteredService("b", NOON, 95.0)
    assert [h.service for h in asked(store, lambda m: m.services.histories(0))] == [
        RegisteredService("a", NOON, 99.0),
        RegisteredService("b", NOON, 95.0),
    ]
    assert asked(store, lambda m: m.services.histories(0, "c")) == []


def test_a_registration_in_the_future_moves_back(store: Store) -> None:
    """A clock that was ahead at registration does not leave the time until then unwatched."""
    store.register_service(HERE.environment, "api", 99.9, NOON + HOUR)
    store.beat(HERE.environment, NOON)
    assert [h.service for h in asked(store, lambda m: m.services.histories(0))] == [
        RegisteredService("api", NOON, 99.9)
    ]


def test_history_tells_what_was_recorded(store: Store) -> None:
    """States come ascending by time and id with reasons, those of other services and earlier outages left out."""
    store.register_service(HERE.environment, "api", 99.9, NOON)
    store.accept(
        [
            state("d", NOON + 9, "up"),
            state("c", NOON + 5, reason="disk"),
            state("b", NOON + 5, "up"),
            state("a", NOON + 1),
            state("x", NOON + 7, service="db"),
        ]
    )
    changes = (
        StateChange(NOON + 1, "down", None, "a"),
        StateChange(NOON + 5, "up", None, "b"),
        StateChange(NOON + 5, "down", "disk", "c"),
        StateChange(NOON + 9, "up", None, "d"),
    )
    assert history(store).changes == changes
    assert history(store, NOON + 8).changes == changes  # what touches is one outage, which lasts at +8
    assert history(store, NOON + 9).changes == changes[-1:]


@given(beats=st.lists(st.integers(0, 20).map(lambda n: n * 20 * SECOND), min_size=1, max_size=15), rng=st.randoms())
def test_runs_depend_on_the_set_of_beats_alone(engine: EngineCase, beats: list[int], rng: random.Random) -> None:
    """In any order, and repeated, heartbeats give the intervals between those that follow each other in time."""
    store = engine.open()
    store.register_service(HERE.environment, "api", 99.9, beats[0])
    for beat in rng.sample(beats, len(beats)) + rng.sample(beats, len(beats) // 2):
        store.beat(HERE.environment, beat)
    watched = history(store).heartbeats
    end = 500 * SECOND
    assert gaps(watched, 0, end) == gaps(watched_by(set(beats)), 0, end)
    assert all(later - last > LONGEST_GAP_US for (_, last), (later, _) in pairwise(watched))
    store.close()


@given(beats=st.lists(st.integers(0, 20).map(lambda n: n * 20 * SECOND), min_size=1, max_size=15), rng=st.randoms())
def test_watches_are_runs_of_their_own(engine: EngineCase, beats: list[int], rng: random.Random) -> None:
    """In any order the beats of a watched service are runs as those of a process are, and first of all since when."""
    store = engine.open()
    for name in ("api", "db"):
        store.register_service(HERE.environment, name, 99.9, 0)
    for beat in rng.sample(beats, len(beats)) + rng.sample(beats, len(beats) // 2):
        store.beat(HERE.environment, beat, ["api"])
    api = history(store)
    assert api.watched_since == min(beats)
    assert gaps([run[:2] for run in api.watches], 0, 500 * SECOND) == gaps(watched_by(set(beats)), 0, 500 * SECOND)
    assert (history(store, name="db").watched_since, history(store, name="db").watches) == (None, ())
    store.close()


def test_a_watch_that_is_given_up_is_over(store: Store) -> None:
    """Until somebody who watches too tells of it; a later watch is a run of its own."""
    store.register_service(HERE.environment, "api", 99.9, NOON)
    store.beat(HERE.environment, NOON, ["api"])
    store.end_watch(HERE.environment, "api", NOON + 10 * SECOND)
    assert history(store).watches == (WatchRun(NOON, NOON + 10 * SECOND, True),)
    store.beat(HERE.environment, NOON + 15 * SECOND, ["api"])
    assert history(store).watches == (WatchRun(NOON, NOON + 15 * SECOND, False),)
    store.end_watch(HERE.environment, "api", NOON + 20 * SECOND)
    store.beat(HERE.environment, NOON + HOUR, ["api"])
    assert history(store).watches == (
        WatchRun(NOON, NOON + 20 * SECOND, True),
        WatchRun(NOON + HOUR, NOON + HOUR, False),
    )


def test_planned_time_is_told_of_its_service(store: Store) -> None:
    """From the start that is asked for on, beside that of others."""
    for name in ("api", "db"):
        store.register_service(HERE.environment, name, 99.9, NOON)
    planned = [(NOON - HOUR, NOON), (NOON + HOUR, NOON + 2 * HOUR)]
    store.accept(
        [
            Maintenance(id=f"m{n}", ts=NOON, origin=HERE, service=name, start_us=start, end_us=end)
            for n, (name, (start, end)) in enumerate([*(("api", one) for one in planned), ("db", planned[0])])
        ]
    )
    assert sorted(history(store).planned) == planned
    assert history(store, NOON).planned == (planned[1],)
    assert history(store, name="db").planned == (planned[0],)


def test_retention_leaves_since_when_a_service_is_watched(engine: EngineCase) -> None:
    """Where its watches are gone nobody looked, though heartbeats are there."""
    store = engine.open(retention_days=10)
    store.register_service(HERE.environment, "api", 99.9, NOON)
    store.beat(HERE.environment, NOON, ["api"])
    store.sweep(NOON + 20 * DAY)
    assert (history(store).watched_since, history(store).watches) == (NOON, ())
    store.close()


_states = st.lists(
    st.tuples(st.integers(0, 3000), st.sampled_from(["up", "down"])).map(lambda s: (NOON + s[0] * SECOND, s[1])),
    max_size=12,
)
_beats = st.lists(st.integers(0, 3000).map(lambda second: NOON + second * SECOND), max_size=30)


@given(states=_states, beats=_beats, rng=st.randoms(), start=st.integers(0, 3500))
def test_order_batches_and_duplicates_do_not_matter(
    engine: EngineCase, states: list[tuple[int, str]], beats: list[int], rng: random.Random, start: int
) -> None:
    """The same states, late, repeated, in any batches, and a history cut at the window, give the same availability."""
    now, begin = NOON + 3600 * SECOND, NOON + start * SECOND
    recorded = [state(f"{i:02}", ts, what) for i, (ts, what) in enumerate(states)]
    straight, shuffled = engine.open(), engine.open()
    for store in (straight, shuffled):
        store.register_service(HERE.environment, "api", 99.9, NOON)
    straight.accept(recorded)
    for beat in sorted(beats):
        straight.beat(HERE.environment, beat)
    left = rng.sample(recorded, len(recorded)) + rng.sample(recorded, len(recorded) // 2)
    while left:
        size = rng.randint(1, 5)
        shuffled.accept(left[:size])
        left = left[size:]
    for beat in rng.sample(beats, len(beats)):
        shuffled.beat(HERE.environment, beat)
    expected = reckoned(history(straight), begin, now)
    assert repr(reckoned(history(shuffled), begin, now)) == repr(expected)
    assert repr(reckoned(history(shuffled, begin), begin, now)) == repr(expected)
    for store in (straight, shuffled):
        store.close()


def test_retention_leaves_an_outage_that_lasts(engine: EngineCase) -> None:
    """Of states beyond retention the beginning of a lasting outage stays; time beyond it is unknown, not up."""
    store = engine.open(retention_days=10)
    store.register_service(HERE.environment, "api", 99.9, NOON)
    store.register_service(HERE.environment, "db", 99.9, NOON)
    for minute in range(0, 20 * 24 * 60):
        store.beat(HERE.environment, NOON + minute * MINUTE // 2)  # a beat each 30 s, for ten days
    store.accept([state("1", NOON), state("2", NOON + HOUR, "up"), state("3", NOON + 2 * HOUR, reason="disk")])
    store.accept([state("4", NOON, service="db"), state("5", NOON + HOUR, "up", service="db")])
    now = NOON + 15 * DAY
    assert store.sweep(now) == 4
    horizon = NOON - 12 * HOUR + 5 * DAY
    assert history(store).changes == (StateChange(NOON + 2 * HOUR, "down", "disk", "3"),)
    assert history(store, name="db").changes == ()
    assert history(store).heartbeats == ((horizon, NOON + 10 * DAY - MINUTE // 2),)
    assert reckoned(history(store), NOON, now).downtime_seconds == 15 * 86_400 - 7200
    assert store.sweep(now) == 0
    store.accept([state("6", NOON + 12 * DAY, "up")])
    assert store.sweep(NOON + 30 * DAY) == 2
    assert history(store).changes == ()
    assert history(store).heartbeats == ()
    store.close()
