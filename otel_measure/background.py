"""What recurs while a process runs: a list of jobs, and the one thread that does them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from otel_measure.leases import StoreLease
from otel_measure.parts import Fault
from otel_measure.store.waiting import looking_again

TURN_S: Final = 15.0
SWEEP_S: Final = 3600.0
SIGNALS_S: Final = 5.0
MACHINE_S: Final = 10.0
FIRST_SWEEP_S: Final = 60.0
NOTIFICATIONS: Final = "notifications"
NOTIFICATIONS_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something that is done again and again.

    Attributes:
        name: in faults.
        run: does it, or a part of it: with `True` there is more, which is done at once. May raise, and is tried again
            after the interval.
        otherwise: what has not happened when it raised, in words.
        interval_s: from the end of one time to the beginning of the next.
        first_s: from the start of the process to the first time; the interval when not given.
        lease: who holds it does it; everybody when there is none.
        flushes: done also when the process flushes, and once more at its end.
    """

    name: str
    run: Callable[[], object]
    otherwise: str
    interval_s: float = TURN_S
    first_s: float | None = None
    lease: StoreLease | None = None
    flushes: bool = False


def jobs_of_every_process(*, watch_spans: Callable[[], None]) -> list[Job]:
    """Return what recurs with a store and without one."""
    return [Job(name="spans", run=watch_spans, otherwise="no tracing was looked for")]


def jobs_of_a_store(
    *,
    keep_time: Callable[[], object],
    beat: Callable[[], None],
    count_signals: Callable[[], None],
    write_streams: Callable[[], None],
    note_machine: Callable[[], None],
    notes_machine: StoreLease,
    watch_store: Callable[[], None],
    sweep: Callable[[], object],
    sweeps: StoreLease,
    clear_erased: Callable[[], bool],
    clears: StoreLease,
    bring_up_to_date: Callable[[], bool],
) -> list[Job]:
    """Return what recurs where there is a store.

    Args:
        keep_time: has the store know what time it is; before everything that goes by it.
        beat: notes that this process is there to see; at once when it starts.
        count_signals: counts what metrics of others tell of calls beyond what is told of them one by one.
        write_streams: writes what has no fact.
        note_machine: notes how the machine is, for its history.
        notes_machine: whose turn that is.
        watch_store: looks whether the store is still the one that was opened, and for damage.
        sweep: applies retention and the disk bound.
        sweeps: whose turn that is.
        clear_erased: clears a part of the bytes of the erased; tells whether more can be done at once.
        clears: whose turn that is.
        bring_up_to_date: counts a part of what is not counted by the definitions in force; tells whether more is left.
    """
    return [
        Job(name="clock", run=keep_time, otherwise="the clock was not looked at", first_s=0.0),
        Job(name="heartbeat", run=beat, otherwise="no heartbeat was noted", first_s=0.0, flushes=True),
        Job(
            name="signals", run=count_signals, otherwise="metrics of calls were not counted",
            interval_s=SIGNALS_S, flushes=True,
        ),
        Job(name="streams", run=write_streams, otherwise="readings were not stored", flushes=True),
        Job(
            name="machine", run=note_machine, otherwise="the machine was not looked at",
            interval_s=MACHINE_S, lease=notes_machine,
        ),
        Job(name="store", run=watch_store, otherwise="the store is not well", first_s=1.0),
        Job(
            name="sweep", run=sweep, otherwise="retention was not applied",
            interval_s=SWEEP_S, first_s=FIRST_SWEEP_S, lease=sweeps,
        ),
        Job(
            name="erasures", run=clear_erased, otherwise="bytes of the erased were not cleared",
            first_s=1.0, lease=clears,
        ),
        Job(name="definitions", run=bring_up_to_date, otherwise="the store was not brought up to date", first_s=0.0),
    ]  # fmt: skip


def job_of_collector(*, read: Callable[[], bool], reads: StoreLease) -> Job:
    """Return what recurs where a Collector writes beside the store.

    Args:
        read: takes in what came next; tells whether there may be more.
        reads: whose turn that is.
    """
    return Job(name="collector", run=read, otherwise="what a Collector wrote was not read", lease=reads)


def jobs_of_alerts(*, evaluate: Callable[[], object], deliver: Callable[[], bool], interval_s: float) -> list[Job]:
    """Return what recurs where alerts are evaluated.

    Args:
        evaluate: does one turn of the evaluation; at once when it starts.
        deliver: tells receivers what they are to be told; tells whether there is more.
        interval_s: from turn to turn.
    """
    return [
        Job(name="alerts", run=evaluate, otherwise="alerts were not evaluated", interval_s=interval_s, first_s=0.0),
        Job(name=NOTIFICATIONS, run=deliver, otherwise="notifications were not sent", interval_s=NOTIFICATIONS_S),
    ]


class Background:
    """Does jobs when they are due, in their order, on a thread of its own.

    Args:
        jobs: what is done.
        fault: takes what a job raises.
        monotonic: seconds; decides what is due.
        name: of the thread.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        fault: Fault,
        monotonic: Callable[[], float] = time.monotonic,
        name: str = "otel-measure-background",
    ) -> None:
        self._name = name
        self._jobs = tuple(jobs)
        self._fault = fault
        self._monotonic = monotonic
        self._due_s: dict[str, float] = {}
        self._reset()
        self._schedule(first=True)

    def _reset(self) -> None:
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def _schedule(self, *, first: bool) -> None:
        now_s = self._monotonic()
        for job in self._jobs:
            wait_s = job.first_s if first and job.first_s is not None else job.interval_s
            self._due_s[job.name] = now_s + wait_s

    # ------------------------------------------------------------ what is due

    def run_due(self) -> None:
        """Do what is due now."""
        for job in self._jobs:
            if self._ended.is_set():
                return
            if self._due_s[job.name] <= self._monotonic():
                has_more = self._try(job) is True
                self._due_s[job.name] = self._monotonic() + (0.0 if has_more else job.interval_s)

    def run_soon(self, name: str) -> None:
        """Have a job done at once instead of when it is due."""
        self._due_s[name] = self._monotonic()
        self._wake.set()

    def _try(self, job: Job) -> bool | None:
        """Do a job if it is ours to do; `False` when it failed, `True` when it has more to do."""
        try:
            with looking_again():
                if job.lease is None or job.lease.take():
                    return True if job.run() is True else None
        except Exception as error:  # the thread, and the end of a process, outlive whatever the SDK or a store does
            self._fault(job.name, f"{job.otherwise}: {str(error) or repr(error)}", error)
            return False
        return None

    # ------------------------------------------------------------ the thread

    def start(self) -> None:
        """Start it; again is a no-op."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.run_due()
            self._wake.wait(max(min(self._due_s.values(), default=TURN_S) - self._monotonic(), 0.0))
            self._wake.clear()  # before the end is looked at: who ends it wakes it afterwards

    def end(self) -> None:
        """Have the thread end after the job that it is at."""
        self._ended.set()
        self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Do the jobs that flush, now; `False` when one has failed or there was no time."""
        deadline_s = self._monotonic() + timeout_s
        done = True
        for job in self._jobs:
            if job.flushes:
                if not done and self._monotonic() >= deadline_s:
                    return False  # a locked store has cost one of them all the time already
                done = self._try(job) is not False and done
        return done

    def finish(self, timeout_s: float) -> None:
        """Wait for the thread's end, and do the jobs that flush for the last time."""
        deadline_s = self._monotonic() + timeout_s
        if self._thread is not None:
            self._thread.join(timeout_s)
        if timeout_s > 0:
            self.flush(max(deadline_s - self._monotonic(), 0.0))
            return
        for job in self._jobs:
            if job.flushes:
                self._fault(job.name, f"{job.otherwise}: no time was left", TimeoutError())

    def after_fork_in_child(self) -> None:
        """Begin anew, one interval from now: what was due was the parent's to do."""
        started = self._thread is not None
        self._reset()
        self._schedule(first=False)
        if started:
            self.start()
