"""The bound of a store's bytes: who goes for it, who does not, and when nothing is taken in any more."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from otel_measure.definitions.days import Days
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import UserEvent
from otel_measure.store.sqlite import SqliteStore, bound
from otel_measure.store.sqlite.bound import Bound, log_pages, used_bytes
from otel_measure.store.sqlite.retention import by_hour
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, TOO_OLD
from tests.closing import closed_later
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON, event
from tests.store.asking import asked
from tests.store.conformance.test_streams import point
from tests.store.sqlite.concurrently import rolled_up

MIB = 2**20
MAX = 2 * MIB
T = TypeVar("T")
Of = Callable[[int], T]
BIG = {"blob": "x" * 900}


def opened(path: Path, max_bytes: int = MAX, now: int = NOON) -> SqliteStore:
    """Open a store that knows what time it is."""
    store = closed_later(SqliteStore(str(path), max_bytes=max_bytes))
    store.keep_time(now)
    return store


def used(store: SqliteStore) -> int:
    """Return what it uses."""
    with store._database.read() as connection:
        return used_bytes(connection)


def hours(store: SqliteStore) -> dict[int, int]:
    """Return how many facts there are by the hours before noon."""
    return {NOON // HOUR - hour: n for hour, n in sorted(by_hour(store._database).items())}


def horizon(store: SqliteStore) -> int:
    """Return the time before which facts are gone."""
    return asked(store, lambda m: m.horizon)


def batch(
    first: int, n: int = 50, *, ts: Callable[[int], int], id: Callable[[int], str] = "{:08}".format
) -> list[UserEvent]:
    """Return events of 1 KB each."""
    return [event(id(i), f"u{i % 40}", ts(i), properties=BIG) for i in range(first, first + n)]


def settle(store: SqliteStore) -> None:
    """Wait until no facts are being removed."""
    store._bound._making_room.wait(30)


def fill(store: SqliteStore, ts: Of[int], n: int, id: Of[str] = "{:08}".format) -> int:
    """Give it events, each batch as soon as there is room; return how many were taken."""
    taken = 0
    for first in range(0, n, 50):
        settle(store)
        taken += store.accept(batch(first, ts=ts, id=id)).count(ACCEPTED)
    settle(store)
    return taken


def test_the_oldest_hours_go_at_nine_tenths(tmp_path: Path) -> None:
    """What comes in the order of time goes in it, hour by hour, and no more of it than is needed for the room."""
    room = 2 * MAX  # of which the empty tables are a ninth, and a batch one in eighty
    store = opened(tmp_path / "m.db", room)
    assert fill(store, lambda i: NOON - 20 * DAY + i * MINUTE, 16_000) == 16_000
    left = hours(store)
    newest = NOON - 20 * DAY + 15_999 * MINUTE
    assert horizon(store) % HOUR == 0
    assert set(left) == set(range((NOON - newest - 1) // HOUR + 1, (NOON - horizon(store)) // HOUR + 1))
    assert 0.8 * room < used(store) < 0.92 * room
    assert sum(left.values()) * 1000 > 0.5 * room
    assert os.path.getsize(store.path) <= room
    assert store.accept([event("old", ts=horizon(store) - 1)]) == [TOO_OLD]


@pytest.mark.parametrize("ids", ["ascending", "random"])
def test_times_that_come_in_no_order(tmp_path: Path, ids: str) -> None:
    """What lies together then does not go together: more of it goes, all old, and the file stays in its bound."""
    rng = random.Random(7)
    store = opened(tmp_path / "m.db")
    name: Callable[[int], str] = (
        "{:08}".format if ids == "ascending" else lambda i: str(uuid.UUID(int=rng.getrandbits(128)))
    )
    fill(store, lambda i: NOON - rng.randrange(2 * HOUR, 30 * DAY), 8_000, name)
    left = hours(store)
    assert max(left) <= (NOON - horizon(store)) // HOUR
    assert sum(left.values()) * 1000 > 0.2 * MAX
    assert os.path.getsize(store.path) < MAX
    assert used(store) < 0.97 * MAX


def test_nothing_of_the_last_hour_goes(tmp_path: Path) -> None:
    """When the store is full of it, writes are refused as "full" and nothing is lost, until the hour is over."""
    store = opened(tmp_path / "m.db")
    ts = lambda i: NOON - 50 * MINUTE + i  # noqa: E731
    with pytest.raises(StoreUnavailable) as refusal:
        fill(store, ts, 8_000)
    assert refusal.value.cause_name == "full"
    assert f"store_max_bytes allows {MAX:,}" in refusal.value.what
    settle(store)
    with pytest.raises(
        StoreUnavailable, match=r"filled by [\d,]+ facts, none of them older than an hour, and \d+ rows"
    ):
        store.check()
    assert horizon(store) == 0
    taken = sum(hours(store).values())
    assert 0.9 * MAX < used(store) < MAX
    with pytest.raises(StoreUnavailable, match=r"\(full\)"):
        store.check()
    with pytest.raises(StoreUnavailable):
        fill_rest(store)
    writes: tuple[Callable[[], object], ...] = (
        lambda: store.register_service(HERE.environment, "api", 99.9, NOON),
        lambda: store.identify("a", "b"),
        lambda: store.ingest([point(1.0)]),
        store.check,
    )
    for write in writes:
        with pytest.raises(StoreUnavailable, match=r"\(full\)"):
            write()
    assert sum(hours(store).values()) > taken
    store.keep_time(NOON + HOUR)
    store._bound._not_before_s = 0.0
    with pytest.raises(StoreUnavailable):
        store.accept([event("has it removed")])
    settle(store)
    store.check()
    assert store.accept([event("goes on", ts=NOON + HOUR)]) == [ACCEPTED]


def fill_rest(store: SqliteStore) -> None:
    """Fill what is left, with what is small."""
    for n in range(10_000):
        store.accept([event(f"rest {n}", ts=NOON - n)])
    raise AssertionError("it is never full")


def test_a_doubted_clock_has_nothing_go(tmp_path: Path) -> None:
    """Also what is old by any clock stays, and the store is full."""
    store = opened(tmp_path / "m.db")
    store.keep_time(NOON + 800 * DAY)
    with pytest.raises(StoreUnavailable, match=r"\(full\)"):
        fill(store, lambda i: NOON - 20 * DAY + i * 2 * MINUTE, 8_000)
    settle(store)
    with pytest.raises(StoreUnavailable, match="no fact goes while the clock is doubted"):
        store.check()
    assert horizon(store) == 0


def test_a_full_store_can_be_emptied(tmp_path: Path) -> None:
    """An erasure, a heartbeat and a lease are no growth."""
    store = opened(tmp_path / "m.db")
    with pytest.raises(StoreUnavailable):
        fill(store, lambda i: NOON - i, 8_000)
    assert store.erase("u1", NOON).events > 20
    assert store.keep_time(NOON)
    store.beat(HERE.environment, NOON)
    assert store.take_lease("k", "1", NOON, NOON + MINUTE)


def test_a_day_that_is_partly_gone_is_frozen(tmp_path: Path) -> None:
    """Answers, and what comes late into it, are the same before and after its hours went, and after a rebuild."""
    store = opened(tmp_path / "m.db")
    store.accept([event(f"{n}", f"u{n % 9}", NOON - n * HOUR, session_id=f"s{n // 3}") for n in range(60)])

    def ask() -> dict[int, int]:
        return asked(store, lambda m: m.users.active_by_day(Days(NOON // DAY - 3, NOON // DAY)))

    active, before = ask(), rolled_up(store)
    store._sweeper._purge(NOON - 20 * HOUR)
    assert (ask(), rolled_up(store)) == (active, before)
    store.rebuild()
    assert (ask(), rolled_up(store)) == (active, before)
    assert store.accept([event("late", "v", NOON - 15 * HOUR), event("20", ts=NOON - 19 * HOUR)]) == [
        ACCEPTED,
        DUPLICATE,
    ]
    active, before = ask(), rolled_up(store)
    store.rebuild()
    assert (ask(), rolled_up(store)) == (active, before)


def test_a_reader_deletes_nothing(tmp_path: Path) -> None:
    """A log that somebody keeps from being emptied grows, and has no fact go."""
    store = opened(tmp_path / "m.db", max_bytes=64 * MIB)
    store.accept([event("a", ts=NOON - 20 * DAY)])
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        for first in range(0, 10_000, 50):
            store.accept(batch(first, ts=lambda i: NOON - 10 * DAY))
        settle(store)
        assert os.path.getsize(f"{store.path}-wal") > 6.4 * MIB
        assert store.sweep(NOON) == 0
        assert horizon(store) < NOON - 20 * DAY
    store._database._mover._not_before_s = 0.0
    store.accept([event("z")])
    assert os.path.getsize(f"{store.path}-wal") <= 3.3 * MIB


def test_the_log_has_a_tenth_of_the_bound() -> None:
    """At most as much as ever, and never less than a write needs."""
    assert [log_pages(n * MIB) for n in (1, 16, 64, 1024, 10_240)] == [64, 409, 1638, 8000, 8000]


class Looks:
    """Counts the looks at a database that says how full it is."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.looks = 0

    def execute(self, statement: str) -> Looks:
        self.looks += statement == "PRAGMA page_count"
        self.asked = self.pages if statement == "PRAGMA page_count" else 0
        return self

    def fetchone(self) -> tuple[int]:
        return (self.asked,)


def test_it_is_looked_at_every_ten_thousand_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And sooner where less is left than so many may need; at every write where there is no room."""
    begun = threading.Semaphore(0)
    one = Bound("m.db", 2**30, lambda: begun.release())
    database = Looks(0)
    for _ in range(100):
        one.look(database, 1000)  # type: ignore[arg-type]
    assert database.looks == 10
    database.pages = 230_000  # of 262,144, nine tenths are 235,929
    one.look(database, 10_000)  # type: ignore[arg-type]
    database.looks = 0
    for _ in range(380):
        one.look(database, 1)  # type: ignore[arg-type]
    assert database.looks == 1
    assert not begun.acquire(timeout=0.05)
    database.pages = 240_000
    for _ in range(600):
        one.look(database, 1)  # type: ignore[arg-type]
    assert begun.acquire(timeout=5)
    monkeypatch.setattr(bound, "used_bytes", lambda _: 2**30 + 4096)
    with pytest.raises(StoreUnavailable, match=r"\(full\): m.db uses 1,073,745,920 bytes"):
        one.look(database, 1)  # type: ignore[arg-type]


def test_a_store_that_is_closed_while_facts_go(tmp_path: Path) -> None:
    """It leaves off after the transaction it is at; who opens it next goes on, and nothing is counted twice or lost."""
    store = opened(tmp_path / "m.db", max_bytes=64 * MIB)
    for first in range(0, 10_000, 500):
        store.accept(batch(first, 500, ts=lambda i: NOON - 20 * DAY + i))
    before = rolled_up(store)
    store.close()
    smaller = opened(tmp_path / "m.db", max_bytes=8 * MIB)
    with pytest.raises(StoreUnavailable):
        smaller.accept([event("more")])
    began = time.monotonic()
    smaller.close()
    assert time.monotonic() - began < 3
    again = opened(tmp_path / "m.db", max_bytes=8 * MIB)
    again.sweep(NOON)
    assert sum(hours(again).values()) < 10_000
    assert rolled_up(again) == before
