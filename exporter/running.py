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

from exporter.http.auth import Authenticator
from exporter.http.commit import GroupCommit
from exporter.http.readiness import Readiness
from exporter.http.types import Backend
from exporter.lag import LoopLag

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime


class _Started(NamedTuple):
    """What exists while a runtime runs, in the process that it runs in."""

    pid: int
    backend: Backend
    authenticator: Authenticator


class RuntimeOnDemand:
    """Starts a runtime once per process, when it is first asked for.

    Args:
        open_runtime: gives the runtime, not yet started.
        pid: the id of this process.
    """

    def __init__(self, open_runtime: Callable[[], Runtime], pid: Callable[[], int] = os.getpid) -> None:
        self._open_runtime = open_runtime
        self._pid = pid
        self._lock = threading.Lock()
        self._started: _Started | None = None
        self._lag_of: _Started | None = None

    async def backend(self) -> Backend:
        """Return what answers requests, once the runtime runs."""
        return (await self._running()).backend

    async def authenticator(self) -> Authenticator:
        """Return the authenticator that the settings of the runtime ask for, once it runs."""
        return (await self._running()).authenticator

    async def _running(self) -> _Started:
        """Return what runs; opening a store may take a while, so that is done on a worker thread."""
        started = self._started
        if started is not None and started.pid == self._pid():
            return started
        started = await to_thread.run_sync(self._start)
        if self._lag_of is not started:
            self._lag_of = started
            LoopLag(asyncio.get_running_loop()).expose(started.backend.runtime.telemetry)
        return started

    def _start(self) -> _Started:
        with self._lock:
            if self._started is None or self._started.pid != self._pid():
                runtime = self._open_runtime()
                runtime.start()
                runtime.keep_watch()
                durable = runtime.settings.durability == "power"
                is_busy = runtime.store.is_busy if runtime.store is not None else lambda: False
                commits = GroupCommit(runtime.recorder.commit, durable=durable, is_busy=is_busy)
                backend = Backend(runtime, commits, Readiness(runtime.store))
                self._started = _Started(self._pid(), backend, Authenticator.of(runtime.settings))
            return self._started

    def flush(self) -> None:
        """Commit what still waits; the runtime itself may serve the host application on."""
        if self._started is not None and self._started.pid == self._pid():
            self._started.backend.runtime.flush()
