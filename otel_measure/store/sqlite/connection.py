"""One SQLite file, several processes, several threads: opening it, reading it and writing to it.

Writes are serialised within the process by a lock and between processes by `BEGIN IMMEDIATE`: a transaction that
begins by reading would get `SQLITE_BUSY` at once when it turns to writing, which no time-out helps.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.checkpoints import LARGEST_LOG_PAGES, Checkpoints, LogMover
from otel_measure.store.sqlite.damage import Damage, DamageScan
from otel_measure.store.sqlite.faults import store_error
from otel_measure.store.sqlite.file import MEMORY, DatabaseFile
from otel_measure.store.sqlite.file_connections import FileConnections
from otel_measure.store.sqlite.gate import Gate
from otel_measure.store.sqlite.opening import connected, prepared
from otel_measure.store.sqlite.turns import Turns
from otel_measure.store.waiting import wait_s

_PATIENCE_S: Final = 0.005  # some ten small commits; a large batch takes a second
_EMPTYING_S: Final = 0.1  # how long the log is emptied again when another process has written in between
_WRITER_CACHE_KIB: Final = 16_384  # of those that read, each has a quarter of it: there are as many as threads that ask
_MOVING_MS: Final = 500  # how long moving the log out of the way may wait for readers


def _nothing() -> None:
    """Do nothing."""


class Database:
    """The connections of one process to one store.

    The first connection may make the file; it is that file from then on (`DatabaseFile`), for this process and its
    children.

    Args:
        path: a file, or ":memory:".
        power_safe: every commit survives power loss, not only those that ask for it.
        busy_timeout_ms: how long a write waits for another process.
        log_pages: how large the write-ahead log may become.

    Attributes:
        damage: what was met of it.
    """

    def __init__(
        self,
        path: str,
        *,
        power_safe: bool = False,
        busy_timeout_ms: int = 5000,
        log_pages: int = LARGEST_LOG_PAGES,
    ) -> None:
        self.path = path
        self._power_safe = power_safe
        self._log_pages = log_pages
        self._busy_timeout_ms = busy_timeout_ms
        self._use(None if path == MEMORY else DatabaseFile(path))
        self._is_closed = False
        self.damage = Damage(path)
        self._scan = DamageScan()
        self._reset()

    def _use(self, file: DatabaseFile | None) -> None:
        self._file = file
        self._connections = None if file is None else FileConnections(file, self._log_pages, self._busy_timeout_ms)

    def _reset(self) -> None:
        self._lock = Turns()
        self._gate = Gate()
        self._writer: sqlite3.Connection | None = None
        self._log_was_moved = False
        self._synchronous = ""
        self._waits_ms = -1
        self._idle: list[sqlite3.Connection] = []
        self._mover = LogMover(self._connection, self._log_pages, self._busy_timeout_ms)
        self._checkpoints = Checkpoints(self._mover.move, self._log_pages)

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
                if self._file is not None and self._mover.relieve(connection, self._file.log_size):
                    self._waits_ms = -1
                self._let_wait(connection)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                    if self._file is not None:
                        self._file.log = self._file.log or self._file.log_now()  # a new file has none before
                        self._checkpoints.committed(connection.total_changes)
                except BaseException:
                    rolled_back()
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self._forget_writer_after(error)
                raise self.damage.noted(error) from error

    @contextmanager
    def with_empty_log(self) -> Iterator[tuple[sqlite3.Connection, DatabaseFile] | None]:
        """Yield a new connection in a write transaction while the log is empty, so that the file is all there is.

        Writers wait, for some readers to end as well; `None` when these need the log for longer.
        """
        file = self._file
        if file is None:
            yield None
            return
        try:
            with self._turn():
                until_s = time.monotonic() + _EMPTYING_S
                connection = self._open()
                try:
                    while not self._mover.is_in_vain() and self._mover.begin_anew(connection, mode="TRUNCATE"):
                        connection.execute(f"PRAGMA busy_timeout={_MOVING_MS}")
                        connection.execute("BEGIN IMMEDIATE")
                        if file.log_now() and not file.log_size:
                            yield connection, file
                            connection.execute("COMMIT")
                            return
                        connection.execute("ROLLBACK")  # another process has been faster
                        if time.monotonic() >= until_s:
                            break
                finally:
                    self._close(connection)
                yield None
        except sqlite3.Error as error:
            raise self.damage.noted(error) from error

    def is_busy(self) -> bool:
        """Tell whether a thread of this process writes for longer than one waits on an event loop."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return True
        self._lock.release()
        return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Without a bound, every writer would wait for all those before it while another process holds the store.
        if not self._lock.acquire(timeout=wait_s(self._busy_timeout_ms / 1000)):
            raise store_error(self.path, sqlite3.OperationalError("database is locked (other threads wait as well)"))
        try:
            yield
        finally:
            self._lock.release()

    def _let_wait(self, writer: sqlite3.Connection) -> None:
        """Have the next transaction wait for other processes as long as its caller may."""
        # In steps, so that most writes find what the one before them has set.
        waits_ms = ceil(wait_s(self._busy_timeout_ms / 1000) * 10) * 100
        if waits_ms != self._waits_ms:
            writer.execute(f"PRAGMA busy_timeout={waits_ms}")
            self._waits_ms = waits_ms

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("closed", f"{self.path} was closed by this process", "open the store anew")

    def _refuse_another_file(self, file: DatabaseFile, writer: sqlite3.Connection) -> None:
        """Raise when the file or its log is no longer the one at its path; what the log holds then is in the file.

        SQLite leaves the log of a file that is no longer at its path as it is. Whatever lies there then gets it, at the
        latest when it is opened next: a restored backup had the records again that it was to be without. It is moved
        once: a log that is there later may be that of a process that uses the other file.
        """
        try:
            file.refuse_another()
        except StoreUnavailable as refusal:
            if refusal.cause_name == "removed" and not self._log_was_moved:
                with suppress(sqlite3.Error):
                    writer.execute(f"PRAGMA busy_timeout={_MOVING_MS}")
                    is_busy = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                    writer.execute(f"PRAGMA busy_timeout={self._busy_timeout_ms}")
                    self._waits_ms = self._busy_timeout_ms
                    self._log_was_moved = not is_busy
                if file.lost_log and self._log_was_moved and self._connections is not None:
                    self._let_go_of_all(self._connections)
            raise
        self._log_was_moved = False

    def _let_go_of_all(self, connections: FileConnections) -> None:
        """Close what is not in use; what is, closes when it comes back. Without any, the store may be opened anew."""
        connections.are_given_up, self._log_was_moved = True, False
        if self._writer is not None:
            self._close(self._writer)
            self._writer = None
        self._close_idle()

    def _close(self, connection: sqlite3.Connection) -> None:
        if self._connections is None:
            connection.close()
        else:
            self._connections.close(connection)

    def watch(self) -> None:
        """Look whether file and log are those that were opened, and for damage.

        Raises:
            StoreUnavailable: they are not, or damage was met by now, whoever met it.
        """
        file = self._file
        if file is None:
            return
        # Not inside the gate: a fork takes the turn first and then waits for whoever is inside.
        with self._turn(), self._holder() as holder:
            if holder is not None:
                self._refuse_another_file(file, holder)
        if file.was_cut or self._scan.is_due():
            with self._gate.passing():
                self._scan_for_damage(file)
        self.damage.refuse()

    @contextmanager
    def _holder(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a connection that is there, `None` for none; the writer's turn is taken."""
        taken = None if self._writer is not None else self._taken()
        try:
            yield self._writer or taken
        finally:
            if taken is not None:
                self._give_back(taken)

    def _scan_for_damage(self, file: DatabaseFile) -> None:
        # A new connection has no pages in memory, and sees at once when the file is shorter than its header says.
        try:
            connection = self._open()
            try:
                problem = self._scan.look(connection)
            finally:
                self._close(connection)
        except sqlite3.Error as error:
            self.damage.noted(error)
        else:
            file.was_cut = False
            if problem:
                self.damage.note(problem)

    def _forget_writer_after(self, error: sqlite3.Error) -> None:
        """Open anew next time, unless the error is one that waiting cures."""
        if self._writer is not None and self.path != MEMORY and "locked" not in str(error):
            self._close(self._writer)
            self._writer = None

    def _writing_connection(self, durable: bool) -> sqlite3.Connection:
        self._refuse_closed()
        if self._writer is None:
            self._writer = self._open()
            self._writer.execute(f"PRAGMA cache_size=-{_WRITER_CACHE_KIB}")
            self._synchronous = ""
            self._waits_ms = -1
        elif self._file is not None:
            self._refuse_another_file(self._file, self._writer)
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
                    raise store_error(self.path, error) from error
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
        if self._file is not None:
            self._file.refuse_another()
        try:
            with self._borrowed() as connection:
                yield connection
        except sqlite3.Error as error:
            raise self.damage.noted(error) from error

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        connection = self._taken() or self._open()
        try:
            yield connection
        except BaseException:
            self._close(connection)
            raise
        self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._is_closed or (self._connections is not None and self._connections.are_given_up):  # meanwhile
            self._close_idle()

    def _taken(self) -> sqlite3.Connection | None:
        # Asking first whether there is one would leave time for another thread to take it.
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> sqlite3.Connection:
        if self._connections is not None:
            return self._connections.open()
        return prepared(connected(MEMORY, self._busy_timeout_ms), self._log_pages, self._busy_timeout_ms)

    def before_fork(self) -> None:
        """Let no transaction of another thread be half-way while the process is copied, and no connection be copied.

        SQLite's memory would tell a child that it has the locks of its parent, which no fork hands on: others would
        remove the log that it writes, and its index, and what was acknowledged would be lost.
        """
        self._parked = self._lock.acquire(timeout=5)
        self._checkpoints.wait(5)
        self._gate.close()
        is_within = self._writer is not None and self._writer.in_transaction  # this very thread
        if self._parked and self._file is not None and not is_within:
            self._close_all()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._gate.open()
        if self._parked:
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Open connections of its own when they are needed."""
        if self._connections is None:
            # A private copy of the parent's memory: the data is this process's own from here on.
            self._lock = Turns()
            return
        self._connections.after_fork_in_child()
        self._reset()

    def close(self) -> None:
        """Close every connection; SQLite empties the write-ahead log with the last one."""
        with self._lock:
            self._checkpoints.wait(5)
            self._is_closed = True
            self._close_all()

    def _close_all(self) -> None:
        """Close what no thread uses; the turn is taken."""
        last = self._writer or self._taken()
        self._close_idle()
        self._writer = None
        if last is not None:
            if self._file is not None:
                with suppress(StoreUnavailable):
                    self._refuse_another_file(self._file, last)
            self._close(last)

    def _close_idle(self) -> None:
        while connection := self._taken():
            self._close(connection)
