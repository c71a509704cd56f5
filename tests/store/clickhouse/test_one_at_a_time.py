"""What one process at a time may do: who comes second is told who is at it, and who was killed holds nobody up."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from otel_measure.errors import StoreUnavailable
from otel_measure.store.clickhouse import one_at_a_time
from otel_measure.store.clickhouse.one_at_a_time import SaidAtWork, alone_at_file, alone_in_database, at_work
from tests.clickhouse import ClickHouseServer
from tests.store.clickhouse.storing import new_store
from tests.waiting import until

S: Final = 1_000_000
AT_WORK: Final = rf"another process is at work there \(it tests, process {os.getpid()} of \S+, since 2\d\d\d-\S+ \S+\)"


@pytest.mark.parametrize(
    ("said", "who"),
    [
        ((), None),
        (((1, "a"),), "a"),
        (((1, "a"), (2, "b")), "a"),
        (((1, "a"), (60, "a"), (90, "b")), "a"),
        (((1, "a"), (30, "b"), (62, "b")), "b"),  # a was killed; b, refused before, asks again
        (((1, "a"), (62, "b"), (63, "a")), "b"),  # a was stopped for a minute
        (((1, "a"), (0, "a")), None),
        (((1, "a"), (0, "b"), (2, "c")), "a"),
        (((1, "a"), (0, "a"), (2, "b")), "b"),
    ],
)
def test_who_is_at_work(said: tuple[tuple[int, str], ...], who: str | None) -> None:
    """The first to say so, until it says that it has ended (at 0), or nothing for a minute; `said` has seconds."""
    last = at_work(SaidAtWork(at_s * S, token, "") for at_s, token in said)
    assert (None if last is None else last.token) == who


@pytest.mark.e2e
def test_one_process_at_a_time_in_a_database(clickhouse: ClickHouseServer) -> None:
    """The second one is refused until the first has ended, and leaves that one be."""
    database = new_store(clickhouse)
    with alone_in_database(database, "it tests") as refuse_lost:
        for _ in range(2):
            with (
                pytest.raises(StoreUnavailable, match=f"{AT_WORK}; wait for it; where it was killed, give"),
                alone_in_database(database, "it comes second"),
            ):
                pass
        refuse_lost()
    with alone_in_database(database, "it tests"):
        pass


@pytest.mark.e2e
def test_who_was_stopped_for_too_long_is_told(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks every few seconds, and ends when another one, who took it for killed, works there."""
    database = new_store(clickhouse)
    monkeypatch.setattr(one_at_a_time, "_SAID_AGAIN_S", 0.01)
    with alone_in_database(database, "it tests") as refuse_lost:
        refuse_lost()
        monkeypatch.setattr(one_at_a_time, "_other", lambda *_: SaidAtWork(1, "b", "another one"))

        def is_told() -> bool:
            try:
                refuse_lost()
            except StoreUnavailable as fault:
                return "has taken this one, which was stopped" in fault.what
            return False

        until(is_told, within_s=30)


# Has a file until it is killed.
HOLDER: Final = """
import sys
from pathlib import Path
from otel_measure.store.clickhouse.one_at_a_time import alone_at_file
with alone_at_file(Path(sys.argv[1]), "it holds"):
    print(flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_at_a_file(tmp_path: Path) -> None:
    """A second one is refused, by the name of the first; when that one is killed the next one has the file at once."""
    path = tmp_path / "by"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        with pytest.raises(StoreUnavailable, match=rf"\(it holds, process {holder.pid} of "), alone_at_file(path, "x"):
            pass
        holder.kill()
        holder.wait()
    with alone_at_file(path, "it tests"), pytest.raises(StoreUnavailable, match=AT_WORK), alone_at_file(path, "x"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_its_holder_removes_meanwhile_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opened it just before has no lock that the next one does not see."""
    path, flock = tmp_path / "by", fcntl.flock
    removed = list[Path]()

    def locked(descriptor: int, how: int) -> None:
        if not removed:
            removed.append(path)
            path.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", locked)
    with alone_at_file(path, "it tests"), pytest.raises(StoreUnavailable, match=AT_WORK), alone_at_file(path, "x"):
        pass
    assert removed == [path]
