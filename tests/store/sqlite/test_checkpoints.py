"""The write-ahead log is moved into the file beside the writers."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.sqlite import SqliteStore, checkpoints
from otel_measure.store.sqlite.checkpoints import COMMITS, ROWS, Checkpoints
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.waiting import waiting_until
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
        assert self.may_end.acquire(timeout=60)

    def begins(self, within_s: float = 60.0) -> bool:
        """Tell whether one more has begun."""
        return self.begun.acquire(timeout=within_s)


def test_a_move_every_so_many_commits_or_rows() -> None:
    """Whichever comes first, counted from the last move on; never two at once."""
    moves = Moves()
    checkpoints = Checkpoints(moves)
    checkpoints.wait(0)
    for _ in range(COMMITS - 1):
        checkpoints.committed(0)
    assert not moves.begins(within_s=0.05)
    checkpoints.committed(0)
    assert moves.begins()
    checkpoints.committed(ROWS)
    assert not moves.begins(within_s=0.05)
    moves.may_end.release()
    checkpoints.wait(60)
    checkpoints.committed(ROWS)
    assert moves.begins()
    moves.may_end.release()
    checkpoints.wait(60)
    checkpoints.committed(2 * ROWS - 1)
    assert not moves.begins(within_s=0.05)


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
    checkpoints.wait(60)


def test_what_was_committed_gets_into_the_file(tmp_path: Path) -> None:
    """While the store is open, and without a commit that does it."""
    path = tmp_path / "m.db"
    store = closed_later(SqliteStore(str(path)))
    for n in range(COMMITS):
        store.accept([event(str(n))])
    store._database._checkpoints.wait(60)
    without_log = shutil.copy(path, tmp_path / "copy.db")
    with closed_later(sqlite3.connect(without_log)) as connection:
        (there,) = connection.execute("SELECT count(*) FROM event").fetchone()
    connection.close()
    store.close()
    assert there >= COMMITS - 5  # opening the store is some commits as well


PAGE = 4096 + 24  # with its header in the log


def fill(database: Database, commits: int) -> None:
    """Commit something of some pages, so many times."""
    for _ in range(commits):
        with database.write() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (bytes)")
            connection.execute("INSERT INTO t VALUES (randomblob(20000))")


def with_small_log(path: Path) -> Database:
    """Return a database whose log may have 50 pages: from 25 on it begins anew."""
    return closed_later(Database(str(path), log_pages=50))


def log_bytes(path: Path) -> int:
    """Return the size of the log's file."""
    return path.with_name(f"{path.name}-wal").stat().st_size


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read one moment of a database for the length of a `with` block."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM t").fetchone()
        yield
        other.execute("COMMIT")


def test_writers_that_never_pause_keep_the_log_small(tmp_path: Path) -> None:
    """The next one has a log of half its size begin anew, whether or not a thread has moved anything by then."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    database._checkpoints = Checkpoints(lambda: None)
    largest = 0
    for _ in range(60):
        fill(database, 1)
        largest = max(largest, log_bytes(path))
    assert 25 * PAGE < largest <= 50 * PAGE


def test_the_log_begins_anew_although_somebody_always_reads(tmp_path: Path) -> None:
    """Writers wait until those have ended who began before; without that the log would have no bound."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    fill(database, 1)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with reading(path):
                time.sleep(0.03)

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
        time.sleep(0.005)
    fill(database, 60)
    done.set()
    for reader in readers:
        reader.join()
    fill(database, 1)
    assert log_bytes(path) < 200 * PAGE  # of more than 400 that were written


def test_a_reader_that_does_not_end_holds_nobody_up_for_long(tmp_path: Path) -> None:
    """The log goes on to grow, is tried again some times, and gives its room back when the reader has ended."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    tried = list[int]()
    begin_anew = database._mover.begin_anew

    def counting(holder: sqlite3.Connection, size: int, *, within_s: float) -> bool:
        tried.append(size)
        return begin_anew(holder, size, within_s=0.01)

    fill(database, 1)
    with pytest.MonkeyPatch.context() as patch, reading(path):
        patch.setattr(database._mover, "begin_anew", counting)
        patch.setattr(checkpoints, "_BEGIN_ANEW_PAUSE_S", 1000.0)
        patch.setattr(checkpoints, "_LONGEST_PAUSE_S", 1000.0)
        database._mover._succeeded()
        fill(database, 60)
        assert log_bytes(path) > 300 * PAGE
    assert [later - size >= 25 * 4096 for size, later in pairwise(tried)] == [True] * 3
    database._mover._not_before_s = 0.0
    fill(database, 1)
    assert log_bytes(path) <= 26 * PAGE


def test_who_asks_learns_that_writers_are_held_up(tmp_path: Path) -> None:
    """An event loop then does not write by itself: it waits for nobody, and a thread waits no longer than it may."""
    path = tmp_path / "m.db"
    database = with_small_log(path)
    fill(database, 1)
    with reading(path):
        fill(database, 5)
        database._mover._not_before_s = 0.0
        with waiting_until(0.0), pytest.raises(StoreUnavailable, match=r"\(locked\).*its log is to be emptied"):
            fill(database, 1)
        writer = threading.Thread(target=lambda: fill(database, 1))
        writer.start()
        while not (while_it_waits := database.is_busy()) and writer.is_alive():
            pass
        writer.join()
        assert (while_it_waits, database.is_busy()) == (True, False)


def test_a_move_that_fails(tmp_path: Path) -> None:
    """It raises nothing: what is wrong with the file, the next write says."""
    database = Database(str(tmp_path / "gone" / "m.db"))
    (tmp_path / "gone").rmdir()
    database._mover.move()
    with pytest.raises(StoreError, match="cannot be created"), database.write():
        pass
