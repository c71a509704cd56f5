"""One SQLite file, several processes, several threads: opening it, writing to it, and saying what is wrong.

Writes are serialised within the process by a lock and between processes by `BEGIN IMMEDIATE`: a transaction that
begins by reading would get `SQLITE_BUSY` at once when it turns to writing, which no time-out helps.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreError, StoreRejected, StoreUnavailable
from otel_measure.store.sqlite.checkpoints import LARGEST_LOG_PAGES, Checkpoints
from otel_measure.store.sqlite.gate import Gate

MEMORY: Final = ":memory:"
_PATIENCE_S: Final = 0.005  # some ten small commits; a large batch takes a second
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "davfs"}
    | {f"fuse.{kind}" for kind in ("sshfs", "s3fs", "rclone", "glusterfs", "ceph-fuse", "gcsfuse", "davfs2")}
)
# (part of SQLite's message, cause, what the reader can do)
_CAUSES: Final = (
    ("locked", "locked", "another process holds the write lock; it is tried again by itself"),
    ("disk is full", "full", "free disk space or lower store_max_bytes; recording goes on by itself afterwards"),
    ("readonly", "read_only", "make the file and its directory writable for this user"),
    ("unable to open", "permission", "check that the directory exists and is writable, or set OTEL_MEASURE_STORE"),
    ("malformed", "corrupt", "stop all writers, keep a copy, run `sqlite3 FILE .recover` or start a new store"),
    ("not a database", "corrupt", "the file is something else: set OTEL_MEASURE_STORE to another path"),
    ("disk i/o error", "io", "check the disk and that nobody removed the file; `otel-measure doctor` says more"),
)
_PUT_BACK: Final = (
    "put it back, its -wal and -shm files beside it as they are; or stop every process that uses it and start again"
)
_START_AGAIN: Final = (
    "stop every process that uses it, delete the -wal and -shm files beside it if you restore another file, "
    "then start again"
)
_PAGE_BYTES: Final = 4096
_BEGIN_ANEW_MS: Final = 400  # how long writers may have to wait for readers, twice, so that the log can begin anew
_BEGIN_ANEW_PAUSE_S: Final = 10.0  # after it was in vain
_SETTLING_MS: Final = 500  # how long moving the log out of the way may wait for readers


def unavailable(path: str, error: sqlite3.Error) -> StoreError:
    """Return what an SQLite error means to the person at the console."""
    message = str(error).lower()
    for part, cause, way_out in _CAUSES:
        if part in message:
            return StoreUnavailable(cause, f"{path}: {error}", way_out)
    kind = StoreRejected if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError) else StoreError
    return kind(f"store {path}: {error}")


def refuse_network_file_system(path: Path, mounts: list[tuple[str, str]]) -> None:
    """Raise when the file would lie on a network file system, where SQLite's locks and shared memory do not hold.

    Args:
        path: of the file.
        mounts: (mount point, type) of every file system.
    """
    place = os.path.realpath(path)
    best = max((m for m in mounts if _is_below(place, m[0])), key=lambda m: len(m[0]), default=None)
    if best and best[1].lower() in _NETWORK_FILE_SYSTEMS:
        raise StoreUnavailable(
            "network_file_system",
            f"{path} lies on {best[0]}, a network file system ({best[1]}), where SQLite's locks do not hold",
            "set OTEL_MEASURE_STORE to a local disk; the processes of other hosts send OTLP to `otel-measure serve`",
        )


def _is_below(place: str, mount_point: str) -> bool:
    return mount_point == "/" or place == mount_point or place.startswith(mount_point.rstrip("/") + "/")


def local_mounts() -> list[tuple[str, str]]:
    """Return (mount point, type) of every file system of this machine."""
    import psutil

    return [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]


def _nothing() -> None:
    """Do nothing."""


class Database:
    """The connections of one process to one store.

    The first connection may make the file; it is that file from then on, for this process and its children. Another one
    under its path is refused: SQLite finds the write-ahead log by the path alone, and would take the log of the one
    for that of the other, or throw it away.

    Args:
        path: a file, or ":memory:".
        power_safe: every commit survives power loss, not only those that ask for it.
        busy_timeout_ms: how long a write waits for another process.
    """

    def __init__(self, path: str, *, power_safe: bool = False, busy_timeout_ms: int = 5000) -> None:
        self.path = path
        self._power_safe = power_safe
        self._busy_timeout_ms = busy_timeout_ms
        self._file: tuple[int, int] | None = None
        self._is_closed = False
        self._reset()
        if path != MEMORY:
            file = Path(path)
            self._uri = file.absolute().as_uri()
            refuse_network_file_system(file, local_mounts())
            try:
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise StoreUnavailable(
                    "permission",
                    f"{file.parent} cannot be created: {error}",
                    "set OTEL_MEASURE_STORE to a writable path",
                ) from error

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._gate = Gate()
        self._writer: sqlite3.Connection | None = None
        self._has_settled = False
        self._begin_anew_from = 0.0
        self._synchronous = ""
        self._idle: list[sqlite3.Connection] = []
        self._checkpoints = Checkpoints(self._checkpoint)
        self._inherited: list[object] = []

    @contextmanager
    def write(
        self, *, durable: bool = False, rolled_back: Callable[[], None] = _nothing
    ) -> Iterator[sqlite3.Connection]:
        """Yield the writing connection inside one transaction, committed at the end, rolled back on any error.

        Args:
            durable: survive power loss.
            rolled_back: called on an error, before the next writer's turn.
        """
        with self._turn():
            try:
                connection = self._writing_connection(durable)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                    if self.path != MEMORY:
                        self._checkpoints.committed(connection.total_changes)
                except BaseException:
                    rolled_back()
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self._forget_writer_after(error)
                raise unavailable(self.path, error) from error

    def is_busy(self) -> bool:
        """Tell whether a thread of this process writes for longer than one waits on an event loop."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return True
        self._lock.release()
        return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Without a bound, every writer would wait for all those before it while another process holds the store.
        if not self._lock.acquire(timeout=self._busy_timeout_ms / 1000):
            raise unavailable(self.path, sqlite3.OperationalError("database is locked (other threads wait as well)"))
        try:
            yield
        finally:
            self._lock.release()

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("closed", f"{self.path} was closed by this process", "open the store anew")

    def _refuse_another_file(self) -> None:
        """Raise when the file of this database is no longer the one at the path."""
        found = self._file_now()
        if self._file in {None, found}:
            return
        if found is None:
            raise StoreUnavailable("removed", f"{self.path} was removed while in use", _PUT_BACK)
        raise StoreUnavailable("removed", f"{self.path} was replaced by another file while in use", _START_AGAIN)

    def _file_now(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnavailable(
                "permission" if isinstance(error, PermissionError) else "io",
                f"{self.path} cannot be looked at: {error.strerror}",
                "let this user enter the directory (chmod or chown), or set OTEL_MEASURE_STORE",
            ) from error
        return found.st_dev, found.st_ino

    def _refuse_or_settle(self, connection: sqlite3.Connection) -> None:
        """Raise when the file is no longer the one at the path; its log then is with it, and not in the way.

        SQLite leaves the log of a file that is no longer at its path as it is. Whatever lies there then gets it, at the
        latest when it is opened next: a restored backup had the records again that it was to be without. It is moved
        once: a log that is there later may be that of a process that uses the other file.
        """
        try:
            self._refuse_another_file()
        except StoreUnavailable as refusal:
            if refusal.cause_name == "removed" and not self._has_settled:
                with suppress(sqlite3.Error):
                    connection.execute(f"PRAGMA busy_timeout={_SETTLING_MS}")
                    is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                    connection.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
                    self._has_settled = not is_busy
            raise
        self._has_settled = False

    def _forget_writer_after(self, error: sqlite3.Error) -> None:
        """Open anew next time, unless the error is one that waiting cures."""
        if self._writer is not None and self.path != MEMORY and "locked" not in str(error):
            self._writer.close()
            self._writer = None

    def _writing_connection(self, durable: bool) -> sqlite3.Connection:
        self._refuse_closed()
        if self._writer is None:
            self._writer = self._open()
            self._synchronous = ""
        elif self.path != MEMORY:
            self._refuse_or_settle(self._writer)
        wanted = "FULL" if durable or self._power_safe else "NORMAL"
        if wanted != self._synchronous:
            self._writer.execute(f"PRAGMA synchronous={wanted}")
            self._synchronous = wanted
        return self._writer

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside one read transaction: every query in it sees the same state."""
        if self.path == MEMORY:
            with self._lock:
                try:
                    yield self._writing_connection(False)
                except sqlite3.Error as error:
                    raise unavailable(self.path, error) from error
            return
        with self._gate.passing(), self._reading() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that is not the writer's; one that failed is closed."""
        self._refuse_closed()
        self._refuse_another_file()
        try:
            connection = self._taken() or self._open()
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from error
        try:
            yield connection
        except sqlite3.Error as error:
            connection.close()
            raise unavailable(self.path, error) from error
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        if self._is_closed:  # meanwhile
            self._close_idle()

    def _taken(self) -> sqlite3.Connection | None:
        # Asking first whether there is one would leave time for another thread to take it.
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> sqlite3.Connection:
        if self.path == MEMORY:
            return self._prepared(self._connected(MEMORY))
        known = self._file
        self._refuse_another_file()
        try:
            # Made once: an empty file instead of one that was moved away for a moment would take its log from it.
            connection = self._connected(f"{self._uri}?mode={'rw' if known else 'rwc'}")
        except sqlite3.Error:
            self._refuse_another_file()
            raise
        try:
            # Connecting opens the file alone. The first statement opens, and perhaps empties, the log of this name.
            self._refuse_another_file()
            found = self._file_now()
            self._prepared(connection)
            self._file = known or found
        except BaseException:
            connection.close()
            raise
        return connection

    def _connected(self, name: str) -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            uri=name != MEMORY,
            timeout=self._busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _prepared(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={LARGEST_LOG_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={LARGEST_LOG_PAGES * _PAGE_BYTES}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-16384")
        return connection

    def _checkpoint(self) -> None:
        """Move what the write-ahead log holds into the file, as far as nobody reads it there."""
        # What stands in the way (a full disk, a file that is gone) the next write finds as well, and says.
        with suppress(StoreError), self._connection() as connection:
            _, log, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if log <= LARGEST_LOG_PAGES or time.monotonic() < self._begin_anew_from:
                return
            # With the writers' lock they wait for their turn, and who asks learns that it takes a while.
            if self._lock.acquire(timeout=_BEGIN_ANEW_MS / 1000):
                try:
                    self._begin_log_anew(connection)
                finally:
                    self._lock.release()

    def _begin_log_anew(self, mover: sqlite3.Connection) -> None:
        """Have the next commit write to the start of the log, which never comes about while readers overlap.

        Writers wait, readers do not. While nobody commits, readers that begin see all there is, and hold nothing back;
        so it is done when those have ended that began before. One that does not end in time makes it in vain.
        """
        self._begin_anew_from = time.monotonic() + _BEGIN_ANEW_PAUSE_S
        mover.execute(f"PRAGMA busy_timeout={_BEGIN_ANEW_MS}")
        with self._connection() as holder:
            holder.execute(f"PRAGMA busy_timeout={_BEGIN_ANEW_MS}")
            holder.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + _BEGIN_ANEW_MS / 1000
            # RESTART alone would wait for one place among the readers, which new ones take before it looks again.
            while not (is_moved := _move(mover, "PASSIVE")) and time.monotonic() < until:
                time.sleep(0.005)
                # There are four places: who finds none free shares an old one, and would keep it old.
                holder.execute("ROLLBACK")
                holder.execute("BEGIN IMMEDIATE")
            holder.execute("ROLLBACK")
            holder.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
        if is_moved and _move(mover, "RESTART"):
            self._begin_anew_from = 0.0
        mover.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")

    def before_fork(self) -> None:
        """Let no transaction of another thread be half-way while the process is copied."""
        self._parked = self._lock.acquire(timeout=5)
        self._checkpoints.wait(5)
        self._gate.close()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._gate.open()
        if self._parked:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone: closing them here would drop the parent's locks."""
        inherited = [*self._inherited, self._writer, *self._idle]
        if self.path == MEMORY:
            # A private copy of the parent's memory: the data is this process's own from here on.
            self._lock = threading.RLock()
            return
        self._reset()
        self._inherited = inherited

    def close(self) -> None:
        """Close every connection; SQLite empties the write-ahead log with the last one."""
        with self._lock:
            self._checkpoints.wait(5)
            self._is_closed = True
            last = self._writer or self._taken()
            self._close_idle()
            self._writer = None
            if last is not None:
                if self.path != MEMORY:
                    with suppress(StoreUnavailable):
                        self._refuse_or_settle(last)
                last.close()

    def _close_idle(self) -> None:
        while connection := self._taken():
            connection.close()


def _move(connection: sqlite3.Connection, mode: str) -> bool:
    """Move the log into the file; return whether all of it was, and what else the mode asks for was done."""
    is_busy, pages, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return not is_busy and bool(pages == moved)


def migrate(database: Database) -> None:
    """Bring the schema up to date, one numbered file after another, all in one transaction.

    Raises:
        StoreError: the file was written by a newer version.
    """
    scripts = sorted(
        (entry.name, entry.read_text("utf-8"))
        for entry in (files("otel_measure.store.sqlite") / "schema").iterdir()
        if entry.name.endswith(".sql")
    )
    latest = int(scripts[-1][0][:4])
    with database.read() as connection:
        if _version(connection) == latest:
            return
    with database.write(durable=True) as connection:
        version = _version(connection)
        if version > latest:
            raise StoreError(
                f"store {database.path} has schema {version}, this otel-measure knows {latest}: upgrade otel-measure"
            )
        for name, script in scripts:
            if int(name[:4]) > version:
                _run(connection, script)
        connection.execute(f"PRAGMA user_version={latest}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _run(connection: sqlite3.Connection, script: str) -> None:
    # executescript would commit the transaction that makes a migration all or nothing.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
