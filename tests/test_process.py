from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from otel_measure import process
from otel_measure.testing import Capture


@pytest.fixture
def forked() -> Callable[[Callable[[], object]], None]:
    """What goes through a fork of this thread, in the role of the parent, and lets something happen meanwhile."""

    def run(meanwhile: Callable[[], object]) -> None:
        process._before_fork()
        meanwhile()
        process._after_fork_in_parent()

    return run


def test_a_fork_lets_go_of_what_it_held(forked: Callable[[Callable[[], object]], None]) -> None:
    """Also when another thread has ended this process's runtime, or has made one, while the process was copied."""
    with Capture() as ended, Capture() as made:
        process.install(ended.runtime)
        forked(lambda: process.install(made.runtime))
        forked(lambda: process.install(None))
        forked(lambda: process.install(made.runtime))
        process.install(None)
        for capture in (ended, made):
            capture.users.track_event(1, "click", "x")
            assert capture.runtime.flush()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_threads_that_fork_at_the_same_time() -> None:
    """Each lets go of what it held itself, and the runtime goes on in the parent."""
    with Capture() as capture:
        process.install(capture.runtime)

        def fork() -> None:
            for _ in range(3):
                process._before_fork()
                process._after_fork_in_parent()

        threads = [threading.Thread(target=fork) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        process.install(None)
        assert not any(thread.is_alive() for thread in threads)
        capture.users.track_event(1, "click", "x")
        assert capture.runtime.flush()
