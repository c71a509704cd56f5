"""One thread that looks at the machine; everybody else reads its last snapshot.

psutil keeps its CPU deltas per thread, so a thread started just now would read 0 % on a busy machine.
Here the deltas are ours, one thread takes them, and a caller (a scrape, a request) gets an immutable
snapshot: at most a second old when the machine answers, older when it does not, and never later than
`wait_s`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Final

from otel_measure.infrastructure import rates
from otel_measure.infrastructure.cgroup import Cgroup
from otel_measure.infrastructure.host import HostReader
from otel_measure.infrastructure.mounts import Mounts, Space
from otel_measure.infrastructure.readings import NEVER_READ, Averages, CpuMoment, MachineReading, MachineSnapshot

logger = logging.getLogger(__name__)

FRESH_S: Final = 1.0
WAIT_S: Final = 0.1
SECOND_READING_AFTER_S: Final = 0.06
CPU_WINDOW_S: Final = 5.0
AVERAGE_WINDOW_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Past:
    """What a full reading leaves behind for the averages."""

    cpu: CpuMoment
    memory_percent: float
    disk_percent: float


class Sampler:
    """Owns psutil, its deltas and the last snapshot.

    Args:
        psutil: The psutil module, or something shaped like it.
        clock: Monotonic seconds: rates are taken over it, so a step of the wall clock changes none.
        wall: Unix seconds, for timestamps only.
        interval_s: Seconds between full readings in the background.
        cgroup: Reads the container's limits; that of this process when not given.
        disk_timeout_s: Longest wait for the filesystems in one reading.
        tick_s: Seconds between readings of the CPU times alone, so that usage is always that of the last 5 s.
        host: Takes the readings; built from the other arguments when not given.
    """

    def __init__(
        self,
        psutil: ModuleType | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        interval_s: float = 10.0,
        cgroup: Cgroup | None = None,
        disk_timeout_s: float = 0.05,
        tick_s: float = 1.0,
        host: HostReader | None = None,
    ) -> None:
        """Prepare; nothing is read and no thread runs before it is needed."""
        self.interval_s = _positive("interval_s", interval_s)
        self.errors: Counter[str] = Counter()
        self._clock = clock
        psutil = psutil if psutil is not None else import_module("psutil")
        timeout_s = _positive("disk_timeout_s", disk_timeout_s)
        self._mounts = Mounts(psutil.disk_partitions, clock=clock, timeout_s=timeout_s)
        self._host = host or HostReader(
            psutil, clock=clock, wall=wall, mounts=self._mounts, cgroup=cgroup or Cgroup(), on_error=self._count_error
        )
        self._tick_s = _positive("tick_s", tick_s)
        self._ticking = True
        self._forking = False
        self._forget()

    def _forget(self) -> None:
        """Start empty: at first, and in a forked child, where locks may be held by threads that are gone."""
        self._changed = threading.Condition()
        self._reading = threading.Lock()
        self._latest = NEVER_READ
        self._moments: deque[CpuMoment] = deque(maxlen=64)
        self._past: deque[_Past] = deque(maxlen=1024)
        self._thread: threading.Thread | None = None
        self._asked = self._answered = 0

    # The thread and its callers

    def start(self, interval_s: float | None = None) -> None:
        """Collect in the background; a no-op but for the interval when it does already."""
        with self._changed:
            self.interval_s = self.interval_s if interval_s is None else _positive("interval_s", interval_s)
            self._ticking = True
            self._ensure_thread()
            self._changed.notify_all()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End background collection; a later question is answered by a reading of its own."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._ticking = False
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def latest(self) -> MachineSnapshot:
        """The last snapshot, however old; before the first reading everything in it is ``nan``."""
        return self._latest

    def fresh(self, max_age_s: float = FRESH_S, wait_s: float = WAIT_S) -> MachineSnapshot:
        """A snapshot no older than `max_age_s`, or the last one when `wait_s` were not enough to take it."""
        if self._forking or self._is_fresh(max_age_s):
            return self._latest
        with self._changed:
            self._asked += 1
            ticket = self._asked
            self._ensure_thread()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._latest is not NEVER_READ, wait_s)
            # A rate needs a second reading, and the wait for that one begins with the first.
            self._changed.wait_for(lambda: self._answered >= ticket and self._has_rates(), wait_s)
        return self._latest

    def space(self, mount_point: str) -> Space:
        """Bytes of any directory's filesystem, ``nan`` when it does not answer in time.

        Raises:
            ValueError: There is no such directory.
        """
        try:
            return self._mounts.read_one(mount_point)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "no directory can have this name"
            raise ValueError(f"mount_point must be an existing directory, not {mount_point!r}: {why}") from None

    def before_fork(self) -> None:
        """Answer with the last snapshot from now on: a lock of the parent would hang its child, a wait delay it."""
        self._forking = True

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._forking = False

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread, locks and readings; the child collects for itself if the parent did."""
        self._forking = False
        running = self._thread is not None
        self._forget()
        self._mounts.forget()
        if running and self._ticking:
            self.start()

    def _is_fresh(self, max_age_s: float) -> bool:
        return self._has_rates() and self._clock() - self._latest.now.cpu.monotonic_s <= max_age_s

    def _has_rates(self) -> bool:
        return self._latest.before is not None

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="otel-measure-sampler", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        me = threading.current_thread()
        next_full_s = self._clock()
        while self._thread is me:
            ticket = self._asked
            if not self._has_rates() or ticket > self._answered or self._clock() >= next_full_s:
                self.sample()
                next_full_s = self._clock() + self.interval_s
            else:
                self._tick()
            with self._changed:
                self._answered = max(self._answered, ticket)
                self._changed.notify_all()
                self._pause(me, ticket)

    def _pause(self, me: threading.Thread, ticket: int) -> None:
        """Wait for the next tick or question; the second reading must not follow the first at once."""
        if not self._has_rates():
            self._changed.wait_for(lambda: self._thread is not me, SECOND_READING_AFTER_S)
        elif self._asked == ticket and self._thread is me:
            self._changed.wait(min(self._tick_s, self.interval_s) if self._ticking else None)

    # Readings

    def sample(self) -> MachineSnapshot:
        """Take a full reading now and publish it; the thread calls it, and tests with a clock of their own."""
        with self._reading:
            now = self._host.read()
            before = self._latest.now if self._latest is not NEVER_READ else None
            since = self._cpu_since(now.cpu)
            self._past.append(_Past(now.cpu, rates.memory_percent(now), rates.fullest_percent(now.filesystems)))
            self._latest = MachineSnapshot(now, before, since, self._averages(now))
            return self._latest

    def _tick(self) -> None:
        with self._reading:
            self._remember(self._host.cpu())

    def _remember(self, moment: CpuMoment) -> None:
        self._moments.append(moment)
        # One moment older than the window stays, so that the window is always covered.
        while len(self._moments) > 2 and self._moments[1].monotonic_s <= moment.monotonic_s - CPU_WINDOW_S:
            self._moments.popleft()

    def _cpu_since(self, now: CpuMoment) -> CpuMoment | None:
        """The remembered moment nearest to the start of the CPU window."""
        start_s = now.monotonic_s - CPU_WINDOW_S
        earlier = [m for m in self._moments if m.monotonic_s < now.monotonic_s]
        self._remember(now)
        return min(earlier, key=lambda m: abs(m.monotonic_s - start_s)) if earlier else None

    def _averages(self, now: MachineReading) -> Averages:
        start_s = now.cpu.monotonic_s - AVERAGE_WINDOW_S
        while self._past[0].cpu.monotonic_s < start_s:
            self._past.popleft()
        oldest = self._past[0].cpu
        return Averages(
            now.cpu.monotonic_s - oldest.monotonic_s,
            rates.cpu_percent(oldest if oldest is not now.cpu else None, now),
            rates.time_weighted_mean((p.cpu.monotonic_s, p.memory_percent) for p in self._past),
            rates.time_weighted_mean((p.cpu.monotonic_s, p.disk_percent) for p in self._past),
        )

    def _count_error(self, part: str, error: Exception) -> None:
        self.errors[part] += 1
        if self.errors[part] == 1:
            logger.warning("cannot read %s of this machine, it stays unknown: %r", part, error)


def _positive(argument: str, seconds: float) -> float:
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{argument} must be a positive number of seconds, not {seconds!r}")
    return seconds
