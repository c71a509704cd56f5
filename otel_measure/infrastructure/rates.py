"""Rates and shares from two readings: pure arithmetic over the monotonic time between them.

What has had one reading, or a counter that went back (a device came up anew, a counter wrapped), is
unknown: ``nan``. Modes of CPU time are the exception: Linux lets ``iowait`` and ``idle`` fall a little,
so a mode that went back has used nothing, as psutil reckons too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from math import nan
from typing import Final

from otel_measure.infrastructure.readings import (
    Container,
    CpuMoment,
    CpuTimes,
    Filesystem,
    MachineReading,
    MachineSnapshot,
)

SMALLEST_DISK_BYTES: Final = 2**30
MODES: Final = tuple(f.name for f in dataclasses.fields(CpuTimes))


def per_second(before: float, now: float, elapsed_s: float) -> float:
    """Growth of a counter per second; ``nan`` when it went back or no time has passed."""
    return (now - before) / elapsed_s if now >= before and elapsed_s > 0 else nan


def mode_ratios(before: CpuTimes, now: CpuTimes) -> Mapping[str, float]:
    """Share of the CPU time between two readings that each mode took; the known ones add to 1."""
    deltas = {mode: _spent(getattr(before, mode), getattr(now, mode)) for mode in MODES}
    total = sum(known(delta) for delta in deltas.values())
    return {mode: delta / total if total > 0 else nan for mode, delta in deltas.items()}


def _spent(before: float, now: float) -> float:
    delta = now - before
    return max(0.0, delta) if delta == delta else nan


def busy_ratio(ratios: Mapping[str, float]) -> float:
    """Share of the time in which CPUs did something: all but idle and waiting for I/O."""
    busy = 1.0 - ratios["idle"] - known(ratios["iowait"])
    return max(0.0, busy) if busy == busy else nan


def known(value: float) -> float:
    """The value, 0 for one that this operating system does not count: only for sums that others carry."""
    return value if value == value else 0.0


def host_cpu_ratios(snapshot: MachineSnapshot) -> Mapping[str, float]:
    """`mode_ratios` of the host over the snapshot's CPU window."""
    since = snapshot.cpu_since
    return mode_ratios(since.host, snapshot.now.cpu.host) if since else dict.fromkeys(MODES, nan)


def container_cpu_ratios(since: CpuMoment | None, now: CpuMoment, limit: float) -> tuple[float, float, float]:
    """Share of the quota used: in all, in user mode, in system mode; 1 is the most a quota gives."""
    if since is None or since.container is None or now.container is None:
        return nan, nan, nan
    cores_s = limit * (now.monotonic_s - since.monotonic_s)
    before, after = since.container, now.container
    pairs = ((before.usage_s, after.usage_s), (before.user_s, after.user_s), (before.system_s, after.system_s))
    # A quota period that began before the window can push the share a hair above 1.
    usage, user, system = (_clamped(per_second(b, a, cores_s)) for b, a in pairs)
    return usage, user, system


def _clamped(ratio: float) -> float:
    return min(1.0, ratio) if ratio == ratio else nan


def cpu_percent(since: CpuMoment | None, now: MachineReading) -> float:
    """CPU usage between a moment and a reading, 0 to 100: of the quota in a container, else of the host."""
    limit = cpu_limit(now.container)
    if limit == limit:
        return 100 * container_cpu_ratios(since, now.cpu, limit)[0]
    return 100 * busy_ratio(mode_ratios(since.host, now.cpu.host)) if since else nan


def cpu_limit(container: Container | None) -> float:
    """The quota in cores, ``nan`` without one."""
    return container.cpu_limit if container else nan


def memory_limit(container: Container | None) -> float:
    """The memory limit in bytes, ``nan`` without one."""
    return container.memory_limit_bytes if container else nan


def memory_percent(now: MachineReading) -> float:
    """Memory in use, 0 to 100: the working set against the limit in a container, else what is not available."""
    limit = memory_limit(now.container)
    if now.container is not None and limit == limit:
        return 100 * share(now.container.working_set_bytes, limit)
    return 100 * share(now.memory.total - now.memory.available, now.memory.total)


def fullest(filesystems: Iterable[Filesystem]) -> Filesystem | None:
    """The fullest writable local filesystem of at least 1 GiB, else the root's; None when none is known."""
    known = [f for f in filesystems if f.used_percent == f.used_percent]
    candidates = [f for f in known if f.total >= SMALLEST_DISK_BYTES and not f.read_only]
    candidates = candidates or [f for f in known if f.mount_point == "/"]
    return max(candidates, key=lambda f: f.used_percent, default=None)


def fullest_percent(filesystems: Iterable[Filesystem]) -> float:
    """How full `fullest` is, 0 to 100."""
    filesystem = fullest(filesystems)
    return filesystem.used_percent if filesystem else nan


def share(part: float, whole: float) -> float:
    """``part / whole``, unknown when there is no whole."""
    return part / whole if whole else nan


def time_weighted_mean(points: Iterable[tuple[float, float]]) -> float:
    """Mean of (monotonic seconds, value) where each value stands for the time since the point before it.

    Unknown values are left out with their time. A single known value is its own mean.
    """
    total = weight = 0.0
    last, previous_s = nan, None
    for at_s, value in points:
        if value == value:
            last = value
            if previous_s is not None:
                total += value * (at_s - previous_s)
                weight += at_s - previous_s
        previous_s = at_s
    return total / weight if weight > 0 else last
