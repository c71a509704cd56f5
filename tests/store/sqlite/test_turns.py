"""Writers of one process: whose turn it is, and what an error leaves to the next."""

from __future__ import annotations

import threading

import pytest

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.transaction import Accepted, Transaction
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
            may_end.wait(10)

    thread = threading.Thread(target=write)
    thread.start()
    assert writing.wait(10)
    assert store.is_busy()
    may_end.set()
    thread.join(10)
    assert not store.is_busy()
    store.close()


def test_ids_of_a_transaction_that_failed_are_forgotten_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the turn never sees them: they may be given to another user."""
    store = closed_later(SqliteStore(":memory:"))
    clear, cleared_under_lock = store._names.clear, []

    def note() -> None:
        free = []
        other = threading.Thread(target=lambda: free.append(store._database._lock.acquire(blocking=False)))
        other.start()
        other.join(10)
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
