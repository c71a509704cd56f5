"""A gate that reads pass and that closes for a fork.

A child is a copy of the forking thread alone. A lock that another thread of the parent held inside SQLite, whose
memory and files have locks of their own, stays locked in the child for ever; so a fork waits until no thread is inside.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Open until it is closed; who is inside may pass again."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False
        self._mine = threading.local()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside; wait while the gate is closed."""
        depth: int = getattr(self._mine, "depth", 0)
        if depth == 0:
            with self._changed:
                self._changed.wait_for(lambda: not self._closed)
                self._inside += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if depth == 0:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    def close(self, timeout_s: float = 5.0) -> None:
        """Let nobody new in and wait for those inside, this thread excepted; not for ever."""
        own = 1 if getattr(self._mine, "depth", 0) else 0
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside <= own, timeout_s)

    def open(self) -> None:
        """Let everybody in."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()
