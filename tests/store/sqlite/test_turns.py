"""Writers of one process: whose turn it is, and what an error leaves to the next."""

from __future__ import annotations

import threading
import time

import pytest

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.transaction import Accepted, Transaction
from otel_measure.store.sqlite.turns import Turns
from tests.closing import closed_later
from tests.facts import event


def test_a_store_that_another_thread_writes_to_is_busy() -> None:
    """For as long as it does."""
    store = closed_later(SqliteStore(":memory:"))
    assert not store.is_busy()
    writing, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with store._database.write():
            writing.set()
            may_end.wait(60)

    thread = threading.Thread(target=write)
    thread.start()
    assert writing.wait(60)
    assert store.is_busy()
    may_end.set()
    thread.join(60)
    assert not store.is_busy()
    store.close()


def test_ids_of_a_transaction_that_failed_are_forgotten_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the turn never sees them: they may be given to another user."""
    store = closed_later(SqliteStore(":memory:"))
    clear, cleared_under_lock = store._names.clear, []

    def note() -> None:
        free = []
        other = threading.Thread(target=lambda: free.append(store._database._lock.acquire(timeout=0)))
        other.start()
        other.join(60)
        cleared_under_lock.append(free == [False])
        clear()

    def fail(transaction: Transaction, new: Accepted) -> None:
        raise RuntimeError

    records: list[Record] = [event("a", "alice")]
    monkeypatch.setattr(store._names, "clear", note)
    with monkeypatch.context() as patch:
        patch.setattr("otel_measure.store.sqlite.activity.add", fail)
        with pytest.raises(RuntimeError):
            store.accept(records)
    assert cleared_under_lock == [True]
    assert [receipt.outcome for receipt in store.accept(records)] == ["accepted"]
    store.close()


def test_who_has_waited_longest_is_next() -> None:
    """Whoever lets go of the turn and wants it again waits for those who came before; who gives up is passed over."""
    turns, order = Turns(), list[str]()
    turns.acquire()
    turns.acquire()

    def take(name: str, timeout_s: float) -> None:
        if turns.acquire(timeout=timeout_s):
            order.append(name)
            turns.release()

    threads = []
    for n, (name, timeout_s) in enumerate((("first", 30.0), ("gives up", 0.01), ("last", 30.0)), 1):
        thread = threading.Thread(target=take, args=(name, timeout_s))
        thread.start()
        threads.append(thread)
        while name != "gives up" and len(turns._waiting) < min(n, 2):
            time.sleep(0.001)
        if name == "gives up":
            thread.join()
    turns.release()
    assert order == []
    turns.release()
    turns.acquire()
    order.append("again")
    turns.release()
    for thread in threads:
        thread.join()
    assert order == ["first", "last", "again"]
