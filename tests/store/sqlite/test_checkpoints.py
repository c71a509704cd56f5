"""The write-ahead log is moved into the file beside the writers."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from otel_measure.errors import StoreError
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.checkpoints import COMMITS, ROWS, Checkpoints
from otel_measure.store.sqlite.connection import Database
from tests.facts import event


class Moves:
    """Counts moves, each of which lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def __call__(self) -> None:
        """Move."""
        self.begun.release()
        assert self.may_end.acquire(timeout=10)

    def begins(self) -> bool:
        """Tell whether one more has begun."""
        return self.begun.acquire(timeout=0.05)


def test_a_move_every_so_many_commits_or_rows() -> None:
    """Whichever comes first, counted from the last move on; never two at once."""
    moves = Moves()
    checkpoints = Checkpoints(moves)
    checkpoints.wait(0)
    for _ in range(COMMITS - 1):
        checkpoints.committed(0)
    assert not moves.begins()
    checkpoints.committed(0)
    assert moves.begins()
    checkpoints.committed(ROWS)
    assert not moves.begins()
    moves.may_end.release()
    checkpoints.wait(10)
    checkpoints.committed(ROWS)
    assert moves.begins()
    moves.may_end.release()
    checkpoints.wait(10)
    checkpoints.committed(2 * ROWS - 1)
    assert not moves.begins()


def test_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends, or has too many threads, goes on: the log has a bound of its own."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    moves = Moves()
    checkpoints = Checkpoints(moves)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        checkpoints.committed(ROWS)
    checkpoints.wait(0)
    checkpoints.committed(2 * ROWS)
    assert moves.begins()
    moves.may_end.release()
    checkpoints.wait(10)


def test_what_was_committed_gets_into_the_file(tmp_path: Path) -> None:
    """While the store is open, and without a commit that does it."""
    path = tmp_path / "m.db"
    store = SqliteStore(str(path))
    for n in range(COMMITS):
        store.accept([event(str(n))])
    store._database._checkpoints.wait(10)
    without_log = shutil.copy(path, tmp_path / "copy.db")
    with sqlite3.connect(without_log) as connection:
        (there,) = connection.execute("SELECT count(*) FROM event").fetchone()
    connection.close()
    store.close()
    assert there >= COMMITS - 5  # opening the store is some commits as well


def test_a_move_that_fails(tmp_path: Path) -> None:
    """It raises nothing: what is wrong with the file, the next write says."""
    database = Database(str(tmp_path / "gone" / "m.db"))
    (tmp_path / "gone").rmdir()
    database._checkpoint()
    with pytest.raises(StoreError, match="unable to open database file"), database.write():
        pass
