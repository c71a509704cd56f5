"""A file that is made smaller."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.bound import used_bytes
from otel_measure.store.sqlite.compacting import compact
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE
from tests.closing import closed_later
from tests.facts import DAY, NOON, event

MIB = 2**20


def with_free_pages(path: Path) -> SqliteStore:
    """Return a store of which most was removed."""
    store = closed_later(SqliteStore(str(path), retention_days=10))
    store.accept([event(f"{n}", ts=NOON - 20 * DAY, properties={"blob": "x" * 4000}) for n in range(2000)])
    store.accept([event("left")])
    store.sweep(NOON)
    return store


def test_the_file_of_a_store_in_use_gets_smaller(tmp_path: Path) -> None:
    """Free pages are given back, nothing else changes, and whoever has it open goes on; it says what it needed."""
    path = tmp_path / "m.db"
    store = with_free_pages(path)
    asked: list[Path] = []

    def free(folder: Path) -> int:
        asked.append(folder)
        return 100 * MIB

    with store._database.read() as connection:
        used = used_bytes(connection)
    compacted = compact(path, free)
    assert (compacted.before > 8 * MIB, compacted.after) == (True, path.stat().st_size)
    assert compacted.after < MIB
    assert compacted.needed == 2 * used + 16 * MIB
    assert asked == [tmp_path]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.db", "m.db-shm", "m.db-wal"]
    assert "SQLITE_TMPDIR" not in os.environ
    assert store.accept([event("left"), event("new")]) == [DUPLICATE, ACCEPTED]
    store.watch()


def test_it_is_refused_without_room(tmp_path: Path) -> None:
    """Nothing is begun that could fill the disk."""
    path = tmp_path / "m.db"
    with_free_pages(path)
    before = path.stat().st_size
    with pytest.raises(StoreUnavailable, match=r"needs 17 MiB of free disk, 10 MiB are there"):
        compact(path, lambda _: 10 * MIB)
    assert path.stat().st_size == before


def test_it_is_refused_while_somebody_writes_or_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer keeps it from beginning, a reader the file from getting smaller; both are told."""
    monkeypatch.setattr("otel_measure.store.sqlite.compacting._WAIT_S", 0.1)
    path = tmp_path / "m.db"
    store = with_free_pages(path)
    with store._database.write(), pytest.raises(StoreUnavailable, match=r"\(locked\)"):
        compact(path, lambda _: 100 * MIB)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        with pytest.raises(StoreUnavailable, match="a process that reads it keeps the file from getting smaller"):
            compact(path, lambda _: 100 * MIB)
    assert store.accept([event("left")]) == [DUPLICATE]
