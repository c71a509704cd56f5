"""A connection as every one of ours is: its options and pragmas."""

from __future__ import annotations

import sqlite3
from typing import Final

from otel_measure.store.sqlite.file import MEMORY

PAGE_BYTES: Final = 4096


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


def prepared(connection: sqlite3.Connection, log_pages: int) -> sqlite3.Connection:
    """Return a connection that has opened the log, which may have so many pages, and is to be used."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA wal_autocheckpoint={log_pages}")
    # A log that begins anew is cut off there: whatever is larger is so because of what it holds.
    connection.execute(f"PRAGMA journal_size_limit={emptied_from_pages(log_pages) * PAGE_BYTES}")
    connection.execute("PRAGMA temp_store=MEMORY")
    # From the first page on: what is removed is overwritten. Some builds of SQLite do it by default.
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA cache_size=-4096")
    return connection
