"""What one look at the machine yields: frozen readings, as counted by the kernel, before any rate is taken.

Bytes and counts are ints where known. What could not be read is ``nan``, an empty mapping or None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds all CPUs together spent in each mode since boot; guest time is part of ``user`` and ``nice``.

    A mode that the operating system does not count is ``nan``.
    """

    user: float = nan
    nice: float = nan
    system: float = nan
    idle: float = nan
    iowait: float = nan
    interrupt: float = nan
    steal: float = nan


@dataclass(frozen=True, slots=True)
class ContainerCpu:
    """CPU seconds that the cgroup which bounds this process has used."""

    usage_s: float = nan
    user_s: float = nan
    system_s: float = nan


@dataclass(frozen=True, slots=True)
class Container:
    """The cgroup limits below the host's size, and what is used under them.

    Attributes:
        cpu_limit: In cores; ``nan`` when no quota is below the host's cores.
        memory_limit_bytes: ``nan`` when no limit is below the host's memory.
        cpu: CPU seconds of the group that the CPU limit belongs to.
        throttled_s: Seconds its tasks waited for the next quota period.
        memory_usage_bytes: Charged to the group that the memory limit belongs to, page cache included.
        working_set_bytes: Usage without inactive file pages: what the kernel cannot simply drop.
        swap_total_bytes: Swap open to the group; ``nan`` when unlimited or not told (v1).
        swap_used_bytes: Swap used by the group.
        oom_kills: Processes of the group killed for want of memory.
    """

    cpu_limit: float = nan
    memory_limit_bytes: float = nan
    cpu: ContainerCpu = field(default_factory=ContainerCpu)
    throttled_s: float = nan
    memory_usage_bytes: float = nan
    working_set_bytes: float = nan
    swap_total_bytes: float = nan
    swap_used_bytes: float = nan
    oom_kills: float = nan

    @property
    def memory_available_bytes(self) -> float:
        """How much the working set can grow before the limit."""
        available = self.memory_limit_bytes - self.working_set_bytes
        return available if available != available else max(0, available)


@dataclass(frozen=True, slots=True)
class CpuMoment:
    """CPU time used up to a moment of the monotonic clock: two of them make a rate."""

    monotonic_s: float
    host: CpuTimes
    container: ContainerCpu | None = None


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Bytes of physical memory by state, as the operating system reports them."""

    total: float = nan
    available: float = nan
    used: float = nan
    free: float = nan
    cached: float = nan
    buffers: float = nan


@dataclass(frozen=True, slots=True)
class Swap:
    """Bytes of swap."""

    total: float = nan
    used: float = nan
    free: float = nan


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """What a block device has done since boot.

    ``whole`` is False for what only passes on the bytes of another device or holds none on a disk: a partition, a
    device with others below it (LVM, LUKS, RAID), a hidden path of a multipath device, a loop, RAM or zram device.
    """

    read_bytes: float
    write_bytes: float
    read_count: float
    write_count: float
    busy_s: float = nan
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Filesystem:
    """Space of one mount; the sizes are ``nan`` while it does not answer.

    ``used`` and ``total`` count all blocks, ``free`` those that an unprivileged process may take,
    so ``used_percent`` is ``used / (used + free)``, as df has it. ``kernel_name`` is that of the device among the
    counters: ``dm-1`` where ``device`` is ``/dev/mapper/vg0-root``; empty when unknown.
    """

    mount_point: str
    device: str
    fstype: str
    read_only: bool = False
    total: float = nan
    used: float = nan
    free: float = nan
    kernel_name: str = ""

    @property
    def used_percent(self) -> float:
        """Share of the space open to users that is used, 0 to 100."""
        open_to_users = self.used + self.free
        return 100 * self.used / open_to_users if open_to_users else nan


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """What a network interface has carried since it came up.

    ``counted`` is False where another interface that is there as well carries the same bytes, and for loopback.
    """

    bytes_sent: float
    bytes_recv: float
    packets_sent: float
    packets_recv: float
    errin: float
    errout: float
    dropin: float
    dropout: float
    counted: bool = True


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """This process; ``cpus`` is how many CPUs its affinity leaves open to it."""

    user_s: float = nan
    system_s: float = nan
    rss_bytes: float = nan
    virtual_bytes: float = nan
    threads: float = nan
    file_descriptors: float = nan
    cpus: float = nan


@dataclass(frozen=True, slots=True)
class Faults:
    """Page faults since boot."""

    minor: float = nan
    major: float = nan


@dataclass(frozen=True, slots=True)
class MachineReading:
    """Everything read at one moment.

    Attributes:
        cpu: CPU times and the monotonic moment of this reading.
        wall_s: Unix time of this reading.
        connections: (transport, state) to the number of sockets; None where they cannot be listed.
        container: None outside a container.
    """

    cpu: CpuMoment
    wall_s: float
    core_count: float = nan
    load: tuple[float, float, float] = (nan, nan, nan)
    uptime_s: float = nan
    memory: HostMemory = HostMemory()
    swap: Swap = Swap()
    faults: Faults = Faults()
    disks: Mapping[str, DiskCounters] = field(default_factory=dict)
    filesystems: tuple[Filesystem, ...] = ()
    interfaces: Mapping[str, InterfaceCounters] = field(default_factory=dict)
    connections: Mapping[tuple[str, str], int] | None = None
    process: OwnProcess = OwnProcess()
    container: Container | None = None


@dataclass(frozen=True, slots=True)
class Averages:
    """Time-weighted means of the last 5 minutes, 0 to 100; ``seconds`` is how much of them was seen."""

    seconds: float = 0.0
    cpu_percent: float = nan
    memory_percent: float = nan
    disk_percent: float = nan


@dataclass(frozen=True, slots=True)
class MachineSnapshot:
    """The latest reading with the earlier ones that its rates are taken from.

    Attributes:
        now: The latest reading.
        before: The reading before it, for the rates of disks, interfaces and the process.
        cpu_since: The CPU moment from which CPU usage is taken.
        averages: Means over the last 5 minutes.
    """

    now: MachineReading
    before: MachineReading | None = None
    cpu_since: CpuMoment | None = None
    averages: Averages = Averages()


NEVER_READ = MachineSnapshot(MachineReading(CpuMoment(nan, CpuTimes()), nan))
