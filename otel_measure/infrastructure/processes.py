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
from typing import TYPE_CHECKING, Final

from otel_measure.infrastructure import rates
from otel_measure.infrastructure.reports import Process

if TYPE_CHECKING:
    import psutil as ps

REMEMBERED: Final = 64


class Processes:
    """Reads processes and remembers the CPU time of the last few, for a rate needs two readings.

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
        wait_s: float = 0.1,
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
        self._cpu_seen: OrderedDict[tuple[int, float], tuple[float, float]] = OrderedDict()

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
            before = self._cpu_seen.get(key)
        if before is None:
            before = self._cpu_moment(process)
            self._sleep(self._wait_s)
        now = self._cpu_moment(process)
        with self._lock:
            self._cpu_seen[key] = now
            self._cpu_seen.move_to_end(key)
            while len(self._cpu_seen) > REMEMBERED:
                self._cpu_seen.popitem(last=False)
        return 100 * rates.per_second(before[1], now[1], now[0] - before[0])

    def _cpu_moment(self, process: ps.Process) -> tuple[float, float]:
        cpu_s = self._allowed(lambda: sum(process.cpu_times()[:2]))
        return self._clock(), cpu_s

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
