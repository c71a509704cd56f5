"""Group commit: single writes that arrive together share one transaction, and each is answered after it.

The commit runs on the event loop. Measured, that answers up to twice as many requests as a store thread, whose every
hand-over waits for the interpreter lock. It waits for nobody there: while another process holds the store's lock, or a
thread of this one writes (a large batch takes a second), one worker thread commits what has come together, so that the
loop goes on answering; the first commit that is quick again brings them back. What cannot be committed in its time is
answered so, whatever waits before it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import islice
from time import perf_counter
from typing import Final, Protocol, TypeAlias

from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.types.facts import Receipt
from otel_measure.store.waiting import waiting_until

SLOW_S: Final = 0.1
# A write that is not committed so long after it arrived is answered 503; 5 s are promised.
COMMIT_WITHIN_S: Final = 4.5
TRY_FOR_S: Final = 0.25
_AGAIN_S: Final = 0.02
_NOT_AT_ALL: Final = 0.0  # of a clock that is beyond it
ReceiptOrFault: TypeAlias = "Receipt | Exception"
_log: Final = logging.getLogger(__name__)


class Commit(Protocol):
    """The signature of `Recorder.commit`."""

    def __call__(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit records in one transaction; raise `StoreUnavailable` when that cannot be done."""


class _Group:
    """The writes that wait for one commit; only the thread of its loop touches it."""

    __slots__ = ("answers", "loop", "records", "until_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, until_s: float) -> None:
        self.loop = loop
        self.until_s = until_s
        self.records: list[Record] = []
        self.answers: list[asyncio.Future[Receipt]] = []


class GroupCommit:
    """Commits single writes together.

    Args:
        commit: `Recorder.commit`.
        durable: every commit survives power loss as well.
        is_busy: whether a commit would wait long for another thread.
        clock_s: seconds of a clock that never steps back.
        within_s: how long a write waits to be committed.
    """

    def __init__(
        self,
        commit: Commit,
        *,
        durable: bool = False,
        is_busy: Callable[[], bool] = lambda: False,
        clock_s: Callable[[], float] = perf_counter,
        within_s: float = COMMIT_WITHIN_S,
    ) -> None:
        self._commit = commit
        self._is_busy = is_busy
        self._durable = durable
        self._clock_s = clock_s
        self._within_s = within_s
        self._group: _Group | None = None
        self._slow = False
        # What waits for the thread that commits, by event loop; none where no thread does.
        self._waiting: dict[asyncio.AbstractEventLoop, list[_Group]] = {}

    def add(self, record: Record) -> asyncio.Future[Receipt]:
        """Return the future receipt of a record: it is set once the record is committed."""
        loop = asyncio.get_running_loop()
        group = self._group
        if group is None or group.loop is not loop:
            group = self._group = _Group(loop, time.monotonic() + self._within_s)
            loop.call_soon(self._flush, group)
        answer: asyncio.Future[Receipt] = loop.create_future()
        group.records.append(record)
        group.answers.append(answer)
        return answer

    def commit_now(self, records: Sequence[Record]) -> list[Receipt]:
        """Commit a batch; called on a worker thread."""
        return self._commit(records, durable=self._durable)

    def _flush(self, group: _Group) -> None:
        if self._group is group:
            self._group = None
        queue = self._waiting.get(group.loop)
        if queue is not None:
            queue.append(group)
            return
        if not (self._slow or self._is_busy()):
            # Nobody waits for another process on the event loop.
            with waiting_until(_NOT_AT_ALL):
                outcomes = self._outcomes(group.records)
            if not _is_locked(outcomes):
                _answer(group, outcomes)
                return
        self._waiting[group.loop] = [group]
        self._run_in_thread(group.loop)

    def _run_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        groups, self._waiting[loop] = self._waiting[loop], []
        loop.run_in_executor(None, self._try, groups).add_done_callback(
            lambda done: self._tried(loop, groups, done.result())
        )

    def _try(self, groups: Sequence[_Group]) -> list[ReceiptOrFault]:
        with waiting_until(time.monotonic() + TRY_FOR_S):
            return self._outcomes([record for group in groups for record in group.records])

    def _tried(
        self, loop: asyncio.AbstractEventLoop, groups: Sequence[_Group], outcomes: Sequence[ReceiptOrFault]
    ) -> None:
        """Answer what is committed; what another process keeps from being so is tried again, until its time is over."""
        is_locked, now_s, given = _is_locked(outcomes), time.monotonic(), iter(outcomes)
        again = []
        for group in groups:
            of_group = list(islice(given, len(group.records)))
            if is_locked and now_s < group.until_s:
                again.append(group)
            else:
                _answer(group, of_group)
        self._waiting[loop][:0] = again
        if not self._waiting[loop]:
            del self._waiting[loop]
        elif is_locked:
            loop.call_later(_AGAIN_S, self._run_in_thread, loop)
        else:
            self._run_in_thread(loop)

    def _outcomes(self, records: Sequence[Record]) -> list[ReceiptOrFault]:
        """Commit the records; where that fails for a reason of one of them, commit each by itself. Never raises."""
        started_s = self._clock_s()
        try:
            return list(self.commit_now(records))
        except StoreUnavailable as fault:
            return [fault] * len(records)
        except Exception as fault:
            if len(records) == 1:
                return [fault]
            _log.warning("a group of %d records could not be committed; trying each", len(records), exc_info=fault)
            return [outcome for record in records for outcome in self._outcomes([record])]
        finally:
            self._slow = self._clock_s() - started_s > SLOW_S


def _is_locked(outcomes: Sequence[ReceiptOrFault]) -> bool:
    return all(isinstance(each, StoreUnavailable) and each.cause_name == "locked" for each in outcomes)


def _answer(group: _Group, outcomes: list[ReceiptOrFault]) -> None:
    for answer, outcome in zip(group.answers, outcomes, strict=True):
        # A client that went away has cancelled its answer; its record is committed all the same.
        if answer.done():
            continue
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
