"""What is wrong, said to the person at the console: SQLite's errors as those of the protocol."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from otel_measure.errors import StoreError, StoreRejected, StoreUnavailable

RECOVER: Final = "stop all writers, keep a copy, run `sqlite3 FILE .recover` or start a new store"
# (part of SQLite's message, cause, what the reader can do)
_CAUSES: Final = (
    ("locked", "locked", "another process holds the write lock; it is tried again by itself"),
    ("disk is full", "full", "free disk space or lower store_max_bytes; recording goes on by itself afterwards"),
    ("readonly", "read_only", "make the file and its directory writable for this user"),
    ("unable to open", "permission", "check that the directory exists and is writable, or set OTEL_MEASURE_STORE"),
    ("malformed", "corrupt", RECOVER),
    ("not a database", "corrupt", "the file is something else: set OTEL_MEASURE_STORE to another path"),
    ("disk i/o error", "io", "check the disk and that nobody removed the file; `otel-measure doctor` says more"),
)


def store_error(path: str, error: sqlite3.Error) -> StoreError:
    """Return what an SQLite error means to the person at the console."""
    message = str(error).lower()
    for part, cause, way_out in _CAUSES:
        if part in message:
            return StoreUnavailable(cause, f"{path}: {error}", way_out)
    kind = StoreRejected if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError) else StoreError
    return kind(f"store {path}: {error}")


@contextmanager
def rejecting() -> Iterator[None]:
    """Say in the words of the protocol that something given cannot be kept, such as a number that no column holds."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as fault:
        raise StoreRejected(f"cannot be kept: {fault!r}") from fault
