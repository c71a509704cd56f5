"""One process at a time, by its pid: asked where the question is, for it can neither hang nor disturb the sampler."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from math import nan
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_measure.infrastructure import rates
from otel_measure.infrastructure.reports import Process

if TYPE_CHECKING:
    import psutil as ps

REMEMBERED: Final = 64
# The kernel counts CPU time in ticks of 10 ms: over fewer than ten a rate tells of the ticks, not of the process.
SHORTEST_WINDOW_S: Final = 0.1


class CpuUsed(NamedTuple):
    """The CPU time that a process had used by a moment of the monotonic clock, both in seconds."""

    at_s: float
    used_s: float


class _Baselines(NamedTuple):
    """The last moment that was read, and one read at least `SHORTEST_WINDOW_S` before it."""

    earlier: CpuUsed
    last: CpuUsed

    def since(self, now: CpuUsed) -> CpuUsed:
        """Return the latest moment that is old enough to reckon a rate from."""
        return self.last if now.at_s - self.last.at_s >= SHORTEST_WINDOW_S else self.earlier


class Processes:
    """Reads processes and remembers the CPU time of the last few, for a rate needs two readings.

    Whoever asks, and however often: the rate is that since the last reading at least 0.1 s ago.

    Args:
        psutil: The psutil module, or something shaped like it.
        clock: Monotonic seconds.
        wall: Unix seconds, for the timestamp.
        sleep: Waits for the second reading of a process that has had none.
        wait_s: How long that is.
    """

    def __init__(
        self,
        psutil: ModuleType | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        wait_s: float = SHORTEST_WINDOW_S,
    ) -> None:
        """Remember how to ask; nothing is read yet."""
        self._psutil = psutil if psutil is not None else import_module("psutil")
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._wait_s = wait_s
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Start anew: the lock may have been held by a thread that the child does not have."""
        self._lock = threading.Lock()
        self._cpu_seen: OrderedDict[tuple[int, float], _Baselines] = OrderedDict()

    def read(self, pid: int | None = None) -> Process:
        """What a process uses; this one without a pid.

        Raises:
            ValueError: No such process, or the pid is no positive integer.
        """
        try:
            return self._report(self._psutil.Process(_checked(pid)))
        except self._psutil.NoSuchProcess:
            raise ValueError(f"pid must be that of a running process, not {pid!r}") from None

    def _report(self, process: ps.Process) -> Process:
        cpu_percent = self._cpu_percent(process)
        with process.oneshot():
            return Process(
                *(process.pid, process.name(), str(process.status()), cpu_percent),
                memory_rss_bytes=self._allowed(lambda: process.memory_info().rss),
                memory_percent=self._allowed(process.memory_percent),
                threads=self._allowed(process.num_threads),
                open_files=self._allowed(lambda: len(process.open_files())),
                connections=self._allowed(lambda: len(process.net_connections(kind="inet"))),
                timestamp=datetime.fromtimestamp(self._wall(), UTC),
            )

    def _cpu_percent(self, process: ps.Process) -> float:
        key = (process.pid, process.create_time())  # a pid alone may be somebody else's by now
        with self._lock:
            known = self._cpu_seen.get(key)
        if known is None:
            first = self._cpu_moment(process)
            known = _Baselines(first, first)
            self._sleep(self._wait_s)
        now = self._cpu_moment(process)
        since = known.since(now)
        with self._lock:
            self._cpu_seen[key] = _Baselines(since, now) if since is known.last else known
            self._cpu_seen.move_to_end(key)
            while len(self._cpu_seen) > REMEMBERED:
                self._cpu_seen.popitem(last=False)
        return 100 * rates.per_second(since.used_s, now.used_s, now.at_s - since.at_s)

    def _cpu_moment(self, process: ps.Process) -> CpuUsed:
        used_s = self._allowed(lambda: sum(process.cpu_times()[:2]))
        return CpuUsed(self._clock(), used_s)

    def _allowed(self, read: Callable[[], float]) -> float:
        """The figure, unknown where the operating system keeps it from us."""
        try:
            return read()
        except self._psutil.AccessDenied:
            return nan


def _checked(pid: object) -> int | None:
    if pid is None or (isinstance(pid, int) and not isinstance(pid, bool) and pid > 0):
        return pid
    raise ValueError(f"pid must be a positive integer or None, not {pid!r}")
