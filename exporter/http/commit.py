"""Group commit: single writes that arrive together share one transaction, and each is answered after it.

The commit runs on the event loop. Measured, that answers up to twice as many requests as a store thread, whose every
hand-over waits for the interpreter lock. While the store is slow (another process holds its lock), or a thread of this
one writes (a large batch takes a second), commits go to a worker thread, so that the loop goes on answering; the first
commit that is quick again brings them back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, Protocol, TypeAlias

from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.types.facts import Receipt

SLOW_S: Final = 0.1
ReceiptOrFault: TypeAlias = "Receipt | Exception"
_log: Final = logging.getLogger(__name__)


class Commit(Protocol):
    """The signature of `Recorder.commit`."""

    def __call__(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit records in one transaction; raise `StoreUnavailable` when that cannot be done."""


class _Group:
    """The writes that wait for one commit; only the thread of its loop touches it."""

    __slots__ = ("answers", "loop", "records")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.records: list[Record] = []
        self.answers: list[asyncio.Future[Receipt]] = []


class GroupCommit:
    """Commits single writes together.

    Args:
        commit: `Recorder.commit`.
        durable: every commit survives power loss as well.
        is_busy: whether a commit would wait long for another thread.
        clock_s: seconds of a clock that never steps back.
    """

    def __init__(
        self,
        commit: Commit,
        *,
        durable: bool = False,
        is_busy: Callable[[], bool] = lambda: False,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        self._commit = commit
        self._is_busy = is_busy
        self._durable = durable
        self._clock_s = clock_s
        self._group: _Group | None = None
        self._slow = False

    def add(self, record: Record) -> asyncio.Future[Receipt]:
        """Return the future receipt of a record: it is set once the record is committed."""
        loop = asyncio.get_running_loop()
        group = self._group
        if group is None or group.loop is not loop:
            group = self._group = _Group(loop)
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
        if self._slow or self._is_busy():
            group.loop.run_in_executor(None, self._outcomes, group.records).add_done_callback(
                lambda done: _answer(group, done.result())
            )
        else:
            _answer(group, self._outcomes(group.records))

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


def _answer(group: _Group, outcomes: list[ReceiptOrFault]) -> None:
    for answer, outcome in zip(group.answers, outcomes, strict=True):
        # A client that went away has cancelled its answer; its record is committed all the same.
        if answer.done():
            continue
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
