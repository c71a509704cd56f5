"""How the machine is: frozen results, built from a snapshot by pure functions.

Bytes and seconds are in full, ``_percent`` is 0 to 100, rates are over the snapshot's latest interval,
and what is unknown is ``nan``. ``scope`` says whose share a percentage is: of the container's quota or
limit where its cgroup has one below the host's size, else of the host; the host's own figures then stand
beside it in ``host``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isfinite, nan
from pathlib import PurePath
from typing import Literal, TypeAlias

from otel_measure.infrastructure import rates
from otel_measure.infrastructure.mounts import Space
from otel_measure.infrastructure.physical import is_stacked
from otel_measure.infrastructure.readings import DiskCounters, Filesystem, InterfaceCounters, MachineSnapshot

Scope = Literal["host", "container"]
Counters: TypeAlias = DiskCounters | InterfaceCounters


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU usage over the last seconds; ``core_count`` is the quota in cores in a container."""

    usage_percent: float
    user_percent: float
    system_percent: float
    idle_percent: float
    iowait_percent: float
    load_average_1m: float
    load_average_5m: float
    load_average_15m: float
    core_count: float
    scope: Scope
    timestamp: datetime
    host: Cpu | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory and swap; in a container ``used`` is the working set and ``total`` the limit."""

    total_bytes: float
    available_bytes: float
    used_bytes: float
    used_percent: float
    swap_total_bytes: float
    swap_used_bytes: float
    swap_percent: float
    scope: Scope
    timestamp: datetime
    host: Memory | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """Space of one mount and the traffic of its device (of all devices where it has none of its own)."""

    mount_point: str
    total_bytes: float
    used_bytes: float
    free_bytes: float
    used_percent: float
    read_bytes_per_second: float
    write_bytes_per_second: float
    read_iops: float
    write_iops: float
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Network:
    """Traffic of all interfaces, loopback included; errors and drops are counts since boot."""

    sent_bytes_per_second: float
    received_bytes_per_second: float
    packets_sent_per_second: float
    packets_received_per_second: float
    errors_in: float
    errors_out: float
    drops_in: float
    drops_out: float
    connections: float
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Process:
    """One process; ``cpu_percent`` is 100 for one core kept busy."""

    pid: int
    name: str
    status: str
    cpu_percent: float
    memory_rss_bytes: float
    memory_percent: float
    threads: float
    open_files: float
    connections: float
    timestamp: datetime


def cpu(snapshot: MachineSnapshot) -> Cpu:
    """How busy the CPUs are."""
    host = _host_cpu(snapshot)
    limit = rates.cpu_limit(snapshot.now.container)
    if limit != limit:
        return host
    usage, user, system = rates.container_cpu_ratios(snapshot.cpu_since, snapshot.now.cpu, limit)
    return replace(
        host,
        usage_percent=100 * usage,
        user_percent=100 * user,
        system_percent=100 * system,
        idle_percent=100 * (1 - usage),
        iowait_percent=nan,
        core_count=_cores(limit),
        scope="container",
        host=host,
    )


def memory(snapshot: MachineSnapshot) -> Memory:
    """How much memory is used."""
    host = _host_memory(snapshot)
    container = snapshot.now.container
    limit = rates.memory_limit(container)
    if container is None or limit != limit:
        return host
    return Memory(
        total_bytes=limit,
        available_bytes=container.memory_available_bytes,
        used_bytes=container.working_set_bytes,
        used_percent=rates.memory_percent(snapshot.now),
        swap_total_bytes=container.swap_total_bytes,
        swap_used_bytes=container.swap_used_bytes,
        swap_percent=100 * rates.share(container.swap_used_bytes, container.swap_total_bytes),
        scope="container",
        timestamp=host.timestamp,
        host=host,
    )


def disk(
    snapshot: MachineSnapshot, mount_point: str = "/", space: Space | None = None, *, lies_on: str | None = None
) -> Disk:
    """How full a filesystem is and what its device does.

    Args:
        snapshot: The readings.
        mount_point: A mount of the snapshot, or any directory whose `space` is given.
        space: Asked of the directory itself when it is no mount of the snapshot.
        lies_on: The mount point that the directory lies on, where that was looked up. One that is none of the snapshot
            (an overlay, a network's) has no device of its own here.
    """
    mount = _mount_of(snapshot.now.filesystems, mount_point if lies_on is None else lies_on)
    if mount is not None and lies_on is not None and mount.mount_point != lies_on:
        mount = None
    if space is None:
        space = Space(mount.total, mount.used, mount.free) if mount else Space()
    device = (mount.kernel_name or PurePath(mount.device).name) if mount else ""
    return Disk(
        mount_point=mount_point,
        total_bytes=space.total,
        used_bytes=space.used,
        free_bytes=space.free,
        used_percent=100 * rates.share(space.used, space.used + space.free),
        read_bytes_per_second=_disk_rate(snapshot, device, "read_bytes"),
        write_bytes_per_second=_disk_rate(snapshot, device, "write_bytes"),
        read_iops=_disk_rate(snapshot, device, "read_count"),
        write_iops=_disk_rate(snapshot, device, "write_count"),
        timestamp=timestamp(snapshot),
    )


def network(snapshot: MachineSnapshot) -> Network:
    """What the interfaces carry, every byte once and loopback left out (`physical.counted_interfaces`)."""
    connections = snapshot.now.connections
    return Network(
        sent_bytes_per_second=_interface_rate(snapshot, "bytes_sent"),
        received_bytes_per_second=_interface_rate(snapshot, "bytes_recv"),
        packets_sent_per_second=_interface_rate(snapshot, "packets_sent"),
        packets_received_per_second=_interface_rate(snapshot, "packets_recv"),
        errors_in=_interface_total(snapshot, "errin"),
        errors_out=_interface_total(snapshot, "errout"),
        drops_in=_interface_total(snapshot, "dropin"),
        drops_out=_interface_total(snapshot, "dropout"),
        connections=nan if connections is None else sum(connections.values()),
        timestamp=timestamp(snapshot),
    )


def timestamp(snapshot: MachineSnapshot) -> datetime:
    """When the snapshot was taken (UTC); the epoch for one that never was."""
    wall_s = snapshot.now.wall_s
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=wall_s if isfinite(wall_s) else 0)


def rfc3339(moment: datetime) -> str:
    """UTC with ``Z`` and microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _host_cpu(snapshot: MachineSnapshot) -> Cpu:
    ratios = rates.host_cpu_ratios(snapshot)
    load_1m, load_5m, load_15m = snapshot.now.load
    return Cpu(
        usage_percent=100 * rates.busy_ratio(ratios),
        user_percent=100 * (ratios["user"] + rates.known(ratios["nice"])),
        system_percent=100 * (ratios["system"] + rates.known(ratios["interrupt"])),
        idle_percent=100 * ratios["idle"],
        iowait_percent=100 * ratios["iowait"],
        load_average_1m=load_1m,
        load_average_5m=load_5m,
        load_average_15m=load_15m,
        core_count=_cores(snapshot.now.core_count),
        scope="host",
        timestamp=timestamp(snapshot),
    )


def _cores(count: float) -> float:
    """As an int where it is whole, as everybody else writes it; a quota may be half a core."""
    return int(count) if count.is_integer() else count


def _host_memory(snapshot: MachineSnapshot) -> Memory:
    memory, swap = snapshot.now.memory, snapshot.now.swap
    return Memory(
        total_bytes=memory.total,
        available_bytes=memory.available,
        used_bytes=memory.used,
        used_percent=100 * rates.share(memory.total - memory.available, memory.total),
        swap_total_bytes=swap.total,
        swap_used_bytes=swap.used,
        swap_percent=100 * rates.share(swap.used, swap.total),
        scope="host",
        timestamp=timestamp(snapshot),
    )


def _mount_of(filesystems: Iterable[Filesystem], directory: str) -> Filesystem | None:
    """The filesystem that a directory lies on: that of the nearest mount point at or above it."""
    path = PurePath(directory)
    above = [f for f in filesystems if path.is_relative_to(f.mount_point)]
    return max(above, key=lambda f: len(PurePath(f.mount_point).parts), default=None)


def _disk_rate(snapshot: MachineSnapshot, device: str, field: str) -> float:
    """The rate of one device; of an unknown one that of all disks, each byte once."""
    disks = snapshot.now.disks
    whole = [name for name, counters in disks.items() if counters.whole and not is_stacked(name)]
    names = [device] if device in disks else whole
    before = snapshot.before.disks if snapshot.before else {}
    return _summed_rate(snapshot, [(before[n], disks[n]) for n in names if n in before], field)


def _interface_total(snapshot: MachineSnapshot, field: str) -> float:
    counted = [counters for counters in snapshot.now.interfaces.values() if counters.counted]
    return sum(getattr(counters, field) for counters in counted) if counted else nan


def _interface_rate(snapshot: MachineSnapshot, field: str) -> float:
    before = snapshot.before.interfaces if snapshot.before else {}
    # An interface that came up in between has had one reading, and what it counts is no growth.
    counted = {name: counters for name, counters in snapshot.now.interfaces.items() if counters.counted}
    pairs = [(before[name], counters) for name, counters in counted.items() if name in before]
    return _summed_rate(snapshot, pairs, field)


def _summed_rate(snapshot: MachineSnapshot, pairs: Sequence[tuple[Counters, Counters]], field: str) -> float:
    if snapshot.before is None or not pairs:
        return nan
    elapsed_s = snapshot.now.cpu.monotonic_s - snapshot.before.cpu.monotonic_s
    return sum(rates.per_second(getattr(b, field), getattr(a, field), elapsed_s) for b, a in pairs)
