"""One reading of a machine: every figure at its place, and what cannot be read left unknown."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan
from types import SimpleNamespace

from otel_measure.infrastructure.host import system_uptime_s
from otel_measure.infrastructure.readings import (
    Container,
    ContainerCpu,
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
from tests.infrastructure.fakes import GIB, Machine


def expected() -> MachineReading:
    """The reading of the fake machine as it starts."""
    return MachineReading(
        cpu=CpuMoment(100.0, CpuTimes(10.0, 1.0, 5.0, 80.0, 2.0, 1.0, 1.0)),
        wall_s=1_700_000_000.0,
        core_count=4.0,
        load=(0.5, 1.5, 2.5),
        uptime_s=5000.0,
        memory=HostMemory(8 * GIB, 6 * GIB, 2 * GIB, 5 * GIB, GIB, 0),
        swap=Swap(4 * GIB, GIB, 3 * GIB),
        faults=Faults(990, 10),
        disks={
            "sda1": DiskCounters(51_200, 102_400, 100, 200, 1.0, whole=False),
            "sda": DiskCounters(512_000, 1_024_000, 1000, 2000, 10.0),
            "loop0": DiskCounters(3584, 7168, 7, 14, 0.07, whole=False),
        },
        filesystems=(Filesystem("/", "/dev/sda1", "ext4", False, 100 * GIB, 40 * GIB, 50 * GIB, "sda1"),),
        interfaces={
            "lo": InterfaceCounters(10, 10, 1, 1, 0, 0, 0, 0, counted=False),
            "eth0": InterfaceCounters(1000, 2000, 10, 20, 1, 2, 3, 4),
        },
        connections={("tcp", "established"): 2, ("tcp", "listen"): 1, ("udp", ""): 1},
        process=OwnProcess(3.0, 1.0, 100, 200, 4, 9, 2),
    )


def test_reading_holds_every_figure_of_the_machine(machine: Machine) -> None:
    """What the operating system counts arrives unchanged: partitions and loop devices are told from whole disks."""
    assert machine.host.read() == expected()
    assert machine.errors == []


def test_reading_in_a_container_has_its_limits(machine: Machine) -> None:
    """The cgroup's figures stand beside the host's."""
    machine.limit(cores=0.5, memory_bytes=GIB, used_s=8.0, working_set_bytes=GIB // 2)
    reading = machine.host.read()
    container = Container(0.5, GIB, ContainerCpu(8.0, 6.0, 2.0), 1.0, GIB // 2 + 1000, GIB // 2, 2000, 500, 3)
    assert reading == replace(expected(), container=container, cpu=replace(expected().cpu, container=container.cpu))
    assert machine.host.cpu() == reading.cpu


def test_part_that_fails_is_unknown_and_the_others_are_read(machine: Machine) -> None:
    """An error of one part is told by name, and costs only that part."""
    for name in ("cpu_times", "virtual_memory", "swap_memory", "disk_io_counters", "net_io_counters", "getloadavg"):
        setattr(machine.psutil, name, lambda *_, _name=name, **__: 1 / 0)
    (machine.proc / "vmstat").write_text("pgfault 1\n")
    reading = machine.host.read()
    assert {error.split(":")[0] for error in machine.errors} == {
        *("cpu", "memory", "swap", "disks", "interfaces", "load", "faults")
    }
    assert repr(reading) == repr(
        replace(
            expected(),
            cpu=CpuMoment(100.0, CpuTimes()),
            load=MachineReading(reading.cpu, 0).load,
            memory=HostMemory(),
            swap=Swap(),
            faults=Faults(),
            disks={},
            interfaces={},
            connections=reading.connections,
        )
    )


def test_other_systems_fall_back_to_psutil(machine: Machine) -> None:
    """Without Linux' tables, connections come from psutil, devices are all whole, and page faults are unknown."""
    for path in (machine.proc / "net" / "tcp", machine.proc / "vmstat"):
        path.unlink()
    for name in ("sda", "loop0"):
        (machine.sys_block / name).rmdir()
    machine.sys_block.rmdir()
    machine.psutil.sockets = lambda: [
        SimpleNamespace(type=1, status="ESTABLISHED"),
        SimpleNamespace(type=1, status="FIN_WAIT1"),
        SimpleNamespace(type=2, status="NONE"),
    ]
    del machine.psutil.process.num_fds, machine.psutil.process.cpu_affinity
    del machine.psutil.times["iowait"], machine.psutil.times["irq"], machine.psutil.times["softirq"]
    reading = machine.host.read()
    assert reading.connections == {("tcp", "established"): 1, ("tcp", "fin_wait_1"): 1, ("udp", ""): 1}
    assert [name for name, counters in reading.disks.items() if counters.whole] == ["sda1", "sda"]
    assert repr(reading.cpu.host) == repr(CpuTimes(10.0, 1.0, 5.0, 80.0, nan, nan, 1.0))
    assert isnan(reading.faults.minor)
    assert isnan(reading.process.file_descriptors)
    assert reading.process.cpus == 4
    assert machine.errors == []


def test_connections_that_may_not_be_listed_are_unknown(machine: Machine) -> None:
    """Ordinary users of macOS are denied the list: that is no error and no zero."""

    def denied() -> list[SimpleNamespace]:
        raise machine.psutil.AccessDenied

    (machine.proc / "net" / "tcp").unlink()
    machine.psutil.sockets = denied
    assert machine.host.read().connections is None
    assert machine.errors == []


def test_uptime_falls_back_to_the_boot_time(machine: Machine) -> None:
    """Where no clock counts since boot, the wall clock less the boot time does."""
    machine.host._uptime_s = lambda: float("nan")
    assert machine.host.read().uptime_s == 1000.0
    machine.clock.wall_s -= 3600
    assert machine.host.read().uptime_s == 0.0


def test_this_machine_has_been_up_for_a_while() -> None:
    """The boot clock runs, or says that it does not know."""
    uptime_s = system_uptime_s()
    assert uptime_s > 0 or isnan(uptime_s)
