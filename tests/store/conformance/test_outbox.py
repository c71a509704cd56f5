"""The outbox: what was accepted leaves in that order, in whole batches, until it is removed."""

from __future__ import annotations

import pytest

from otel_measure.records.kinds import Record
from otel_measure.store.protocol import Store
from tests.facts import NOON, event, inference, one_of_each
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store whose facts are to leave."""
    return engine.open(outbox=True)


def leave(store: Store, limit: int = 1000) -> list[Record]:
    """Take out all that waits, batch by batch."""
    found: list[Record] = []
    while (batch := asked(store, lambda m: m.outbox.next(limit))) is not None:
        found += batch.records
        store.remove_sent(batch)
    return found


def test_every_accepted_fact_leaves_once(store: Store) -> None:
    """Of every kind, as it was accepted; a duplicate does not leave again."""
    store.accept(one_of_each())
    store.accept(one_of_each())
    assert asked(store, lambda m: m.outbox.length()) == len(one_of_each())
    assert sorted(leave(store), key=repr) == sorted(one_of_each(), key=repr)
    assert (asked(store, lambda m: m.outbox.length()), asked(store, lambda m: m.outbox.next(10))) == (0, None)


def test_what_was_not_confirmed_leaves_again(store: Store) -> None:
    """In the order in which it was accepted, whole transactions at a time."""
    for n in range(5):
        store.accept([event(f"{n}{i}") for i in range(3)])
    first = asked(store, lambda m: m.outbox.next(7))
    assert first is not None
    assert [record.id for record in first.records] == ["00", "01", "02", "10", "11", "12"]
    assert asked(store, lambda m: m.outbox.next(7)) == first
    large = asked(store, lambda m: m.outbox.next(1))
    assert large is not None
    assert len(large.records) == 3
    assert len(leave(store, 7)) == 15


def test_many_facts_of_one_transaction(store: Store) -> None:
    """More than one question to the table."""
    store.accept([inference(f"{n:05}") for n in range(1200)])
    assert len(leave(store)) == 1200


def test_what_is_gone_does_not_leave(store: Store) -> None:
    """Retention and erasure are the bound of the spool."""
    store.accept([event("a", "u"), event("b", "v")])
    store.erase("u", NOON)
    assert [record.id for record in leave(store)] == ["b"]


def test_a_rebuild_sends_nothing_again(store: Store) -> None:
    """It is no new acceptance; nor does it forget what waits."""
    store.accept([event("a")])
    leave(store)
    store.accept([event("b")])
    store.rebuild()
    assert [record.id for record in leave(store)] == ["b"]


def test_without_an_endpoint_nothing_waits(engine: EngineCase) -> None:
    """The store notes nothing."""
    store = engine.open()
    store.accept([event("a")])
    assert asked(store, lambda m: m.outbox.length()) == 0
    store.close()
