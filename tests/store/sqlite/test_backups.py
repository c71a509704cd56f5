"""Copies of a store that is used, and putting one back."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError, StoreError, StoreUnavailable
from otel_measure.store.engines import restore_store
from otel_measure.store.sqlite import SqliteStore, backups, erasures
from otel_measure.store.types.backups import Backup
from otel_measure.store.types.facts import ERASED
from tests.closing import closed_later
from tests.facts import DAY, MINUTE, NOON, event, inference
from tests.store.sqlite import last_release
from tests.store.sqlite.concurrently import rolled_up

ROOT = Path(__file__).resolve().parents[3]
# Writes until its input ends, and says each batch that was acknowledged.
WRITER = """
import sys, select
sys.path.insert(0, sys.argv[1])
from otel_measure.store.sqlite import SqliteStore
from tests.facts import NOON, SECOND, event
store = SqliteStore(sys.argv[2])
n = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    store.accept([event(f"{n}-{i}", f"u{i}", NOON + n * SECOND, page_url="x" * 500) for i in range(20)])
    print(n, flush=True)
    n += 1
"""


def nothing(what: str, done: int, total: int) -> None:
    """Show nothing."""


def backed_up(store: SqliteStore, target: Path) -> Backup:
    """Take a backup."""
    return store.backup(target, nothing)


def restored(store: Path, backup: Path, now: int = NOON + 2 * DAY) -> int:
    """Put a backup back; return how many persons were erased from it."""
    return restore_store(Settings(store=str(store)), backup, now, nothing).erased


def ids(path: Path) -> set[str]:
    """Return the ids of the events of a file that nobody uses."""
    with closing(sqlite3.connect(path)) as connection:
        return {key for (key,) in connection.execute("SELECT id FROM event")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be."""
    return tmp_path / "measure.db"


def test_while_another_process_writes(path: Path, tmp_path: Path) -> None:
    """It has all that was acknowledged before, is of one moment, begins once, and holds nobody up."""
    store = closed_later(SqliteStore(str(path)))
    store.accept([event(f"e{n}", f"p{n}", page_url="y" * 2000) for n in range(4000)])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(ROOT), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, cwd=ROOT,
    )  # fmt: skip
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(3)]
    copied: list[tuple[int, int]] = []

    def slowly(what: str, done: int, total: int) -> None:
        if what == "copying":
            copied.append((done, total))
            time.sleep(0.05)  # long enough for commits in between

    made = store.backup(tmp_path / "b.db", slowly)
    told, _ = writer.communicate("end\n", timeout=30)
    assert copied == sorted(copied)
    assert len({total for _, total in copied}) == 1
    assert len(told.splitlines()) > 3  # it went on writing meanwhile
    found = ids(made.path)
    assert {f"{n}-{i}" for n in acknowledged for i in range(20)} | {f"e{n}" for n in range(4000)} <= found
    batches = {int(key.split("-")[0]) for key in found if key[0] != "e"}
    assert batches == set(range(len(batches)))
    copy = closed_later(SqliteStore(str(made.path)))
    before = rolled_up(copy)
    copy.rebuild()
    assert rolled_up(copy) == before


def test_the_copy_and_its_digest(path: Path, tmp_path: Path) -> None:
    """Both are their owner's alone, nothing else is left, and a name that is taken is refused."""
    store = closed_later(SqliteStore(str(path)))
    store.accept([event("1")])
    made = backed_up(store, tmp_path / "b.db")
    assert made.size_bytes == made.path.stat().st_size
    assert (tmp_path / "b.db.sha256").read_text() == f"{made.sha256}  b.db\n"
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir() if "measure" not in file.name}
    assert modes == {"b.db": 0o600, "b.db.sha256": 0o600}
    with pytest.raises(StoreUnavailable, match=r"\(exists\): .*b.db is there already; name a file that is not"):
        backed_up(store, tmp_path / "b.db")
    with pytest.raises(StoreUnavailable, match=r"\(io\): .*none/b.db cannot be written: .*name a place that can be"):
        backed_up(store, tmp_path / "none" / "b.db")


def test_a_copy_that_is_not_whole_has_no_name(path: Path, tmp_path: Path) -> None:
    """A damaged store is not copied over the last good backup."""
    store = SqliteStore(str(path))
    store.accept([event(str(n), page_url="y" * 900) for n in range(200)])
    store.close()
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()
    content[(root - 1) * 4096 + 5 : (root - 1) * 4096 + 30] = b"\xff" * 25
    path.write_bytes(content)
    damaged = closed_later(SqliteStore(str(path), retention_days=10))
    with pytest.raises(StoreError):
        backed_up(damaged, tmp_path / "b.db")
    assert sorted(file.name for file in tmp_path.iterdir() if "measure" not in file.name) == []


def test_and_back(path: Path, tmp_path: Path) -> None:
    """The store is what it was, whatever was written since, for its owner alone; a new place is made."""
    store = SqliteStore(str(path))
    store.accept([event("1", "ann"), inference("2")])
    before = rolled_up(store)
    made = backed_up(store, tmp_path / "b.db")
    store.accept([event("3", "bob")])
    store.close()
    assert restored(path, made.path) == 0
    assert restored(tmp_path / "new" / "n.db", made.path) == 0
    for place in (path, tmp_path / "new" / "n.db"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        again = closed_later(SqliteStore(str(place)))
        assert rolled_up(again) == before
    assert sorted(file.name for file in (tmp_path / "new").iterdir() if "-wal" not in file.name) == ["n.db", "n.db-shm"]


def test_the_log_of_who_was_killed(path: Path, tmp_path: Path) -> None:
    """What a killed process has left in the log of the old store does not get into the one that is put back."""
    store = SqliteStore(str(path))
    store.accept([event("1", "ann")])
    made = backed_up(store, tmp_path / "b.db")
    store.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(ROOT), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, cwd=ROOT,
    )  # fmt: skip
    assert writer.stdout is not None
    assert writer.stdout.readline() == "0\n"
    with pytest.raises(StoreUnavailable, match=r"\(in_use\): .*measure.db is used by another process; stop every"):
        restored(path, made.path)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert Path(f"{path}-wal").stat().st_size > 0
    restored(path, made.path)
    assert ids(path) == {"1"}


def test_who_was_erased_since(path: Path, tmp_path: Path) -> None:
    """Is erased again, under every id, and a replay is refused as before; nobody else is, and no byte is left."""
    store = SqliteStore(str(path))
    store.accept([event("0", "gone before")])
    store.erase("gone before", NOON + MINUTE)
    since = [event("1", "anon-7"), event("2", "ann-7", page_url="/ann-7")]
    calls = [inference("3", user_id="carl-7", metadata={"who": "carl-7"}), inference("4", user_id="bob-7")]
    store.accept([*since, *calls, event("5", "bob-7")])
    store.identify("anon-7", "ann-7")
    made = backed_up(store, tmp_path / "b.db")
    for user in ("anon-7", "carl-7", "never there"):
        store.erase(user, NOON + DAY)
    store.close()
    assert restored(path, made.path) == 2
    content = path.read_bytes()
    assert [content.count(who) for who in (b"anon-7", b"ann-7", b"carl-7")] == [0, 0, 0]
    assert b"bob-7" in content
    again = closed_later(SqliteStore(str(path)))
    assert again.accept(since) == [ERASED] * 2
    states = [again.erasure(receipt) for receipt in range(1, 6)]
    assert [state and state.bytes_cleared for state in states] == [True] * 4 + [None]
    again.erase("bob-7", NOON + DAY)
    kept = erasures.read_file(str(path))
    assert kept is not None
    assert [one.receipt for one in kept.erasures] == [1, 2, 3, 4, 5]


def test_erasures_of_another_store(path: Path, tmp_path: Path) -> None:
    """Say nothing of whom a backup has: it is refused, and the store is as it was."""
    one, other = SqliteStore(str(path)), SqliteStore(str(tmp_path / "o.db"))
    for store in (one, other):
        store.accept([event("1", "ann")])
        store.erase("ann", NOON + DAY)
    made = backed_up(other, tmp_path / "b.db")
    one.close()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of another store than the backup: move them away"):
        restored(path, made.path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if "unfinished" in file.name] == []


def test_what_is_no_backup(path: Path, tmp_path: Path) -> None:
    """Nothing, a foreign file, a damaged copy, another file than its digest says, a store in use: the store stays."""
    store = SqliteStore(str(path))
    store.accept([event("1")])
    made = backed_up(store, tmp_path / "b.db")
    in_use = closed_later(SqliteStore(str(tmp_path / "u.db")))
    in_use.accept([event("1")])
    store.close()
    before = path.read_bytes()
    text = tmp_path / "t.db"
    text.write_text("no database, and long enough to be read as one: " * 20)
    foreign = tmp_path / "f.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (a)")
    for backup, message in (
        (tmp_path / "none.db", "holds nothing; name a backup"),
        (text, "is a text file"),
        (foreign, "an SQLite database of another program"),
        (tmp_path / "u.db", "is a store in use"),
    ):
        with pytest.raises(StoreUnavailable, match=message):
            restored(path, backup)
    with made.path.open("r+b") as file:
        file.seek(5000)
        file.write(b"other")
    with pytest.raises(StoreUnavailable, match=r"b.db is not what .*b.db.sha256 says; take another backup"):
        restored(path, made.path)
    backups.digest_file(made.path).unlink()
    with made.path.open("r+b") as file:
        file.truncate(made.size_bytes - 4096)
    with pytest.raises(StoreUnavailable, match="corrupt"):
        restored(path, made.path)
    with pytest.raises(ConfigurationError, match="in memory"):
        restored(Path(":memory:"), made.path)
    assert path.read_bytes() == before


def test_what_is_no_store_is_not_replaced(path: Path, tmp_path: Path) -> None:
    """A file of somebody else in the place of the store stays as it is; a damaged store of ours does not."""
    store = SqliteStore(str(path))
    store.accept([event("1")])
    made = backed_up(store, tmp_path / "b.db")
    store.close()
    damaged = bytearray(path.read_bytes())
    damaged[:24] = bytes(24)
    path.write_bytes(damaged)
    restored(path, made.path)
    assert ids(path) == {"1"}
    path.write_text("somebody's notes")
    with pytest.raises(StoreUnavailable, match="foreign"):
        restored(path, made.path)
    assert path.read_text() == "somebody's notes"


def test_a_backup_of_the_last_release(path: Path, tmp_path: Path) -> None:
    """Is put back as it is and brought up to date when it is opened."""
    last_release.write(tmp_path / "old.db")
    restored(path, tmp_path / "old.db")
    store = closed_later(SqliteStore(str(path)))
    with store.asking() as moment:
        assert moment.horizon == last_release.HORIZON
