"""Which processes have a store open, as far as this user may see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def holders(path: Path) -> tuple[str, ...]:
    """Return the other processes that have a file open, each as "pid 123 (python)", by their pid."""
    wanted = os.path.realpath(path)
    return tuple(f"pid {pid} ({name})" for pid, name in sorted(_holding(wanted)))


def _holding(path: str) -> Iterator[tuple[int, str]]:
    import psutil  # when it is asked for: opening a store does not wait for it

    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(each.path == path for each in process.open_files()):
                yield process.pid, process.name()
        except (psutil.Error, OSError):  # it has ended, or is of another user
            continue
