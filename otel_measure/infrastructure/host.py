"""Reads the machine once: psutil and ``/proc`` in, a frozen `MachineReading` out. It keeps no state of its own.

A part that cannot be read (no permission, no such file, another operating system) stays unknown in the
reading and is told to `on_error`; the other parts are read all the same.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from math import nan
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

from otel_measure.infrastructure.cgroup import Cgroup
from otel_measure.infrastructure.mounts import Mounts
from otel_measure.infrastructure.physical import counted_interfaces, is_stacked, whole_disks
from otel_measure.infrastructure.readings import (
    CpuMoment,
    CpuTimes,
    DiskCounters,
    Faults,
    Filesystem,
    HostMemory,
    InterfaceCounters,
    MachineReading,
    OwnProcess,
    Swap,
)

T = TypeVar("T")
Fallible = Callable[[], T]
OnError = Callable[[str, Exception], None]

# Kernel: include/net/tcp_states.h; names of network.connection.state.
TCP_STATES: Final[Mapping[str, str]] = {
    "01": "established",
    "02": "syn_sent",
    "03": "syn_received",
    "04": "fin_wait_1",
    "05": "fin_wait_2",
    "06": "time_wait",
    "07": "closed",
    "08": "close_wait",
    "09": "last_ack",
    "0A": "listen",
    "0B": "closing",
    "0C": "syn_received",
}
PSUTIL_STATES: Final[Mapping[str, str]] = {
    "SYN_RECV": "syn_received",
    "FIN_WAIT1": "fin_wait_1",
    "FIN_WAIT2": "fin_wait_2",
    "CLOSE": "closed",
    "NONE": "",
}


def system_uptime_s() -> float:
    """Seconds since boot, suspended time included; no step of the wall clock touches it."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else nan


class HostReader:
    """Reads one machine.

    Args:
        psutil: The psutil module, or something shaped like it.
        clock: Monotonic seconds.
        wall: Unix seconds.
        mounts: Asks the filesystems.
        cgroup: Asks the cgroup of this process.
        proc: Linux' ``/proc``, for what psutil lists slowly or not at all.
        sys_block: Linux' list of whole block devices.
        sys_net: Linux' list of network interfaces.
        uptime_s: Seconds since boot.
        on_error: Called with the name of a part that could not be read and why.
    """

    def __init__(
        self,
        psutil: ModuleType,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        mounts: Mounts,
        cgroup: Cgroup,
        on_error: OnError,
        proc: Path = Path("/proc"),
        sys_block: Path = Path("/sys/block"),
        sys_net: Path = Path("/sys/class/net"),
        uptime_s: Callable[[], float] = system_uptime_s,
    ) -> None:
        """Remember where to look; nothing is read yet."""
        self._psutil = psutil
        self._clock = clock
        self._wall = wall
        self._mounts = mounts
        self._cgroup = cgroup
        self._on_error = on_error
        self._proc = proc
        self._sys_block = sys_block
        self._sys_net = sys_net
        self._uptime_s = uptime_s

    def cpu(self) -> CpuMoment:
        """CPU times alone: what is read every second."""
        times = self._try("cpu", self._cpu_times, CpuTimes())
        container = self._try("cgroup", self._cgroup.cpu, None)
        return CpuMoment(self._clock(), times, container)

    def read(self) -> MachineReading:
        """Everything, at one moment."""
        ps = self._psutil
        filesystems: tuple[Filesystem, ...] = self._try("filesystems", self._mounts.read, ())
        memory = self._try("memory", self._memory, HostMemory())
        cores = self._try("cores", lambda: float(ps.cpu_count() or nan), nan)
        container = self._try("cgroup", lambda: self._cgroup.read(cores, memory.total), None)
        times = self._try("cpu", self._cpu_times, CpuTimes())
        return MachineReading(
            cpu=CpuMoment(self._clock(), times, container.cpu if container else None),
            wall_s=self._wall(),
            core_count=cores,
            load=self._try("load", lambda: tuple(ps.getloadavg()), (nan, nan, nan)),
            uptime_s=self._try("uptime", self._uptime, nan),
            memory=memory,
            swap=self._try("swap", self._swap, Swap()),
            faults=self._try("faults", self._faults, Faults()),
            disks=self._try("disks", self._disks, {}),
            filesystems=filesystems,
            interfaces=self._try("interfaces", self._interfaces, {}),
            connections=self._try("connections", self._connections, None),
            process=self._try("process", self._process, OwnProcess()),
            container=container,
        )

    def _try(self, part: str, read: Fallible[T], unknown: T) -> T:
        try:
            return read()
        except Exception as error:  # whatever a platform's psutil raises must not take the other parts along
            self._on_error(part, error)
            return unknown

    def _cpu_times(self) -> CpuTimes:
        times = self._psutil.cpu_times()
        interrupt = getattr(times, "irq", getattr(times, "interrupt", nan)) + getattr(times, "softirq", 0.0)
        nice, iowait, steal = (getattr(times, name, nan) for name in ("nice", "iowait", "steal"))
        return CpuTimes(times.user, nice, times.system, times.idle, iowait, interrupt, steal)

    def _memory(self) -> HostMemory:
        memory = self._psutil.virtual_memory()
        cached, buffers = (getattr(memory, name, nan) for name in ("cached", "buffers"))
        return HostMemory(memory.total, memory.available, memory.used, memory.free, cached, buffers)

    def _swap(self) -> Swap:
        swap = self._psutil.swap_memory()
        return Swap(swap.total, swap.used, swap.free)

    def _uptime(self) -> float:
        known = self._uptime_s()
        return known if known == known else max(0.0, self._wall() - self._psutil.boot_time())

    def _faults(self) -> Faults:
        vmstat = self._proc / "vmstat"
        if not vmstat.exists():
            return Faults()
        counts = dict(line.split() for line in vmstat.read_text().splitlines())
        major = int(counts["pgmajfault"])
        return Faults(int(counts["pgfault"]) - major, major)

    def _disks(self) -> Mapping[str, DiskCounters]:
        counters = self._psutil.disk_io_counters(perdisk=True) or {}
        whole = whole_disks(self._sys_block) if self._sys_block.is_dir() else {n for n in counters if not is_stacked(n)}
        return {
            name: DiskCounters(
                *(c.read_bytes, c.write_bytes, c.read_count, c.write_count),
                busy_s=getattr(c, "busy_time", nan) / 1000,
                whole=name.replace("/", "!") in whole,
            )
            for name, c in counters.items()
        }

    def _interfaces(self) -> Mapping[str, InterfaceCounters]:
        counters = self._psutil.net_io_counters(pernic=True) or {}
        counted = counted_interfaces(counters, self._sys_net)
        return {
            name: InterfaceCounters(
                *(c.bytes_sent, c.bytes_recv, c.packets_sent, c.packets_recv, c.errin, c.errout, c.dropin, c.dropout),
                counted=name in counted,
            )
            for name, c in counters.items()
        }

    def _connections(self) -> Mapping[tuple[str, str], int] | None:
        """Sockets by transport and state.

        psutil finds the owner of each socket by walking every process's descriptors, which takes
        seconds on a busy host; the kernel's own tables have the states without it.
        """
        if not (self._proc / "net" / "tcp").exists():
            return self._connections_of_psutil()
        counts: Counter[tuple[str, str]] = Counter()
        for transport in ("tcp", "udp"):
            for table in (self._proc / "net" / transport, self._proc / "net" / f"{transport}6"):
                states = _states(table)
                counts.update((transport, TCP_STATES.get(s, "") if transport == "tcp" else "") for s in states)
        return counts

    def _connections_of_psutil(self) -> Mapping[tuple[str, str], int] | None:
        try:
            connections = self._psutil.net_connections(kind="inet")
        except self._psutil.AccessDenied:  # macOS without root: nothing is wrong, it is only not told
            return None
        transports = {1: "tcp", 2: "udp"}
        return Counter(
            (transports.get(int(c.type), ""), PSUTIL_STATES.get(c.status, c.status.lower())) for c in connections
        )

    def _process(self) -> OwnProcess:
        process = self._psutil.Process()
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_info()
            return OwnProcess(
                *(times.user, times.system, memory.rss, memory.vms, process.num_threads()),
                file_descriptors=process.num_fds() if hasattr(process, "num_fds") else nan,
                cpus=len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else self._psutil.cpu_count(),
            )


def _states(table: Path) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no IPv6
        return []
    return [line.split(None, 4)[3] for line in lines]
