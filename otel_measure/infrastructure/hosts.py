"""Hosts and processes that others send readings of: pure questions over the last values of their streams.

Several conventions are in use for the same thing (that of today, those before it, the Collector's host metrics); an
attribute is looked for under each of its names. What cannot be told is `nan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan, nan
from typing import Final

from otel_measure.conventions import semconv
from otel_measure.conventions.labels import label_name, parse
from otel_measure.definitions.days import moment
from otel_measure.store.types.streams import HostReading

PREFIXES: Final = ("system.", "container.", "process.", "otel_measure.system.")
STATE: Final = (
    *("cpu_mode", "system_memory_state", "system_filesystem_state", "cpu_state", "system_cpu_state", "state", "type"),
)
_MOUNT: Final = ("system_filesystem_mountpoint", "mountpoint")
_PROGRAM: Final = label_name(semconv.ATTR_PROCESS_EXECUTABLE_NAME)
_OF_MACHINES: Final = ("system.", "container.")
_LOAD_AVERAGES: Final = ("otel_measure.system.load_average", "system.cpu.load_average.1m")
_USED: Final = "used"
# States that are no part of the whole: what only the administrator may use, as `df` has it, and what `free` has within
# others already.
_BESIDE: Final = ("reserved", "slab_reclaimable", "slab_unreclaimable")
_NAMELESS: Final = (
    "{n} sent readings of a machine without host.name and are shown under service and instance: add the processor"
    " resourcedetection (detectors: [env, system]) to the Collector that reads them"
)


@dataclass(frozen=True, slots=True)
class Host:
    """A host or container, as its last readings tell; `disk_used_percent` is that of its fullest filesystem."""

    host: str
    kind: str
    cpu_used_percent: float
    memory_used_bytes: float
    memory_used_percent: float
    disk_used_percent: float
    load_average_1m: float
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class RemoteProcess:
    """A process of some service, as its last readings tell; `name` is that of its program, "" where nobody says it."""

    service_name: str
    instance: str
    name: str
    cpu_used_percent: float
    memory_rss_bytes: float
    threads: float
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Hosts:
    """Every host, container and process that was heard of in the last 5 minutes, sorted.

    `missing` says what to do for hosts that do not say their name, and is empty where all do.
    """

    hosts: tuple[Host, ...]
    processes: tuple[RemoteProcess, ...]
    missing: str


@dataclass(frozen=True, slots=True)
class _Value:
    """A reading with its labels taken apart."""

    name: str
    labels: dict[str, str]
    ts: int
    value: float
    grown: float

    @property
    def state(self) -> str:
        """Which part of a whole it is, such as used, idle or free."""
        return next((self.labels[key] for key in STATE if key in self.labels), "")

    @property
    def dialect(self) -> int:
        """By which convention the part is named, the newest first."""
        return next((i for i, key in enumerate(STATE) if key in self.labels), len(STATE))


def hosts(readings: Iterable[HostReading]) -> Hosts:
    """Return what readings say of each host, container and process."""
    by_host: dict[tuple[str, str], list[_Value]] = {}
    by_process: dict[tuple[str, str], list[_Value]] = {}
    nameless: set[str] = set()
    for reading in readings:
        labels = parse(reading.labels)
        grown = reading.value - reading.before if reading.before is not None else nan
        value = _Value(reading.name, labels, reading.ts, reading.value, grown)
        kind = "container" if reading.name.startswith("container.") else "host"
        if "service_instance_id" not in labels:
            by_host.setdefault((reading.instance, kind), []).append(value)
            continue
        key = (labels.get("service_name", ""), labels["service_instance_id"])
        if reading.name.startswith("process."):
            by_process.setdefault(key, []).append(value)
        elif reading.name.startswith(_OF_MACHINES):
            nameless.add("/".join(key))
            by_host.setdefault(("/".join(key), kind), []).append(value)
    described = tuple(_host(host, kind, by_host[host, kind]) for host, kind in sorted(by_host))
    processes = tuple(_process(*key, by_process[key]) for key in sorted(by_process))
    return Hosts(described, processes, _NAMELESS.format(n=len(nameless)) if nameless else "")


def _host(host: str, kind: str, values: Sequence[_Value]) -> Host:
    memory = _named(values, f"{_prefix(kind)}memory.usage")
    return Host(
        host=host,
        kind=kind,
        cpu_used_percent=_cpu_percent(values, _prefix(kind)),
        memory_used_bytes=_part(memory, _USED) if kind == "host" else _total(memory),
        memory_used_percent=_memory_percent(values, memory),
        disk_used_percent=_disk_percent(values),
        load_average_1m=_load(values),
        timestamp=moment(max(value.ts for value in values)),
    )


def _prefix(kind: str) -> str:
    return "system." if kind == "host" else "container."


def _process(service: str, instance: str, values: Sequence[_Value]) -> RemoteProcess:
    return RemoteProcess(
        service_name=service,
        instance=instance,
        name=next((value.labels[_PROGRAM] for value in values if _PROGRAM in value.labels), ""),
        cpu_used_percent=100 * _total(_named(values, "process.cpu.utilization")),
        memory_rss_bytes=_total(_named(values, "process.memory.usage")),
        threads=_total(_named(values, "process.thread.count")),
        timestamp=moment(max(value.ts for value in values)),
    )


def _named(values: Iterable[_Value], name: str) -> list[_Value]:
    """Return the values of a name; where two programs read one host, as ours and a Collector may, those of one."""
    named = [value for value in values if value.name == name]
    newest = min((value.dialect for value in named), default=0)
    return [value for value in named if value.dialect == newest]


def _cpu_percent(values: Sequence[_Value], prefix: str) -> float:
    """Return the share of CPU time that was not idle, from the shares themselves or from what the times grew by."""
    shares = _named(values, f"{prefix}cpu.utilization")
    if shares:
        return 100 * _busy(shares, lambda value: value.value)
    times = [value for value in _named(values, f"{prefix}cpu.time") if not isnan(value.grown)]
    return 100 * _busy(times, lambda value: value.grown)


def _busy(values: Sequence[_Value], of: Callable[[_Value], float]) -> float:
    whole = sum(of(value) for value in values)
    if not values or whole <= 0:
        return nan
    if not any(value.state == "idle" for value in values):
        return nan if any(value.state for value in values) else whole
    return 1 - sum(of(value) for value in values if value.state == "idle") / whole


def _memory_percent(values: Sequence[_Value], memory: Sequence[_Value]) -> float:
    shares = _named(values, "system.memory.utilization")
    if shares:
        return 100 * _part(shares, _USED)
    return 100 * _share(memory)


def _disk_percent(values: Sequence[_Value]) -> float:
    said = _named(values, "system.filesystem.utilization") or _named(values, "system.filesystem.usage")
    by_mount: dict[str, list[_Value]] = {}
    for value in said:
        by_mount.setdefault(next((value.labels[key] for key in _MOUNT if key in value.labels), ""), []).append(value)
    shares = (
        _share(of_mount) if any(value.state for value in of_mount) else max(value.value for value in of_mount)
        for of_mount in by_mount.values()
    )
    return 100 * max((share for share in shares if not isnan(share)), default=nan)


def _share(values: Sequence[_Value]) -> float:
    """Return the part that is used, of all parts that make up the whole."""
    whole = sum(value.value for value in values if value.state and value.state not in _BESIDE)
    return _part(values, _USED) / whole if whole > 0 else nan


def _load(values: Sequence[_Value]) -> float:
    averages = [value for name in _LOAD_AVERAGES for value in _named(values, name)]
    return next((v.value for v in averages if v.labels.get("otel_measure_load_average_period", "1m") == "1m"), nan)


def _part(values: Iterable[_Value], state: str) -> float:
    return _total([value for value in values if value.state == state])


def _total(values: Sequence[_Value]) -> float:
    return sum(value.value for value in values) if values else nan
