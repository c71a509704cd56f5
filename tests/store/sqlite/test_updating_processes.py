"""Processes of two versions on one store, some of them killed: real ones, each with its own connections and locks."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from otel_measure import Settings
from otel_measure.definitions.days import Days
from otel_measure.records.kinds import UserEvent
from otel_measure.runtime import Runtime
from otel_measure.store import engines
from otel_measure.store.sqlite import SqliteStore, kept, updating
from tests.facts import DAY, HOUR, NOON, event
from tests.store.sqlite.concurrently import NEW, OLD, finish, rolled_up, waits

ROOT = Path(__file__).resolve().parents[3]
BATCHES, BATCH = 40, 10
WRITER = """
import os, signal, sys, time
from otel_measure.store.sqlite import SqliteStore, kept, updating
from tests.store.sqlite.concurrently import NEW, OLD
from tests.store.sqlite.test_updating_processes import BATCHES, batch

path, name, version, killed_after = sys.argv[1:]
updating.SMALL = -1
store = SqliteStore(path, definitions={"new": NEW, "old": OLD}[version])
for number in range(BATCHES):
    store.accept(batch(name, number))
    print(number, flush=True)
    store.bring_up_to_date(name, time.time_ns() // 1000)
    if number == int(killed_after):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.005)
store.close()
"""


def made(id: str) -> UserEvent:
    """Make the event that an id stands for."""
    _, number, place = id.split("-")
    kinds = ("page_view", "click", "conversion", "login", "page_view")
    at = NOON - (int(number) * 37 + int(place) * 11) % 72 * HOUR // 2
    return event(id=id, user_id=f"u{(int(number) + int(place)) % 7}", type=kinds[int(place) % 5], ts=at)


def batch(name: str, number: int) -> list[UserEvent]:
    """Make one batch of a writer."""
    return [made(f"{name}-{number}-{place}") for place in range(BATCH)]


def all_ids(names: Iterable[str]) -> list[str]:
    """Return the ids of all that these writers may write."""
    return [one.id for name in names for number in range(BATCHES) for one in batch(name, number)]


def already_stored(store: SqliteStore, ids: Iterable[str]) -> list[str]:
    """Return which of these events a store had; it has all of them then."""
    events = [made(id) for id in ids]
    receipts = store.accept(events)
    return [one.id for one, receipt in zip(events, receipts, strict=True) if receipt.outcome == "duplicate"]


def rules(store: SqliteStore) -> int:
    """Return by which version of the rules a store is counted."""
    with store._database.read() as connection:
        counted_by = kept.kept(connection)
        assert counted_by is not None
        return counted_by.rules


def test_processes_of_two_versions_lose_nothing_and_end_as_a_fresh_store(tmp_path: Path) -> None:
    """Two old and two new writers, one of each killed in the middle: what was acknowledged is there, counted once."""
    path = str(tmp_path / "measure.db")
    before = SqliteStore(path, definitions=OLD)
    before.accept([one for number in range(BATCHES) for one in batch("before", number)])
    before.close()
    versions = {"old1": "old", "old2": "old", "new1": "new", "new2": "new"}
    killed_after = {"old2": 10, "new2": 20}
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, path, name, version, str(killed_after.get(name, -1))],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name, version in versions.items()
    }
    acknowledged: set[str] = set()
    for name, writer in writers.items():
        said, _ = writer.communicate(timeout=60)
        acknowledged.update(one.id for line in said.split() for one in batch(name, int(line)))
        assert writer.returncode == (-9 if name in killed_after else 0)

    survivor = SqliteStore(path, definitions=NEW)
    fresh = SqliteStore(":memory:", definitions=NEW)
    try:
        finish(survivor, time.time_ns() // 1000 + 2 * updating.LEASE_US)
        written = already_stored(survivor, all_ids(["before", *versions]))
        finish(survivor, time.time_ns() // 1000 + 4 * updating.LEASE_US)
        assert acknowledged <= set(written)
        assert waits(survivor) == 0
        fresh.accept([made(id) for id in written])
        fresh.accept([made(id) for id in set(all_ids(["before", *versions])) - set(written)])
        assert rolled_up(survivor) == rolled_up(fresh)
    finally:
        survivor.close()
        fresh.close()


def test_an_application_alone_brings_its_store_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that only records, with no server beside it, counts its store by the newer rules in the background."""
    path = str(tmp_path / "measure.db")
    before = SqliteStore(path, definitions=OLD)
    before.accept([one for number in range(BATCHES) for one in batch("before", number)])
    before.close()
    monkeypatch.setattr(updating, "SMALL", -1)
    monkeypatch.setattr(engines, "definitions_of", lambda settings: NEW)
    runtime = Runtime(Settings(store=path))
    runtime.start()
    try:
        assert isinstance(runtime.store, SqliteStore)
        deadline = time.monotonic() + 60
        while (rules(runtime.store) == OLD.rules or runtime.store.is_updating()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (rules(runtime.store), runtime.store.is_updating()) == (NEW.rules, False)
    finally:
        runtime.shutdown()
    after, fresh = SqliteStore(path, definitions=NEW), SqliteStore(":memory:", definitions=NEW)
    try:
        fresh.accept([one for number in range(BATCHES) for one in batch("before", number)])
        with after.asking() as there, fresh.asking() as wanted:
            days = Days(NOON // DAY - 3, NOON // DAY)
            assert there.users.sessions(days, NOON + DAY) == wanted.users.sessions(days, NOON + DAY)
            assert there.users.conversions(days, "conversion") == wanted.users.conversions(days, "conversion")
    finally:
        after.close()
        fresh.close()
