"""A thread that is told to end just as its turn begins ends all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from otel_measure.background import Background, Job
from otel_measure.recorder import Recorder
from otel_measure.records.kinds import Record
from tests.facts import event


class SetJustAfter(threading.Event):
    """Is set by somebody else in the moment after it was looked at, or waited for, in vain."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def is_set(self) -> bool:
        return self._seen(super().is_set())

    def wait(self, timeout: float | None = None) -> bool:
        return self._seen(super().wait(0))

    def _seen(self, was_set: bool) -> bool:
        if not was_set:
            self.set()
            self._then()
        return was_set


class Silent:
    """A sink that remembers nothing."""

    def record(self, records: Sequence[Record]) -> None:
        """Take records."""

    def count(self, kind: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Take a count."""

    def fault(self, what: str) -> None:
        """Take a fault."""

    def commit_took(self, seconds: float) -> None:
        """Take a time."""


def ends(thread: threading.Thread | None) -> bool:
    """Tell whether a thread ends by itself."""
    assert thread is not None
    thread.join(20)
    return not thread.is_alive()


def test_of_the_recorder() -> None:
    """Between its pause and its commit."""
    recorder = Recorder(None, Silent())
    recorder._stopping = SetJustAfter(recorder._wake.set)
    recorder._queue.append(event("a"))
    recorder._wake.set()
    thread = threading.Thread(target=recorder._run, daemon=True)
    thread.start()
    assert ends(thread)


def test_of_the_background() -> None:
    """Between the look at whether it is to end and what is due: it does not sleep until the next job."""
    jobs = [Job(name="work", run=lambda: None, otherwise="nothing", interval_s=3600.0)]
    background = Background(jobs, lambda *_: None)
    background._ended = SetJustAfter(background._wake.set)
    background.start()
    assert ends(background._thread)
