"""Moving the write-ahead log into the file: beside the writers, so that hardly a commit waits for the disk.

The log begins anew only when all of it has been moved and nobody reads from it. While writers never pause, or readers
overlap, that never happens by itself. So a writer whose log is half as large as it may become moves the rest, and waits
for the readers that began before, ahead of its own transaction and with the turn of all writers. A thread beside them
has moved most of a large log by then; a small one is filled by some transactions.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Final, TypeAlias

from otel_measure.errors import StoreError
from otel_measure.store.sqlite.one_at_a_time import OneAtATime
from otel_measure.store.sqlite.opening import PAGE_BYTES, emptied_from_pages
from otel_measure.store.waiting import wait_s

LARGEST_LOG_PAGES: Final = 8_000  # 32 MB
# Of a log of that size; of a smaller one, so many less.
COMMITS: Final = 200
ROWS: Final = 20_000
BEGIN_ANEW_S: Final = 0.8  # how long writers may have to wait for readers, so that the log can begin anew
# After it was in vain it is tried again when the log has grown, so that it cannot run away from a question that takes
# a second; after some times in vain, every few seconds: a reader that was forgotten does not end.
_GROWN_AT_MOST: Final = 4
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
        log_pages: how large the log may become.
        busy_timeout_ms: how long a write waits for another process.
    """

    def __init__(self, connection: Connecting, log_pages: int, busy_timeout_ms: int) -> None:
        self._connection = connection
        self._from_bytes = emptied_from_pages(log_pages) * PAGE_BYTES
        self._busy_timeout_ms = busy_timeout_ms
        self._succeeded()

    def move(self) -> None:
        """Move it, as far as nobody reads it there, while others write."""
        # What stands in the way (a full disk, a file that is gone) the next write finds as well, and says.
        with suppress(StoreError), self._connection() as connection:
            _move(connection, "PASSIVE")

    def is_due(self, log_bytes: int) -> bool:
        """Tell whether a log of this size is to begin anew now. Its file is cut off when it does, see `prepared`."""
        if log_bytes <= self._from_bytes:
            return False
        return log_bytes >= self._tried_at_bytes + self._grown_bytes or time.monotonic() >= self._not_before_s

    def relieve(self, writer: sqlite3.Connection, log_bytes: int) -> bool:
        """Have a log of this size begin anew where that is due; return whether it was tried.

        Raises:
            sqlite3.OperationalError: "locked", there is no time for it: on an event loop; a thread does it then.
        """
        if not self.is_due(log_bytes):
            return False
        if not (within_s := wait_s(BEGIN_ANEW_S)):
            raise sqlite3.OperationalError("database is locked (its log is to be emptied)")
        self.begin_anew(writer, log_bytes, within_s=within_s)
        return True

    def begin_anew(
        self, holder: sqlite3.Connection, log_bytes: int = 0, *, mode: str = "RESTART", within_s: float = BEGIN_ANEW_S
    ) -> bool:
        """Have the next commit write to the start of the log; return whether it will. The writers' turn is taken.

        Writers wait, readers do not. While nobody commits, readers that begin see all there is, and hold nothing back;
        so it is done when those have ended that began before. One that does not end in time makes it in vain.

        Args:
            holder: keeps the writers of other processes out; its busy time-out is changed.
            log_bytes: the size of the log.
            mode: of SQLite's checkpoint; "TRUNCATE" leaves nothing in the log.
            within_s: how long writers wait for readers at most.
        """
        half_s = within_s / 2  # for those that hold a part of it back, and for those that read what has been moved
        try:
            with self._connection() as mover:
                for connection in (holder, mover):
                    connection.execute(f"PRAGMA busy_timeout={round(1000 * half_s)}")
                is_anew = _move_all(mover, holder, time.monotonic() + half_s) and _move(mover, mode)
                mover.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
        # Another process that writes for long, or a full disk: the log grows on, and what is wrong the write says.
        except (sqlite3.OperationalError, StoreError):
            is_anew = False
        if is_anew:
            self._succeeded()
        else:
            self._failed(log_bytes)
        return is_anew

    def is_in_vain(self) -> bool:
        """Tell whether somebody has kept the log from beginning anew just now."""
        return time.monotonic() < self._not_before_s

    def _succeeded(self) -> None:
        self._tried_at_bytes, self._grown_bytes = 0, self._from_bytes
        self._not_before_s, self._pause_s = 0.0, _BEGIN_ANEW_PAUSE_S

    def _failed(self, log_bytes: int) -> None:
        self._not_before_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._tried_at_bytes = log_bytes
        if log_bytes >= _GROWN_AT_MOST * self._from_bytes:
            self._grown_bytes = sys.maxsize


def _move_all(mover: sqlite3.Connection, holder: sqlite3.Connection, until_s: float) -> bool:
    """Move all of the log, while the holder lets nobody commit; return whether that was possible in time."""
    holder.execute("BEGIN IMMEDIATE")
    try:
        # RESTART alone would wait for one place among the readers, which new ones take before it looks again.
        while not (is_moved := _move(mover, "PASSIVE")) and time.monotonic() < until_s:
            time.sleep(0.005)
            # There are four places: who finds none free shares an old one, and would keep it old.
            holder.execute("ROLLBACK")
            holder.execute("BEGIN IMMEDIATE")
    finally:
        if holder.in_transaction:
            holder.execute("ROLLBACK")
    return is_moved


def _move(connection: sqlite3.Connection, mode: str) -> bool:
    """Move the log into the file; return whether all of it was, and what else the mode asks for was done."""
    is_busy, pages, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return not is_busy and bool(pages == moved)
