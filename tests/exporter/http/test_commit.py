from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from exporter.http import commit
from exporter.http.commit import GroupCommit
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Origin, Record, UserEvent
from otel_measure.store.types.facts import ACCEPTED, Receipt


def event(event_id: str) -> UserEvent:
    """Return an event with this id."""
    return UserEvent(id=event_id, ts=0, origin=Origin("s"), user_id="1", type="click", name="n")


class CommitSpy:
    """Remembers its commits; `bad` is the id of a record that cannot be committed."""

    def __init__(self, bad: str | None = None, fault: Exception | None = None) -> None:
        self.commits: list[tuple[list[str], bool, str]] = []
        self.bad = bad
        self.fault = fault

    def commit(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        self.commits.append(([r.id for r in records], durable, threading.current_thread().name))
        if self.fault:
            raise self.fault
        if self.bad in [r.id for r in records]:
            raise OverflowError(self.bad)
        return [ACCEPTED._replace(reason=r.id) for r in records]


async def together(group: GroupCommit, *event_ids: str) -> list[Receipt | BaseException]:
    """Write events that arrive at the same time."""
    return await asyncio.gather(*(group.add(event(one)) for one in event_ids), return_exceptions=True)


def test_one_commit_for_many() -> None:
    """Writes that arrive together share one commit on the event loop, and each gets its own receipt."""
    recorder = CommitSpy()
    receipts = asyncio.run(together(GroupCommit(recorder.commit), "a", "b", "c"))
    assert receipts == [Receipt("accepted", "a"), Receipt("accepted", "b"), Receipt("accepted", "c")]
    assert recorder.commits == [(["a", "b", "c"], False, "MainThread")]


def test_a_thread_that_writes_long_does_not_stop_the_loop() -> None:
    """The group then waits on a worker thread; the next one, when the store is free, is committed on the loop."""
    recorder, busy = CommitSpy(), [True, False]

    async def twice() -> None:
        group = GroupCommit(recorder.commit, is_busy=lambda: busy.pop(0))
        await group.add(event("a"))
        await group.add(event("b"))

    asyncio.run(twice())
    (first, _, thread), second = recorder.commits
    assert (first, thread != "MainThread", second) == (["a"], True, (["b"], False, "MainThread"))


def test_later_writes_have_their_own() -> None:
    """A write that comes after a commit is in the next one."""
    recorder = CommitSpy()

    async def twice() -> None:
        group = GroupCommit(recorder.commit, durable=True)
        await group.add(event("a"))
        await group.add(event("b"))

    asyncio.run(twice())
    assert recorder.commits == [(["a"], True, "MainThread"), (["b"], True, "MainThread")]


def test_one_bad_record() -> None:
    """A record that cannot be committed does not fail those that arrived with it."""
    recorder = CommitSpy(bad="b")
    receipts = asyncio.run(together(GroupCommit(recorder.commit), "a", "b", "c"))
    assert [r if isinstance(r, Receipt) else type(r) for r in receipts] == [
        Receipt("accepted", "a"),
        OverflowError,
        Receipt("accepted", "c"),
    ]


def test_no_store() -> None:
    """While the store cannot be used every write is told so, after one try."""
    fault = StoreUnavailable("full", "it is full", "make room")
    recorder = CommitSpy(fault=fault)
    assert asyncio.run(together(GroupCommit(recorder.commit), "a", "b")) == [fault, fault]
    assert len(recorder.commits) == 1


def test_a_store_that_another_process_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write tries once on the event loop, then on a thread until its own time is over, whatever came before it."""
    recorder, turn = CommitSpy(fault=StoreUnavailable("locked", "it is locked", "wait")), threading.Lock()

    def try_once(records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        with turn:
            return recorder.commit(records, durable=durable)

    def now_s() -> float:
        return float(len(recorder.commits))  # a second passes with each try

    monkeypatch.setattr(commit, "time", SimpleNamespace(monotonic=now_s))

    async def told() -> list[float]:
        group = GroupCommit(try_once, within_s=10.0)

        async def waited(event_id: str) -> float:
            with turn:
                began_s, answer = now_s(), group.add(event(event_id))
            with pytest.raises(StoreUnavailable):
                await answer
            return now_s() - began_s

        first = asyncio.ensure_future(waited("a"))
        while len(recorder.commits) < 3:
            await asyncio.sleep(0)
        return [await waited("b"), await first]

    assert asyncio.run(told()) == [10.0, 10.0]
    assert [thread == "MainThread" for _, _, thread in recorder.commits].count(True) == 1
    assert ["a", "b"] in [ids for ids, _, _ in recorder.commits]


def test_a_store_that_is_free_again() -> None:
    """What waited is committed together once the other process lets go, and the next write on the event loop."""
    recorder = CommitSpy(fault=StoreUnavailable("locked", "it is locked", "wait"))

    async def told() -> list[Receipt]:
        group = GroupCommit(recorder.commit)
        waiting = [asyncio.ensure_future(_wait(group, event_id)) for event_id in "ab"]
        await asyncio.sleep(0.1)
        recorder.fault = None
        return [*await asyncio.gather(*waiting), await _wait(group, "c")]

    assert [receipt.reason for receipt in asyncio.run(told())] == ["a", "b", "c"]
    assert recorder.commits[-1] == (["c"], False, "MainThread")


async def _wait(group: GroupCommit, event_id: str) -> Receipt:
    return await group.add(event(event_id))


def test_slow_store() -> None:
    """After a slow commit the next one leaves the event loop free; a quick one brings commits back to it."""
    recorder = CommitSpy()
    # Two readings for each commit: the first takes a second, the others none.
    times = iter([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])

    async def thrice() -> None:
        group = GroupCommit(recorder.commit, clock_s=lambda: next(times))
        for event_id in "abc":
            assert await group.add(event(event_id)) == Receipt("accepted", event_id)

    asyncio.run(thrice())
    threads = [thread == "MainThread" for _, _, thread in recorder.commits]
    assert threads == [True, False, True]


def test_client_that_went_away() -> None:
    """The record of a client that went away is committed, and the others get their receipts."""
    recorder = CommitSpy()

    async def cancelled() -> Receipt:
        group = GroupCommit(recorder.commit)
        group.add(event("a")).cancel()
        return await group.add(event("b"))

    assert asyncio.run(cancelled()) == Receipt("accepted", "b")
    assert recorder.commits == [(["a", "b"], False, "MainThread")]


def test_a_loop_that_ended() -> None:
    """Writes that a loop left behind when it ended do not hold up those of the next loop."""
    recorder = CommitSpy()
    group = GroupCommit(recorder.commit)

    async def abandoned() -> None:
        group.add(event("a"))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(abandoned())
    loop.close()
    assert asyncio.run(together(group, "b")) == [Receipt("accepted", "b")]


@pytest.mark.parametrize("durable", [False, True])
def test_batches(durable: bool) -> None:
    """A batch is committed at once, as durably as single writes."""
    recorder = CommitSpy()
    assert GroupCommit(recorder.commit, durable=durable).commit_now([event("a")]) == [Receipt("accepted", "a")]
    assert recorder.commits == [(["a"], durable, "MainThread")]
