"""A file in which records, and what is set, wait until a server takes them: written at once, read in order, emptied.

It has nothing of a store but the records, so that to write costs little; any number of processes of a host share it.
Whoever forwards a batch claims it for a while. A process that ends with its claim leaves the batch to others.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from otel_measure.errors import StoreUnavailable
from otel_measure.records.events import kind_of
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite.facts import TABLE_OF, TABLES
from otel_measure.store.sqlite.opening import open_log
from otel_measure.store.sqlite.place import make_file
from otel_measure.store.types.spools import SpooledBatch

_APPLICATION_ID: Final = 0x6F6D7370  # "omsp"
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS batch (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        n INTEGER NOT NULL,
        is_command INTEGER NOT NULL,
        content BLOB NOT NULL,
        claimed_by TEXT NOT NULL DEFAULT '',
        claimed_until INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX IF NOT EXISTS command ON batch (seq) WHERE is_command
"""
_CLAIM: Final = """
    UPDATE batch SET claimed_by = :holder, claimed_until = :until
    WHERE seq = (SELECT seq FROM batch WHERE claimed_by IN ('', :holder) OR claimed_until < :now
        OR claimed_until > :until ORDER BY seq LIMIT 1)
        AND NOT EXISTS (SELECT 1 FROM batch AS before
            WHERE before.seq < batch.seq AND (before.is_command OR batch.is_command))
    RETURNING seq, n, is_command, content
"""
_ADD: Final = "INSERT INTO batch (n, is_command, content) VALUES (?, ?, ?)"
_NORMAL: Final = "PRAGMA synchronous = NORMAL"
_BUSY_MS: Final = 2000
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], list[tuple[str, msgspec.Raw]]] = msgspec.msgpack.Decoder(
    list[tuple[str, msgspec.Raw]]
).decode
_OF_KIND: Final[Mapping[str, Callable[[msgspec.Raw], Record]]] = {
    table.name: msgspec.msgpack.Decoder(table.record).decode for table in TABLES
}
_UNREADABLE: Final = (LookupError, ValueError, msgspec.MsgspecError)
_UNKNOWN: Final = "unknown"
_COUNTED_AS: Final = {table.name: kind_of(table.record) for table in TABLES}


class SqliteSpool:
    """Satisfies `otel_measure.store.types.spools.Spool`.

    Args:
        path: of the file, which is made with its folder.
        max_bytes: how large it may become; nothing is taken beyond.

    Raises:
        StoreUnavailable: the file cannot be used.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._reset()
        with self._connected():
            pass

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def append(self, records: Sequence[Record]) -> None:
        """Keep records, in one transaction that survives the end of the process.

        Raises:
            StoreUnavailable: the file is full, or cannot be written; nothing was kept.
        """
        packed = _encode([(TABLE_OF[type(record)].name, record) for record in records])
        with self._connected() as connection:
            self._refuse_full(connection, len(packed))
            connection.execute(_ADD, (len(records), False, packed))

    def keep(self, command: bytes) -> None:
        """Keep what is to be set, in one transaction that survives power loss.

        Raises:
            StoreUnavailable: the file is full, or cannot be written; nothing was kept.
        """
        with self._connected() as connection:
            self._refuse_full(connection, len(command))
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_ADD, (1, True, command))
            connection.execute(_NORMAL)

    def has_commands(self) -> bool:
        """Tell whether anything waits that is to be set."""
        with self._connected() as connection:
            return connection.execute("SELECT 1 FROM batch WHERE is_command LIMIT 1").fetchone() is not None

    def claim(self, holder: str, now: int, until: int) -> SpooledBatch | None:
        """Return the oldest batch that nobody else is forwarding, `None` where there is none.

        A command waits for all that is before it, and all that is behind it waits for the command, whoever forwards.

        Args:
            holder: who forwards it.
            now: microseconds.
            until: when others may forward it.

        Raises:
            StoreUnavailable: the file cannot be used.
        """
        with self._connected() as connection:
            row = connection.execute(_CLAIM, {"holder": holder, "now": now, "until": until}).fetchone()
        if row is None:
            return None
        seq, n, is_command, content = row
        if is_command:
            return SpooledBatch(seq, (), content)
        records, unreadable = _records(content, n)
        return SpooledBatch(seq, records, None, tuple(unreadable))

    def remove(self, batch: SpooledBatch) -> None:
        """Forget a batch that was taken."""
        with self._connected() as connection:
            connection.execute("DELETE FROM batch WHERE seq = ?", (batch.seq,))

    def release(self, holder: str) -> None:
        """Let others forward at once what a process has claimed and does not forward any more."""
        with self._connected() as connection:
            connection.execute("UPDATE batch SET claimed_by = '', claimed_until = 0 WHERE claimed_by = ?", (holder,))

    def length(self) -> int:
        """Return how many records and commands wait."""
        with self._connected() as connection:
            return int(connection.execute("SELECT coalesce(sum(n), 0) FROM batch").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def before_fork(self) -> None:
        """Let no transaction be half-way, and no connection be copied."""
        self._lock.acquire()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Open the file anew when it is needed."""
        self._reset()

    # ------------------------------------------------------------ the file

    def _refuse_full(self, connection: sqlite3.Connection, more: int) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        if (pages - free) * size + more > self._max_bytes:
            raise StoreUnavailable(
                "spool_full", f"{self._path} holds {self._max_bytes:,} bytes of records", "see why no server takes them"
            )

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._opened()
                yield self._connection
            except (sqlite3.Error, OSError) as error:
                if self._connection is not None:
                    with suppress(sqlite3.Error):
                        self._connection.close()
                    self._connection = None
                raise StoreUnavailable(
                    "spool", f"{self._path}: {error}", "make it writable, or name another"
                ) from error

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        make_file(self._path)
        connection = sqlite3.connect(self._path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN")  # another process may be making it
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            connection.execute("COMMIT")
            if tables and application != _APPLICATION_ID:
                raise sqlite3.DatabaseError("it is no spool of ours")
            open_log(connection, _BUSY_MS)
            connection.execute(_NORMAL)
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection


def _records(content: bytes, n: int) -> tuple[list[Record], list[str]]:
    """Return the records of a batch, and the kind of each that this version cannot read; another may have written it.

    Nothing behind it waits for such a one: it would for ever.
    """
    try:
        kept = _decode(content)
    except _UNREADABLE:
        return [], [_UNKNOWN] * n
    records: list[Record] = []
    unreadable: list[str] = []
    for name, record in kept:
        try:
            records.append(_OF_KIND[name](record))
        except _UNREADABLE:
            unreadable.append(_COUNTED_AS.get(name, _UNKNOWN))
    return records, unreadable
