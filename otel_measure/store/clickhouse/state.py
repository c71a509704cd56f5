"""The small state of a store: a log of operations, and in each process what they add up to.

Services, links, alerts, leases, definitions: what is small and depends on what came before it. Nobody holds a lock for
it over the network. Who changes something appends an operation to the log; every process applies the operations of the
log, in its order, to a store in its memory. All who have read the same entries have the same state: who was first to
take a lease, and whether a link was refused, is decided by the order of the log, and everybody finds the same.
"""

from __future__ import annotations

import secrets
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, TypeVar

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.store.clickhouse.log import BEGINNING, LogEntry, OperationLog
from otel_measure.store.clickhouse.log_entries import decoded, encoded
from otel_measure.store.clickhouse.operation import Operation
from otel_measure.store.clickhouse.snapshots import STALE_S, Snapshots, StateSnapshot
from otel_measure.store.sqlite.clock import since_boot_s
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.facts import Filter

T = TypeVar("T")
_NOT_YET: object = object()


class ReplicatedState:
    """The small state as this process knows it; any thread may use it.

    Args:
        log: of the store.
        replica: a new store in memory, to which the operations are applied.
        snapshots: of what they came to.
        monotonic: seconds, also those that a machine sleeps.
    """

    def __init__(
        self,
        log: OperationLog,
        replica: Replica,
        snapshots: Snapshots,
        monotonic: Callable[[], float] = since_boot_s,
    ) -> None:
        self._log = log
        self._replica = replica
        self._snapshots = snapshots
        self._monotonic = monotonic
        self._read_at_s = -inf
        self._position, self._said_by = BEGINNING, 0
        self._awaited: dict[int, Any] = {}
        self._begun = self._ended = 0
        self._reset()

    def _reset(self) -> None:
        self._applying = threading.Lock()

    def do(self, operation: Operation[T]) -> T:
        """Do something to the state of all, and return what became of it.

        Raises:
            StoreUnavailable: the log cannot be written or read; it may have been done all the same.
            StoreRejected: it carries what cannot be kept; nothing was done.
        """
        said_by, text = secrets.randbits(128), encoded(operation)
        if self._is_stale():  # what is said next may be in a snapshot by the time when the log is read
            self.sync()
        self._awaited[said_by] = _NOT_YET
        try:
            self._log.append(type(operation).__name__, text, said_by)
            self.sync()
            outcome = self._awaited[said_by]
        finally:
            del self._awaited[said_by]
        if outcome is _NOT_YET:
            raise StoreUnavailable(
                "clickhouse",
                "what was just written to the log is not in it",
                "read and write on one node; start this process again where the database was restored from a backup",
            )
        if isinstance(outcome, _Raised):
            raise outcome.error
        result: T = outcome
        return result

    def sync(self) -> None:
        """Apply what was said since; whoever waited while another thread did it afterwards need not.

        Raises:
            StoreUnavailable: the log cannot be read now.
        """
        begun_before = self._begun
        with self._applying:
            if self._ended > begun_before:
                return
            self._begun += 1
            began_s = self._monotonic()
            if self._is_stale() and (snapshot := self._snapshots.newest(self._position)) is not None:
                self._replica.load(snapshot.contents)
                self._position, self._said_by = snapshot.position, snapshot.said_by
            for entry in self._log.since(self._position):
                self._apply(entry)
            self._read_at_s, self._ended = began_s, self._begun

    def _is_stale(self) -> bool:
        return self._monotonic() - self._read_at_s > STALE_S

    def ask(self, question: Callable[[Replica], T]) -> T:
        """Return what the state of now answers.

        Raises:
            StoreUnavailable: the log cannot be read now.
        """
        self.sync()
        with self._applying:
            return question(self._replica)

    def was_said_since(self, name: str) -> bool:
        """Tell whether the log has an operation of this name that this process has not applied yet.

        Raises:
            StoreUnavailable: the log cannot be read now.
        """
        return self._log.has_since(self._position, name)

    def snapshot(self) -> StateSnapshot:
        """Return the state of now, and of which entry of the log it is."""
        self.sync()
        with self._applying:
            return StateSnapshot(self._position, self._said_by, self._replica.contents())

    def _apply(self, entry: LogEntry) -> None:
        operation = decoded(b64decode(entry.operation))
        outcome: object
        try:
            outcome = operation.apply(self._replica)
        except StoreUnavailable:  # this process alone could not; it is tried again
            raise
        except Exception as error:  # is refused, and is so for everybody
            outcome = _Raised(error)
        self._position, self._said_by = entry.position, entry.said_by
        if entry.said_by in self._awaited:
            self._awaited[entry.said_by] = outcome

    @contextmanager
    def asking(self, where: Filter) -> Iterator[SqliteMoment]:
        """Yield the questions that the small state answers, of now."""
        self.sync()
        with self._replica.asking(where) as moment:
            yield moment

    def rehearse(self, write: Callable[[Replica], object]) -> bool:
        """Have a write do to the state of now all that it does, and undo it; return whether it would do anything."""
        self.sync()
        with self._applying:
            return self._replica.rehearse(write)

    def told_calls(self, ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are calls which others told of, as far as this process has heard."""
        return self._replica.told_calls(ids)

    @property
    def final_calls(self) -> int:
        """The last batch of told calls that has gone to the facts, as far as this process has heard."""
        return self._replica.final_calls

    @property
    def definitions(self) -> Definitions:
        """By which definitions the store is counted, as far as this process has heard."""
        self._have_heard()
        return self._replica.definitions

    @property
    def recounted_by(self) -> Definitions | None:
        """By which others it is being counted anew, as far as this process has heard; `None` where it is not."""
        self._have_heard()
        return self._replica.recounted_by

    def _have_heard(self) -> None:
        if not self._ended:
            self.sync()

    def before_fork(self) -> None:
        """Let no operation be half-way while the process is copied."""
        self._applying.acquire()
        self._replica.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._replica.after_fork_in_parent()
        self._applying.release()

    def after_fork_in_child(self) -> None:
        """Go on with a copy of the state."""
        self._replica.after_fork_in_child()
        self._reset()

    def close(self) -> None:
        """Let go of it."""
        self._replica.close()


class _Raised:
    """That an operation was refused."""

    def __init__(self, error: Exception) -> None:
        self.error = error
