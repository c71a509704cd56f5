"""A spool: records come back as they were, in their order, whoever ended in between."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite.spool import SqliteSpool
from otel_measure.store.types.spools import SpooledBatch
from tests.closing import closed_later
from tests.facts import MINUTE, NOON, event, inference, one_of_each, records

LARGE = 2**30


def taken(spool: SqliteSpool, holder: str = "p", now: int = NOON) -> list[list[Record]]:
    """Take out all that waits."""
    batches = []
    while (batch := spool.claim(holder, now, now + MINUTE)) is not None:
        batches.append(list(batch.records))
        spool.remove(batch)
    return batches


@given(given=st.lists(st.lists(records, max_size=4), max_size=3))
def test_records_come_back_as_they_were(given: list[list[Record]]) -> None:
    """Whatever a record says, in the batches and the order in which they were given."""
    with tempfile.TemporaryDirectory() as folder:
        spool = SqliteSpool(Path(folder) / "spool", LARGE)
        for batch in given:
            spool.append(batch)
        assert spool.length() == sum(map(len, given))
        assert taken(spool) == given
        assert spool.length() == 0
        spool.close()


def test_what_was_kept_outlives_its_process(tmp_path: Path) -> None:
    """Of a spool that nobody closed another one has all, in a file that others cannot read."""
    path = tmp_path / "folder" / "spool"
    closed_later(SqliteSpool(path, LARGE)).append(one_of_each())
    assert taken(closed_later(SqliteSpool(path, LARGE))) == [one_of_each()]
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_batch_is_forwarded_by_one_process(tmp_path: Path) -> None:
    """It is claimed for a while; whoever claimed it may go on; a clock that was set back holds nobody up for long."""
    spool = closed_later(SqliteSpool(tmp_path / "spool", LARGE))
    for n in range(2):
        spool.append([event(f"e{n}")])

    def claimed(holder: str, now: int) -> int | None:
        batch = spool.claim(holder, now, now + MINUTE)
        return None if batch is None else batch.seq

    assert [claimed(holder, NOON) for holder in ("p", "p", "q", "r")] == [1, 1, 2, None]
    assert claimed("r", NOON + MINUTE + 1) == 1
    assert claimed("s", NOON - MINUTE) == 1


def test_whether_anything_is_to_be_set_costs_the_same_however_much_waits(tmp_path: Path) -> None:
    """It is asked before every call that sets something, also while much is being forwarded."""
    spool, steps = closed_later(SqliteSpool(tmp_path / "spool", LARGE)), list[int]()
    for n in range(100):
        spool.append([event(f"e{n}")])
    with spool._connected() as connection:
        connection.set_progress_handler(lambda: steps.append(1), 10)
    assert not spool.has_commands()
    assert len(steps) < 10


def test_what_is_set_is_taken_alone(tmp_path: Path) -> None:
    """It waits for what others are at before it, and all that is behind it waits for it, whoever forwards."""
    spool = closed_later(SqliteSpool(tmp_path / "spool", LARGE))
    spool.append([event("a")])
    spool.keep(b"set")
    spool.append([event("b")])
    assert (spool.has_commands(), spool.length()) == (True, 3)
    batches = [spool.claim(holder, NOON, NOON + MINUTE) for holder in ("p", "q")]
    assert batches == [SpooledBatch(1, [event("a")]), None]
    spool.remove(SpooledBatch(1, ()))
    batches = [spool.claim(holder, NOON, NOON + MINUTE) for holder in ("q", "p")]
    assert batches == [SpooledBatch(2, (), b"set"), None]
    spool.remove(SpooledBatch(2, ()))
    assert (taken(spool), spool.has_commands()) == ([[event("b")]], False)


def test_what_cannot_be_read_is_named_beside_what_can(tmp_path: Path) -> None:
    """A record of another version, or one that a disk has damaged, keeps none of its neighbours."""
    path = tmp_path / "spool"
    spool = closed_later(SqliteSpool(path, LARGE))
    spool.append([event("a"), event("b"), inference("c")])
    packed = msgspec.msgpack.decode(kept(path))
    packed[0][1]["ts"] = "noon"
    packed.insert(2, ["of_tomorrow", {}])
    del packed[3][1]["log.record.uid"]
    keep(path, msgspec.msgpack.encode(packed), 4)
    keep(path, b"\xc1", 3)
    batches = [spool.claim(holder, NOON, NOON + MINUTE) for holder in ("p", "q", "r")]
    assert batches[1:] == [
        SpooledBatch(2, [event("b")], None, ("user_event", "unknown", "inference")),
        SpooledBatch(3, [], None, ("unknown",) * 3),
    ]


def kept(path: Path) -> bytes:
    """Return what a file has of its first batch."""
    with closing(sqlite3.connect(path)) as connection:
        return bytes(connection.execute("SELECT content FROM batch").fetchone()[0])


def keep(path: Path, content: bytes, n: int) -> None:
    """Put a batch into a file, as another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO batch (n, is_command, content) VALUES (?, FALSE, ?)", (n, content))


def test_what_is_set_survives_power_loss(tmp_path: Path) -> None:
    """It is on the disk when it is kept; records are written to it by the system, in its own time."""
    spool = closed_later(SqliteSpool(tmp_path / "spool", LARGE))
    with spool._connected() as connection:
        said: list[str] = []
        connection.set_trace_callback(said.append)
    spool.keep(b"set")
    spool.append([event("a")])
    assert [text for text in said if "synchronous" in text or "INSERT" in text][:3] == [
        "PRAGMA synchronous = FULL",
        "INSERT INTO batch (n, is_command, content) VALUES (1, 1, x'736574')",
        "PRAGMA synchronous = NORMAL",
    ]


def test_a_full_spool_takes_nothing_more(tmp_path: Path) -> None:
    """It says so, keeps what it has, and takes records again when some have left."""
    spool = closed_later(SqliteSpool(tmp_path / "spool", 100_000))
    for n in range(3):
        spool.append([event(f"e{n}-{i}") for i in range(50)])
    with pytest.raises(StoreUnavailable, match="100,000 bytes"):
        spool.append([event(f"large-{i}") for i in range(500)])
    with pytest.raises(StoreUnavailable, match="100,000 bytes"):
        spool.keep(b"x" * 100_000)
    assert len(taken(spool)) == 3
    spool.append([event("again")])
    assert spool.length() == 1


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """It is refused with its path, as is a place where no file can be."""
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE theirs (a)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    for path in (tmp_path / "other.db", tmp_path / "other.db" / "spool"):
        with pytest.raises(StoreUnavailable, match=str(path)):
            SqliteSpool(path, LARGE)
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_child_has_connections_of_its_own(tmp_path: Path) -> None:
    """Before a fork all are closed; both sides go on."""
    spool = closed_later(SqliteSpool(tmp_path / "spool", LARGE))
    spool.append([event("a")])
    spool.before_fork()
    spool.after_fork_in_parent()
    spool.append([event("b")])
    spool.before_fork()
    spool.after_fork_in_child()
    spool.append([event("c")])
    assert spool.length() == 3
