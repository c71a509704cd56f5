"""Records on their way from a spool to the store: each once, whatever happens to the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import msgspec
import pytest

from otel_measure.errors import ConfigurationError, StoreRejected, StoreUnavailable
from otel_measure.forwarder import Forwarder
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite.spool import SqliteSpool
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, ERASED, Receipt
from tests.closing import closed_later
from tests.facts import NOON, event
from tests.waiting import until


class FarStore:
    """A store that is away when told to be."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.is_away = False
        self.refuses: set[str] = set()
        self.asked = 0
        self.fault: Exception | None = None
        self.set: list[bytes] = []

    def do(self, command: bytes) -> None:
        """Set something."""
        if self.is_away:
            raise StoreUnavailable("away", "nobody answers", "wait")
        self.set.append(command + b" after " + ",".join(self.records).encode())

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Take each record once."""
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("away", "nobody answers", "wait")
        if self.fault is not None:
            raise self.fault
        if any(record.id in self.refuses for record in records):
            raise StoreRejected("no such day")
        known = set(self.records)
        self.records |= {record.id: record for record in records if record.id not in known}
        return [ERASED if r.id == "erased" else DUPLICATE if r.id in known else ACCEPTED for r in records]


class Place:
    """A host: its spool, a store that may be away, and what was counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = FarStore()
        self.counted: list[tuple[str, str, int, str | None]] = []
        self.faults: list[str] = []
        self.forwarder = self.new("p")

    def new(self, holder: str) -> Forwarder:
        """Return the forwarder of another process of this host."""
        return Forwarder(
            closed_later(SqliteSpool(self.path, 2**20)),
            self.store,
            self.store.do,
            holder=lambda: holder,
            now_us=lambda: NOON,
            count=lambda *counted: self.counted.append(counted),
            fault=lambda what, message, error: self.faults.append(what),
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host with nothing in its spool."""
    place = Place(tmp_path / "spool")
    yield place
    place.forwarder.stop(0.0)


def test_a_process_that_ends_leaves_what_it_had_claimed_to_the_next_at_once(place: Place) -> None:
    """No clock has to move for it."""
    place.store.is_away = True
    place.forwarder.append([event("e")])
    assert not place.forwarder.flush(0.0)
    assert not place.forwarder.stop(1.0)
    place.store.is_away = False
    another = place.new("q")
    assert another.stop(1.0)
    assert place.store.records.keys() == {"e"}


def test_what_was_recorded_while_the_store_was_away_comes_in_order(place: Place) -> None:
    """To record succeeds; when the store is back all is there and nothing waits."""
    place.store.is_away = True
    place.forwarder.start()
    place.forwarder.start()
    for n in range(5):
        place.forwarder.append([event(f"e{n}")])
    until(lambda: bool(place.faults))
    assert place.forwarder.settle() == 5
    assert (place.forwarder.waiting(), place.store.records) == (5, {})
    place.store.is_away = False
    until(lambda: place.forwarder.waiting() == 0)
    assert (list(place.store.records), set(place.faults)) == ([f"e{n}" for n in range(5)], {"store_unavailable"})
    place.forwarder.append([event("e5")])
    assert place.forwarder.settle() == 0
    assert (list(place.store.records)[-1], place.counted) == ("e5", [])


def test_another_process_forwards_what_one_left(place: Place) -> None:
    """A process that ended leaves its records on the host; a batch that it stored and did not forget comes twice."""
    place.forwarder.append([event("a")])
    place.forwarder.append([event("b")])
    place.store.accept([event("a")])
    assert not place.forwarder.flush(0.0)
    place.forwarder.stop(0.0)
    other = place.new("q")
    assert other.flush(30.0)
    assert (list(place.store.records), place.counted) == (["a", "b"], [])
    other.stop(0.0)


def test_a_record_that_no_store_takes_holds_nobody_up(place: Place) -> None:
    """It is dropped and counted; those beside it are stored. What was erased is counted as well."""
    place.store.refuses = {"bad"}
    place.forwarder.append([event(name) for name in ("a", "bad", "erased", "c")])
    assert place.forwarder.flush(30.0)
    assert list(place.store.records) == ["a", "erased", "c"]
    assert sorted(place.counted) == [
        ("user_event", "dropped", 1, "StoreRejected"),
        ("user_event", "dropped", 1, "erased"),
    ]
    assert place.faults == ["refused"]


def test_a_record_that_cannot_be_read_holds_nobody_up(place: Place) -> None:
    """It is counted as dropped and told of; what was recorded and set after it arrives."""
    with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        content = msgspec.msgpack.encode([["of_tomorrow", {}]] * 2 + [["event", {}]])
        connection.execute("INSERT INTO batch (n, is_command, content) VALUES (3, FALSE, ?)", (content,))
    place.forwarder.append([event("a")])
    place.forwarder.keep(b"set")
    assert place.forwarder.flush(5.0)
    assert place.store.set == [b"set after a"]
    assert place.counted == [("unknown", "dropped", 2, "unreadable"), ("user_event", "dropped", 1, "unreadable")]
    assert place.faults == ["unreadable"] * 2


def test_what_is_set_comes_between_what_was_recorded_before_and_after_it(place: Place) -> None:
    """As long as anything that is set waits, or the store was away just now, what is set must wait as well."""
    assert not place.forwarder.must_wait()
    place.store.is_away = True
    place.forwarder.append([event("a")])
    place.forwarder.keep(b"one")
    place.forwarder.append([event("b")])
    place.forwarder.keep(b"two")
    assert (place.forwarder.must_wait(), place.forwarder.waiting()) == (True, 4)
    assert not place.forwarder.flush(1.0)
    place.store.is_away = False
    assert place.forwarder.flush(30.0)
    assert place.store.set == [b"one after a", b"two after a,b"]
    assert (place.forwarder.must_wait(), place.forwarder.waiting()) == (False, 0)


def test_while_the_store_is_away_what_is_set_does_not_try_it(place: Place) -> None:
    """Nobody waits again for a server that did not answer: the thread goes on trying."""
    place.store.is_away = True
    place.forwarder.append([event("a")])
    place.forwarder.start()
    until(place.forwarder.must_wait)
    place.store.is_away = False
    until(lambda: not place.forwarder.must_wait())


def test_a_process_that_cannot_open_the_store_keeps_what_it_has(place: Place) -> None:
    """A missing client is no fault of the records: they stay for a process that has it, and the claim is given up."""
    place.store.fault = ConfigurationError("no client is installed")
    place.forwarder.append([event("a"), event("b")])
    with pytest.raises(ConfigurationError):
        place.forwarder.stop(30.0)
    place.store.fault = None
    assert place.new("q").flush(30.0)
    assert (list(place.store.records), place.counted) == (["a", "b"], [])


def test_the_file_stays_closed_after_the_end(place: Place) -> None:
    """Though metrics ask how much waits once more."""
    place.store.is_away = True
    place.forwarder.append([event("a")])
    place.forwarder.start()
    until(place.forwarder.must_wait)
    place.forwarder.stop(0.0)
    thread = place.forwarder._thread
    assert thread is not None
    thread.join(60.0)
    spool = cast(SqliteSpool, place.forwarder._spool)
    assert (place.forwarder.waiting(), spool._connection, thread.is_alive()) == (1, None, False)


def test_a_child_forwards_as_another_process(place: Place) -> None:
    """It has a thread of its own where its parent had one."""
    place.forwarder.start()
    place.forwarder.before_fork()
    place.forwarder.after_fork_in_parent()
    place.forwarder.append([event("a")])
    until(lambda: place.forwarder.waiting() == 0)
    place.forwarder.before_fork()
    place.forwarder.open_anew_in_child()
    place.forwarder.after_fork_in_child()
    place.forwarder.append([event("b")])
    until(lambda: place.forwarder.waiting() == 0)
    assert list(place.store.records) == ["a", "b"]
