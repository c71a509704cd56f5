"""Something of a store that is done beside its writers, in a thread of its own, and never twice at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class OneAtATime:
    """Starts a thread for each time.

    Args:
        name: of the thread.
        run: what it does; raises nothing.
    """

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name = name
        self._run = run
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Have it done; `False` while it is being done, or when no thread can be had. Not for two threads at once."""
        if self._thread is not None and self._thread.is_alive():
            return False
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had, or none any more: the process ends
            return False
        self._thread = thread
        return True

    def wait(self, timeout_s: float) -> None:
        """Wait until it is not being done."""
        if self._thread is not None:
            self._thread.join(timeout_s)
