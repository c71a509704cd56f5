"""The life of what a process runs: parts that start, flush, stop and fork, in one order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

LEAST_S = 0.1  # what a part has for its end when the others took all the time, and nothing has failed


class Fault(Protocol):
    """Takes a fault of ours that must not reach the host."""

    def __call__(self, what: str, message: str, error: Exception) -> None:
        """Count it, and log it once."""


def _nothing() -> None:
    return None


def _nothing_for(timeout_s: float) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that a process runs; a moment in which it has nothing to do is left out.

    Attributes:
        name: in faults.
        start: begins; may raise, and nothing is started then.
        flush: hands on what it holds, in so many seconds; `False` when that did not succeed.
        stop: hands on what it holds and ends; `False` when records were lost. Of 0 s it must not wait for a store.
        before_fork: lets nothing be half-way, so that no lock is held while the process is copied.
        after_fork_in_parent: goes on.
        after_fork_in_child: lets go of what is the parent's, and begins anew when it had been started.
    """

    name: str
    start: Callable[[], None] = _nothing
    flush: Callable[[float], bool | None] = _nothing_for
    stop: Callable[[float], bool | None] = _nothing_for
    before_fork: Callable[[], None] = _nothing
    after_fork_in_parent: Callable[[], None] = _nothing
    after_fork_in_child: Callable[[], None] = _nothing


class Parts:
    """Parts in the order in which what is measured flows through them: each gives to those behind it.

    They start from the last to the first, so that whoever gives finds somebody who takes; they are flushed, stopped and
    held for a fork from the first to the last, so that what one gives at its end is still taken.

    Args:
        parts: in that order.
        fault: takes what a part raises at its end, or in a child.
        monotonic: seconds.
    """

    def __init__(self, parts: Sequence[Part], fault: Fault, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._parts = tuple(parts)
        self._fault = fault
        self._monotonic = monotonic

    def start(self) -> None:
        """Start every part, or none.

        Raises:
            Exception: what a part raised; the others are stopped.
        """
        for part in reversed(self._parts):
            try:
                part.start()
            except BaseException:
                self.stop(1.0)
                raise

    def flush(self, timeout_s: float) -> bool:
        """Flush one after the other; `False` when that did not succeed in time.

        Once one has failed and the time is up, no other is tried: a locked store would cost each of them as much.
        """
        deadline_s = self._monotonic() + timeout_s
        flushed = True
        for part in self._parts:
            left_s = deadline_s - self._monotonic()
            if left_s <= 0 and not flushed:
                return False
            flushed = part.flush(max(left_s, 0.0)) is not False and flushed
        return flushed

    def stop(self, timeout_s: float) -> bool:
        """Stop one after the other, whatever another one raises; `False` when records were lost."""
        deadline_s = self._monotonic() + timeout_s
        stopped = True
        raised: tuple[Part, Exception] | None = None
        for part in self._parts:
            left_s = max(deadline_s - self._monotonic(), LEAST_S if stopped else 0.0)
            try:
                stopped = part.stop(left_s) is not False and stopped
            except Exception as error:
                stopped, raised = False, raised or (part, error)
        if raised is not None:
            culprit, fault = raised
            self._fault(culprit.name, f"{culprit.name} did not stop in order: {fault!r}", fault)
        return stopped

    def before_fork(self) -> None:
        """Hold every part while the process is copied."""
        for part in self._parts:
            part.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let every part go on."""
        for part in reversed(self._parts):
            part.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Make every part one of another process, whatever another one raises."""
        raised: list[tuple[Part, Exception]] = []
        for part in reversed(self._parts):
            try:
                part.after_fork_in_child()
            except Exception as error:
                raised.append((part, error))
        for culprit, fault in raised:  # whoever takes it was a part of the parent until now
            self._fault(culprit.name, f"{culprit.name} did not begin anew in a child: {fault!r}", fault)
