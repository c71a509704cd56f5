"""A store that a process only reads: it makes no file and no log, moves nothing, and needs no right to write.

Every question opens the file anew: who writes to it may come and go meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import IMMUTABLE, DatabaseFile, log_of
from otel_measure.store.sqlite.one_moment import of_one_moment


class ReadOnlyFile(DatabaseFile):
    """The file of a store that is there already."""

    def uri_to_open(self) -> str:
        """Return what opens it without a right to write.

        Reading beside writers takes part in their log. Without a log nobody writes, and there is none to be made.
        """
        alone = "" if os.path.exists(log_of(self.path)) else IMMUTABLE
        return f"{Path(self.path).absolute().as_uri()}?mode=ro{alone}"


class ReadOnlyDatabase(Database):
    """The connections of a process that only reads.

    Args:
        path: a file that is there.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._use(ReadOnlyFile(path))

    def write(self, *, durable: bool = False, rolled_back: Callable[[], None] | None = None) -> NoReturn:
        """Refuse to write.

        Raises:
            StoreUnavailable: always.
        """
        raise StoreUnavailable(
            "read_only",
            f"{self.path} is only read here, and an older otel-measure made it, or nobody to its end",
            "start `otel-measure serve` with it, which brings it up to date",
        )

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        with of_one_moment(self.path), super()._borrowed() as connection:
            yield connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._close(connection)
