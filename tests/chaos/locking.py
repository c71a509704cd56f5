"""Another process holds the lock of a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store's lock as another process would, for a `with` block."""
    connection = sqlite3.connect(store, isolation_level=None, timeout=20)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()
