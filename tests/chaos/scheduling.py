"""How long a process itself let somebody wait: what the machine kept it waiting for a core is not its fault.

A time by the clock says on a busy machine how busy that is. The kernel counts for each thread how long it ran, and how
long it could have run and no core was free (`/proc/…/schedstat`); where it does not, all that passed is the process's.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil


class CoreTime(NamedTuple):
    """What the kernel gave to threads in a time, and what it kept from them, in seconds.

    Attributes:
        ran_s: on a core.
        queued_s: able to run, and waiting for a core.
    """

    ran_s: float = 0.0
    queued_s: float = 0.0


class Threads:
    """Some threads at a moment, and what the kernel had given to each by then.

    Args:
        schedules: the files of the kernel that tell.
    """

    def __init__(self, schedules: Iterable[Path]) -> None:
        self._given: dict[str, CoreTime] = {}
        for path in schedules:
            try:
                ran_ns, queued_ns, _ = path.read_text().split()
            except (OSError, ValueError):  # the thread has ended, or the kernel does not count
                continue
            self._given[path.parent.name] = CoreTime(int(ran_ns) / 1e9, int(queued_ns) / 1e9)

    @classmethod
    def of_process(cls, *pids: int) -> Threads:
        """Return all threads of some processes."""
        return cls(path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))

    @classmethod
    def of_family(cls, pid: int) -> Threads:
        """Return those of a process and of all that it started."""
        try:
            return cls.of_process(pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))
        except psutil.NoSuchProcess:
            return cls(())

    @classmethod
    def this_one(cls) -> Threads:
        """Return the thread that asks."""
        return cls([Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")])

    def since(self, before: Threads) -> CoreTime:
        """Return what they were given after a moment; of a thread that has ended since nobody knows any more."""
        nothing = CoreTime()
        return CoreTime(
            sum(now.ran_s - before._given.get(thread, nothing).ran_s for thread, now in self._given.items()),
            sum(now.queued_s - before._given.get(thread, nothing).queued_s for thread, now in self._given.items()),
        )


def own_s(wait_s: float, server: CoreTime, client: CoreTime) -> float:
    """Return how much of a wait was a server's own: on a machine of its own it would have been that long.

    Several threads wait for a core at the same time, so more may be taken off than the machine took; what the server
    computed meanwhile counts as its own in any case.

    Args:
        wait_s: by the clock.
        server: what it was given meanwhile.
        client: likewise, of the thread that waited.
    """
    return min(wait_s, max(wait_s - server.queued_s - client.queued_s, server.ran_s))


@dataclass(slots=True)
class Wait:
    """How long somebody waited for a server, in seconds.

    Attributes:
        took_s: by the clock.
        own_s: of that, what was the server's own.
    """

    took_s: float = 0.0
    own_s: float = 0.0


@contextmanager
def waiting_for(server_pid: int) -> Iterator[Wait]:
    """Measure how long this thread waits for a process in a `with` block."""
    wait = Wait()
    began_s, server, client = time.monotonic(), Threads.of_process(server_pid), Threads.this_one()
    try:
        yield wait
    finally:
        wait.took_s = time.monotonic() - began_s
        of_server, of_client = Threads.of_process(server_pid).since(server), Threads.this_one().since(client)
        wait.own_s = own_s(wait.took_s, of_server, of_client)


def wait_for_end(process: subprocess.Popen[bytes] | subprocess.Popen[str], within_s: float) -> int:
    """Return the exit code of a process that has been told to end; it has so many seconds of its own.

    Raises:
        TimeoutError: it has not ended.
    """
    began_s, before, given = time.monotonic(), Threads.of_family(process.pid), CoreTime()
    while (code := process.poll()) is None:
        now = Threads.of_family(process.pid).since(before)
        given = CoreTime(max(given.ran_s, now.ran_s), max(given.queued_s, now.queued_s))  # some have ended
        if own_s(time.monotonic() - began_s, given, CoreTime()) > within_s:
            raise TimeoutError(f"it has not ended within {within_s} s, which took {time.monotonic() - began_s:.1f} s")
        time.sleep(0.02)
    return code
