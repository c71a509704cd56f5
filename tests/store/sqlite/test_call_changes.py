"""What is noted of changes in the cells of models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.call_changes import changes, forget_before
from otel_measure.store.types.models import SLOT_US, CallChanges
from tests.facts import HOUR, MINUTE, NOON, inference
from tests.store.asking import asked


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store with a call at noon and one two hours before."""
    store = SqliteStore(str(tmp_path / "measure.db"))
    store.accept([inference("early", NOON - 2 * HOUR)])
    store.accept([inference("noon", NOON + MINUTE)])
    yield store
    store.close()


def changed(store: SqliteStore, since: int | None) -> CallChanges:
    """Return what changed since a change."""
    told = asked(store, lambda moment: moment.models.changes(since))
    assert told is not None
    return told


def test_a_change_is_told_once_and_last(store: SqliteStore) -> None:
    """Without a change to begin with, only the last one is told; a later one in the same time moves it to the end."""
    assert changed(store, None) == CallChanges(2, [])
    assert changed(store, 0) == CallChanges(2, [NOON - 2 * HOUR, NOON])
    store.accept([inference("late", NOON - 2 * HOUR + MINUTE)])
    assert changed(store, 2) == CallChanges(3, [NOON - 2 * HOUR])
    assert changed(store, 0) == CallChanges(3, [NOON - 2 * HOUR, NOON])


def test_after_a_rebuild_all_may_be_others(store: SqliteStore) -> None:
    """Until a change after it."""
    store.rebuild()
    assert changed(store, 2) == CallChanges(3, None)
    assert changed(store, 2).touch(NOON - HOUR, NOON)
    assert changed(store, 3) == CallChanges(3, [])


def test_what_was_before_the_horizon_is_forgotten(store: SqliteStore) -> None:
    """But for the last change, so that no later one has its number."""
    with store._transaction() as transaction:
        forget_before(transaction.connection, NOON)
        assert changes(transaction.connection, 0) == CallChanges(2, [NOON])
        forget_before(transaction.connection, NOON + HOUR)
        assert changes(transaction.connection, 0) == CallChanges(2, [NOON])


def test_while_a_store_is_updated_nobody_knows(store: SqliteStore) -> None:
    """Cells come and go then without a note."""
    with store._transaction() as transaction:
        transaction.connection.execute("INSERT INTO meta VALUES ('updating', 'somebody')")
    assert asked(store, lambda moment: moment.models.changes(0)) is None


def test_a_change_touches_what_it_lies_in() -> None:
    """Five minutes touch whatever has a part of them."""
    change = CallChanges(1, [NOON])
    assert change.touch(NOON + SLOT_US - 1, NOON + SLOT_US)
    assert change.touch(NOON - 1, NOON + 1)
    assert not change.touch(NOON - MINUTE, NOON)
    assert not change.touch(NOON + SLOT_US, NOON + 2 * SLOT_US)
