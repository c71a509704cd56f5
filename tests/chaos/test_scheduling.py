"""What counts as a server's own time, on a machine that others use as well."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.scheduling import CoreTime, Threads, own_s, wait_for_end, waiting_for


@pytest.mark.parametrize(
    ("wait_s", "server", "client", "own"),
    [
        (3.0, CoreTime(), CoreTime(), 3.0),  # it slept, or hung: that is its own
        (3.0, CoreTime(0.5, 2.0), CoreTime(), 1.0),
        (3.0, CoreTime(0.5, 1.5), CoreTime(0.1, 1.0), 0.5),
        (3.0, CoreTime(1.2, 9.0), CoreTime(), 1.2),  # of many threads that waited at once
        (3.0, CoreTime(5.0, 0.0), CoreTime(), 3.0),
    ],
)
def test_what_the_machine_kept_is_not_the_servers(
    wait_s: float, server: CoreTime, client: CoreTime, own: float
) -> None:
    """What server and client waited for a core is taken off, but never what the server computed."""
    assert own_s(wait_s, server, client) == pytest.approx(own)


def test_threads_that_come_and_go(tmp_path: Path) -> None:
    """A new thread counts from its beginning, and one that has ended takes nothing off the others."""

    def told(**threads: str) -> Threads:
        paths = []
        for thread, text in threads.items():
            path = tmp_path / thread / "schedstat"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            paths.append(path)
        return Threads([*paths, tmp_path / "ended" / "schedstat"])

    before = told(a="1000000000 500000000 7", b="9000000000 9000000000 7")
    assert told(a="3000000000 750000000 9", c="250000000 0 1").since(before) == CoreTime(2.25, 0.25)


def test_a_process_that_does_not_end() -> None:
    """It has its time and no more; one that ends gives its exit code."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with pytest.raises(TimeoutError, match="it has not ended within"):
            wait_for_end(sleeper, 0.2)
    finally:
        sleeper.kill()
    assert wait_for_end(sleeper, 60) == -9


def test_a_wait_is_measured() -> None:
    """By the clock, and as the share of whom was waited for."""
    with waiting_for(os.getpid()) as wait:
        time.sleep(0.05)
    assert wait.took_s >= 0.05
    assert 0 <= wait.own_s <= wait.took_s
