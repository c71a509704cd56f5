"""What a database does when its file, its folder or its disk fails it, and how it says so."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.sqlite import file_connections, opening
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.faults import store_error
from otel_measure.store.sqlite.file import MEMORY
from tests.folders import not_to_be_entered
from tests.store.sqlite.numbers import numbers, put

Open = Callable[..., Database]


def test_a_locked_store(opened_database: Open, path: Path) -> None:
    """Another writer that does not end makes a clear error; reading goes on, and so does writing afterwards."""
    database = opened_database(path, busy_timeout_ms=10)
    put(database, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked") as raised:
        put(database, 2)
    assert (raised.value.cause_name, str(path) in raised.value.what) == ("locked", True)
    assert numbers(database) == [1]
    other.execute("ROLLBACK")
    other.close()
    put(database, 3)
    assert numbers(database) == [1, 3]


def test_a_writer_waits_for_other_threads_only_so_long(opened_database: Open, path: Path) -> None:
    """A write that does not get its turn among the threads of the process says so instead of waiting on."""
    database = opened_database(path, busy_timeout_ms=10)
    refused: list[str] = []

    def write() -> None:
        with pytest.raises(StoreUnavailable) as raised:
            put(database, 2)
        refused.append(raised.value.cause_name)

    put(database, 1)
    with database.write():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    put(database, 3)
    assert (refused, numbers(database)) == (["locked"], [1, 3])


def refused(attempt: Callable[[], object]) -> StoreUnavailable:
    """Return why the store cannot be used."""
    with pytest.raises(StoreUnavailable) as raised:
        attempt()
    return raised.value


def rows(file: Path) -> list[int]:
    """Return what another program finds in table t."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [n for (n,) in connection.execute("SELECT n FROM t ORDER BY n")]


def leave_no_connection(database: Database) -> None:
    """Lose the writer by an error, and the reader as well: what comes next has to open the file."""
    with pytest.raises(StoreError), database.write() as connection:
        connection.execute("SELECT * FROM nowhere")
    while database._idle:
        database._close(database._idle.pop())


def test_a_removed_file_takes_no_more_writes(opened_database: Open, path: Path) -> None:
    """What would go into a file that nobody finds again is refused, until the file is back."""
    database = opened_database(path)
    put(database, 1)
    path.rename(path.with_name("elsewhere"))
    for attempt in (lambda: put(database, 2), lambda: numbers(database)):
        found = refused(attempt)
        assert (found.cause_name, found.what) == ("removed", f"{path} was removed while in use")
        assert found.way_out.startswith("put it back")
    path.with_name("elsewhere").rename(path)
    put(database, 3)
    assert numbers(database) == [1, 3]


@pytest.mark.parametrize("forked", [False, True])
def test_nothing_is_made_in_the_place_of_a_removed_file(opened_database: Open, path: Path, forked: bool) -> None:
    """SQLite would throw the log of the file away that comes back, and with it what is in it alone."""
    database = opened_database(path)
    other = sqlite3.connect(path)  # whose connection keeps the log from being emptied
    put(database, 1)
    other.execute("SELECT * FROM t").fetchall()
    leave_no_connection(database)
    path.rename(path.with_name("elsewhere"))
    if forked:
        database.before_fork()
        database.after_fork_in_child()
    for attempt in (lambda: put(database, 2), lambda: numbers(database), lambda: numbers(database)):
        assert refused(attempt).cause_name == "removed"
    assert not path.exists()
    path.with_name("elsewhere").rename(path)
    assert (numbers(database), rows(path)) == ([1], [1])
    other.close()


@pytest.mark.parametrize("connected", [True, False])
def test_a_replaced_file_is_refused(opened_database: Open, path: Path, connected: bool) -> None:
    """To read and to write, for as long as the process runs; the message says what to do."""
    database = opened_database(path)
    put(database, 1)
    numbers(database)
    if not connected:
        leave_no_connection(database)
    put(opened_database(path.with_name("backup")), 7)
    path.with_name("backup").rename(path)
    for attempt in (lambda: put(database, 2), lambda: numbers(database)):
        found = refused(attempt)
        assert (found.cause_name, found.what) == ("removed", f"{path} was replaced by another file while in use")
        assert "delete the -wal and -shm files beside it if you restore another file" in found.way_out


@pytest.mark.parametrize("waits", [True, False])
def test_a_file_that_is_replaced_while_it_is_opened(
    opened_database: Open, path: Path, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was done with it yet: whoever waits for its locks while a backup is put there opens the backup."""
    for file, number in ((path, 1), (path.with_name("backup"), 7)):
        made = Database(str(file))
        put(made, number)
        made.close()

    def prepared(connection: sqlite3.Connection, *options: int) -> sqlite3.Connection:
        if path.with_name("backup").exists():
            path.with_name("backup").rename(path)
            if not waits:
                raise sqlite3.OperationalError("attempt to write a readonly database")
        return opening.prepared(connection, *options)

    monkeypatch.setattr(file_connections, "prepared", prepared)
    assert (numbers(opened_database(path)), rows(path)) == ([7], [7])


@pytest.mark.parametrize("ends_with", ["write", "close"])
def test_a_restored_backup_does_not_get_the_log_of_the_file_before_it(path: Path, ends_with: str) -> None:
    """The log goes into the file that it belongs to, wherever that is now."""
    database = Database(str(path))
    put(database, 1)
    backup = path.with_name("backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    put(database, 2)
    path.rename(path.with_name("before"))
    backup.rename(path)
    if ends_with == "write":
        refused(lambda: put(database, 3))
        assert rows(path) == [1]
    database.close()
    assert (rows(path), rows(path.with_name("before"))) == ([1], [1, 2])


def test_a_folder_that_may_not_be_entered(opened_database: Open, path: Path) -> None:
    """Is a state that passes, as a locked store is: nothing is lost, and what waits is written afterwards."""
    database = opened_database(path)
    put(database, 1)
    with not_to_be_entered(path.parent):
        for attempt in (lambda: put(database, 2), lambda: numbers(database)):
            found = refused(attempt)
            assert (found.cause_name, found.what) == ("permission", f"{path} cannot be looked at: Permission denied")
            assert found.way_out.startswith("let this user enter the directory")
    put(database, 3)
    assert numbers(database) == [1, 3]


def test_any_name_of_a_file(opened_database: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that means something in an address, and one that is relative to where the process was."""
    monkeypatch.chdir(tmp_path)
    name = "a?mode=memory&b#c%41 \u00e9.db"
    database = opened_database(name)
    put(database, 1)
    leave_no_connection(database)
    assert (numbers(database), rows(tmp_path / name)) == ([1], [1])


def test_a_full_disk(opened_database: Open, path: Path) -> None:
    """The transaction that did not fit is gone, the others are there, and writing goes on when there is room."""
    database = opened_database(path)
    put(database, 1)
    with database.write() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StoreUnavailable, match="full") as raised, database.write() as connection:
        connection.execute("INSERT INTO t SELECT value FROM json_each(?)", (str(list(range(50_000))),))
    assert raised.value.cause_name == "full"
    put(database, 2)
    assert numbers(database) == [1, 2]


def test_a_read_only_file(opened_database: Open, path: Path) -> None:
    """Told apart from a lock: waiting does not help."""
    database = opened_database(path)
    put(database, 1)
    with pytest.raises(StoreUnavailable, match="readonly") as raised, database.write() as connection:
        connection.execute("PRAGMA query_only=1").connection.execute("INSERT INTO t VALUES (2)")
    assert raised.value.cause_name == "read_only"
    put(database, 3)
    assert numbers(database) == [1, 3]


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_file(opened_database: Open, tmp_path: Path, content: bytes) -> None:
    """The file is left as it is, for whoever can save it."""
    file = tmp_path / "x.db"
    file.write_bytes(content)
    database = opened_database(file)
    with pytest.raises(StoreUnavailable) as raised:
        put(database, 1)
    assert raised.value.cause_name == "corrupt"
    with pytest.raises(StoreUnavailable) as raised:
        numbers(database)
    assert raised.value.cause_name == "corrupt"
    assert file.read_bytes() == content


def test_a_path_below_a_file(tmp_path: Path) -> None:
    """The folder cannot be made."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable) as raised:
        Database(str(tmp_path / "file" / "folder" / "x.db"))
    assert (raised.value.cause_name, raised.value.way_out) == (
        "permission",
        "set OTEL_MEASURE_STORE to a writable path",
    )


def test_a_path_that_is_a_folder(opened_database: Open, tmp_path: Path) -> None:
    """SQLite cannot open it, to write or to read."""
    database = opened_database(tmp_path)
    for attempt in (lambda: put(database, 1), lambda: numbers(database)):
        with pytest.raises(StoreUnavailable, match="unable to open database file") as raised:
            attempt()
        assert raised.value.cause_name == "permission"


def test_a_question_that_fails_leaves_the_database_usable(opened_database: Open, path: Path) -> None:
    """Neither our error nor that of the one who asks is lost."""
    database = opened_database(path)
    put(database, 1)
    with pytest.raises(StoreError, match="no such table: nowhere"), database.read() as connection:
        connection.execute("SELECT * FROM nowhere")
    with pytest.raises(ZeroDivisionError), database.read() as connection:
        connection.execute("SELECT 1").fetchone() and 1 / 0
    assert numbers(database) == [1]
    memory = opened_database(MEMORY)
    with pytest.raises(StoreError, match="no such table: nowhere"), memory.read() as connection:
        connection.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("database is locked", "locked"),
        ("database table is locked", "locked"),
        ("database or disk is full", "full"),
        ("attempt to write a readonly database", "read_only"),
        ("unable to open database file", "permission"),
        ("database disk image is malformed", "corrupt"),
        ("file is not a database", "corrupt"),
        ("disk I/O error", "io"),
    ],
)
def test_what_sqlite_says_becomes_a_cause_and_a_way_out(message: str, cause: str) -> None:
    """In words for the person at the console."""
    found = store_error("x.db", sqlite3.OperationalError(message))
    assert isinstance(found, StoreUnavailable)
    assert (found.cause_name, found.what) == (cause, f"x.db: {message}")
    assert found.way_out


def test_what_sqlite_says_of_our_own_mistakes_is_another_error() -> None:
    """Trying again would not help."""
    found = store_error("x.db", sqlite3.OperationalError("no such column: y"))
    assert (type(found), str(found)) == (StoreError, "store x.db: no such column: y")


def test_a_closed_database_keeps_no_connection(path: Path) -> None:
    """Also not one that was at work while it was closed, as a slow checkpoint is; and it gives no new one."""
    database = Database(str(path))
    put(database, 1)
    with database.read() as connection:
        database.close()
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT n FROM t")
    for attempt in (lambda: put(database, 2), lambda: numbers(database)):
        assert refused(attempt).cause_name == "closed"
    database._mover.move()
    database.close()
    assert (rows(path), list(path.parent.iterdir())) == ([1], [path])
