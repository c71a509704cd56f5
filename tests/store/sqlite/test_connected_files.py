"""The locks of a process on a file that it has connections to, and may look at by itself meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.engines import store_checks
from otel_measure.store.sqlite import SqliteStore, file
from tests.facts import NOON, event
from tests.store.sqlite.test_looks import is_locked

# Has a database locked as a connection has, until it is told to end.
LOCKING: Final = """
import fcntl, os, sys
fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_SH, 510, 0x40000002)
print("locked", flush=True)
sys.stdin.readline()
"""


def test_a_second_store_of_a_process_begins_no_second_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log that the first one has was removed: no new one is begun, and the first keeps its locks."""
    monkeypatch.setattr(file, "_OPENING_S", 0.0)
    path = tmp_path / "x.db"
    with closing(SqliteStore(str(path))) as first:
        first.accept([event("a", "u", NOON)])
        os.unlink(f"{path}-wal")
        with pytest.raises(StoreUnavailable) as raised:
            SqliteStore(str(path))
        assert (raised.value.cause_name, raised.value.what) == ("removed", f"{path}-wal was removed while in use")
        assert is_locked(path)
        assert not os.path.exists(f"{path}-wal")


def test_who_is_just_opening_or_closing_a_file_has_lost_no_log(tmp_path: Path) -> None:
    """It has none for a moment, which the checks of `doctor` wait for, and every process that opens the file."""
    path = tmp_path / "x.db"
    SqliteStore(str(path)).close()
    command = [sys.executable, "-c", LOCKING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        done = threading.Timer(0.2, other.communicate, ["end\n"])
        done.start()
        checks = {check.name: check for check in store_checks(Settings(store=str(path)))}
        done.join()
    assert "store integrity" in checks
    assert checks["store log"].look().verdict == "ok"
