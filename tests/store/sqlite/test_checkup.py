"""What `doctor` finds at a store of SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.engines import definitions_of
from otel_measure.store.sqlite import SqliteStore, checkup
from otel_measure.store.sqlite.checkup import StoreFile
from otel_measure.store.sqlite.schema_scripts import latest
from otel_measure.store.types.findings import Finding
from tests.closing import closed_later

GIB = 2**30


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return the path of a store that a process has used and left."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()
    return path


def file_at(
    path: Path | str,
    *,
    mounts: tuple[tuple[str, str], ...] = (("/", "ext4"),),
    free_bytes: int = 100 * GIB,
    may_write: bool = True,
    **settings: Any,
) -> StoreFile:
    """Return a store file around which nothing is wrong, but for what is changed."""
    wanted = Settings(store=str(path), **settings)
    return StoreFile(
        settings=wanted,
        definitions=definitions_of(wanted),
        mounts=lambda: list(mounts),
        free_bytes=lambda _: free_bytes,
        may_write=lambda _: may_write,
    )


def names(file: StoreFile) -> list[str]:
    """Return the checks that have something to look at."""
    return [check.name for check in checkup.checks(file)]


def test_a_store_in_memory_has_no_file_checks() -> None:
    """Without a file only its kind is told."""
    memory = file_at(":memory:")
    assert checkup.place(memory) == Finding("ok", "in memory: it ends with the process")
    assert names(memory) == ["store"]


def test_a_store_yet_to_be_made(tmp_path: Path) -> None:
    """A path without a file is well where its directory can be made, and nothing is made by looking."""
    path = tmp_path / "state" / "otel-measure" / "measure.db"
    file = file_at(path)
    assert checkup.place(file) == Finding("ok", f"{path}, made at the first start")
    assert checkup.directory(file) == Finding("ok", f"{tmp_path} may be written")
    assert names(file) == ["store", "store directory", "store file system", "store disk"]
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    """A path that is a directory is refused with the way out."""
    assert checkup.place(file_at(tmp_path)) == Finding(
        "wrong", f"{tmp_path} is a directory", "set OTEL_MEASURE_STORE to a file in it"
    )


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    """The directory is named, and how to open it to this user."""
    assert checkup.directory(file_at(tmp_path / "a.db", may_write=False)) == Finding(
        "wrong",
        f"{tmp_path} may not be written by this user",
        f"chown or chmod {tmp_path}, or set OTEL_MEASURE_STORE",
    )


def test_a_network_file_system_is_wrong(store: Path) -> None:
    """A store on NFS is wrong although everything else works."""
    with pytest.raises(StoreUnavailable) as refusal:
        checkup.file_system(file_at(store, mounts=(("/", "ext4"), (str(store.parent), "nfs4"))))
    assert ("nfs4" in refusal.value.what, "local disk" in refusal.value.way_out) == (True, True)


@pytest.mark.parametrize(
    ("free", "size", "verdict", "way_out"),
    [
        (100 * GIB, 0, "ok", ""),
        (255 * 2**20, 0, "wrong", "free disk space; until then records are refused, not lost silently"),
        (2 * GIB, 0, "warning", "lower store_max_bytes below 2,048 MiB"),
        (100 * GIB, 95 * 2**20, "warning", "raise store_max_bytes, or the oldest days go first"),
    ],
)
def test_room_on_the_disk(free: int, size: int, verdict: str, way_out: str, tmp_path: Path) -> None:
    """Room is judged against what the store may still grow to, and its size against its bound."""
    path = tmp_path / "measure.db"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)
    bound = 100 * 2**20 if size else 10 * GIB
    finding = checkup.disk(file_at(path, free_bytes=free, store_max_bytes=bound))
    assert (finding.verdict, finding.way_out) == (verdict, way_out)
    assert finding.what == (
        f"{free // 2**20:,} MiB free; the store has {size // 2**20} MiB and may grow to {bound // 2**20:,} MiB"
    )


def test_a_damaged_file(store: Path) -> None:
    """A file whose pages do not agree is found, and the way out keeps a copy first."""
    with closed_later(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("CREATE TABLE filler AS SELECT randomblob(2000) AS bytes FROM pragma_function_list")
    connection.close()
    damaged = bytearray(store.read_bytes())
    damaged[-4096 * 3 :] = b"\xff" * (4096 * 3)
    store.write_bytes(damaged)
    finding = checkup.integrity(file_at(store))
    assert finding.verdict == "wrong"
    assert finding.way_out == "stop all writers, keep a copy, run `sqlite3 FILE .recover` or start a new store"


def test_a_locked_store(store: Path) -> None:
    """While another process holds the write lock, that is what doctor says."""
    writer = sqlite3.connect(store, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable) as refusal:
        checkup.writable(file_at(store))
    writer.close()
    assert refusal.value.what == f"{store}: database is locked"


def test_without_a_write_ahead_log(store: Path) -> None:
    """Another journal mode is a warning, because readers and writers then wait for each other."""
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    assert checkup.log(file_at(store)) == Finding(
        "warning",
        "journal mode delete: readers and writers wait for each other",
        "start otel-measure once; it switches to the write-ahead log",
    )


def test_a_write_ahead_log_that_only_grows(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log far beyond its usual size means that a reader holds it."""
    monkeypatch.setattr(checkup, "_size", lambda path: 300 * 2**20)
    assert checkup.log(file_at(store)) == Finding(
        "warning",
        "the write-ahead log has 300 MiB: a reader keeps it from being emptied",
        "look for a long-running query or an open sqlite3 shell, and end it",
    )


def test_schemas(store: Path, tmp_path: Path) -> None:
    """An older schema is brought up to date by itself; a newer one and foreign tables are told where the file is."""
    assert checkup.schema(file_at(store)) == Finding("ok", f"schema {latest()}, this otel-measure knows {latest()}")
    sqlite3.connect(tmp_path / "empty.db").close()
    assert checkup.schema(file_at(tmp_path / "empty.db")) == Finding(
        "ok", f"schema 0, this otel-measure knows {latest()}; brought up to date at the next start"
    )
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    assert checkup.place(file_at(store)) == Finding(
        "wrong",
        f"{store} has schema 9999, this otel-measure knows {latest()}",
        "upgrade otel-measure",
    )
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE recipe (name)")
    assert checkup.place(file_at(tmp_path / "other.db")) == Finding(
        "wrong",
        f"{tmp_path / 'other.db'} is an SQLite database of another program (user_version 0; 1 table: recipe)",
        "set OTEL_MEASURE_STORE to another path; this file is left as it is",
    )


def test_a_file_that_others_may_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was made readable for others is a warning with the way out; ours are not."""
    assert checkup.privacy(file_at(store)) == Finding("ok", "its owner alone may read it")
    monkeypatch.setattr(checkup, "others_who_may_read", lambda path: ("group", "everybody"))
    assert checkup.privacy(file_at(store)) == Finding(
        "warning", f"group and everybody may read {store}", f"chmod 600 {store}*, which its log is among"
    )


def test_days_of_another_zone(store: Path) -> None:
    """A store whose days are not those of the settings is refused at start; doctor names both ways out."""
    assert checkup.time_zone(file_at(store, timezone="Asia/Kathmandu")) == Finding(
        "wrong",
        "days are kept in UTC, the settings say Asia/Kathmandu",
        "set OTEL_MEASURE_TIMEZONE=UTC, or run `otel-measure rebuild --timezone Asia/Kathmandu`",
    )


def test_an_old_sqlite() -> None:
    """A SQLite without STRICT tables cannot have the schema."""
    assert checkup.library((3, 36, 0)) == Finding(
        "wrong", "3.36.0 has no STRICT tables", "use a Python with SQLite 3.37.0 or newer"
    )
    assert checkup.library((3, 37, 0)) == Finding("ok", "3.37.0")
