"""From the spool of a host to the store: what was recorded and set leaves in order, and is forgotten when it is there.

To record costs a write to a local file, whatever the store does. Giving records again changes nothing, so a batch that
was stored and not forgotten, because its process ended, is forwarded once more by whoever comes next.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from otel_measure.errors import ConfigurationError, StoreRejected, StoreUnavailable
from otel_measure.records.events import kind_of
from otel_measure.records.kinds import Record
from otel_measure.store.types.facts import Receipt
from otel_measure.store.types.spools import Spool
from otel_measure.store.waiting import looking_again

CLAIM_US: Final = 30 * 1_000_000  # a batch takes seconds; one that was given twice counts once
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_IDLE_S: Final = 1.0  # what others left is looked for as often


class ForwardingStore(Protocol):
    """Takes records in."""

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """See `otel_measure.store.protocol.Writer`."""


class Forwarder:
    """Forwards what a spool holds, from a thread of its own.

    Args:
        spool: where records wait, and commands.
        store: takes the records.
        do: does a command that was kept, as `otel_measure.deferred.Deferred.do_kept`.
        holder: returns which process this is, among those that share the spool.
        now_us: the wall clock.
        count: counts records by kind, outcome and reason.
        fault: is told of faults.
    """

    def __init__(
        self,
        spool: Spool,
        store: ForwardingStore,
        do: Callable[[bytes], None],
        *,
        holder: Callable[[], str],
        now_us: Callable[[], int],
        count: Callable[[str, str, int, str | None], None],
        fault: Callable[[str, str, Exception], None],
    ) -> None:
        self._spool = spool
        self._store = store
        self._do = do
        self._holder = holder
        self._now_us = now_us
        self._count = count
        self._fault = fault
        self._reset()

    def _reset(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._forwarding = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_away = False

    # ------------------------------------------------------------ what the recorder asks

    def append(self, records: Sequence[Record]) -> None:
        """Keep records on this host, and have them forwarded.

        Raises:
            StoreUnavailable: the spool took none of them.
        """
        self._spool.append(records)
        self._wake.set()

    def keep(self, command: bytes) -> None:
        """Keep what is to be set on this host, behind what is there, and have it done.

        Raises:
            StoreUnavailable: the spool did not take it.
        """
        self._spool.keep(command)
        self._wake.set()

    def must_wait(self) -> bool:
        """Tell whether a command must be kept: the store was away just now, or others wait before it."""
        try:
            return self._is_away or self._spool.has_commands()
        except StoreUnavailable:
            return False  # what cannot be read holds nobody up

    def waiting(self) -> int:
        """Return how many records and commands of this host are not in the store yet; metrics ask after the end too."""
        try:
            return self._spool.length()
        finally:
            if self._stopping.is_set():
                self._spool.close()

    def flush(self, timeout_s: float) -> bool:
        """Forward what waits; `False` when that did not succeed in time, or another process is at it."""
        if not self._forwarding.acquire(timeout=max(timeout_s, 0.0)):
            return False
        try:
            self._drain(time.monotonic() + timeout_s)
            return self._spool.length() == 0
        except StoreUnavailable:
            return False
        finally:
            self._forwarding.release()

    def settle(self) -> int:
        """Forward what waits before a question is answered; return how many records the answer will be without.

        Nobody waits for a store that was away when it was tried last.
        """
        try:
            return 0 if self.flush(0.0 if self._is_away else 5.0) else self._spool.length()
        except StoreUnavailable:
            return 0  # nobody knows; what writes to the spool says so

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Start forwarding; again is a no-op."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="otel-measure-forwarder", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Forward what waits, and no more; what is not stored in time stays in the spool, for whoever comes next.

        What a thread is at that still waits for a store may be forwarded by another process as well, and counts once.
        """
        self._stopping.set()
        self._wake.set()
        try:
            return self.flush(timeout_s)
        finally:
            with suppress(StoreUnavailable):  # it is released by itself, later
                self._spool.release(self._holder())
            self._spool.close()

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""
        self._spool.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._spool.after_fork_in_parent()

    def open_anew_in_child(self) -> None:
        """Leave the file to the parent: how much waits in it is asked before the child has a forwarder."""
        self._spool.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Become the forwarder of another process, which has opened the file anew."""
        was_started = self._thread is not None
        self._reset()
        if was_started:
            self.start()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._forwarding:
                    self._drain(None)
                failures = 0
                self._wake.wait(_IDLE_S)
                self._wake.clear()
            except StoreUnavailable as error:
                self._is_away = True
                self._fault("store_unavailable", str(error), error)
                self._stopping.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
            except Exception as error:  # whatever it is, the thread goes on
                self._fault("forwarding", f"records stay on this host: {error!r}", error)
                self._stopping.wait(_BACKOFF_S[-1])
        self._spool.close()  # which may be open again by what this thread was at when it was stopped

    # ------------------------------------------------------------ forwarding

    def _drain(self, deadline: float | None) -> None:
        while time.monotonic() < deadline if deadline is not None else not self._stopping.is_set():
            now = self._now_us()
            batch = self._spool.claim(self._holder(), now, now + CLAIM_US)
            if batch is None:
                return
            with looking_again():
                if batch.command is not None:
                    self._do(batch.command)
                elif batch.records:
                    self._forward(batch.records)
            self._is_away = False
            self._tell_unreadable(batch.unreadable)
            self._spool.remove(batch)

    def _forward(self, records: Sequence[Record]) -> None:
        try:
            receipts = self._store.accept(records)
        except ConfigurationError:  # of this process, not of the records
            raise
        except (StoreRejected, ValueError, TypeError, OverflowError) as error:
            if len(records) > 1:  # keep one that cannot be stored from taking its neighbours with it
                for record in records:
                    self._forward([record])
                return
            self._count(kind_of(type(records[0])), "dropped", 1, type(error).__name__)
            self._fault("refused", f"a record could not be stored: {error!r}", error)
            return
        for record, receipt in zip(records, receipts, strict=True):
            if receipt.outcome == "rejected":
                self._count(kind_of(type(record)), "dropped", 1, receipt.reason)

    def _tell_unreadable(self, kinds: Sequence[str]) -> None:
        for kind, n in Counter(kinds).items():
            self._count(kind, "dropped", n, "unreadable")
            message = f"{n} of the records that waited on this host ({kind}) cannot be read by this version"
            self._fault("unreadable", message, StoreRejected(message))
