from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from otel_measure.background import Background, Job, jobs_of_a_store, jobs_of_every_process
from otel_measure.errors import StoreUnavailable


class Timeline:
    """A clock that stands where it is put, what was done, and the faults."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.done: list[str] = []
        self.faults: list[tuple[str, str]] = []

    def monotonic(self) -> float:
        return self.now_s

    def fault(self, what: str, message: str, error: Exception) -> None:
        self.faults.append((what, message))

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    def job(self, name: str, **given: Any) -> Job:
        given.setdefault("run", self.note(name))
        return Job(name=name, otherwise=f"no {name}", **given)

    def background(self, *jobs: Job) -> Background:
        return Background(jobs, self.fault, self.monotonic)

    def turns(self, background: Background, *at_s: float) -> list[list[str]]:
        """Return what is done at each of these seconds after the start."""
        seen = []
        for moment in at_s:
            self.now_s, self.done = 100.0 + moment, []
            background.run_due()
            seen.append(self.done)
        return seen


class GivenLease:
    """A lease that is to be had, or not."""

    def __init__(self, mine: bool) -> None:
        self._mine = mine

    def take(self) -> bool:
        return self._mine


def broken() -> None:
    """A job whose store is locked."""
    raise StoreUnavailable("locked", "the store is locked", "try again")


def test_a_job_is_done_when_it_is_due() -> None:
    """First after `first_s`, or the interval; then an interval after the time before, however late that was."""
    timeline = Timeline()
    background = timeline.background(
        timeline.job("often", interval_s=15.0),
        timeline.job("soon", interval_s=15.0, first_s=0.0),
        timeline.job("rare", interval_s=60.0),
    )
    assert timeline.turns(background, 0, 14, 15, 20, 40, 54, 55, 60) == [
        ["soon"], [], ["often", "soon"], [], ["often", "soon"], [], ["often", "soon"], ["rare"],
    ]  # fmt: skip


def test_who_does_not_hold_the_lease_leaves_the_job_to_others() -> None:
    """It asks again after the interval."""
    timeline = Timeline()
    leases: Any = GivenLease(mine=True), GivenLease(mine=False)
    background = timeline.background(timeline.job("mine", lease=leases[0]), timeline.job("others", lease=leases[1]))
    assert timeline.turns(background, 15, 30) == [["mine"], ["mine"]]


def test_a_job_that_fails_is_a_fault_and_is_tried_again() -> None:
    """The others are done all the same."""
    timeline = Timeline()
    background = timeline.background(timeline.job("bad", run=broken), timeline.job("good"))
    assert timeline.turns(background, 15, 30) == [["good"], ["good"]]
    assert [what for what, _ in timeline.faults] == ["bad", "bad"]
    assert timeline.faults[0][1].startswith("no bad: ")


def test_a_job_that_has_more_to_do_is_done_again_at_once() -> None:
    """With the next turn, so that the others come to theirs in between."""
    timeline, left = Timeline(), [True, True, False, False]

    def work() -> bool:
        timeline.done.append("work")
        return left.pop(0)

    background = timeline.background(timeline.job("work", run=work), timeline.job("other"))
    assert timeline.turns(background, 15, 15, 15, 15, 30) == [
        ["work", "other"],
        ["work"],
        ["work"],
        [],
        ["work", "other"],
    ]


def test_a_job_may_be_asked_for() -> None:
    """It is done with the next turn instead of when it is due."""
    timeline = Timeline()
    background = timeline.background(timeline.job("often"), timeline.job("heartbeat"))
    background.run_soon("heartbeat")
    assert timeline.turns(background, 1, 15, 16) == [["heartbeat"], ["often"], ["heartbeat"]]


def test_a_flush_does_the_jobs_that_flush() -> None:
    """Due or not; it says whether all of them succeeded."""
    timeline = Timeline()
    background = timeline.background(
        timeline.job("a", flushes=True), timeline.job("b"), timeline.job("c", flushes=True)
    )
    assert background.flush(1.0)
    assert timeline.done == ["a", "c"]
    assert not timeline.background(timeline.job("bad", run=broken, flushes=True)).flush(1.0)


def test_a_flush_ends_with_the_job_that_failed_and_took_all_the_time() -> None:
    """A locked store costs its time once."""
    timeline = Timeline()

    def slow() -> None:
        timeline.now_s += 5.0
        broken()

    jobs = timeline.job("slow", run=slow, flushes=True), timeline.job("next", flushes=True)
    assert not timeline.background(*jobs).flush(1.0)
    assert timeline.done == []


def test_at_the_end_the_jobs_that_flush_are_done_once_more() -> None:
    """Where no time is left for them, what they would have done is told as a fault."""
    timeline = Timeline()
    background = timeline.background(timeline.job("streams", flushes=True), timeline.job("sweep"))
    background.end()
    background.run_due()
    background.finish(1.0)
    assert timeline.done == ["streams"]
    background.finish(0.0)
    assert (timeline.done, timeline.faults) == (["streams"], [("streams", "no streams: no time was left")])


def test_after_a_fork_nothing_is_due_for_an_interval() -> None:
    """What was due was the parent's to do; a thread that did not run does not begin to."""
    timeline = Timeline()
    background = timeline.background(timeline.job("heartbeat", first_s=0.0))
    background.after_fork_in_child()
    assert timeline.turns(background, 14, 15) == [[], ["heartbeat"]]
    assert background._thread is None


def running_threads() -> set[threading.Thread]:
    """Return the background threads of this process."""
    return {thread for thread in threading.enumerate() if thread.name == "otel-measure-background"}


def test_one_thread_does_what_is_due_until_the_end() -> None:
    """Starting again starts no second one, a job that is asked for is done at once, and a fault does not end it."""
    turns = threading.Semaphore(0)
    others = running_threads()  # of runtimes that other tests have left to the end of the process

    def work() -> None:
        turns.release()
        raise ZeroDivisionError("mine")

    faults: list[str] = []
    background = Background(
        [Job(name="work", run=work, otherwise="nothing", interval_s=3600.0, first_s=0.0)],
        lambda what, message, error: faults.append(message),
    )
    for _ in range(2):
        background.start()
    assert turns.acquire(timeout=20)
    background.run_soon("work")
    assert turns.acquire(timeout=20)
    (own,) = running_threads() - others
    before_s = time.monotonic()
    background.end()
    background.finish(20.0)
    assert time.monotonic() - before_s < 10
    assert own not in running_threads()
    assert faults == ["nothing: mine"] * 2


def test_the_jobs() -> None:
    """What recurs, in its order, and how often."""
    nothing: Callable[[], None] = lambda: None  # noqa: E731
    lease: Any = GivenLease(mine=True)
    jobs = jobs_of_every_process(watch_spans=nothing) + jobs_of_a_store(
        keep_time=nothing,
        beat=nothing,
        count_signals=nothing,
        write_streams=nothing,
        note_machine=nothing,
        notes_machine=lease,
        watch_store=nothing,
        sweep=nothing,
        sweeps=lease,
        clear_erased=lambda: False,
        clears=lease,
        bring_up_to_date=lambda: False,
    )
    assert [(job.name, job.interval_s, job.first_s, job.lease, job.flushes) for job in jobs] == [
        ("spans", 15.0, None, None, False),
        ("clock", 15.0, 0.0, None, False),
        ("heartbeat", 15.0, 0.0, None, True),
        ("signals", 5.0, None, None, True),
        ("streams", 15.0, None, None, True),
        ("machine", 10.0, None, lease, False),
        ("store", 15.0, 1.0, None, False),
        ("sweep", 3600.0, 60.0, lease, False),
        ("erasures", 15.0, 1.0, lease, False),
        ("definitions", 15.0, 0.0, None, False),
    ]


def test_a_fault_that_is_raised_reaches_who_runs_the_jobs() -> None:
    """For tests: nothing of ours is hidden."""

    def raised(what: str, message: str, error: Exception) -> None:
        raise error

    background = Background([Job(name="bad", run=broken, otherwise="nothing", first_s=0.0)], raised)
    with pytest.raises(StoreUnavailable):
        background.run_due()
