"""What `doctor` finds at a store of SQLite."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.engines import definitions_of
from otel_measure.store.sqlite import SqliteStore, checkup, checkup_limits
from otel_measure.store.sqlite.bound import file_bytes
from otel_measure.store.sqlite.checked_file import StoreFile
from otel_measure.store.sqlite.damage import Damage
from otel_measure.store.sqlite.faults import RECOVER
from otel_measure.store.sqlite.log_readers import LogReader, log_readers
from otel_measure.store.sqlite.schema_scripts import latest
from otel_measure.store.types.facts import ACCEPTED
from otel_measure.store.types.findings import Finding, Verdict
from tests.closing import closed_later
from tests.facts import DAY, HOUR, NOON, event

MIB = 2**20
GIB = 2**30
UNSEEN_RECORDS = Finding(
    "warning",
    "answers are about 'production'; the store has records of no environment, which are not among them",
    "give each process that records (`serve` too, for what it is told over HTTP) its OTEL_MEASURE_ENVIRONMENT;"
    " ?environment= asks for those that have none",
)


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
        holders=lambda _: ("pid 7 (python)",),
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
    ("free", "verdict", "way_out"),
    [
        (100 * GIB, "ok", ""),
        (255 * 2**20, "wrong", "free disk space; until then records are refused, not lost silently"),
        (2 * GIB, "warning", "lower store_max_bytes below 2,048 MiB"),
    ],
)
def test_room_on_the_disk(free: int, verdict: Verdict, way_out: str, tmp_path: Path) -> None:
    """Room is judged against what the store may still grow to."""
    finding = checkup.disk(file_at(tmp_path / "measure.db", free_bytes=free))
    assert finding == Finding(
        verdict, f"{free // MIB:,} MiB free; the store has 0 MiB and may grow to 10,240 MiB", way_out
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


def test_damage_that_a_process_has_noted(store: Path) -> None:
    """It is wrong also where a check of the pages does not see it, until somebody has mended it and says so."""
    Damage(str(store)).note("event: a page is gone")
    assert checkup.integrity(file_at(store)) == Finding(
        "wrong", f"{store}: event: a page is gone", f"{RECOVER}; delete {store}-damage when it is mended in place"
    )
    Path(f"{store}-damage").write_text("not a note of ours")
    assert checkup.integrity(file_at(store)) == Finding("ok", "opens; quick_check finds nothing")


def test_without_a_write_ahead_log(store: Path) -> None:
    """Another journal mode is a warning, because readers and writers then wait for each other."""
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    assert checkup_limits.log(file_at(store)) == Finding(
        "warning",
        "there is no write-ahead log: readers and writers wait for each other",
        "start otel-measure once; it switches to the write-ahead log",
    )


def test_a_reader_that_keeps_the_log_from_being_emptied(store: Path) -> None:
    """It is named, by its process and what that was started as; a log within its bound is well, whoever reads."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN');"
        "c.execute('SELECT count(*) FROM event').fetchone(); print('reads', flush=True); sys.stdin.read()"
    )
    writer = closed_later(SqliteStore(str(store)))
    with subprocess.Popen(
        [sys.executable, "-c", program, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reads\n"
        for n in range(20):
            writer.accept([event(f"{n}-{i}", properties={"blob": "x" * 2000}) for i in range(100)])
        size = store.with_name("measure.db-wal").stat().st_size
        assert checkup_limits.log(file_at(store)).verdict == "ok"
        finding = checkup_limits.log(file_at(store, store_max_bytes=16 * MIB))
        assert finding.verdict == "warning"
        assert finding.what.startswith(
            f"the write-ahead log has {size / MIB:,.0f} MiB and should have 2 MiB:"
            f" it is kept from being emptied by pid {reader.pid} ({sys.executable} -c"
        )
        assert finding.what.endswith(f"{store}); nothing is removed for it")
        reader.stdin.close()


def test_readers_that_cannot_be_seen(store: Path, tmp_path: Path) -> None:
    """Where the system tells of no locks, all are named who have the file open."""
    with store.with_name("measure.db-wal").open("wb") as log:
        log.truncate(3 * MIB)
    file = replace(file_at(store, store_max_bytes=16 * MIB), log_readers=lambda _: [])
    assert checkup_limits.log(file).what == (
        "the write-ahead log has 3 MiB and should have 2 MiB: it is kept from being emptied by a reader, one of"
        " pid 7 (python); nothing is removed for it"
    )
    assert log_readers(store, tmp_path) == []
    assert log_readers(tmp_path / "none", Path("/proc")) == []
    (tmp_path / "locks").write_text(
        f"1: POSIX  ADVISORY  READ 7 fe:00:{store.stat().st_ino} 124 124\n"
        f"2: POSIX  ADVISORY  READ 8 fe:00:{store.stat().st_ino} 128 128\n"
        f"3: POSIX  ADVISORY  WRITE 9 fe:00:{store.stat().st_ino} 124 124\n"
        "4: POSIX  ADVISORY  READ 10 fe:00:1 124 124\n"
        "5: FLOCK  ADVISORY  WRITE 11 fe:00:2 0 EOF\n"
    )
    assert log_readers(store, tmp_path) == [LogReader(7, "")]


def test_the_bound(store: Path) -> None:
    """From nine tenths on the oldest facts go, and at the whole of it writes are refused."""
    with closing(sqlite3.connect(store)) as connection:
        left = int(15.4 * MIB) - file_bytes(connection)  # however large the tables of an empty store are
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(?) AS bytes", (left,))
        connection.commit()
    found = [checkup_limits.bound(file_at(store, store_max_bytes=n * MIB)) for n in (1024, 17)]
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE more AS SELECT zeroblob(1048576) AS bytes")
        connection.commit()
    found.append(checkup_limits.bound(file_at(store, store_max_bytes=16 * MIB)))
    assert found == [
        Finding("ok", "15 MiB of 1,024 MiB are used, the file has 15 MiB"),
        Finding(
            "warning",
            "15 MiB of 17 MiB are used, the file has 15 MiB: the oldest facts go",
            "raise store_max_bytes to keep them",
        ),
        Finding(
            "wrong",
            "16 MiB of 16 MiB are used, the file has 16 MiB: writes are refused",
            "raise store_max_bytes; no fact of the last hour goes for it",
        ),
    ]


def test_the_clock(store: Path) -> None:
    """One that is doubted is told with what has it believed; a person who has looked at it may confirm it."""
    file = replace(file_at(store), now_us=lambda: NOON + 800 * DAY)
    assert checkup_limits.clock(file) == Finding("ok", "there was no heartbeat yet")
    opened = closed_later(SqliteStore(str(store)))
    opened.keep_time(NOON)
    assert checkup_limits.clock(replace(file, now_us=lambda: NOON + HOUR)) == Finding(
        "ok", "believed; the last heartbeat was 2026-01-15 12:00 UTC"
    )
    assert checkup_limits.clock(file) == Finding(
        "warning",
        "it says 2028-03-25 12:00, the store's time is 2026-01-15 12:00 (UTC): nothing is removed and nothing runs out",
        "set the clock right; if it is, `otel-measure doctor --fix` or 24.0 h of running have it believed",
    )
    checkup_limits.confirm_clock(file)
    assert checkup_limits.clock(file) == Finding("ok", "believed; the last heartbeat was 2028-03-25 12:00 UTC")
    assert opened.keep_time(NOON + 800 * DAY)


def test_a_horizon_that_is_still_to_come(store: Path) -> None:
    """An older version has left it after a minute of a wrong clock; confirming the clock puts it right."""
    opened = closed_later(SqliteStore(str(store)))
    opened.keep_time(NOON)
    with opened._database.write() as connection:
        connection.execute("INSERT INTO meta VALUES ('horizon', ?)", (str(NOON + 400 * DAY),))
    file = replace(file_at(store), now_us=lambda: NOON)
    assert checkup_limits.clock(file) == Finding(
        "warning",
        "what comes before 2027-02-19 12:00 UTC is refused, and that is still to come",
        "the next heartbeat puts it right, or `otel-measure doctor --fix`",
    )
    checkup_limits.confirm_clock(file)
    assert checkup_limits.clock(file).verdict == "ok"
    assert opened.accept([event("a")]) == [ACCEPTED]


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


@pytest.mark.parametrize(
    ("recorded_in", "settings", "expected"),
    [
        ([], {}, Finding("ok", "answers are about records of no environment")),
        (["staging", "production"], {}, Finding("ok", "answers are about 'production'; the store has 'staging' too")),
        (["", "production"], {}, UNSEEN_RECORDS),
        (["", "production"], {"environment": "production"}, UNSEEN_RECORDS),
    ],
)
def test_records_that_no_answer_has(
    store: Path, recorded_in: list[str], settings: dict[str, Any], expected: Finding
) -> None:
    """Records without an environment are warned of where answers are about another one."""
    with closing(SqliteStore(str(store))) as opened:
        for environment in recorded_in:
            opened.register_service(environment, "api", 99.0, NOON)
    assert checkup.environment(file_at(store, **settings)) == expected


def test_environments_of_a_store_of_before(store: Path) -> None:
    """A store that does not tell environments apart yet is well."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DROP TABLE environment")
    assert checkup.environment(file_at(store)) == Finding("ok", "not known before the next process starts")
