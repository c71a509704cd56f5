"""The write-ahead log of a file is opened, or given to it, though others want the file at the same time."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from otel_measure.store.sqlite.opening import open_log

MODE: Final = "PRAGMA journal_mode"


def connected(path: Path) -> closing[sqlite3.Connection]:
    """Return a connection that waits for nobody by itself, which is how SQLite treats one of two that give a log."""
    return closing(sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False))


def test_who_is_refused_tries_again(tmp_path: Path) -> None:
    """A file that another connection has for itself is given its log when that one is done."""
    with connected(tmp_path / "x.db") as other, connected(tmp_path / "x.db") as connection:
        other.execute("BEGIN EXCLUSIVE")
        done = threading.Timer(0.1, other.execute, ["COMMIT"])
        done.start()
        open_log(connection, 60_000)
        done.join()
        assert connection.execute(MODE).fetchone() == ("wal",)


def test_it_ends_when_the_time_is_up(tmp_path: Path) -> None:
    """Whoever is refused all the time is told so, and the file is as it was."""
    seconds = iter([100.0, 100.9, 101.0, 101.1])
    with connected(tmp_path / "x.db") as other, connected(tmp_path / "x.db") as connection:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            open_log(connection, 1000, lambda: next(seconds))
        other.execute("COMMIT")
        assert (next(seconds), connection.execute(MODE).fetchone()) == (101.1, ("delete",))


def test_another_fault_is_told_at_once(tmp_path: Path) -> None:
    """What no waiting helps is not waited for."""
    (tmp_path / "x.db-journal").mkdir()
    seconds = iter([100.0])
    with connected(tmp_path / "x.db") as connection, pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_log(connection, 60_000, lambda: next(seconds))
