"""Moving the write-ahead log into the file: beside the writers, so that no commit waits for the disk.

SQLite's own way is that the commit which fills the log empties it, and takes tens of milliseconds instead of one. It
stays as the bound, for writers that never pause: the log begins anew only when all of it has been moved and nobody
reads from it. While readers overlap that never happens by itself, and writers are made to wait until it has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

COMMITS: Final = 200
ROWS: Final = 20_000
LARGEST_LOG_PAGES: Final = 8_000  # 32 MB


class Checkpoints:
    """Starts a move every so many commits or rows; never two at once.

    Args:
        move: runs in a thread of its own, and raises nothing.
    """

    def __init__(self, move: Callable[[], None]) -> None:
        self._move = move
        self._thread: threading.Thread | None = None
        self._commits = 0
        self._rows = 0

    def committed(self, rows: int) -> None:
        """Note a commit; `rows` are all that its connection has changed so far. Not for two threads at once."""
        self._commits += 1
        if self._commits < COMMITS and rows - self._rows < ROWS:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._commits, self._rows = 0, rows
        thread = threading.Thread(target=self._move, name="otel-measure-checkpoint", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had, or none any more: the process ends
            return
        self._thread = thread

    def wait(self, timeout_s: float) -> None:
        """Wait until none is under way."""
        if self._thread is not None:
            self._thread.join(timeout_s)
