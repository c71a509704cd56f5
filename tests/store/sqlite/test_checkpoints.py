"""The write-ahead log is moved into the file beside the writers."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.errors import StoreError
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.checkpoints import COMMITS, ROWS, Checkpoints
from otel_measure.store.sqlite.connection import Database
from tests.closing import closed_later
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
    store = closed_later(SqliteStore(str(path)))
    for n in range(COMMITS):
        store.accept([event(str(n))])
    store._database._checkpoints.wait(10)
    without_log = shutil.copy(path, tmp_path / "copy.db")
    with closed_later(sqlite3.connect(without_log)) as connection:
        (there,) = connection.execute("SELECT count(*) FROM event").fetchone()
    connection.close()
    store.close()
    assert there >= COMMITS - 5  # opening the store is some commits as well


def log_pages(path: Path) -> int:
    """Return how many pages the log holds."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def fill(database: Database, commits: int) -> None:
    """Commit something of some pages, so many times."""
    for _ in range(commits):
        with database.write() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (bytes)")
            connection.execute("INSERT INTO t VALUES (randomblob(20000))")


def with_small_log(path: Path) -> Database:
    """Return a database whose log may have 50 pages, and is moved when it is told to be."""
    database = Database(str(path), log_pages=50)
    database._checkpoints = Checkpoints(database._mover.move)
    return database


def test_the_log_begins_anew_although_somebody_always_reads(tmp_path: Path) -> None:
    """Writers wait until those have ended who began before; without that the log would have no bound."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    fill(database, 1)
    done = threading.Event()

    def read() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            while not done.is_set():
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM t").fetchone()
                time.sleep(0.03)
                connection.execute("COMMIT")

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
        time.sleep(0.005)
    fill(database, 40)
    before = log_pages(path)
    database._mover.move()
    fill(database, 1)
    after = log_pages(path)
    done.set()
    for reader in readers:
        reader.join()
    database.close()
    assert before > 200
    assert after < 20


def test_a_reader_that_does_not_end_holds_nobody_up_for_long(tmp_path: Path) -> None:
    """The log goes on to grow, is not tried again at once, and gives its room back when the reader has ended."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    fill(database, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM t").fetchone()
    fill(database, 40)
    began = time.monotonic()
    database._mover.move()
    took_first = time.monotonic() - began
    took_later = []
    for _ in range(5):
        began = time.monotonic()
        database._mover.move()
        took_later.append(time.monotonic() - began)
    fill(database, 1)
    other.execute("COMMIT")
    other.close()
    assert log_pages(path) > 200
    assert took_first < 5
    assert min(took_later) < 0.1  # the quickest: a busy machine makes any one of them late
    database._mover._begin_anew_from = 0
    database._mover.move()
    fill(database, 1)
    assert path.with_name("m.db-wal").stat().st_size <= 51 * 4200
    database.close()


def test_who_asks_learns_that_writers_are_held_up(tmp_path: Path) -> None:
    """An event loop then does not write by itself; and a writer at work is not in for a wait without end."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    fill(database, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM t").fetchone()
        fill(database, 40)
        move = threading.Thread(target=database._mover.move)
        move.start()
        time.sleep(0.1)
        while_it_moves = database.is_busy()
        move.join()
        assert (while_it_moves, database.is_busy()) == (True, False)
        database._mover._begin_anew_from = 0
        with database.write():
            move = threading.Thread(target=database._mover.move)
            move.start()
            move.join(5)
            assert not move.is_alive()
    database.close()


def test_a_move_that_fails(tmp_path: Path) -> None:
    """It raises nothing: what is wrong with the file, the next write says."""
    database = Database(str(tmp_path / "gone" / "m.db"))
    (tmp_path / "gone").rmdir()
    database._mover.move()
    with pytest.raises(StoreError, match="cannot be created"), database.write():
        pass
