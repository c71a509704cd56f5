"""An answer that is without records which are not committed yet says how many, over HTTP and in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from tests.chaos.asking import ask, question
from tests.chaos.locking import locked
from tests.chaos.scheduling import waiting_for
from tests.e2e.talking import Program, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
LATENCY = "/api/v1/metrics/ai/models/m/1/latency"


class Asked(NamedTuple):
    """How many calls an answer knows of, how many it is without, and how long the application took for it."""

    n: int
    pending: int
    own_s: float


class Application:
    """A running program that records and answers."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._program = Program("-m", "tests.chaos.answering", str(store))
        self._port = self._program.tell("port")

    def record(self, n: int) -> None:
        """Have it record so many calls."""
        assert self._program.tell(f"record {n}") == n

    def asked(self) -> Asked:
        """Ask it over HTTP."""
        with waiting_for(self._program.process.pid) as wait:
            _, _, body = ask(self._port, question(LATENCY), 60).partition(b"\r\n\r\n")
        answer: dict[str, Any] = json.loads(body)
        return Asked(answer["data"]["sample_count"], answer.get("pending", 0), wait.own_s)

    def asked_in_process(self) -> Asked:
        """Ask it in Python."""
        with waiting_for(self._program.process.pid) as wait:
            answer = self._program.tell("ask")
        return Asked(answer["n"], answer["pending"], wait.own_s)

    def end(self) -> None:
        """Let it leave."""
        self._program.kill()


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    """A program of its own, which knows its model."""
    started = Application(tmp_path / "measure.db")
    try:
        started.record(1)
        assert eventually(started.asked, lambda answer: answer.n == 1).pending == 0
        yield started
    finally:
        started.end()


def test_many_records(application: Application) -> None:
    """With 90,000 calls just recorded, an answer comes soon, counts what it has, and says what it has not."""
    application.record(89_999)
    answer = application.asked()
    assert answer.own_s < 1  # 0.2 s, the commit that is under way, and the answer
    assert answer.n + answer.pending >= 90_000
    assert answer.pending < 90_000
    # What was committed while it was read is in it, and was pending when it began.
    complete = eventually(application.asked, lambda answer: answer.pending == 0)
    assert (complete.n, complete.pending) == (90_000, 0)


def test_a_locked_store(application: Application) -> None:
    """The first question waits for 0.2 s, the next ones do not, and all of them say how many records are missing."""
    with locked(application.store):
        application.record(10)
        first = application.asked()
        assert (first.n, first.pending) == (1, 10)
        assert first.own_s < 1
        eventually(application.asked, lambda answer: answer.own_s < 0.1)
        in_process = application.asked_in_process()
        assert (in_process.n, in_process.pending) == (1, 10)
        later = [application.asked() for _ in range(5)]
        assert {(answer.n, answer.pending) for answer in later} == {(1, 10)}
        assert median(answer.own_s for answer in later) < 0.1  # a pause of the machine is no wait for the store
    complete = eventually(application.asked, lambda answer: answer.pending == 0)
    assert (complete.n, complete.pending) == (11, 0)
    assert application.asked_in_process()[:2] == (11, 0)
