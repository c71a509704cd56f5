"""A connection as every one of ours is: its options and pragmas."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from otel_measure.store.sqlite.file import IMMUTABLE, MEMORY
from otel_measure.store.waiting import wait_s

PAGE_BYTES: Final = 4096
_PAUSE_S: Final = 0.005


def emptied_from_pages(log_pages: int) -> int:
    """Return from how many pages on a log that may have so many begins anew: one transaction still has room then."""
    return log_pages // 2


def connected(name: str, busy_timeout_ms: int) -> sqlite3.Connection:
    """Return a connection to a file, by its URI, or to ":memory:"; the file's log is not opened by it."""
    return sqlite3.connect(
        name,
        uri=name != MEMORY,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def connected_to_unchanging(path: Path) -> sqlite3.Connection:
    """Return a connection that takes a file for one that nobody changes: no lock is taken, and its log is not read."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{IMMUTABLE}", uri=True)


def open_log(
    connection: sqlite3.Connection, busy_timeout_ms: int, monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Open the write-ahead log of a file; one that has none yet is given one.

    Two that give a new file its log at the same time both read it and both want it alone: SQLite refuses one of them
    at once, whatever its time-out, for each would wait for the other. That one tries again.

    Args:
        connection: to the file.
        busy_timeout_ms: for how long, unless the caller must have an answer earlier.
        monotonic: seconds.

    Raises:
        sqlite3.OperationalError: others had the file for all that time, or it cannot be opened.
    """
    until_s = monotonic() + wait_s(busy_timeout_ms / 1000)
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() >= until_s:
                raise
        time.sleep(_PAUSE_S)


def prepared(connection: sqlite3.Connection, log_pages: int, busy_timeout_ms: int) -> sqlite3.Connection:
    """Return a connection that has opened the log, which may have so many pages, and is to be used."""
    open_log(connection, busy_timeout_ms)
    connection.execute(f"PRAGMA wal_autocheckpoint={log_pages}")
    # A log that begins anew is cut off there: whatever is larger is so because of what it holds.
    connection.execute(f"PRAGMA journal_size_limit={emptied_from_pages(log_pages) * PAGE_BYTES}")
    connection.execute("PRAGMA temp_store=MEMORY")
    # From the first page on: what is removed is overwritten. Some builds of SQLite do it by default.
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA cache_size=-4096")
    return connection
