"""Transactions of a database, the ends of its connections, and forks."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.migrations import migrate
from otel_measure.store.sqlite.schema_scripts import latest, run
from otel_measure.store.waiting import waiting_until
from tests.store.sqlite.numbers import numbers, put
from tests.store.sqlite.test_looks import is_locked

Open = Callable[..., Database]


# ---------------------------------------------------------------- transactions


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_write_is_all_or_nothing(opened_database: Open, path: Path, kind: str) -> None:
    """An error in the middle rolls everything back and comes out unchanged."""
    database = opened_database(path if kind == "file" else MEMORY)
    put(database, 1)
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        connection.execute("INSERT INTO t VALUES (2)").fetchone() or 1 / 0
    put(database, 3)
    assert numbers(database) == [1, 3]


def test_the_folder_is_made_for_its_owner_alone(opened_database: Open, path: Path) -> None:
    """Its parents too; what is in the file is nobody else's business."""
    put(opened_database(path), 1)
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_reader_sees_one_state(opened_database: Open, path: Path) -> None:
    """Every query of one read sees what was committed when it began."""
    database = opened_database(path)
    put(database, 1)
    with database.read() as connection:
        before = connection.execute("SELECT count(*) FROM t").fetchone()
        put(opened_database(path), 2)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == before == (1,)
    assert numbers(database) == [1, 2]


def test_reads_and_writes_of_many_threads(opened_database: Open, path: Path) -> None:
    """One process may use the store from any thread: nothing is lost."""
    database = opened_database(path)
    put(database, 0)
    seen: list[int] = []

    def work(first: int) -> None:
        for n in range(first, first + 20):
            put(database, n)
            seen.append(len(numbers(database)))

    threads = [threading.Thread(target=work, args=(1 + 20 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(database) == list(range(81))
    assert max(seen) == 81


@pytest.mark.parametrize(
    ("power_safe", "durable", "expected"), [(False, False, 1), (False, True, 2), (True, False, 2), (True, True, 2)]
)
def test_a_durable_commit_is_synced(
    opened_database: Open, path: Path, power_safe: bool, durable: bool, expected: int
) -> None:
    """synchronous: 1 is NORMAL (survives `kill -9`), 2 is FULL (survives power loss)."""
    database = opened_database(path, power_safe=power_safe)
    put(database, 1)
    with database.write(durable=durable) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (expected,)
    with database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2 if power_safe else 1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# ---------------------------------------------------------------- forks and schema


def test_no_connection_is_copied(opened_database: Open, path: Path) -> None:
    """A fork finds none of the parent's, neither the writer's nor one to read; afterwards each has its own."""
    database = opened_database(path)
    put(database, 1)
    assert numbers(database) == [1]
    assert is_locked(path)
    database.before_fork()
    assert not is_locked(path)
    database.after_fork_in_parent()
    put(database, 2)
    assert numbers(database) == [1, 2]
    assert is_locked(path)


def test_a_fork_within_a_transaction_leaves_it_as_it_is(opened_database: Open, path: Path) -> None:
    """What the forking thread writes or reads itself goes on in the parent."""
    database = opened_database(path)
    put(database, 1)
    with database.read() as reading, database.write() as writing:
        before = reading.execute("SELECT n FROM t").fetchall()
        writing.execute("INSERT INTO t VALUES (2)")
        database.before_fork()
        database.after_fork_in_parent()
        assert reading.execute("SELECT n FROM t").fetchall() == before == [(1,)]
    assert numbers(database) == [1, 2]


def test_a_child_keeps_its_copy_of_a_store_in_memory(opened_database: Open) -> None:
    """From the fork on it is the child's own."""
    database = opened_database(MEMORY)
    put(database, 1)
    database.before_fork()
    database.after_fork_in_child()
    put(database, 2)
    assert numbers(database) == [1, 2]


def test_no_other_thread_writes_while_the_process_is_copied(opened_database: Open) -> None:
    """It waits until the parent goes on."""
    database = opened_database(MEMORY)
    put(database, 0)
    database.before_fork()
    thread = threading.Thread(target=put, args=(database, 1))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    database.after_fork_in_parent()
    thread.join(60)
    assert numbers(database) == [0, 1]


def test_a_fork_does_not_wait_for_one_that_waits_for_it(
    opened_database: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat that looks at the file while a fork has begun waits outside of the gate that the fork closes."""
    database = opened_database(path)
    put(database, 1)
    heartbeat = threading.Thread(target=database.watch)

    def meanwhile(wait_s: float) -> None:
        heartbeat.start()
        while not database._lock._waiting:
            time.sleep(0.001)

    monkeypatch.setattr(database._checkpoints, "wait", meanwhile)
    database.before_fork()
    assert database._gate._inside == 0
    assert heartbeat.is_alive()
    database.after_fork_in_parent()
    heartbeat.join(60)
    assert not heartbeat.is_alive()


def test_migrating_again_changes_nothing(opened_database: Open, path: Path) -> None:
    """Each numbered file runs once."""
    database = opened_database(path)
    migrate(database)
    with database.read() as connection:
        before = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    migrate(database)
    with database.read() as connection:
        assert connection.execute("SELECT sql FROM sqlite_schema").fetchall() == before
    assert version >= 1


@contextmanager
def of_an_earlier_version_and_held(database: Database) -> Iterator[sqlite3.Connection]:
    """Hold the write lock of a store, as another process does that brings its schema up to date."""
    with database.write() as connection:
        run(connection, 0, 8)
        connection.execute("PRAGMA user_version=8")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_who_opens_a_store_waits_for_the_process_that_brings_it_up_to_date(
    opened_database: Open, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It tries again until the lock is free, says so once, and then has the schema."""
    database = opened_database(path, busy_timeout_ms=0)
    with of_an_earlier_version_and_held(database) as other:
        looks = [0.0, 20.0, 40.0]

        def monotonic() -> float:
            if len(looks) == 1:
                other.execute("ROLLBACK")
            return looks.pop(0)

        migrate(database, monotonic)
    with database.read() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (latest(),)
    assert looks == []
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: another process holds it; waiting to bring its schema up to date"
    ]


@pytest.mark.parametrize(("bounded", "waited_s", "tries"), [(nullcontext(), 60, 3), (waiting_until(0.0), 0, 1)])
def test_who_opens_a_store_waits_a_minute_or_until_the_caller_must_have_an_answer(
    opened_database: Open, path: Path, bounded: AbstractContextManager[None], waited_s: int, tries: int
) -> None:
    """Then it says who is to end; for a request whose time is over it is tried once."""
    database = opened_database(path, busy_timeout_ms=0)
    looks = [0.0, 20.0, 40.0, 60.0]
    with of_an_earlier_version_and_held(database), bounded, pytest.raises(StoreUnavailable) as raised:
        migrate(database, lambda: looks.pop(0))
    assert str(raised.value) == (
        f"store unavailable (locked): {path}: another process has held the write lock for {waited_s} s, and its schema "
        "is an earlier one; start again when that process has ended"
    )
    assert len(looks) == 3 - tries


def test_a_migration_is_all_or_nothing(opened_database: Open, path: Path) -> None:
    """A name in the way leaves no half of a schema behind, and no mark that the store is of a newer version."""
    database = opened_database(path)
    with database.write() as connection:
        run(connection, 0, 8)
        connection.execute("PRAGMA user_version=8")
        connection.execute("CREATE VIEW person_end AS SELECT 1")
        before = connection.execute("SELECT name, sql FROM sqlite_schema").fetchall()
    with pytest.raises(StoreError, match="person_end already exists"):
        migrate(database)
    with database.read() as connection:
        assert connection.execute("SELECT name, sql FROM sqlite_schema").fetchall() == before
        assert connection.execute("PRAGMA user_version").fetchone() == (8,)
        assert connection.execute("PRAGMA application_id").fetchone() == (0,)
