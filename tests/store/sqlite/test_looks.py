"""What is told of a file that others open, close, remove or replace while it is looked at."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import SqliteStore, ownership
from otel_measure.store.sqlite.ownership import APPLICATION_ID, Contents, look
from otel_measure.store.sqlite.schema_scripts import latest
from tests.store.sqlite import last_release
from tests.store.sqlite.other_programs import in_the_log_alone, one_table_more

# Prints whether a process has a connection to a database, by the lock of SQLite that each has.
LOCKED: Final = """
import fcntl, os, sys
try:
    fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
    print("free")
except OSError:
    print("locked")
"""


def is_locked(path: Path) -> bool:
    """Tell whether a process has a connection to a database."""
    told = subprocess.run([sys.executable, "-c", LOCKED, str(path)], capture_output=True, text=True, check=True)
    return {"locked": True, "free": False}[told.stdout.strip()]


def with_ours_closed(path: Path, store: SqliteStore) -> Contents:
    """Its last user ends: the log is moved into the file, and is no more."""
    store.close()
    return Contents(APPLICATION_ID, latest())


def with_the_file_removed(path: Path, store: SqliteStore) -> Contents:
    """Somebody removes it with its log."""
    with_ours_closed(path, store)
    path.unlink()
    return Contents()


def with_another_in_its_place(path: Path, store: SqliteStore) -> Contents:
    """Somebody puts another database there."""
    with_the_file_removed(path, store)
    in_the_log_alone(path)
    return Contents(0, 0, frozenset({"recipe"}), has_schema=True)


@pytest.mark.parametrize("step", ["_read", "_read_copy", "log_of"])
@pytest.mark.parametrize("change", [with_ours_closed, with_the_file_removed, with_another_in_its_place])
def test_what_changes_meanwhile_is_looked_at_again(
    change: Callable[[Path, SqliteStore], Contents], step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a file becomes between two steps of a look, the answer is what it is afterwards."""
    path = tmp_path / "measure.db"
    store = SqliteStore(str(path))
    expected: list[Contents] = []
    original = getattr(ownership, step)

    def changed_before(*arguments: object) -> object:
        if not expected:
            expected.append(change(path, store))
        return original(*arguments)

    monkeypatch.setattr(ownership, step, changed_before)
    assert [look(path)] == expected


def test_what_looks_damaged_while_others_write_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose pages are of two moments is not told to be damaged."""
    path = tmp_path / "measure.db"
    last_release.write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096])
    with pytest.raises(StoreUnavailable) as raised:
        look(path)
    assert raised.value.cause_name == "corrupt"
    reads = iter((whole[:4096], whole))
    original = ownership._read

    def read(of: Path) -> Contents:
        path.write_bytes(next(reads, whole))
        return original(of)

    monkeypatch.setattr(ownership, "_read", read)
    assert look(path).user_version == 8


def test_what_never_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that another program writes to all the time is looked at for a second, and then taken as it is."""
    path = tmp_path / "app.db"
    one_table_more(path)
    stands, pauses = iter(range(1000)), list[float]()
    monkeypatch.setattr(ownership, "standing", lambda _: next(stands))
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert "recipe" in look(path).tables
    assert (len(pauses), round(sum(pauses), 6)) == (50, 1.0)


def test_a_log_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the log, and what to do."""
    path = tmp_path / "measure.db"

    def refuse(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied", source)

    monkeypatch.setattr(shutil, "copyfile", refuse)
    with closing(SqliteStore(str(path))), pytest.raises(StoreUnavailable) as raised:
        look(path)
    assert (raised.value.cause_name, raised.value.what) == (
        "permission",
        f"{path}-wal cannot be looked at: Permission denied",
    )


def test_a_look_leaves_the_locks_of_this_process(tmp_path: Path) -> None:
    """A store that this process has open stays so for others: else the last of them would remove the log in use."""
    path = tmp_path / "measure.db"
    store = SqliteStore(str(path))
    assert is_locked(path)
    assert look(path) == Contents(APPLICATION_ID, latest())
    assert is_locked(path)
    store.close()
    assert not is_locked(path)
