"""A file that is read without a lock and without its log: what is read of it is of one moment, or refused.

Nobody writes to a file that has no log, until somebody begins to. Pages of two moments look like damage, or like other
numbers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.file import Standing, standing

CHANGED: Final = "changed"


@contextmanager
def of_one_moment(path: str) -> Iterator[None]:
    """Have a block that opens a file and reads it fail where another process wrote to the file meanwhile.

    Raises:
        StoreUnavailable: "changed", also in place of an error of SQLite.
    """
    before = standing(path)
    try:
        yield
    except sqlite3.Error as error:
        if _is_another(before, standing(path)):
            raise _changed(path) from error
        raise
    if _is_another(before, standing(path)):
        raise _changed(path)


def _is_another(before: Standing, now: Standing) -> bool:
    is_same_file = before.file[:1] == now.file[:1]
    is_beside_writers = is_same_file and before.log != () and before.log[:1] == now.log[:1]  # by the locks, of a moment
    return not is_beside_writers and before.file != now.file


def _changed(path: str) -> StoreUnavailable:
    return StoreUnavailable(CHANGED, f"{path} was written to while it was read", "ask again")
