"""The turn of the writers of one process: who has waited longest is next."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A re-entrant lock that is handed over in the order in which it was asked for.

    One of `threading` goes to whoever is quickest, and that is who has just let go of it: a thread that removes facts
    in many small transactions kept others waiting until their time was over.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, timeout: float = -1) -> bool:
        """Take it; `False` when it was not this thread's turn within so many seconds."""
        me = threading.get_ident()
        with self._changing:
            if self._owner in {None, me}:
                self._owner, self._depth = me, self._depth + 1
                return True
            called = threading.Lock()
            called.acquire()
            self._waiting.append((me, called))
        try:
            is_called = called.acquire(timeout=timeout)
        except BaseException:  # the main thread was interrupted
            if not self._leave(me, called):
                self.release()
            raise
        return is_called or not self._leave(me, called)

    def _leave(self, me: int, called: threading.Lock) -> bool:
        """Wait no longer; `False` when it has been handed over at the last moment."""
        with self._changing:
            if self._owner == me:
                return False
            self._waiting.remove((me, called))
            return True

    def release(self) -> None:
        """Let the next one have it."""
        with self._changing:
            self._depth -= 1
            if self._depth:
                return
            self._owner = None
            if self._waiting:
                (self._owner, called), self._depth = self._waiting.popleft(), 1
                called.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
