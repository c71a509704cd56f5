"""What is shown of machines and services: this one now and over time, services with their outages, other hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import nan
from typing import Any, Final
from zoneinfo import ZoneInfo

from exporter.cli.views.document import Cell, Chart, Line, Look, ShownColumn, ShownFigures, ShownTable
from exporter.cli.views.numbers import (
    UNKNOWN,
    Write,
    duration,
    is_known,
    moment,
    percent,
    rate,
    size,
    two,
)
from otel_measure.definitions.series import Series
from otel_measure.infrastructure.availability import Availability
from otel_measure.infrastructure.hosts import Host
from otel_measure.infrastructure.ledger import Service

_STATES: Final[dict[str, Look]] = {"up": "good", "down": "bad", "maintenance": "fair"}
_SLA: Final[dict[str, Look]] = {"met": "good", "breached": "bad"}
_HUNDRED: Final = 100.0
_READINGS: Final[dict[str, tuple[str, Write]]] = {
    "cpu_percent": ("CPU", percent),
    "load_average_1m": ("Load, 1 min", two),
    "memory_percent": ("Memory", percent),
    "memory_used_bytes": ("Memory used", size),
    "swap_percent": ("Swap", percent),
    "disk_percent": ("Disk, the fullest", percent),
    "disk_read_bytes_per_second": ("Disk read", rate),
    "disk_write_bytes_per_second": ("Disk written", rate),
    "network_received_bytes_per_second": ("Network received", rate),
    "network_sent_bytes_per_second": ("Network sent", rate),
}


def now(machine: dict[str, Any]) -> ShownFigures:
    """Return this machine at a glance, from its summary."""
    cpu, memory, disk, network = machine["cpu"], machine["memory"], machine["disk"], machine["network"]
    loads = " · ".join(two(cpu["load_average"].get(period, nan)) for period in ("1m", "5m", "15m"))
    return ShownFigures(
        "This machine",
        (
            (
                "CPU",
                percent(cpu["current_percent"]),
                f"{two(cpu['core_count'])} cores of this {cpu['scope']}, load {loads}",
            ),
            (
                "Memory",
                percent(memory["used_percent"]),
                f"{size(memory['used_bytes'])} of {size(memory['total_bytes'])}",
            ),
            (
                "Disk",
                percent(disk["used_percent"]),
                f"{size(disk['free_bytes'])} free on {disk['mount_point'] or 'it'}",
            ),
            ("Sent", rate(network["sent_bytes_per_second"]), ""),
            ("Received", rate(network["received_bytes_per_second"]), ""),
            ("Up for", duration(machine["uptime_seconds"]), machine["platform"]),
        ),
        machine["status"],
    )


def over_time(series: Series, zone: ZoneInfo) -> tuple[Chart, ...]:
    """Return the charts of this machine."""
    of, start = series.columns, series.start

    def mean_and_most(name: str) -> tuple[Line, ...]:
        return Line("mean", of[name]), Line("largest", of[f"{name}_max"], is_bound=True)

    traffic = tuple(Line(way, of[f"network_{way}_bytes_per_second"]) for way in ("received", "sent"))
    return (
        Chart("CPU", start, mean_and_most("cpu_percent"), percent, zone, _HUNDRED),
        Chart("Memory", start, mean_and_most("memory_percent"), percent, zone, _HUNDRED),
        Chart("Disk", start, (Line("fullest", of["disk_percent"]),), percent, zone, _HUNDRED),
        Chart("Network", start, traffic, rate, zone),
    )


def extremes(series: Series) -> ShownTable:
    """Return the mean and the largest of each reading over the window."""
    rows = []
    for key, (name, write) in _READINGS.items():
        values = [value for value in series.columns[key] if is_known(value)]
        most = [value for value in series.columns[f"{key}_max"] if is_known(value)]
        mean = sum(values) / len(values) if values else nan
        rows.append((name, write(mean), write(max(most, default=nan))))
    columns = (ShownColumn("Reading", is_text=True), ShownColumn("Mean"), ShownColumn("Largest"))
    return ShownTable("Over the window", columns, tuple(rows), nothing="no reading was kept")


def services_table(
    services: Sequence[Service], measured: Iterable[Availability], at: datetime, *, most: int | None = None
) -> ShownTable:
    """Return the services, those that are down first.

    Args:
        services: and their states now.
        measured: how available they were.
        at: now.
        most: at most so many.
    """
    by_name = {one.service_name: one for one in measured}
    worst = sorted(services, key=lambda one: (one.state != "down", one.service_name))[:most]
    columns = (
        ShownColumn("Service", is_text=True),
        ShownColumn("State", is_text=True),
        ShownColumn("30 days"),
        ShownColumn("Target", rank=2),
        ShownColumn("Budget left", rank=3),
        ShownColumn("Last outage", is_text=True, rank=1),
    )
    note = f"{len(worst)} of {len(services)}, those that are down first" if len(services) > len(worst) else ""
    rows = tuple(_service(one, by_name.get(one.service_name), at) for one in worst)
    return ShownTable("Services", columns, rows, note, "no service is watched")


def _service(service: Service, measured: Availability | None, at: datetime) -> tuple[str | Cell, ...]:
    since = "" if service.down_since is None else f" for {duration((at - service.down_since).total_seconds())}"
    state = Cell(f"{service.state}{since}", _STATES[service.state])
    if measured is None:
        return service.service_name, state, UNKNOWN, percent(service.sla_target), UNKNOWN, ""
    outage = measured.last_incident
    return (
        service.service_name,
        state,
        Cell(percent(measured.availability_percent), _SLA.get(measured.sla_status, "")),
        percent(service.sla_target),
        duration(measured.error_budget_remaining_seconds),
        "" if outage is None else f"{duration(outage.duration_seconds)}, {outage.reason or 'no reason was told'}",
    )


def hosts_table(hosts: Sequence[Host], zone: ZoneInfo) -> ShownTable:
    """Return every host that sent readings in the last five minutes, the busiest first."""
    busiest = sorted(hosts, key=lambda host: -host.cpu_used_percent if is_known(host.cpu_used_percent) else 1.0)
    columns = (
        ShownColumn("Host", is_text=True),
        ShownColumn("Kind", is_text=True, rank=3),
        ShownColumn("CPU"),
        ShownColumn("Memory"),
        ShownColumn("Disk"),
        ShownColumn("Load", rank=2),
        ShownColumn("Seen", is_text=True, rank=1),
    )
    rows = tuple(
        (
            host.host,
            host.kind,
            percent(host.cpu_used_percent),
            percent(host.memory_used_percent),
            percent(host.disk_used_percent),
            two(host.load_average_1m),
            moment(host.timestamp, zone),
        )
        for host in busiest
    )
    return ShownTable("Hosts", columns, rows, "heard of in the last 5 minutes", "no host sent its readings")
