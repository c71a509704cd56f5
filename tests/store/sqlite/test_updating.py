"""A store comes to newer definitions by itself, whoever writes to it meanwhile; nothing is lost or counted twice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.definitions.parameters import Definitions
from otel_measure.store.sqlite import SqliteStore, updating
from tests.facts import NOON
from tests.store.sqlite.concurrently import (
    ENGAGED,
    NEW,
    OLD,
    Step,
    finish,
    happenings,
    horizon,
    rolled_up,
    waits,
)

Open = Callable[..., SqliteStore]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open stores that are closed with the test, and too large to be counted anew at once."""
    monkeypatch.setattr(updating, "SMALL", -1)
    stores: list[SqliteStore] = []

    def open_one(path: Path | str = ":memory:", definitions: Definitions | None = None, **given: Any) -> SqliteStore:
        stores.append(SqliteStore(str(path), definitions=definitions, **given))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


# ---------------------------------------------------------------- the law


class TwoVersions:
    """Two processes with different definitions on one store, and a fresh store that only knows the newer ones."""

    def __init__(self, path: Path, definitions: Definitions) -> None:
        self.old = SqliteStore(str(path), definitions=OLD, retention_days=4)
        self.new = SqliteStore(str(path), definitions=definitions, retention_days=4)
        self.fresh = SqliteStore(":memory:", definitions=definitions, retention_days=4)
        self.now = NOON

    def close(self) -> None:
        """Close all."""
        for store in (self.old, self.new, self.fresh):
            store.close()

    def do(self, step: Step, by: SqliteStore) -> None:
        """Let one process do something, and the fresh store what is done to a store from outside."""
        what, given = step
        self.now += 1
        if what == "accept":
            before = [receipt.outcome for receipt in by.accept(given)]
            assert [receipt.outcome for receipt in self.fresh.accept(given)] == before
        elif what == "link":
            assert by.identify(*given) == self.fresh.identify(*given)
        elif what == "erase":
            assert by.erase(given, self.now) == self.fresh.erase(given, self.now)
        elif what == "sweep":
            before_sweep = horizon(by)
            by.sweep(given)
            if horizon(by) != before_sweep:
                self.fresh.sweep(given)
        elif what == "steps":
            for _ in range(given):
                by.bring_up_to_date("old" if by is self.old else "new", self.now)
        elif what == "rebuild":
            by.rebuild()
        elif what == "kill" and by is self.new:
            self.new._updates.after_fork_in_child()  # lets go of everything without a word
            self.now += 2 * updating.LEASE_US


@settings(max_examples=30, deadline=None)
@given(steps=happenings, data=st.data())
def test_any_history_ends_as_a_fresh_store(steps: list[Step], data: st.DataObject) -> None:
    """Facts, links, erasures, sweeps, rebuilds and kills, at any moment and by either version, end as a fresh store."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(updating, "SMALL", -1)
        facts_go = any(what == "sweep" for what, _ in steps)
        processes = TwoVersions(Path(folder) / "a.db", ENGAGED if facts_go else NEW)
        try:
            for step in steps:
                processes.do(step, data.draw(st.sampled_from([processes.old, processes.new])))
            finish(processes.new, processes.now + 2 * updating.LEASE_US)
            assert waits(processes.new) == 0
            assert rolled_up(processes.new) == rolled_up(processes.fresh)
            processes.new.rebuild()
            assert rolled_up(processes.new) == rolled_up(processes.fresh)
        finally:
            processes.close()
