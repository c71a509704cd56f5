"""The bytes of the erased: gone from the file, its log and its free pages, whoever uses the store meanwhile."""

from __future__ import annotations

import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from otel_measure.definitions.streams import Point
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.kinds import Exposure, NpsResponse, Record
from otel_measure.store.sqlite import SqliteStore, erasures
from otel_measure.store.types.streams import Sender
from tests.closing import closed_later
from tests.facts import DAY, HERE, NOON, SECOND, event, inference
from tests.store.sqlite import last_release
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
SECRET = "zz-erase-me"
LATER = NOON + DAY
# Writes under ids of its own until it is told to end, and says how long the longest write took and how many there were.
WRITER = """
import sys, time, threading
sys.path.insert(0, sys.argv[1])
from otel_measure.store.sqlite import SqliteStore
from tests.facts import SECOND, NOON, event
store = SqliteStore(sys.argv[2])
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
longest_s, n = 0.0, 0
print("writes", flush=True)
while not ended.is_set():
    began = time.monotonic()
    store.accept([event(f"{sys.argv[3]}-{n}-{i}", f"user {(n * 7919 + i) % 999}") for i in range(20)])
    longest_s = max(longest_s, time.monotonic() - began)
    n += 1
    time.sleep(0.01)
store.close()
print(n, longest_s)
"""
# Clears, a portion at a time, and says when it has begun.
CLEARER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from otel_measure.store.sqlite import SqliteStore, clearing
clearing._PORTION_S = 0.0
store = SqliteStore(sys.argv[2])
while store.clear_erased(int(sys.argv[3])):
    print("portion", flush=True)
    time.sleep(0.02)
"""


def secrets_in(folder: Path, secret: str = SECRET) -> dict[str, int]:
    """Return how often a text is found in each file of a folder.

    Another process reads them: to close a file lets go of the locks that this one has on it.
    """
    found = {
        file.name: subprocess.run(["cat", file], stdout=subprocess.PIPE, check=True).stdout.count(secret.encode())
        for file in folder.iterdir()
    }
    return {name: n for name, n in found.items() if n}


def filled(store: SqliteStore, persons: int, *, seed: int = 1) -> None:
    """Write what persons do, in an order that splits pages; every tenth is one whose id is secret."""
    rnd = random.Random(seed)
    names = [f"{SECRET}-{n}" if n % 10 == 0 else f"user-{rnd.random()}" for n in range(persons)]
    rnd.shuffle(names)
    for first in range(0, persons, 50):
        batch: list[Record] = []
        for name in names[first : first + 50]:
            long = "x" * rnd.choice((0, 10, 10, 10, 9000))
            at = NOON + rnd.randrange(10_000) * SECOND
            batch += [
                event(f"{name}-{rnd.random()}", name, at, page_url=f"/u/{name}{long}", session_id=f"s {name}"),
                event(f"{rnd.random()}", name, at, type="purchase", properties={"who": name}),
                inference(f"{rnd.random()}", at, user_id=name, features={"a": 1}, metadata={"who": name + long}),
            ]
        store.accept(batch)


def checked(path: Path) -> str:
    """Return what SQLite says of a whole file."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def cleared(store: SqliteStore, receipt: int) -> bool:
    """Return whether the bytes of an erasure are gone."""
    state = store.erasure(receipt)
    return state is not None and state.bytes_cleared


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be, in a folder of its own."""
    return tmp_path / "store" / "measure.db"


def test_no_byte_of_an_erased_person_is_left(path: Path) -> None:
    """Neither in rows nor in what SQLite has left of them in pages that it split, nor in the log; others stay."""
    store = closed_later(SqliteStore(str(path), notes_outbox=True))
    filled(store, 400)
    receipts = [store.erase(f"{SECRET}-{n}", LATER) for n in range(0, 400, 10)]
    assert {(receipt.ids, receipt.events, receipt.inferences) for receipt in receipts} == {(1, 2, 1)}
    until(lambda: not store.clear_erased(LATER))
    assert [cleared(store, receipt.receipt) for receipt in receipts] == [True] * 40
    assert secrets_in(path.parent) == {}
    with store._database.read() as connection:
        left = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("alias", "event")]
        waiting = connection.execute("SELECT sum(n) FROM outbox").fetchone()
    assert (left, waiting) == ([(360,), (720,)], (360 * 3 + 40,))
    store.close()
    assert checked(path) == "ok"


def everywhere(store: SqliteStore, who: str) -> None:
    """Have a person stand wherever something can be stored of one."""
    store.accept([
        event("1", who, page_url=f"/{who}", referrer=who, session_id=f"s {who}", properties={"a": [who]}),
        NpsResponse(id=f"2 {who}", ts=NOON, origin=HERE, user_id=who, score=9, comment=f"I am {who}"),
        Exposure(id="3", ts=NOON, origin=HERE, user_id=who, experiment="t", variant="a"),
        inference(
            "4", user_id=who, session_id=who, prediction=1.5, metadata={"who": {"deep": [who]}},
            features={"name": who, "age": 41, "new": True, "tags": [who]},
        ),
    ])  # fmt: skip
    held = inference("5", user_id=who, session_id=who, metadata={"who": who})
    store.take_tellings([telling_of_fact(held, "source")])
    store.note_senders([Sender("shop", "", "i", {"enduser.id": who, "host.name": "h"}, NOON)])
    series: dict[str, Any] = {
        "description": "", "unit": "1", "scope": "instance", "instance": "i", "start": NOON, "ts": NOON + SECOND,
    }  # fmt: skip
    store.ingest([
        Point(name="clicks", kind="counter", labels=f'user_id="{who}"', value=1.0, count=0, **series),
        Point(name="clicks", kind="counter", labels=f'page="{who}s"', value=1.0, count=0, **series),
    ])  # fmt: skip


def test_wherever_a_person_stands(path: Path) -> None:
    """In facts, in texts of inferences, in what tells of calls, in the outbox, in what others send: it is found.

    Numbers that a model was given stay, and so do attributes and series that name nobody.
    """
    store = closed_later(SqliteStore(str(path), notes_outbox=True))
    everywhere(store, "ann 7")
    erased = store.erase("ann 7", LATER)
    assert (erased.events, erased.nps_responses, erased.exposures, erased.inferences) == (1, 1, 1, 2)
    until(lambda: not store.clear_erased(LATER))
    assert secrets_in(path.parent, "ann 7") == {"measure.db": 2}  # "ann 7s" is nobody: table and index
    kept = {record.id: record for record in read(store) if record.id in ("4", "5")}
    assert kept == {
        "4": inference("4", prediction=1.5, features={"age": 41, "new": True}),
        "5": inference("5"),
    }
    with store.asking() as moment:
        assert [dict(sender.attributes) for sender in moment.streams.senders(0)] == [{"host.name": "h"}]
        labels = [s.labels for f in moment.streams.families(NOON + SECOND) if f.name == "clicks" for s in f.samples]
    assert labels == ['page="ann 7s"']


def read(store: SqliteStore) -> list[Record]:
    """Return what is to leave."""
    with store.asking() as moment:
        batch = moment.outbox.next(100)
    return [] if batch is None else batch.records


def test_a_replay_of_an_inference_has_no_texts(path: Path) -> None:
    """What was erased comes back without its user, and without what the user wrote."""
    store = closed_later(SqliteStore(str(path)))
    store.erase(SECRET, LATER)
    until(lambda: not store.clear_erased(LATER))
    store.accept([inference("1", user_id=SECRET, session_id=SECRET, metadata={"a": SECRET}, features={"b": SECRET})])
    store.close()
    assert secrets_in(path.parent) == {}


@contextmanager
def reader(path: Path) -> Iterator[None]:
    """Read, and go on reading."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM event").fetchone()
        yield


def test_somebody_reads_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are gone, and the receipt does not say more than that until the reader has ended; writers go on."""
    monkeypatch.setattr("otel_measure.store.sqlite.checkpoints._BEGIN_ANEW_PAUSE_S", 0.1)
    store = closed_later(SqliteStore(str(path)))
    filled(store, 20)
    with reader(path):
        erased = store.erase(f"{SECRET}-0", LATER)
        assert (erased.events, erased.bytes_cleared) == (2, False)
        assert not store.clear_erased(LATER)
        began_s = time.monotonic()
        store.accept([event("new", "bob")])
        assert time.monotonic() - began_s < 4
        assert not cleared(store, erased.receipt)
    until(lambda: store.clear_erased(LATER) is False and cleared(store, erased.receipt))
    assert secrets_in(path.parent, f"{SECRET}-0") == {}


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(ROOT), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.no_cover
def test_beside_others_who_write_and_read(path: Path) -> None:
    """Two processes write and two threads read all the while: nothing is lost or left, and nobody waits for long."""
    store = closed_later(SqliteStore(str(path)))
    filled(store, 500)
    writers = [started(WRITER, path, name) for name in "ab"]
    ended = threading.Event()

    def reads() -> None:
        while not ended.is_set():
            with store.asking() as moment:
                moment.outbox.length()
                moment.models.models()

    readers = [threading.Thread(target=reads) for _ in range(2)]
    for thread in readers:
        thread.start()
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writes\n"
    receipts = []
    for n in range(0, 500, 10):
        receipts.append(store.remove(f"{SECRET}-{n}", LATER).receipt)  # all of them, so that there is much to clear
        time.sleep(0.02)
    took_s = []

    def are_cleared() -> bool:
        began_s = time.monotonic()
        store.clear_erased(LATER)
        took_s.append(time.monotonic() - began_s)
        time.sleep(0.15)  # as the background does
        return all(cleared(store, receipt) for receipt in receipts)

    until(are_cleared, within_s=200)
    assert secrets_in(path.parent) == {}
    ended.set()
    for thread in readers:
        thread.join()
    told = [writer.communicate("end\n", timeout=60)[0].split() for writer in writers]
    with store._database.read() as connection:
        kept = connection.execute("SELECT count(*) FROM event WHERE name = 'button' AND page_url IS NULL").fetchone()
    assert kept[0] == sum(int(n) for n, _ in told) * 20 + 450
    assert sorted(took_s)[len(took_s) // 2] < 1
    assert max(float(longest_s) for _, longest_s in told) < 5  # on a machine that others use as well
    store.close()
    assert (checked(path), secrets_in(path.parent)) == ("ok", {})


def test_killed_in_the_middle(path: Path) -> None:
    """Another process goes on where it was; the file is well."""
    store = closed_later(SqliteStore(str(path)))
    filled(store, 300)
    receipts = [store.remove(f"{SECRET}-{n}", LATER).receipt for n in range(0, 300, 10)]
    clearer = started(CLEARER, path, LATER)
    assert clearer.stdout is not None
    for _ in range(10):
        assert clearer.stdout.readline() == "portion\n"
    clearer.send_signal(signal.SIGKILL)
    clearer.communicate()
    assert not cleared(store, receipts[-1])
    until(lambda: not store.clear_erased(LATER))
    assert cleared(store, receipts[-1])
    store.close()
    assert (checked(path), secrets_in(path.parent)) == ("ok", {})


def test_the_locks_of_this_process_stay(path: Path) -> None:
    """Clearing opens the file a second time: the last process but one to end still leaves the log to this one."""
    store = closed_later(SqliteStore(str(path)))
    filled(store, 20)
    store.erase(f"{SECRET}-0", LATER)
    until(lambda: not store.clear_erased(LATER))
    store.accept([event("1")])
    other = started("import sys\nsys.path.insert(0, sys.argv[1])\nfrom otel_measure.store.sqlite import SqliteStore\n"
                    "SqliteStore(sys.argv[2]).close()", path)  # fmt: skip
    other.communicate(timeout=30)
    assert other.returncode == 0
    assert Path(f"{path}-wal").stat().st_size > 0
    store.watch()


def test_the_file_beside_the_store(path: Path) -> None:
    """Whom a store has erased lies beside it for its owner alone, as hashes under a key of the store."""
    store = closed_later(SqliteStore(str(path)))
    store.accept([event("1", "anon"), event("2", SECRET)])
    store.identify("anon", SECRET)
    store.erase("anon", LATER)
    store.erase("nobody", LATER + 1)
    kept = erasures.read_file(str(path))
    assert kept is not None
    assert [(one.receipt, one.erased_at, len(one.users)) for one in kept.erasures] == [(1, LATER, 2), (2, LATER + 1, 1)]
    assert stat.S_IMODE(erasures.path_of(str(path)).stat().st_mode) == 0o600
    assert not {b"anon", SECRET.encode()} & set(erasures.path_of(str(path)).read_bytes().split(b'"'))


def test_what_an_earlier_version_has_erased(path: Path) -> None:
    """A store of the last release is gone over once after its migration when somebody was erased from it."""
    path.parent.mkdir()
    last_release.write(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO tombstone VALUES (x'00', 5)")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(f"INSERT INTO meta VALUES ('{SECRET}', '{SECRET * 1000}')")
        connection.execute(f"DELETE FROM meta WHERE key = '{SECRET}'")
    assert secrets_in(path.parent)["measure.db"] > 300
    store = closed_later(SqliteStore(str(path)))
    until(lambda: not store.clear_erased(LATER))
    assert cleared(store, 1)
    assert secrets_in(path.parent) == {}
