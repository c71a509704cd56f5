"""Running totals of facts on two shards: those of SQLite, in every process, whatever becomes of the facts."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.definitions.exposition import Family
from otel_measure.records.kinds import Record
from otel_measure.runtime import Runtime
from otel_measure.store.clickhouse import parts
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.sweeping import AgeSweeper
from otel_measure.store.clickhouse.upkeep import RemovalNotes
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.testing import Clock
from tests.clickhouse_shards import Shards
from tests.closing import closed_later
from tests.facts import DAY, HOUR, NOON, event, inference
from tests.store.asking import asked
from tests.store.clickhouse.storing import DEFINITIONS
from tests.store.clickhouse.test_part_sums import RowsRead, write_at_once
from tests.waiting import until

pytestmark = pytest.mark.e2e


@pytest.fixture
def url(shards: Shards) -> str:
    """Return the place of a store on both, which is there."""
    url = shards.new_url()
    with ClickHouseDatabase.of_url(url) as database:
        create(database, DEFINITIONS)
    return url


def opened(url: str) -> ClickHouseStore:
    """Return a store, as one more process opens it."""
    database = closed_later(ClickHouseDatabase.of_url(url))
    return closed_later(ClickHouseStore(database, DEFINITIONS, now_us=lambda: NOON))


def shown(store: Store) -> list[Family]:
    """Return what a store exposes."""
    return asked(store, lambda m: m.streams.families(NOON))


def facts(name: str, at: int) -> list[Record]:
    """Return facts of many users and of nobody, some of each on either shard."""
    return [
        *(event(f"{name}e{n}", f"u{n % 9}", at + n * HOUR // 9) for n in range(20)),
        *(inference(f"{name}c{n}", at, latency_ms=n + 0.5, input_tokens=n, cost_usd=0.1 * n) for n in range(20)),
        *(inference(f"{name}u{n}", at, version="2", user_id=f"u{n}") for n in range(9)),
    ]


def test_every_process_shows_what_sqlite_shows(shards: Shards, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After batches, merges, an erasure, and retention; also who starts later, and reads what others settled."""
    monkeypatch.setattr(parts, "_AT_REST_S", -1)
    one, other = opened(url), opened(url)
    sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    old, new = facts("old", NOON - 9 * DAY), facts("new", NOON)
    for n, batch in enumerate([old, new[:30], [*new[20:], *old]]):
        for store in (sqlite, (one, other)[n % 2]):
            store.accept(batch)
        assert shown(one) == shown(other) == shown(sqlite)
    assert min(shards.rows_by_shard(one._database.name, "inference")) > 0
    reading = RowsRead(monkeypatch)
    shards.merge(one._database.name)
    assert shown(one) == shown(opened(url)) == shown(sqlite)
    assert reading.taken() == 0
    for store in (sqlite, other):
        store.erase("u3", NOON)
    assert shown(one) == shown(other) == shown(sqlite)
    assert AgeSweeper(one._database, RemovalNotes(one._state)).remove_before(DEFINITIONS.day_of(NOON)) == 47
    assert shown(one) == shown(other) == shown(opened(url)) == shown(sqlite)
    for store in (sqlite, one):
        store.accept(facts("last", NOON))
    assert shown(one) == shown(sqlite)
    settled = "SELECT DISTINCT shard, substring(part, 1, 8) FROM {db}.settled_total ORDER BY ALL"
    assert list(map(tuple, one._database.rows(settled))) == [(1, "20260115"), (2, "20260115")]


def test_an_id_that_lies_on_both_shards_adds_once(url: str) -> None:
    """Two writers wrote it under two users: the first received counts, before and after the other is removed."""
    store = opened(url)
    ids = [f"twice{n}" for n in range(12)]
    first = [inference(each, NOON, user_id=f"a{each}") for each in ids]
    later = [inference(each, NOON + DAY, user_id=f"b{each}", version="2") for each in ids]
    write_at_once(store._database, later, rank=5)
    store.accept([inference("other"), inference("other2", version="2")])
    shown(store)
    write_at_once(store._database, first, rank=9)
    sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    sqlite.accept([inference("other"), inference("other2", version="2"), *first])
    assert shown(store) == shown(opened(url)) == shown(sqlite)
    assert store._writer.remove_doubles(0, 2**16 - 1) == len(ids)
    assert shown(store) == shown(opened(url)) == shown(sqlite)


def test_without_a_shard_there_is_no_answer(shards: Shards, url: str) -> None:
    """The server is not ready, a scrape says what is to be done; when the shard is back it is answered."""
    runtime = Runtime(Settings(store=url, timezone="Europe/Berlin"), clock=Clock(moment(NOON + DAY)))
    try:
        client = TestClient(create_app(runtime=runtime), base_url="http://localhost:5000", client=("127.0.0.1", 50_000))
        assert runtime.store is not None
        runtime.store.accept(facts("here", NOON))
        there = client.get("/metrics")
        assert (there.status_code, "otel_measure" in there.text) == (200, True)
        shards.kill(1)
        assert client.get("/readyz").status_code == 503
        away = client.get("/metrics")
        shards.start(1)
        until(lambda: client.get("/metrics").status_code == 200)
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        assert "All connection tries failed" in away.json()["message"]
        assert away.json()["message"].endswith("start every server of the cluster; it is tried again by itself")
    finally:
        runtime.shutdown()
