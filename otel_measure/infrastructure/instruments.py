"""Which instrument shows which figure of a snapshot: a table, and the callbacks that read it.

Attribute names and values are those of the ``system.*``, ``process.*`` and ``container.*`` conventions.
Unknown figures make no point: a gap in a graph, not a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from otel_measure.conventions import instruments, semconv
from otel_measure.infrastructure import rates
from otel_measure.infrastructure.readings import (
    Container,
    DiskCounters,
    Filesystem,
    HostMemory,
    InterfaceCounters,
    MachineSnapshot,
    OwnProcess,
    Swap,
)
from otel_measure.infrastructure.sampler import Sampler

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

    from otel_measure.telemetry.observables import ObservableMeter

Attributes: TypeAlias = Mapping[str, str]
Point: TypeAlias = tuple[float, Attributes]
Read: TypeAlias = Callable[[MachineSnapshot], Iterable[Point]]

NONE: Final[Attributes] = {}
MEMORY_STATES: Final = ("used", "free", "cached", "buffers")
SWAP_STATES: Final = ("used", "free")
MODE_ATTRIBUTES: Final = {mode: {semconv.ATTR_CPU_MODE: mode} for mode in rates.MODES}
LOAD_ATTRIBUTES: Final = tuple({semconv.ATTR_LOAD_AVERAGE_PERIOD: period} for period in ("1m", "5m", "15m"))
_DISK, _NETWORK = semconv.ATTR_DISK_IO_DIRECTION, semconv.ATTR_NETWORK_IO_DIRECTION


def _one(value_of: Callable[[MachineSnapshot], float]) -> Read:
    return lambda snapshot: ((value_of(snapshot), NONE),)


def _states(attribute: str, states: tuple[str, ...], value_of: Callable[[MachineSnapshot, str], float]) -> Read:
    labelled = tuple((state, {attribute: state}) for state in states)
    return lambda snapshot: ((value_of(snapshot, state), attributes) for state, attributes in labelled)


def _memory(state: Callable[[HostMemory, str], float]) -> Read:
    return _states(semconv.ATTR_SYSTEM_MEMORY_STATE, MEMORY_STATES, lambda s, name: state(s.now.memory, name))


def _swap(state: Callable[[Swap, str], float]) -> Read:
    return _states(semconv.ATTR_SYSTEM_PAGING_STATE, SWAP_STATES, lambda s, name: state(s.now.swap, name))


def _disks(**directions: Callable[[DiskCounters], float]) -> Read:
    """Per device; the keywords are the directions, ``any`` for figures that have none."""

    def read(snapshot: MachineSnapshot) -> Iterator[Point]:
        for device, counters in snapshot.now.disks.items():
            for direction, value_of in directions.items() if counters.whole else ():
                attributes = {semconv.ATTR_SYSTEM_DEVICE: device}
                yield value_of(counters), attributes if direction == "any" else attributes | {_DISK: direction}

    return read


def _interfaces(
    name: str, *, transmit: Callable[[InterfaceCounters], float], receive: Callable[[InterfaceCounters], float]
) -> Read:
    """Per interface and direction; `name` is the attribute under which a metric wants the interface."""

    def read(snapshot: MachineSnapshot) -> Iterator[Point]:
        for interface, counters in snapshot.now.interfaces.items():
            if not counters.counted:  # as with disks: whoever adds the series up gets every byte once
                continue
            yield transmit(counters), {name: interface, _NETWORK: "transmit"}
            yield receive(counters), {name: interface, _NETWORK: "receive"}

    return read


def _filesystems(**states: Callable[[Filesystem], float]) -> Read:
    """Per filesystem; the keywords are the states, ``any`` for figures that have none."""

    def read(snapshot: MachineSnapshot) -> Iterator[Point]:
        for filesystem in snapshot.now.filesystems:
            named = (
                (semconv.ATTR_SYSTEM_DEVICE, filesystem.device),
                (semconv.ATTR_SYSTEM_FILESYSTEM_MOUNTPOINT, filesystem.mount_point),
                (semconv.ATTR_SYSTEM_FILESYSTEM_TYPE, filesystem.fstype),
            )
            attributes = {name: value for name, value in named if value}
            for state, value_of in states.items():
                labels = attributes if state == "any" else attributes | {semconv.ATTR_SYSTEM_FILESYSTEM_STATE: state}
                yield value_of(filesystem), labels

    return read


def _container(value_of: Callable[[Container], float]) -> Read:
    def read(snapshot: MachineSnapshot) -> Iterator[Point]:
        if snapshot.now.container is not None:
            yield value_of(snapshot.now.container), NONE

    return read


def _process(value_of: Callable[[OwnProcess], float]) -> Read:
    return _one(lambda snapshot: value_of(snapshot.now.process))


def _process_modes(value_of: Callable[[MachineSnapshot, str], float]) -> Read:
    return _states(semconv.ATTR_CPU_MODE, ("user", "system"), value_of)


def _process_utilization(snapshot: MachineSnapshot, mode: str) -> float:
    if snapshot.before is None:
        return float("nan")
    before, now = snapshot.before, snapshot.now
    cpus_s = (now.cpu.monotonic_s - before.cpu.monotonic_s) * now.process.cpus
    return rates.per_second(getattr(before.process, f"{mode}_s"), getattr(now.process, f"{mode}_s"), cpus_s)


def _cpu_time(snapshot: MachineSnapshot) -> Iterator[Point]:
    times = snapshot.now.cpu.host
    return ((getattr(times, mode), attributes) for mode, attributes in MODE_ATTRIBUTES.items())


def _cpu_utilization(snapshot: MachineSnapshot) -> Iterator[Point]:
    ratios = rates.host_cpu_ratios(snapshot)
    return ((ratios[mode], attributes) for mode, attributes in MODE_ATTRIBUTES.items())


def _connections(snapshot: MachineSnapshot) -> Iterator[Point]:
    for (transport, state), count in (snapshot.now.connections or {}).items():
        attributes = {semconv.ATTR_NETWORK_TRANSPORT: transport}
        yield count, attributes | ({semconv.ATTR_NETWORK_CONNECTION_STATE: state} if state else {})


def _cpu_limit_ratio(snapshot: MachineSnapshot) -> float:
    limit = rates.cpu_limit(snapshot.now.container)
    return rates.container_cpu_ratios(snapshot.cpu_since, snapshot.now.cpu, limit)[0]


def _load(snapshot: MachineSnapshot) -> Iterable[Point]:
    return zip(snapshot.now.load, LOAD_ATTRIBUTES, strict=True)


BINDINGS: Final[Mapping[instruments.Instrument, Read]] = {
    instruments.SYSTEM_CPU_TIME: _cpu_time,
    instruments.SYSTEM_CPU_UTILIZATION: _cpu_utilization,
    instruments.SYSTEM_CPU_LOGICAL_COUNT: _one(lambda s: s.now.core_count),
    instruments.SYSTEM_MEMORY_USAGE: _memory(lambda memory, state: float(getattr(memory, state))),
    instruments.SYSTEM_MEMORY_UTILIZATION: _memory(lambda m, state: rates.share(getattr(m, state), m.total)),
    instruments.SYSTEM_MEMORY_LIMIT: _one(lambda s: s.now.memory.total),
    instruments.SYSTEM_PAGING_USAGE: _swap(lambda swap, state: float(getattr(swap, state))),
    instruments.SYSTEM_PAGING_UTILIZATION: _swap(lambda swap, state: rates.share(getattr(swap, state), swap.total)),
    instruments.SYSTEM_PAGING_FAULTS: _states(
        semconv.ATTR_SYSTEM_PAGING_FAULT_TYPE, ("minor", "major"), lambda s, kind: getattr(s.now.faults, kind)
    ),
    instruments.SYSTEM_DISK_IO: _disks(read=lambda d: d.read_bytes, write=lambda d: d.write_bytes),
    instruments.SYSTEM_DISK_OPERATIONS: _disks(read=lambda d: d.read_count, write=lambda d: d.write_count),
    instruments.SYSTEM_DISK_IO_TIME: _disks(any=lambda d: d.busy_s),
    instruments.SYSTEM_FILESYSTEM_USAGE: _filesystems(
        used=lambda f: f.used, free=lambda f: f.free, reserved=lambda f: f.total - f.used - f.free
    ),
    instruments.SYSTEM_FILESYSTEM_UTILIZATION: _filesystems(any=lambda f: f.used_percent / 100),
    instruments.SYSTEM_NETWORK_IO: _interfaces(
        semconv.ATTR_NETWORK_INTERFACE_NAME, transmit=lambda i: i.bytes_sent, receive=lambda i: i.bytes_recv
    ),
    instruments.SYSTEM_NETWORK_PACKET_COUNT: _interfaces(
        semconv.ATTR_SYSTEM_DEVICE, transmit=lambda i: i.packets_sent, receive=lambda i: i.packets_recv
    ),
    instruments.SYSTEM_NETWORK_PACKET_DROPPED: _interfaces(
        semconv.ATTR_NETWORK_INTERFACE_NAME, transmit=lambda i: i.dropout, receive=lambda i: i.dropin
    ),
    instruments.SYSTEM_NETWORK_ERRORS: _interfaces(
        semconv.ATTR_NETWORK_INTERFACE_NAME, transmit=lambda i: i.errout, receive=lambda i: i.errin
    ),
    instruments.SYSTEM_NETWORK_CONNECTION_COUNT: _connections,
    instruments.SYSTEM_UPTIME: _one(lambda s: s.now.uptime_s),
    instruments.PROCESS_CPU_TIME: _process_modes(lambda s, mode: float(getattr(s.now.process, f"{mode}_s"))),
    instruments.PROCESS_CPU_UTILIZATION: _process_modes(_process_utilization),
    instruments.PROCESS_MEMORY_USAGE: _process(lambda p: p.rss_bytes),
    instruments.PROCESS_MEMORY_VIRTUAL: _process(lambda p: p.virtual_bytes),
    instruments.PROCESS_THREAD_COUNT: _process(lambda p: p.threads),
    instruments.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT: _process(lambda p: p.file_descriptors),
    instruments.CONTAINER_CPU_TIME: _container(lambda c: c.cpu.usage_s),
    instruments.CONTAINER_MEMORY_USAGE: _container(lambda c: c.memory_usage_bytes),
    instruments.CONTAINER_MEMORY_AVAILABLE: _container(lambda c: c.memory_available_bytes),
    instruments.CONTAINER_MEMORY_WORKING_SET: _container(lambda c: c.working_set_bytes),
    instruments.OTEL_MEASURE_CONTAINER_CPU_LIMIT: _container(lambda c: c.cpu_limit),
    instruments.OTEL_MEASURE_CONTAINER_CPU_LIMIT_UTILIZATION_RATIO: _one(_cpu_limit_ratio),
    instruments.OTEL_MEASURE_CONTAINER_MEMORY_LIMIT: _container(lambda c: c.memory_limit_bytes),
    instruments.OTEL_MEASURE_CONTAINER_MEMORY_LIMIT_UTILIZATION_RATIO: _container(
        lambda c: rates.share(c.working_set_bytes, c.memory_limit_bytes)
    ),
    instruments.OTEL_MEASURE_CONTAINER_CPU_THROTTLED_TIME: _container(lambda c: c.throttled_s),
    instruments.OTEL_MEASURE_CONTAINER_OOM_KILLS: _container(lambda c: c.oom_kills),
    instruments.OTEL_MEASURE_SYSTEM_LOAD_AVERAGE: _load,
}


def points(snapshot: MachineSnapshot) -> Iterator[tuple[instruments.Instrument, float, Attributes]]:
    """Every known figure of a snapshot as (instrument, value, attributes)."""
    for instrument, read in BINDINGS.items():
        for value, attributes in read(snapshot):
            if value == value:
                yield instrument, value, attributes


def register(meter: ObservableMeter, sampler: Sampler) -> None:
    """Create the observable instruments on `meter`; their callbacks ask `sampler` for a fresh snapshot.

    The first callback of a collection may wait 100 ms for one, the others find it fresh.
    """
    create = {
        "counter": meter.create_observable_counter,
        "updowncounter": meter.create_observable_up_down_counter,
        "gauge": meter.create_observable_gauge,
    }
    for instrument, read in BINDINGS.items():
        create[instrument.kind](
            instrument.name, [_callback(read, sampler)], unit=instrument.unit, description=instrument.description
        )


def _callback(read: Read, sampler: Sampler) -> Callable[[CallbackOptions], Iterable[Observation]]:
    from opentelemetry.metrics import Observation

    def observe(_: CallbackOptions) -> Iterator[Observation]:
        for value, attributes in read(sampler.fresh()):
            if value == value:
                yield Observation(value, attributes)

    return observe
