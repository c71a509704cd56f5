"""Making the file of a store smaller: free pages are given back to the disk, and the others are filled."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.bound import file_bytes, used_bytes
from otel_measure.store.sqlite.faults import store_error
from otel_measure.store.types.sizes import Compacted

_MIB: Final = 2**20
# A copy of what is used, and the log that the file is written anew from.
_COPIES: Final = 2
_SPARE_BYTES: Final = 16 * _MIB
_WAIT_S: Final = 5.0
_TEMPORARY: Final = "SQLITE_TMPDIR"


def compact(path: Path, free_bytes: Callable[[Path], int]) -> Compacted:
    """Write the file of a store anew; others can read meanwhile, writes wait.

    Args:
        path: of the file.
        free_bytes: how many bytes are free in a folder.

    Raises:
        StoreUnavailable: it cannot be done now; the message names what is needed.
    """
    try:
        with _copies_beside(path), closing(_connected(path)) as connection:
            connection.execute("PRAGMA temp_store=FILE")
            before = file_bytes(connection)  # with what the log holds of it
            needed = _COPIES * used_bytes(connection) + _SPARE_BYTES
            if (free := free_bytes(path.parent)) < needed:
                raise StoreUnavailable(
                    "full",
                    f"writing {path} anew needs {_mib(needed)} of free disk, {_mib(free)} are there",
                    "free disk space, or copy the store to a larger disk and do it there",
                )
            connection.execute("VACUUM")
            is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if is_busy:
                raise StoreUnavailable(
                    "locked",
                    f"{path} was written anew, and a process that reads it keeps the file from getting smaller",
                    "it does when that process has ended; `otel-measure doctor` names it",
                )
    except sqlite3.Error as error:
        raise store_error(str(path), error) from error
    return Compacted(before, path.stat().st_size, needed)


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT_S, isolation_level=None)


@contextmanager
def _copies_beside(path: Path) -> Iterator[None]:
    """Have SQLite keep its copy beside the file, on the disk whose room was looked at."""
    before = os.environ.get(_TEMPORARY)
    os.environ[_TEMPORARY] = str(path.absolute().parent)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TEMPORARY]
        else:
            os.environ[_TEMPORARY] = before


def _mib(n: int) -> str:
    return f"{n / _MIB:,.0f} MiB"
