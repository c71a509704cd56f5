"""A store as the checks of `doctor` look at it: from outside, without taking part in it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.sqlite.faults import store_error
from otel_measure.store.sqlite.file import IMMUTABLE, log_of
from otel_measure.store.sqlite.holders import holders
from otel_measure.store.sqlite.log_readers import LogReader, log_readers
from otel_measure.store.sqlite.one_moment import of_one_moment
from otel_measure.store.sqlite.place import local_mounts

MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFile:
    """What the checks look at: a store as it is wanted, and the machine around its file.

    Attributes:
        settings: where it is, and how large it may grow.
        definitions: by which it is to be counted.
    """

    settings: Settings
    definitions: Definitions
    mounts: Callable[[], list[tuple[str, str]]] = local_mounts
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    may_write: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)
    holders: Callable[[Path], tuple[str, ...]] = holders
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    log_readers: Callable[[Path], list[LogReader]] = log_readers

    @property
    def path(self) -> Path:
        """The path of the file, which need not exist."""
        return Path(str(self.settings.store))


@contextmanager
def opened(s: StoreFile, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """Yield a connection to the file, to read only unless told otherwise."""
    path = str(s.path)
    try:
        with of_one_moment(path) if mode == "ro" else nullcontext():
            # Reading it would make a log, of whoever runs this, and leave it there; without one nobody writes.
            alone = IMMUTABLE if mode == "ro" and not os.path.exists(log_of(path)) else ""
            uri = f"file:{quote(path)}?mode={mode}{alone}"
            with closing(sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None)) as connection:
                yield connection
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def existing(directory: Path) -> Path:
    """Return the directory, or the nearest one above it that is there."""
    # What may not be looked at is as good as not there, here and below; `place` says that it may not.
    while not os.path.exists(directory) and directory != directory.parent:
        directory = directory.parent
    return directory


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 for none."""
    return path.stat().st_size if os.path.exists(path) else 0


def mib(n: int) -> str:
    """Return bytes as they are read."""
    return f"{n / MIB:,.0f} MiB"
