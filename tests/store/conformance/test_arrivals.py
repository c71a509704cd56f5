"""What came by OTLP, by who sent it and what became of it."""

from __future__ import annotations

import pytest

from otel_measure.definitions.arrivals import OTHERS, Arrival, ArrivalSource
from otel_measure.records.kinds import Origin
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import arrivals
from tests.facts import HOUR, MINUTE, NOON
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

SHOP = ArrivalSource("shop", "prod", "python", "openai")
CALLS, PLAIN = Arrival(SHOP, "traces", "call", ""), Arrival(SHOP, "traces", "ignored", "no_model_call")

OTHER = Arrival(ArrivalSource("other", "prod", "", ""), "logs", "ignored", "no_event")


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store."""
    return engine.open()


def test_what_came_adds_up(store: Store) -> None:
    """Over words and slots of five minutes, from the time on that is asked about."""
    store.note_arrivals({CALLS: 2, PLAIN: 1}, NOON - 30 * MINUTE)
    store.note_arrivals({CALLS: 3}, NOON - 30 * MINUTE)
    store.note_arrivals({CALLS: 4}, NOON)
    assert asked(store, lambda m: dict(m.streams.arrived(NOON - HOUR))) == {CALLS: 9, PLAIN: 1}
    assert asked(store, lambda m: dict(m.streams.arrived(NOON - MINUTE))) == {CALLS: 4}


def test_when_anything_came_of_a_service_last(store: Store) -> None:
    """Whatever became of it, to five minutes."""
    store.note_arrivals({CALLS: 2, OTHER: 1}, NOON - 30 * MINUTE)
    store.note_arrivals({PLAIN: 1}, NOON + 7 * MINUTE)
    of_shop, of_other = Origin("shop", "prod"), Origin("other", "prod")
    assert asked(store, lambda m: m.streams.last_arrivals(NOON - HOUR)) == {
        of_shop: NOON + 5 * MINUTE,
        of_other: NOON - 30 * MINUTE,
    }
    assert asked(store, lambda m: m.streams.last_arrivals(NOON)) == {of_shop: NOON + 5 * MINUTE}


def test_what_came_hours_ago_is_forgotten(store: Store) -> None:
    """With the next sweep, and so is what a clock that is hours ahead said."""
    store.note_arrivals({CALLS: 1}, NOON)
    store.note_arrivals({PLAIN: 1}, NOON + 4 * HOUR)
    store.sweep(NOON + 2 * HOUR)
    assert asked(store, lambda m: dict(m.streams.arrived(0))) == {CALLS: 1}
    store.sweep(NOON + 2 * HOUR + 5 * MINUTE)
    assert asked(store, lambda m: dict(m.streams.arrived(0))) == {}


def test_senders_without_number_are_counted_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes up names fills no disk, and those that are known are counted on."""
    monkeypatch.setattr(arrivals, "MAX_ROWS", 3)
    store.note_arrivals({CALLS: 1}, NOON)
    for n in range(10):
        store.note_arrivals({Arrival(SHOP._replace(service=f"s{n}"), "logs", "rejected", "a rule"): 1}, NOON)
    store.note_arrivals({CALLS: 1}, NOON)
    arrived = asked(store, lambda m: dict(m.streams.arrived(NOON)))
    assert (len(arrived), arrived[CALLS], sum(arrived.values())) == (4, 2, 12)
    assert arrived[Arrival(OTHERS, "logs", "rejected", "")] == 8
