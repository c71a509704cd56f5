"""Instruments: the table of bindings, as points and through the real SDK."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import psutil
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, NumberDataPoint, Sum

from otel_measure.conventions import instruments, semconv
from otel_measure.infrastructure.instruments import BINDINGS, points, register
from otel_measure.infrastructure.readings import NEVER_READ, MachineSnapshot
from otel_measure.infrastructure.sampler import Sampler
from tests.infrastructure.fakes import GIB, Interface, Machine, disk

NOT_READ_FROM_A_SNAPSHOT = {"otel_measure.process.event_loop.lag"}

EXPECTED = """
system.cpu.time{cpu.mode=user} 12
system.cpu.time{cpu.mode=nice} 1
system.cpu.time{cpu.mode=system} 6
system.cpu.time{cpu.mode=idle} 83
system.cpu.time{cpu.mode=iowait} 3
system.cpu.time{cpu.mode=interrupt} 1
system.cpu.time{cpu.mode=steal} 2
system.cpu.utilization{cpu.mode=user} 0.25
system.cpu.utilization{cpu.mode=nice} 0
system.cpu.utilization{cpu.mode=system} 0.125
system.cpu.utilization{cpu.mode=idle} 0.375
system.cpu.utilization{cpu.mode=iowait} 0.125
system.cpu.utilization{cpu.mode=interrupt} 0
system.cpu.utilization{cpu.mode=steal} 0.125
system.cpu.logical.count{} 4
system.memory.usage{system.memory.state=used} 2147483648
system.memory.usage{system.memory.state=free} 5368709120
system.memory.usage{system.memory.state=cached} 1073741824
system.memory.usage{system.memory.state=buffers} 0
system.memory.utilization{system.memory.state=used} 0.25
system.memory.utilization{system.memory.state=free} 0.625
system.memory.utilization{system.memory.state=cached} 0.125
system.memory.utilization{system.memory.state=buffers} 0
system.memory.limit{} 8589934592
system.paging.usage{system.paging.state=used} 1073741824
system.paging.usage{system.paging.state=free} 3221225472
system.paging.utilization{system.paging.state=used} 0.25
system.paging.utilization{system.paging.state=free} 0.75
system.paging.faults{system.paging.fault.type=minor} 990
system.paging.faults{system.paging.fault.type=major} 10
system.disk.io{disk.io.direction=read,system.device=sda} 512000
system.disk.io{disk.io.direction=write,system.device=sda} 1024000
system.disk.operations{disk.io.direction=read,system.device=sda} 1000
system.disk.operations{disk.io.direction=write,system.device=sda} 2000
system.disk.io_time{system.device=sda} 10
system.filesystem.usage{ROOT,system.filesystem.state=used} 42949672960
system.filesystem.usage{ROOT,system.filesystem.state=free} 53687091200
system.filesystem.usage{ROOT,system.filesystem.state=reserved} 10737418240
system.filesystem.utilization{ROOT} 0.4444444444
system.network.io{network.interface.name=eth0,network.io.direction=transmit} 1000
system.network.io{network.interface.name=eth0,network.io.direction=receive} 2000
system.network.packet.count{network.io.direction=transmit,system.device=eth0} 10
system.network.packet.count{network.io.direction=receive,system.device=eth0} 20
system.network.packet.dropped{network.interface.name=eth0,network.io.direction=transmit} 4
system.network.packet.dropped{network.interface.name=eth0,network.io.direction=receive} 3
system.network.errors{network.interface.name=eth0,network.io.direction=transmit} 2
system.network.errors{network.interface.name=eth0,network.io.direction=receive} 1
system.network.connection.count{network.connection.state=established,network.transport=tcp} 2
system.network.connection.count{network.connection.state=listen,network.transport=tcp} 1
system.network.connection.count{network.transport=udp} 1
system.uptime{} 5000
process.cpu.time{cpu.mode=user} 3
process.cpu.time{cpu.mode=system} 1
process.cpu.utilization{cpu.mode=user} 0
process.cpu.utilization{cpu.mode=system} 0
process.memory.usage{} 100
process.memory.virtual{} 200
process.thread.count{} 4
process.unix.file_descriptor.count{} 9
container.cpu.time{} 9
container.memory.usage{} 536871912
container.memory.available{} 536870912
container.memory.working_set{} 536870912
otel_measure.container.cpu.limit{} 1
otel_measure.container.cpu.limit.utilization.ratio{} 0.5
otel_measure.container.memory.limit{} 1073741824
otel_measure.container.memory.limit.utilization.ratio{} 0.5
otel_measure.container.cpu.throttled.time{} 1
otel_measure.container.oom.kills{} 3
otel_measure.system.load_average{otel_measure.load_average.period=1m} 0.5
otel_measure.system.load_average{otel_measure.load_average.period=5m} 1.5
otel_measure.system.load_average{otel_measure.load_average.period=15m} 2.5
"""


def lines(snapshot: MachineSnapshot, short: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Points as ``name{attributes} value``, attributes sorted and some of them written short."""
    found = []
    for instrument, value, attributes in points(snapshot):
        labels = [f"{name}={text}" for name, text in sorted(attributes.items())]
        written = ",".join(label for label in (short.get(label, label) for label in labels) if label)
        found.append(f"{instrument.name}{{{written}}} {round(value, 10):.15g}")
    return found


def test_points_are_every_figure_of_a_container(machine: Machine) -> None:
    """Two readings make exactly these points, partitions and loop devices left out."""
    del machine.psutil.interfaces["lo"]
    machine.limit(cores=1, memory_bytes=GIB, used_s=8.0, working_set_bytes=GIB // 2)
    machine.sampler.sample()
    machine.spend(2, user=2, system=1, idle=3, iowait=1, steal=1)
    machine.limit(cores=1, memory_bytes=GIB, used_s=9.0, working_set_bytes=GIB // 2)
    root = {"system.device=/dev/sda1": "ROOT", "system.filesystem.mountpoint=/": "", "system.filesystem.type=ext4": ""}
    found = lines(machine.sampler.sample(), root)
    assert found == EXPECTED.strip().splitlines()


def test_host_has_no_container_points_and_the_first_reading_no_ratios(machine: Machine) -> None:
    """Outside a container nothing is called container; what needs two readings makes no point after one."""
    names = {line.split("{")[0] for line in lines(machine.sampler.sample())}
    assert {name for name in names if "container" in name} == set()
    assert names.isdisjoint({"system.cpu.utilization", "process.cpu.utilization"})
    assert "system.cpu.time" in names


def test_unknown_figures_make_no_point() -> None:
    """A machine never read has nothing to show."""
    assert list(points(NEVER_READ)) == []


def test_every_instrument_of_the_machine_is_bound() -> None:
    """Only what services and the event loop report is left to others."""
    of_scope = {i.name for i in instruments.INSTRUMENTS if i.scope == semconv.SCOPE_INFRASTRUCTURE}
    services = {name for name in of_scope if name.startswith("otel_measure.service.")}
    assert {i.name for i in BINDINGS} == of_scope - services - NOT_READ_FROM_A_SNAPSHOT


def test_process_utilization_is_a_share_of_the_cpus_open_to_it(machine: Machine) -> None:
    """Half a second of user time in two seconds on two CPUs is an eighth."""
    machine.sampler.sample()
    machine.clock.pass_s(2)
    process = machine.psutil.process.cpu_times()
    process.user += 0.5
    machine.psutil.process.cpu_times = lambda: process
    found = [line for line in lines(machine.sampler.sample()) if line.startswith("process.cpu.utilization")]
    assert found == ["process.cpu.utilization{cpu.mode=user} 0.125", "process.cpu.utilization{cpu.mode=system} 0"]


def test_counters_keep_their_value_when_a_device_is_reset(machine: Machine) -> None:
    """Cumulative figures are shown as they are; only rates are unknown."""
    machine.sampler.sample()
    machine.psutil.disks["sda"] = disk(1)
    machine.psutil.interfaces["eth0"] = Interface(1)
    found = lines(machine.sampler.sample())
    assert "system.disk.operations{disk.io.direction=read,system.device=sda} 1" in found
    assert "system.network.io{network.interface.name=eth0,network.io.direction=transmit} 1" in found


# Through the SDK, over this machine


@pytest.fixture(scope="module")
def collected() -> Iterator[dict[str, Metric]]:
    """What a real MeterProvider collects from a real sampler."""
    sampler, reader = Sampler(), InMemoryMetricReader()
    provider = MeterProvider([reader])
    register(provider.get_meter(semconv.SCOPE_INFRASTRUCTURE), sampler)
    sampler.fresh(wait_s=60)
    data = reader.get_metrics_data()
    assert data is not None
    found = [m for resource in data.resource_metrics for scope in resource.scope_metrics for m in scope.metrics]
    yield {metric.name: metric for metric in found}
    provider.shutdown()
    sampler.stop()


def values(metric: Metric, attribute: str) -> dict[object, float]:
    """The points of a metric by the value of one attribute."""
    points = [point for point in metric.data.data_points if isinstance(point, NumberDataPoint)]
    return {(point.attributes or {}).get(attribute): float(point.value) for point in points}


def test_sdk_collects_instruments_as_the_conventions_have_them(collected: dict[str, Metric]) -> None:
    """Name, unit, description and kind of everything collected are those of the table."""
    assert {"system.cpu.time", "system.memory.usage", "process.memory.usage", "system.uptime"} <= set(collected)
    for name, metric in collected.items():
        instrument = instruments.BY_NAME[name]
        assert (metric.unit, metric.description) == (instrument.unit, instrument.description)
        assert isinstance(metric.data, Sum) == (instrument.kind != "gauge")
        if isinstance(metric.data, Sum):
            assert metric.data.is_monotonic == (instrument.kind == "counter")


@pytest.fixture
def free_before() -> int:
    """The bytes of memory that are free before the collection: others start and end meanwhile."""
    return int(psutil.virtual_memory().free)


def test_cpu_time_and_memory_are_psutils(free_before: int, collected: dict[str, Metric]) -> None:
    """What is collected is within 1 % of what psutil reads now."""
    times = psutil.cpu_times()
    cpu = values(collected["system.cpu.time"], semconv.ATTR_CPU_MODE)
    assert sum(cpu.values()) == pytest.approx(sum(times) - times.guest - times.guest_nice, rel=0.01)
    assert cpu["idle"] == pytest.approx(times.idle, rel=0.01)
    memory = values(collected["system.memory.usage"], semconv.ATTR_SYSTEM_MEMORY_STATE)
    free = free_before, psutil.virtual_memory().free
    assert 0.99 * min(free) <= memory["free"] <= 1.01 * max(free)
    assert values(collected["system.memory.limit"], "")[None] == psutil.virtual_memory().total


def test_collection_never_waits_for_a_machine_that_hangs(machine: Machine) -> None:
    """A scrape over a hung reading ends, with what was known before."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    slow = Slow()
    register(provider.get_meter("test"), slow)
    began_s = time.monotonic()
    reader.get_metrics_data()
    assert time.monotonic() - began_s < 30
    assert slow.asked == len(BINDINGS)
    provider.shutdown()


class Slow(Sampler):
    """A sampler whose readings never end: each question waits, and is answered with nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def fresh(self, max_age_s: float = 1.0, wait_s: float = 0.1) -> MachineSnapshot:
        self.asked += 1
        return dataclasses.replace(NEVER_READ)
