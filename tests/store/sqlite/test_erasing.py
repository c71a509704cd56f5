"""An erasure while others write, and one whose process ends in the middle of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.records.kinds import NpsResponse, Record
from otel_measure.store.sqlite import SqliteStore, facts, identity
from otel_measure.store.types.facts import ACCEPTED, ERASED
from tests.closing import closed_later
from tests.facts import HERE, MINUTE, NOON, event, inference
from tests.store.asking import asked
from tests.store.sqlite.concurrently import rolled_up

OTHERS = (event("other", "alice"), inference("call of alice", user_id="alice"))
OF_BOB: tuple[Record, ...] = (
    event("anonymous", "visitor"),
    event("1", "bob", NOON - MINUTE),
    event("2", "bob", background=True),
    NpsResponse(id="answer", ts=NOON, origin=HERE, user_id="bob", survey="s", score=9, comment=""),
    inference("call", user_id="bob"),
)


def opened(path: Path, records: Sequence[Record] = (), *, notes_outbox: bool = False) -> SqliteStore:
    """Open a store, whose visitor is Bob, with some facts."""
    store = closed_later(SqliteStore(str(path), notes_outbox=notes_outbox))
    store.identify("visitor", "bob")
    store.accept(records)
    return store


def test_nobody_waits_while_facts_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write meanwhile; what comes under the ids of the person then is a replay, or of somebody new."""
    store = opened(tmp_path / "m.db", [*OTHERS, *OF_BOB])
    told = list[object]()
    whose = facts.whose

    def writing(connection: sqlite3.Connection, table: facts.Table, *rest: object) -> object:
        if table is facts.INFERENCE and not told:
            late, later = event("late", "bob", NOON), event("later", "bob", NOON + 2 * MINUTE)
            with closing(sqlite3.connect(store.path, timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")
            told.extend(store.accept([event("between", "alice"), late, later]))
        return whose(connection, table, *rest)  # type: ignore[arg-type] # whatever it is called with

    monkeypatch.setattr(facts, "whose", writing)
    erasure = store.erase("bob", NOON + MINUTE)
    assert told == [ACCEPTED, ERASED, ACCEPTED]
    assert (erasure.ids, erasure.events, erasure.nps_responses, erasure.inferences) == (2, 3, 1, 1)
    fresh = opened(tmp_path / "fresh.db", [*OTHERS, *OF_BOB, event("between", "alice")])
    fresh.erase("bob", NOON + MINUTE)
    fresh.accept([event("later", "bob", NOON + 2 * MINUTE)])
    assert rolled_up(store) == rolled_up(fresh)
    assert [fact.attributes["log.record.uid"] for fact in store.export("bob").facts] == ["later"]


def test_a_process_that_ends_in_the_middle(tmp_path: Path) -> None:
    """Another one goes on, once nobody can be at it any more; until then nothing of the person leaves, or is lost."""
    store = opened(tmp_path / "m.db", [*OTHERS, *OF_BOB], notes_outbox=True)
    with store._transaction() as transaction:
        receipt, _ = identity.begin(transaction, "visitor", NOON + MINUTE)
    store.close()
    again = closed_later(SqliteStore(str(tmp_path / "m.db"), notes_outbox=True))
    batch = asked(again, lambda m: m.outbox.next(100))
    assert batch is not None
    assert sorted(record.id for record in batch.records) == ["call", "call of alice", "other"]
    assert len(again.export("bob").facts) == len(OF_BOB)
    assert not again.clear_erased(NOON + 2 * MINUTE)
    assert len(again.export("bob").facts) == len(OF_BOB)
    while again.clear_erased(NOON + 12 * MINUTE):
        pass
    state = again.erasure(receipt)
    assert state is not None
    assert state.bytes_cleared
    assert again.export("bob").facts == again.export("visitor").facts == ()
    fresh = opened(tmp_path / "fresh.db", [*OTHERS, *OF_BOB])
    fresh.erase("bob", NOON + MINUTE)
    assert rolled_up(again) == rolled_up(fresh)
