"""How full the filesystems are, without ever waiting long for one that hangs.

``statvfs`` on a dead mount blocks in the kernel and cannot be cancelled, so each mount is asked in a
daemon thread of its own. One that does not answer in time is reported as unknown, and is not asked
again before its thread comes back: a dead mount costs one thread, however long it stays dead.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import nan
from typing import Final, NamedTuple, Protocol

from otel_measure.infrastructure.readings import Filesystem

LATE_ANSWER_VALID_S: Final = 60.0
# Paths come from requests too: many names of one dead mount must not cost a thread each.
MOST_HANGING: Final = 32
# These are full by construction, and nobody can do anything about it.
IMAGE_FSTYPES: Final = frozenset({"squashfs", "iso9660", "udf", "cramfs", "erofs"})


class Space(NamedTuple):
    """Bytes of one filesystem: in total, used, and open to an unprivileged process."""

    total: float = nan
    used: float = nan
    free: float = nan


UNKNOWN: Final = Space()


class Mounted(Protocol):
    """One entry of `psutil.disk_partitions()`."""

    device: str
    mountpoint: str
    fstype: str
    opts: str


@dataclass(slots=True)
class _Probe:
    """The thread that asks one mount, and its last answer."""

    thread: threading.Thread | None = None
    space: Space = UNKNOWN
    answered_s: float = -LATE_ANSWER_VALID_S
    error: OSError | ValueError | None = None


class Mounts:
    """Asks all mounts at once and waits at most `timeout_s` for their answers."""

    def __init__(
        self,
        partitions: Callable[[], Iterable[Mounted]],
        *,
        clock: Callable[[], float],
        timeout_s: float = 0.05,
        usage: Callable[[str], tuple[int, int, int]] = shutil.disk_usage,
        is_file: Callable[[str], bool] = os.path.isfile,
        real_path: Callable[[str], str] = os.path.realpath,
    ) -> None:
        """Remember how to list mounts and how to ask one for its bytes; `clock` is monotonic."""
        self._partitions = partitions
        self._clock = clock
        self._timeout_s = timeout_s
        self._usage = usage
        self._is_file = is_file
        self._real_path = real_path
        self.forget()

    def forget(self) -> None:
        """Start anew, as a forked child must: its parent's threads and their locks are not its own."""
        self._probes: dict[str, _Probe] = {}
        self._local: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def read(self) -> tuple[Filesystem, ...]:
        """The local filesystems, one entry per device, and the root."""
        filesystems = self._mounted()
        self._local = frozenset(f.mount_point for f in filesystems)
        answers = self._ask([f.mount_point for f in filesystems])
        return tuple(
            replace(f, total=space.total, used=space.used, free=space.free)
            for f, (_, space) in zip(filesystems, answers, strict=True)
        )

    def read_one(self, mount_point: str) -> Space:
        """The space of any directory's filesystem, asked anew each time.

        Raises:
            OSError: There is no such directory.
            ValueError: No directory can have this name.
        """
        ((probe, space),) = self._ask([mount_point])
        if probe.error is not None:
            raise probe.error
        return space

    def _mounted(self) -> list[Filesystem]:
        by_device: dict[str, Filesystem] = {}
        for entry in self._partitions():
            # A container engine mounts single files (/etc/hosts) from the host's disk: nobody knows the disk by them.
            # To look at a mount point does not hang as asking its space may: the kernel keeps what is mounted.
            if entry.fstype in IMAGE_FSTYPES or self._is_file(entry.mountpoint):
                continue
            mounted = Filesystem(
                *(entry.mountpoint, entry.device, entry.fstype),
                read_only="ro" in entry.opts.split(","),
                kernel_name=os.path.basename(self._real_path(entry.device)) if entry.device else "",
            )
            # Bind mounts show one device many times; the shortest path is the one people know.
            known = by_device.setdefault(entry.device, mounted)
            if len(mounted.mount_point) < len(known.mount_point):
                by_device[entry.device] = mounted
        if os.name == "posix" and all(f.mount_point != "/" for f in by_device.values()):
            by_device[""] = Filesystem("/", "", "")
        return list(by_device.values())

    def _ask(self, mount_points: list[str]) -> list[tuple[_Probe, Space]]:
        with self._lock:
            kept = self._local.union(mount_points)
            self._probes = {p: probe for p, probe in self._probes.items() if p in kept or probe.thread is not None}
            may_start = sum(probe.thread is not None for probe in self._probes.values()) < MOST_HANGING
            asked = [(path, self._probes.setdefault(path, _Probe())) for path in mount_points]
            started = [self._start(path, probe) for path, probe in asked if probe.thread is None and may_start]
        deadline = self._clock() + self._timeout_s
        for thread in started:
            thread.join(max(0.0, deadline - self._clock()))
        oldest = self._clock() - LATE_ANSWER_VALID_S
        return [(probe, probe.space if probe.answered_s > oldest else UNKNOWN) for _, probe in asked]

    def _start(self, path: str, probe: _Probe) -> threading.Thread:
        thread = threading.Thread(target=self._probe, args=(path, probe), name="otel-measure-statvfs", daemon=True)
        probe.thread = thread
        thread.start()
        return thread

    def _probe(self, path: str, probe: _Probe) -> None:
        try:
            probe.space, probe.error = Space(*self._usage(path)), None
        except (OSError, ValueError) as error:
            probe.space, probe.error = UNKNOWN, error
        probe.answered_s = self._clock()
        probe.thread = None


def mount_above(directory: str) -> str:
    """Return the mount point that a directory lies on; links are followed."""
    path = os.path.realpath(directory)
    while not os.path.ismount(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path
