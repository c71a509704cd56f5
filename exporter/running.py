"""The runtime behind the application: started by the first process and request that need it, never by an import.

The lifespan of a mounted application is not run by its parent, and a server that loads the application before it
forks must not take threads or connections along. So the runtime starts when it is first asked for, in each process.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from anyio import to_thread

from exporter.http.auth import Guard
from exporter.http.commit import GroupCommit
from exporter.lag import LoopLag

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime


class Live(NamedTuple):
    """What exists while a runtime runs, in the process that it runs in."""

    pid: int
    runtime: Runtime
    commits: GroupCommit
    guard: Guard


class Running:
    """Starts a runtime once per process.

    Args:
        open_runtime: gives the runtime, not yet started.
        pid: the id of this process.
    """

    def __init__(self, open_runtime: Callable[[], Runtime], pid: Callable[[], int] = os.getpid) -> None:
        self._open_runtime = open_runtime
        self._pid = pid
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._lag_of: Live | None = None

    async def live(self) -> Live:
        """Return what runs; opening a store may take a while, so that is done on a worker thread."""
        live = self._live
        if live is not None and live.pid == self._pid():
            return live
        live = await to_thread.run_sync(self._start)
        if self._lag_of is not live:
            self._lag_of = live
            LoopLag(asyncio.get_running_loop()).expose(live.runtime.telemetry)
        return live

    def _start(self) -> Live:
        with self._lock:
            if self._live is None or self._live.pid != self._pid():
                runtime = self._open_runtime()
                runtime.start()
                durable = runtime.settings.durability == "power"
                is_busy = runtime.store.is_busy if runtime.store is not None else lambda: False
                commits = GroupCommit(runtime.recorder.commit, durable=durable, is_busy=is_busy)
                self._live = Live(self._pid(), runtime, commits, Guard.of(runtime.settings))
            return self._live

    def flush(self) -> None:
        """Commit what still waits; the runtime itself may serve the host application on."""
        if self._live is not None and self._live.pid == self._pid():
            self._live.runtime.flush()
