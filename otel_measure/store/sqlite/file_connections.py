"""The connections of this process to the file of a database, opened and closed."""

from __future__ import annotations

import sqlite3
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.connected_files import CONNECTED_FILES, Inode
from otel_measure.store.sqlite.file import IMMUTABLE, DatabaseFile
from otel_measure.store.sqlite.opening import connected, prepared

_TRIES: Final = 3


class FileConnections:
    """Those that are open; the first one makes the file, which is that file from then on.

    Args:
        file: of the database.
        log_pages: how large the write-ahead log may become.
        busy_timeout_ms: how long a write waits for another process.

    Attributes:
        are_given_up: those that are open are closed as they come back; until then no other one is opened.
    """

    def __init__(self, file: DatabaseFile, log_pages: int, busy_timeout_ms: int) -> None:
        self._file = file
        self._log_pages = log_pages
        self._busy_timeout_ms = busy_timeout_ms
        self._open: dict[sqlite3.Connection, Inode | None] = {}
        self._inherited: list[sqlite3.Connection] = []
        self.are_given_up = False

    def open(self) -> sqlite3.Connection:
        """Return a new one, whose log is open.

        Raises:
            StoreUnavailable: the file or its log is no longer the one that was opened.
            sqlite3.Error: it cannot be opened.
        """
        for _ in range(_TRIES):
            if (connection := self._opened()) is not None:
                return connection
        path = self._file.path
        raise StoreUnavailable("removed", f"{path} was replaced again and again while it was opened", "start again")

    def _opened(self) -> sqlite3.Connection | None:
        """Return a new one; `None` where another file, such as a backup, was put in the place of one not yet used."""
        file = self._file
        file.refuse_another()
        if not self._open:
            file.refuse_log_of_others()
        elif self.are_given_up:
            raise StoreUnavailable("removed", f"{file.log_path} was removed while in use", "try again in a moment")
        known, uri = file.inode, file.uri_to_open()
        opened = file.inode = known or file.inode_now()
        locked = None if uri.endswith(IMMUTABLE) else opened
        if locked is not None:
            CONNECTED_FILES.add(locked)
        try:
            connection = self._prepared(uri)
        except BaseException as error:
            file.inode = opened if self._open else known
            if locked is not None:
                CONNECTED_FILES.remove(locked)
            is_another = known is None and file.inode_now() not in {opened, None}
            if is_another and isinstance(error, StoreUnavailable):
                return None
            raise
        file.log = file.log_now()
        self._open[connection] = locked
        self.are_given_up = False
        return connection

    def _prepared(self, uri: str) -> sqlite3.Connection:
        try:
            connection = connected(uri, self._busy_timeout_ms)
            try:
                # Connecting opens the file alone. The first statement opens, and perhaps empties, the log of this name.
                self._file.refuse_another()
                prepared(connection, self._log_pages, self._busy_timeout_ms)
                self._file.refuse_another()  # nor while that waited for others
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error:
            self._file.refuse_another()
            raise
        return connection

    def close(self, connection: sqlite3.Connection) -> None:
        """Close one."""
        connection.close()
        if (inode := self._open.pop(connection, None)) is not None:
            CONNECTED_FILES.remove(inode)
        if not self._open:
            self._file.log = None

    def after_fork_in_child(self) -> None:
        """Leave the parent's alone: closing them here would drop the parent's locks."""
        CONNECTED_FILES.after_fork_in_child()
        self._inherited += self._open
        self._open = {}
        self.are_given_up = False
        self._file.log = None
