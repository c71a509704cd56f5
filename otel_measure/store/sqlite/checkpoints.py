"""Moving the write-ahead log into the file: beside the writers, so that no commit waits for the disk.

SQLite's own way is that the commit which fills the log empties it, and takes tens of milliseconds instead of one. It
stays as the bound, for writers that never pause: the log begins anew only when all of it has been moved and nobody
reads from it. While readers overlap that never happens by itself, and writers are made to wait until it has.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Final, TypeAlias

from otel_measure.errors import StoreError
from otel_measure.store.sqlite.one_at_a_time import OneAtATime

LARGEST_LOG_PAGES: Final = 8_000  # 32 MB
# Of a log of that size; of a smaller one, so many less.
COMMITS: Final = 200
ROWS: Final = 20_000
_BEGIN_ANEW_MS: Final = 400  # how long writers may have to wait for readers, twice, so that the log can begin anew
# After it was in vain, the longer the more often: readers that overlap end soon, one that was forgotten does not.
_BEGIN_ANEW_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 10.0
Connecting: TypeAlias = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Checkpoints:
    """Starts a move every so many commits or rows; never two at once.

    Args:
        move: runs in a thread of its own, and raises nothing.
        log_pages: how large the log may become.
    """

    def __init__(self, move: Callable[[], None], log_pages: int = LARGEST_LOG_PAGES) -> None:
        self._moving = OneAtATime("otel-measure-checkpoint", move)
        self._every_commits = max(COMMITS * log_pages // LARGEST_LOG_PAGES, 1)
        self._every_rows = ROWS * log_pages // LARGEST_LOG_PAGES
        self._commits = 0
        self._rows = 0

    def committed(self, rows: int) -> None:
        """Note a commit; `rows` are all that its connection has changed so far. Not for two threads at once."""
        self._commits += 1
        if self._commits < self._every_commits and rows - self._rows < self._every_rows:
            return
        if self._moving.start():
            self._commits, self._rows = 0, rows

    def wait(self, timeout_s: float) -> None:
        """Wait until none is under way."""
        self._moving.wait(timeout_s)


class LogMover:
    """Moves what the write-ahead log holds into the file, and has the log begin anew where it is too large.

    Args:
        connection: yields a connection that is not the writer's.
        lock: of the writers.
        log_pages: how large the log may become.
        busy_timeout_ms: how long a write waits for another process.
    """

    def __init__(self, connection: Connecting, lock: threading.RLock, log_pages: int, busy_timeout_ms: int) -> None:
        self._connection = connection
        self._lock = lock
        self._log_pages = log_pages
        self._busy_timeout_ms = busy_timeout_ms
        self._begin_anew_from = 0.0
        self._pause_s = _BEGIN_ANEW_PAUSE_S

    def move(self) -> None:
        """Move it, as far as nobody reads it there."""
        # What stands in the way (a full disk, a file that is gone) the next write finds as well, and says.
        with suppress(StoreError), self._connection() as connection:
            _, log, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if log <= self._log_pages or time.monotonic() < self._begin_anew_from:
                return
            # With the writers' lock they wait for their turn, and who asks learns that it takes a while.
            if self._lock.acquire(timeout=_BEGIN_ANEW_MS / 1000):
                try:
                    self._begin_log_anew(connection)
                finally:
                    self._lock.release()

    def truncate(self) -> bool:
        """Leave nothing in the log; return whether that was possible. The writers' turn is taken."""
        if time.monotonic() < self._begin_anew_from:
            return False
        with self._connection() as connection:
            return self._begin_log_anew(connection, "TRUNCATE")

    def _begin_log_anew(self, mover: sqlite3.Connection, mode: str = "RESTART") -> bool:
        """Have the next commit write to the start of the log, which never comes about while readers overlap.

        Writers wait, readers do not. While nobody commits, readers that begin see all there is, and hold nothing back;
        so it is done when those have ended that began before. One that does not end in time makes it in vain.
        """
        self._begin_anew_from = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        mover.execute(f"PRAGMA busy_timeout={_BEGIN_ANEW_MS}")
        with self._connection() as holder:
            holder.execute(f"PRAGMA busy_timeout={_BEGIN_ANEW_MS}")
            holder.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + _BEGIN_ANEW_MS / 1000
            # RESTART alone would wait for one place among the readers, which new ones take before it looks again.
            while not (is_moved := _move(mover, "PASSIVE")) and time.monotonic() < until:
                time.sleep(0.005)
                # There are four places: who finds none free shares an old one, and would keep it old.
                holder.execute("ROLLBACK")
                holder.execute("BEGIN IMMEDIATE")
            holder.execute("ROLLBACK")
            holder.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
        if is_anew := is_moved and _move(mover, mode):
            self._begin_anew_from, self._pause_s = 0.0, _BEGIN_ANEW_PAUSE_S
        mover.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
        return is_anew


def _move(connection: sqlite3.Connection, mode: str) -> bool:
    """Move the log into the file; return whether all of it was, and what else the mode asks for was done."""
    is_busy, pages, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return not is_busy and bool(pages == moved)
