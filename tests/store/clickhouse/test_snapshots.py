"""Snapshots of the small state: whoever begins at one has what those have who read the whole log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from otel_measure.store.clickhouse import snapshots
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.types.facts import ERASED
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HOUR, NOON, event, inference
from tests.store.clickhouse.storing import DEFINITIONS, new_store
from tests.waiting import until

pytestmark = pytest.mark.e2e


@pytest.fixture
def url(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a place of a store, whose log keeps no entry that is in a snapshot."""
    monkeypatch.setattr(snapshots, "KEPT_S", 0)
    return clickhouse.url(new_store(clickhouse).name)


def opened(url: str, monotonic: Callable[[], float] = lambda: 0.0) -> ClickHouseStore:
    """Open the store that is there; the end of the test closes it."""
    database = closed_later(ClickHouseDatabase.of_url(url))
    return closed_later(ClickHouseStore(database, DEFINITIONS, now_us=lambda: NOON, monotonic=monotonic))


def state_of(store: ClickHouseStore) -> list[str]:
    """Return all that the small state has, as SQL."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(store._state.snapshot().contents)
        return list(connection.iterdump())


def happen(store: ClickHouseStore, n: int) -> None:
    """Have something happen to everything small."""
    store.register_service("test", f"shop{n}", 0.99, NOON + n)
    store.identify(f"visitor{n}", "ann")
    store.take_lease("sweep", f"web-{n}", NOON, NOON + HOUR)
    store.accept([inference(f"i{n}", model=f"m{n}", user_id="ann"), event(f"e{n}", f"visitor{n}")])


def log_of(store: ClickHouseStore) -> list[str]:
    """Return the names of what stands in the log."""
    rows = store._database.rows("SELECT name FROM {db}.log ORDER BY _block_number, _block_offset")
    return [name for (name,) in rows]


def test_a_start_begins_at_the_newest_snapshot(url: str) -> None:
    """The log is short, and whoever starts knows all that was ever said; doing it again changes nothing."""
    store = opened(url)
    for n in range(3):
        happen(store, n)
        store.take_snapshot()
        store.take_snapshot()
        assert len(log_of(store)) == 1
    happen(store, 3)
    assert "SeeNames" in log_of(store)
    assert state_of(opened(url)) == state_of(store)
    assert opened(url).identify("visitor2", "bob") == "refused"


def test_who_slept_begins_at_the_newest_snapshot(url: str) -> None:
    """Entries that it has not read may be gone: it has the state of all, and what it says itself is done."""
    now_s = [0.0]
    store, sleeper = opened(url), opened(url, lambda: now_s[0])
    happen(store, 0)
    assert state_of(sleeper) == state_of(store)
    happen(store, 1)
    store.take_snapshot()
    now_s[0] += 400.0
    assert sleeper.identify("visitor1", "bob") == "refused"
    happen(store, 2)
    assert state_of(sleeper) == state_of(store)


def test_a_snapshot_of_many_chunks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there when its last chunk is; one that was left half-way is none."""
    monkeypatch.setattr(snapshots, "_CHUNK_BYTES", 100_000)
    store = opened(url)
    happen(store, 0)
    store.take_snapshot()
    whole = store._snapshots.newest()
    assert whole == store._state.snapshot()
    chunk: dict[str, list[object]] = {
        "id": [1],
        "block": [9999],
        "place": [0],
        "number": [0],
        "is_last": [0],
        "contents": [b"half"],
    }
    store._database.insert("snapshot", chunk)
    assert store._snapshots.newest() == whole


def test_an_erasure_is_done_when_log_and_snapshots_are_without_the_person(url: str) -> None:
    """Until then its receipt says so; others are as they were, and a replay is refused by who starts afterwards."""
    store = opened(url)
    happen(store, 0)
    store.take_snapshot()
    receipt = store.erase("ann", NOON + DAY).receipt
    told = store.erasure(receipt)
    assert told is not None
    assert not told.bytes_cleared
    happen(store, 5)

    def is_cleared() -> bool:
        store.clear_erased(NOON + DAY)
        state = store.erasure(receipt)
        return state is not None and state.bytes_cleared

    until(is_cleared)
    assert [name for name in log_of(store) if name in ("Erase", "IdentifyUser")] == []
    newest = store._snapshots.newest()
    assert newest is not None
    assert b"visitor0" not in newest.contents
    assert opened(url).accept([event("again", "visitor0")]) == [ERASED]
