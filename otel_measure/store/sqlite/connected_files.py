"""Which files this process has connections to.

SQLite locks a file for the process as a whole. Closing any other descriptor of the file lets go of these locks, and
SQLite does not learn of it: another process would take itself for the last one, and remove the log in use.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

Inode: TypeAlias = tuple[int, int]


class ConnectedFiles:
    """Counts the connections to each file; there is one for the process."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._connections: Counter[Inode] = Counter()

    def add(self, inode: Inode) -> None:
        """Note a connection, before it opens the file."""
        with self._changing:
            self._connections[inode] += 1

    def remove(self, inode: Inode) -> None:
        """Note that a connection is closed."""
        with self._changing:
            self._connections[inode] -= 1

    @contextmanager
    def unconnected(self, path: str) -> Iterator[bool]:
        """Yield whether a file has no connection of this process, or is not there; none is noted meanwhile.

        Such a file may be opened and closed.
        """
        with self._changing:
            try:
                status = os.stat(path)
            except OSError:  # opening it says why
                yield True
            else:
                yield not self._connections[status.st_dev, status.st_ino]

    def after_fork_in_child(self) -> None:
        """Be usable, whatever another thread of the parent did."""
        self._changing = threading.Lock()


CONNECTED_FILES: Final = ConnectedFiles()
