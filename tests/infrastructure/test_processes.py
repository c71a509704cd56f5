"""Processes by pid: this one, another one, one that is not there, one that may not be read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from math import isnan, nan
from statistics import median
from types import SimpleNamespace

import psutil
import pytest

from otel_measure.infrastructure.processes import REMEMBERED, Processes
from otel_measure.infrastructure.reports import Process
from tests.infrastructure.fakes import FakePsutil, MachineClock


class FakeProcesses(FakePsutil):
    """One kind of process under every pid, with CPU time that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu_s = 1.0
        self.created_s = 5.0

    def denied(self) -> float:
        raise self.AccessDenied

    def Process(self, pid: int | None = None) -> SimpleNamespace:  # noqa: N802 - psutil's name
        if pid == 999:
            raise self.NoSuchProcess
        return SimpleNamespace(
            pid=pid or 1,
            create_time=lambda: self.created_s,
            name=lambda: "app",
            status=lambda: "sleeping",
            oneshot=nullcontext,
            cpu_times=lambda: (self.cpu_s, 0.0, 0.0, 0.0),
            memory_info=lambda: SimpleNamespace(rss=100),
            memory_percent=lambda: 1.5,
            num_threads=lambda: 4,
            open_files=lambda: [1, 2],
            net_connections=lambda kind: self.denied(),
        )


class WaitingReader:
    """Processes over a fake psutil, whose clock moves when it waits."""

    def __init__(self) -> None:
        self.clock, self.psutil = MachineClock(), FakeProcesses()
        self.waited: list[float] = []
        self.processes = Processes(self.psutil, clock=self.clock, wall=self.clock.wall, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.clock.pass_s(seconds)
        self.psutil.cpu_s += seconds / 2


def test_first_report_waits_for_a_second_reading() -> None:
    """Half a core over the tenth of a second that it waited; what is denied is unknown, not 0."""
    waiting = WaitingReader()
    report = waiting.processes.read(7)
    assert repr(report) == repr(
        Process(
            pid=7,
            name="app",
            status="sleeping",
            cpu_percent=report.cpu_percent,
            memory_rss_bytes=100,
            memory_percent=1.5,
            threads=4,
            open_files=2,
            connections=nan,
            timestamp=datetime.fromtimestamp(1_700_000_000.1, UTC),
        )
    )
    assert report.cpu_percent == pytest.approx(50.0)
    assert waiting.waited == [0.1]


def test_next_report_is_over_the_time_since_the_last() -> None:
    """A process that was asked before is not waited for."""
    waiting = WaitingReader()
    waiting.processes.read(7)
    waiting.clock.pass_s(10)
    waiting.psutil.cpu_s += 20
    assert waiting.processes.read(7).cpu_percent == pytest.approx(200.0)
    assert waiting.waited == [0.1]


def test_a_rate_is_never_over_less_than_a_tenth_of_a_second() -> None:
    """However often it is asked, by however many: each answer is since a reading at least 0.1 s ago."""
    waiting = WaitingReader()
    waiting.processes.read(7)
    answers = []
    for step in range(1, 31):
        waiting.clock.pass_s(0.01)
        waiting.psutil.cpu_s = 1.05 + 0.1 * (step // 10)  # ten ticks of the process show in the kernel's count at once
        answers.append(waiting.processes.read(7).cpu_percent)
    assert waiting.waited == [0.1]
    assert 20 < min(answers) <= max(answers) <= 125


def test_reused_pid_is_another_process() -> None:
    """A pid with another start has no history."""
    waiting = WaitingReader()
    waiting.processes.read(7)
    waiting.psutil.created_s = 50.0
    waiting.processes.read(7)
    assert waiting.waited == [0.1, 0.1]


def test_memory_does_not_grow_with_pids() -> None:
    """Only the last few processes are remembered."""
    waiting = WaitingReader()
    for pid in range(1, REMEMBERED + 20):
        waiting.processes.read(pid)
    assert len(waiting.processes._cpu_seen) == REMEMBERED


@pytest.mark.parametrize("pid", [0, -1, True, "7", 1.5])
def test_impossible_pid_is_refused(pid: int) -> None:
    """What is no pid raises, naming the argument and the rule."""
    with pytest.raises(ValueError, match="pid must be a positive integer or None"):
        WaitingReader().processes.read(pid)


def test_process_that_is_not_there_is_refused() -> None:
    """A pid that nobody has raises, naming it."""
    with pytest.raises(ValueError, match="pid must be that of a running process, not 999"):
        WaitingReader().processes.read(999)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A busy process of our own."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process
    process.kill()
    process.wait()


def test_real_processes_are_reported(child: subprocess.Popen[bytes]) -> None:
    """This process without a pid, and a busy child by its pid, are what psutil says they are."""
    processes = Processes()
    own, other = processes.read(), processes.read(child.pid)
    assert own.pid == os.getpid()
    assert own.name == psutil.Process().name()
    assert own.memory_rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert own.threads >= 1
    assert not isnan(own.open_files + own.connections)
    assert other.pid == child.pid
    asked_in_a_row = [processes.read(child.pid).cpu_percent for _ in range(200)]
    assert median(asked_in_a_row) > 0  # on a busy machine the child may have waited for a while
    assert max(asked_in_a_row) <= 115
