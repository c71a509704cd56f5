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


class Scheduled(NamedTuple):
    """What the kernel gave to threads so far, and what it kept from them, in seconds.

    Attributes:
        ran_s: on a core.
        queued_s: able to run, and waiting for a core.
    """

    ran_s: float
    queued_s: float

    @classmethod
    def of_process(cls, pid: int) -> Scheduled:
        """Return that of all threads of a process."""
        return cls._of(Path(f"/proc/{pid}/task").glob("*/schedstat"))

    @classmethod
    def of_family(cls, pid: int) -> Scheduled:
        """Return that of a process and of those that it started."""
        try:
            family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        except psutil.NoSuchProcess:
            family = []
        return cls._of(path for each in family for path in Path(f"/proc/{each}/task").glob("*/schedstat"))

    @classmethod
    def of_this_thread(cls) -> Scheduled:
        """Return that of who asks."""
        return cls._of([Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")])

    @classmethod
    def _of(cls, paths: Iterable[Path]) -> Scheduled:
        ran_ns = queued_ns = 0
        for path in paths:
            try:
                ran, queued, _ = path.read_text().split()
            except (OSError, ValueError):  # the thread has ended, or the kernel does not count
                continue
            ran_ns, queued_ns = ran_ns + int(ran), queued_ns + int(queued)
        return cls(ran_ns / 1e9, queued_ns / 1e9)

    def since(self, before: Scheduled) -> Scheduled:
        """Return what came after a moment; threads that have ended are not subtracted."""
        return Scheduled(max(self.ran_s - before.ran_s, 0.0), max(self.queued_s - before.queued_s, 0.0))


def own_s(wait_s: float, server: Scheduled, client: Scheduled = Scheduled(0.0, 0.0)) -> float:  # noqa: B008
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
    began_s, server, client = time.monotonic(), Scheduled.of_process(server_pid), Scheduled.of_this_thread()
    try:
        yield wait
    finally:
        wait.took_s = time.monotonic() - began_s
        of_server, of_client = Scheduled.of_process(server_pid), Scheduled.of_this_thread()
        wait.own_s = own_s(wait.took_s, of_server.since(server), of_client.since(client))


def wait_for_end(process: subprocess.Popen[bytes] | subprocess.Popen[str], within_s: float) -> int:
    """Return the exit code of a process that has been told to end; it has so many seconds of its own.

    Raises:
        TimeoutError: it has not ended.
    """
    began_s, before, latest = time.monotonic(), Scheduled.of_family(process.pid), Scheduled(0.0, 0.0)
    while (code := process.poll()) is None:
        now = Scheduled.of_family(process.pid).since(before)
        latest = Scheduled(max(latest.ran_s, now.ran_s), max(latest.queued_s, now.queued_s))  # some have ended
        if own_s(time.monotonic() - began_s, latest) > within_s:
            raise TimeoutError(f"it has not ended within {within_s} s, which took {time.monotonic() - began_s:.1f} s")
        time.sleep(0.02)
    return code
