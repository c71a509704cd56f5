"""`/metrics` and the outbox of a store on ClickHouse: what SQLite shows, in every process, whoever ended in between."""

from __future__ import annotations

import pytest

from otel_measure.conventions import instruments
from otel_measure.definitions.exposition import Family
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse import outbox
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.sweeping import AgeSweeper
from otel_measure.store.clickhouse.upkeep import RemovalNotes
from otel_measure.store.clickhouse.writing import FactWriter
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, NOON, event, inference, one_of_each
from tests.store.asking import asked
from tests.store.clickhouse.storing import DEFINITIONS, new_store

pytestmark = pytest.mark.e2e


def opened(server: ClickHouseServer, name: str, *, notes_outbox: bool = False) -> ClickHouseStore:
    """Return a store on a database, as one more process opens it."""
    database = ClickHouseDatabase.of_url(server.url(name))
    return closed_later(ClickHouseStore(database, DEFINITIONS, notes_outbox=notes_outbox, now_us=lambda: NOON))


def shown(store: Store) -> list[Family]:
    """Return what a store exposes."""
    return asked(store, lambda m: m.streams.families(NOON))


def test_every_process_shows_what_sqlite_shows(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first series in the order in which they were accepted, the later ones as one; erased facts still count."""
    monkeypatch.setattr(instruments, "EXPOSED_ATTRIBUTE_SETS", 3)
    name = new_store(clickhouse).name
    one, other = opened(clickhouse, name), opened(clickhouse, name)
    sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    batches: list[list[Record]] = [
        [inference(f"a{n}", model=f"m{9 - n}", latency_ms=n + 0.5, cost_usd=0.1 * n, user_id="u") for n in range(3)],
        [event("e", "u"), inference("b", model="m8"), inference("c", model="z"), inference("d", model="b")],
        [*one_of_each(), inference("f", model="a", input_tokens=10**15), event("g", "v", type="login")],
    ]
    for n, batch in enumerate(batches):
        for store in (sqlite, (one, other)[n % 2]):
            store.accept(batch)
        assert shown(one) == shown(other) == shown(sqlite)
    for store in (sqlite, other):
        store.erase("u", NOON)
    assert shown(one) == shown(other) == shown(opened(clickhouse, name)) == shown(sqlite)


def test_totals_stay_while_facts_are_removed(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, between every two steps of a removal, and afterwards they are the same."""
    name = new_store(clickhouse).name
    one, other = opened(clickhouse, name), opened(clickhouse, name)
    one.accept([inference("old", NOON - 9 * DAY), event("e", "u", NOON - 9 * DAY), inference("new")])
    before = shown(other)
    looks = []

    def looking(sweeper: AgeSweeper, *of: str) -> None:
        looks.append(shown(other))
        drop(sweeper, *of)
        looks.append(shown(other))

    drop = AgeSweeper._drop
    monkeypatch.setattr(AgeSweeper, "_drop", looking)
    sweeper = AgeSweeper(one._database, RemovalNotes(one._state))
    assert sweeper.remove_before(DEFINITIONS.day_of(NOON)) == 2
    assert looks == [before] * 4
    assert shown(one) == shown(other) == before


def test_an_answer_without_what_was_just_removed_is_none(clickhouse: ClickHouseServer) -> None:
    """A process that has not heard of a removal yet says so, and does not show a counter that fell."""
    name = new_store(clickhouse).name
    one, other = opened(clickhouse, name), opened(clickhouse, name)
    one.accept([inference("old", NOON - 9 * DAY)])
    with other.asking() as moment:
        AgeSweeper(one._database, RemovalNotes(one._state)).remove_before(DEFINITIONS.day_of(NOON))
        with pytest.raises(StoreUnavailable, match="ask again"):
            moment.streams.families(NOON)
    assert shown(other) == shown(one) != []


def test_series_that_nobody_named_are_shown_when_asked_again(clickhouse: ClickHouseServer) -> None:
    """Facts that lie there without a word in the log, as of a version that measured less."""
    database = new_store(clickhouse)
    FactWriter(database, DEFINITIONS, lambda: NOON).accept([event("e"), inference("i")])
    store = opened(clickhouse, database.name)
    assert shown(store) == []
    sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    sqlite.accept([event("e"), inference("i")])
    assert shown(store) == shown(sqlite)


def _end(*_: object) -> None:
    raise StoreUnavailable("clickhouse", "the process ends", "")


def test_what_a_process_stored_and_did_not_note_leaves_all_the_same(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended in between: others find what is there after some minutes, once; what it did not store is not there."""
    name = new_store(clickhouse).name
    one, other = (opened(clickhouse, name, notes_outbox=True) for _ in range(2))
    with monkeypatch.context() as patched:
        patched.setattr(outbox.LeavingFacts, "note", lambda *_: None)
        one.accept([event("stored"), inference("call"), *one_of_each()[-3:]])
        patched.setattr(FactWriter, "_insert", _end)
        with pytest.raises(StoreUnavailable):
            one.accept([event("lost")])
    assert asked(other, lambda m: m.outbox.length()) == 0
    other.keep_time(NOON + DAY // 2)
    one.keep_time(NOON + DAY // 2)
    batch = asked(other, lambda m: m.outbox.next(100))
    assert batch is not None
    assert sorted(record.id for record in batch.records) == ["call", "m", "s", "stored", "v"]
    one.remove_sent(batch)
    other.keep_time(NOON + DAY)
    assert asked(other, lambda m: m.outbox.next(100)) is None
