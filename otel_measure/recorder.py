"""From the call to the store: a bounded queue, one thread, one transaction for many records.

`put` is all the caller pays. A fault of ours (full queue, locked store) never reaches the host: it is logged once and
counted. What the host did wrong was refused before, when the record was built.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Final, Protocol

from otel_measure.errors import StoreUnavailable
from otel_measure.records.events import kind_of
from otel_measure.records.kinds import Record
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import ACCEPTED, Receipt
from otel_measure.store.waiting import wait_s, waiting_until

_log: Final = logging.getLogger("otel_measure")
_pending: Final[ContextVar[int]] = ContextVar("otel_measure_pending", default=0)
BATCH: Final = 2000
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Sink(Protocol):
    """Where accepted records and the recorder's own figures go."""

    def record(self, records: Sequence[Record]) -> None:
        """Turn accepted records into measurements and events."""

    def count(self, kind: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Count records by what became of them."""

    def fault(self, what: str) -> None:
        """Count a fault of ours."""

    def commit_took(self, seconds: float) -> None:
        """Note how long a commit took."""


class RecordSpool(Protocol):
    """Keeps records on this host until the store has them."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep records; raises `StoreUnavailable` where it cannot."""

    def settle(self) -> int:
        """Have the store take what waits, and return how many it has not."""


class Recorder:
    """The one way a record takes.

    Args:
        store: `None` goes straight to the sink.
        sink: told of what was accepted.
        queue_size: records that may wait; more are dropped and counted.
        flush_interval_s: how long the thread waits for others to share a commit.
        durable: every commit survives power loss.
        raise_faults: raise our own faults, which are counted and logged, as well; for tests.
        monotonic: the clock that times commits.
        spool: takes what is recorded in the place of the store, and forwards it.
    """

    def __init__(
        self,
        store: Store | None,
        sink: Sink,
        *,
        queue_size: int = 100_000,
        flush_interval_s: float = 0.05,
        durable: bool = False,
        raise_faults: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        spool: RecordSpool | None = None,
    ) -> None:
        self._spool = spool
        self._store = store
        self._sink = sink
        self._queue_size = queue_size
        self._flush_interval_s = flush_interval_s
        self._durable = durable
        self._raise_faults = raise_faults
        self._monotonic = monotonic
        self._queue: deque[Record] = deque()
        self._committing = 0
        self._is_away = False
        self._logged: set[str] = set()
        self._reset()

    def _reset(self) -> None:
        self._wake = threading.Event()
        self._draining = threading.Lock()
        self._parked = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def queue_length(self) -> int:
        """How many records wait."""
        return len(self._queue)

    @property
    def pending(self) -> int:
        """How many records the last question of this thread or task was answered without, as `settle` found."""
        return _pending.get()

    def put(self, record: Record) -> None:
        """Take a record; it is committed within the flush interval."""
        if len(self._queue) >= self._queue_size:
            self._drop(record, "queue_full", f"{self._queue_size} records wait and the store does not keep up")
            return
        if self._stopping.is_set():
            self._drop(record, "shut_down", "a record came after shutdown()")
            return
        self._queue.append(record)
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def _drop(self, record: Record, reason: str, message: str) -> None:
        self._sink.count(kind_of(type(record)), "dropped", 1, reason)
        self._log_once(reason, f"{message}: it is dropped")

    def leave_out(self, kind: type[Record], reason: str) -> None:
        """Count what cannot be recorded as dropped: nobody is there to be told that a call was wrong."""
        self._sink.count(kind_of(kind), "dropped", 1, reason)

    def commit(self, records: Sequence[Record], *, durable: bool = False, own: bool = True) -> list[Receipt]:
        """Accept records now, in one transaction, and measure the new ones.

        Args:
            records: what to accept.
            durable: survive power loss as well.
            own: they were recorded here; what other processes recorded is no measurement of this one.

        Raises:
            StoreUnavailable: nothing was accepted.
        """
        if self._store is None:
            receipts = [ACCEPTED] * len(records)
        else:
            began = self._monotonic()
            receipts = self._store.accept(records, durable=durable or self._durable)
            self._sink.commit_took(self._monotonic() - began)
            self._is_away = False
        self.measure(records, receipts, own)
        return receipts

    def measure(self, records: Sequence[Record], receipts: Sequence[Receipt], own: bool = True) -> None:
        """Count what became of records, and measure those that were accepted.

        Args:
            records: that were committed, or kept until they are.
            receipts: one of each.
            own: as for `commit`.
        """
        try:
            self._account(records, receipts, own)
        except Exception as error:  # what is committed is committed, whatever measuring it does
            self.fault("measuring", f"records were stored and not measured: {error!r}", error)

    def _account(self, records: Sequence[Record], receipts: Sequence[Receipt], own: bool) -> None:
        for (kind, receipt), n in Counter(zip(map(type, records), receipts, strict=True)).items():
            self._sink.count(kind_of(kind), receipt.outcome, n, receipt.reason)
            if receipt.outcome == "accepted" and receipt.reason:
                self._log_once(
                    receipt.reason, f"records are stored, and counted by other processes only: {receipt.reason}"
                )
        if own:
            self._sink.record(
                [r for r, receipt in zip(records, receipts, strict=True) if receipt.outcome == "accepted"]
            )

    # ------------------------------------------------------------ the thread

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="otel-measure-recorder", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        failures = 0
        while True:
            self._wake.wait()
            if self._stopping.wait(self._flush_interval_s):
                return
            self._wake.clear()
            if self._stopping.is_set():  # since the wait, and what was to wake this thread for it is cleared
                return
            if self._drain(None):
                failures = 0
            else:
                self._stopping.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                self._wake.set()

    def settle(self) -> int:
        """Commit what was put before a question is answered; return how many records the answer will be without.

        Nobody waits for a store that did not take records when it was tried last: the thread goes on trying.
        """
        is_complete = self.flush(0.0 if self._is_away else 5.0)
        pending = 0 if is_complete else len(self._queue) + self._committing
        if self._spool is not None:
            pending += self._spool.settle()
        if pending:
            self._log_once("pending", f"an answer is without what is not committed yet, {pending} of the records")
        _pending.set(pending)
        return pending

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Commit everything put before this call; `False` when that did not succeed in time."""
        timeout_s = wait_s(timeout_s)
        deadline, until_s = self._monotonic() + timeout_s, time.monotonic() + timeout_s
        if not self._draining.acquire(timeout=timeout_s):
            return False
        try:
            with waiting_until(until_s):
                return self._drain_locked(deadline)
        finally:
            self._draining.release()

    def _drain(self, deadline: float | None) -> bool:
        with self._draining:
            return self._drain_locked(deadline)

    def _drain_locked(self, deadline: float | None) -> bool:
        left = len(self._queue)
        while left > 0:
            if deadline is not None and self._monotonic() > deadline:
                return False
            batch = [self._queue.popleft() for _ in range(min(left, BATCH))]
            left -= len(batch)
            self._committing = len(batch)
            is_committed = self._commit_queued(batch)
            self._committing = 0
            if not is_committed:
                return False
        return True

    def _commit_queued(self, batch: list[Record]) -> bool:
        try:
            if self._spool is None:
                self.commit(batch)
            else:
                self._spool.append(batch)
                self._is_away = False
                self.measure(batch, [ACCEPTED] * len(batch), own=True)
        except StoreUnavailable as error:
            self._queue.extendleft(reversed(batch))
            self._is_away = True
            self.fault("store_unavailable", str(error), error)
            return False
        except Exception as error:  # whatever it is, the thread goes on
            return self._one_by_one(batch, error)
        return True

    def _one_by_one(self, batch: list[Record], error: Exception) -> bool:
        """Keep one record that cannot be stored from taking its neighbours with it."""
        if len(batch) == 1:
            self._sink.count(kind_of(type(batch[0])), "dropped", 1, type(error).__name__)
            self.fault("refused", f"a record could not be stored: {error!r}", error)
            return True
        for i, record in enumerate(batch):
            if not self._commit_queued([record]):
                # It went back to the front of the queue itself; those behind it follow.
                self._queue.popleft()
                self._queue.extendleft(reversed(batch[i:]))
                return False
        return True

    def fault(self, what: str, message: str, error: Exception) -> None:
        """Log a fault of ours once, count it, and raise it only where tests want to see it."""
        self._sink.fault(what)
        self._log_once(what, message)
        if self._raise_faults:
            raise error

    def _log_once(self, what: str, message: str) -> None:
        if what not in self._logged:
            self._logged.add(what)
            _log.error("%s (logged once; otel_measure.self.* metrics count the rest)", message)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Take no more, flush, end the thread; what could not be committed is counted as dropped."""
        self._stopping.set()
        self._wake.set()
        flushed = self.flush(timeout_s)
        if self._thread is not None:
            self._thread.join(timeout_s)
        while self._queue:
            self._drop(self._queue.popleft(), "shut_down", "a record could not be committed before the end")
        return flushed

    # ------------------------------------------------------------ fork

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""
        self._parked = self._draining.acquire(timeout=5)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._parked:
            self._draining.release()

    def after_fork_in_child(self) -> None:
        """Start afresh: what waited in the parent is the parent's to commit."""
        self._queue.clear()
        self._logged.clear()
        self._reset()
