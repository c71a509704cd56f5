"""The whole machine at a glance, as the plain dict that ``get_metrics_summary()`` returns and people subscript."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Final, TypedDict

from otel_measure.infrastructure import rates
from otel_measure.infrastructure.readings import MachineSnapshot
from otel_measure.infrastructure.reports import Scope, cpu, disk, memory, network, rfc3339
from otel_measure.records.enums import HealthStatus

# The first tenth of a second is mostly our own start, and no reason to call a host critical.
ENOUGH_FOR_A_STATUS_S: Final = 5.0


class CpuSummary(TypedDict):
    """The CPU part of the summary."""

    current_percent: float
    average_percent: float
    load_average: dict[str, float]
    core_count: float
    scope: Scope


class MemorySummary(TypedDict):
    """The memory part of the summary."""

    total_bytes: float
    used_bytes: float
    available_bytes: float
    used_percent: float
    average_percent: float
    scope: Scope


class DiskSummary(TypedDict):
    """The disk part of the summary: the fullest writable local filesystem of at least 1 GiB."""

    mount_point: str
    total_bytes: float
    used_bytes: float
    free_bytes: float
    used_percent: float
    average_percent: float


class NetworkSummary(TypedDict):
    """The network part of the summary."""

    sent_bytes_per_second: float
    received_bytes_per_second: float
    packets_sent_per_second: float
    packets_received_per_second: float
    errors_in: float
    errors_out: float
    drops_in: float
    drops_out: float
    connections: float


class Summary(TypedDict):
    """The whole machine at a glance."""

    status: str
    timestamp: str
    uptime_seconds: float
    services_down: int
    cpu: CpuSummary
    memory: MemorySummary
    disk: DiskSummary
    network: NetworkSummary
    platform: str


def summary(
    snapshot: MachineSnapshot,
    *,
    status_of: Callable[[float, float, float, float], HealthStatus],
    services_down: int,
    platform: str,
) -> Summary:
    """The whole machine at a glance, as a dict that people subscript.

    Args:
        snapshot: The readings.
        status_of: Judges CPU, memory (5-minute averages) and the fullest disk (now), each 0 to 100 or ``nan``, with
            the seconds that the averages stand on.
        services_down: How many registered services are down; counted beside the status, not in it.
        platform: What the machine runs.
    """
    averages, processors, memory_now, traffic = snapshot.averages, cpu(snapshot), memory(snapshot), network(snapshot)
    fullest = rates.fullest(snapshot.now.filesystems)
    fullest_disk = disk(snapshot, fullest.mount_point if fullest else "/")
    return {
        "status": status_of(
            averages.cpu_percent if averages.seconds >= ENOUGH_FOR_A_STATUS_S else nan,
            averages.memory_percent,
            fullest_disk.used_percent,
            averages.seconds,
        ).value,
        "timestamp": rfc3339(processors.timestamp),
        "uptime_seconds": snapshot.now.uptime_s,
        "services_down": services_down,
        "cpu": {
            "current_percent": processors.usage_percent,
            "average_percent": averages.cpu_percent,
            "load_average": dict(zip(("1m", "5m", "15m"), snapshot.now.load, strict=True)),
            "core_count": processors.core_count,
            "scope": processors.scope,
        },
        "memory": {
            "total_bytes": memory_now.total_bytes,
            "used_bytes": memory_now.used_bytes,
            "available_bytes": memory_now.available_bytes,
            "used_percent": memory_now.used_percent,
            "average_percent": averages.memory_percent,
            "scope": memory_now.scope,
        },
        "disk": {
            "mount_point": fullest_disk.mount_point,
            "total_bytes": fullest_disk.total_bytes,
            "used_bytes": fullest_disk.used_bytes,
            "free_bytes": fullest_disk.free_bytes,
            "used_percent": fullest_disk.used_percent,
            "average_percent": averages.disk_percent,
        },
        "network": {
            "sent_bytes_per_second": traffic.sent_bytes_per_second,
            "received_bytes_per_second": traffic.received_bytes_per_second,
            "packets_sent_per_second": traffic.packets_sent_per_second,
            "packets_received_per_second": traffic.packets_received_per_second,
            "errors_in": traffic.errors_in,
            "errors_out": traffic.errors_out,
            "drops_in": traffic.drops_in,
            "drops_out": traffic.drops_out,
            "connections": traffic.connections,
        },
        "platform": platform,
    }
