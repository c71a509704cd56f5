"""The machine at a glance and part by part, and the availability of watched services."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from exporter.exposition.scopes import exposition
from exporter.http.lists import Listing
from exporter.http.query import (
    AvailabilityQuery,
    AvailabilitySeriesQuery,
    DiskQuery,
    EnvironmentQuery,
    ExpositionQuery,
    MachineSeriesQuery,
    ProcessQuery,
)
from exporter.http.types import API, AnyRoute, Call, Content, NoBody, NoQuery, PlainCall, get, post
from otel_measure.definitions.series import Series
from otel_measure.errors import NotFound
from otel_measure.infrastructure.availability import Availability
from otel_measure.infrastructure.commands import DEFAULT_SLA_TARGET
from otel_measure.infrastructure.hosts import Hosts
from otel_measure.infrastructure.ledger import Service, Services
from otel_measure.infrastructure.reports import Cpu, Disk, Memory, Network, Process
from otel_measure.records.limits import MAX_NAME_CHARS

_BASE: Final = f"{API}/infrastructure"
_At = Annotated[dt.datetime | None, Meta(description="With a time zone and not in the future; now when absent.")]


class ServiceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A service to watch, with the arguments of `register_service`."""

    name: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_NAME_CHARS})]
    sla_target: Annotated[
        float,
        Meta(
            description="Percentage of the time that it has to be up.",
            extra_json_schema={"exclusiveMinimum": 0, "maximum": 100},
        ),
    ] = DEFAULT_SLA_TARGET


class DownBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a service went down, and why."""

    at: _At = None
    reason: str | None = None


class UpBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a service came up."""

    at: _At = None


class MaintenanceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Planned time of a service, with the arguments of `record_maintenance`."""

    start: Annotated[dt.datetime, Meta(description="With a time zone; in the past or to come.")]
    end: Annotated[dt.datetime, Meta(description="With a time zone, after the start; no part of it.")]
    reason: str | None = None


class MaintenanceRecorded(msgspec.Struct, frozen=True):
    """The id of committed planned time."""

    event_id: str
    service_name: str


class StateRecorded(msgspec.Struct, frozen=True):
    """The id of a committed state."""

    event_id: str
    service_name: str
    state: Literal["up", "down"]


def cpu(call: PlainCall) -> Cpu:
    """Answer how busy the CPUs are."""
    return call.runtime.infrastructure.collect_cpu_metrics()


def memory(call: PlainCall) -> Memory:
    """Answer how much memory is used."""
    return call.runtime.infrastructure.collect_memory_metrics()


def disk(call: Call[DiskQuery, NoBody]) -> Disk:
    """Answer how full a filesystem is and what its device does."""
    return call.runtime.infrastructure.collect_disk_metrics(call.query.mount_point)


def network(call: PlainCall) -> Network:
    """Answer what the interfaces carry."""
    return call.runtime.infrastructure.collect_network_metrics()


def process(call: Call[ProcessQuery, NoBody]) -> Process:
    """Answer what a process uses."""
    return call.runtime.infrastructure.collect_process_metrics(call.query.pid)


def series(call: Call[MachineSeriesQuery, NoBody]) -> Series:
    """Answer how the machine was over time."""
    query = call.query
    return call.runtime.infrastructure.get_machine_series(
        query.window, start=query.start, end=query.end, step=query.step, compare=query.compare
    )


def hosts(call: PlainCall) -> Hosts:
    """Answer which hosts, containers and processes send readings, and how they are."""
    return call.runtime.infrastructure.list_hosts()


def services(call: Call[EnvironmentQuery, NoBody]) -> Services:
    """Answer which services are registered, and which of them are down."""
    return call.runtime.infrastructure.list_services(environment=call.query.environment)


def availability(call: Call[AvailabilityQuery, NoBody]) -> Availability:
    """Answer how available the service that the path names was."""
    infrastructure, name, query = call.runtime.infrastructure, call.path_params["service"], call.query
    if not infrastructure.knows_service(name, environment=query.environment):
        raise NotFound("service", name)
    return infrastructure.get_availability_metrics(name, query.window, as_of=query.as_of, environment=query.environment)


def availability_series(call: Call[AvailabilitySeriesQuery, NoBody]) -> Series:
    """Answer how available the service that the path names was over time."""
    infrastructure, name, query = call.runtime.infrastructure, call.path_params["service"], call.query
    if not infrastructure.knows_service(name, environment=query.environment):
        raise NotFound("service", name)
    return infrastructure.get_availability_series(
        name, query.window, start=query.start, end=query.end, step=query.step, compare=query.compare,
        environment=query.environment,
    )  # fmt: skip


def register(call: Call[NoQuery, ServiceBody]) -> Service:
    """Register a service, or set the target of one that is."""
    return call.runtime.infrastructure.register_service(call.body.name, call.body.sla_target)


def down(call: Call[NoQuery, DownBody]) -> StateRecorded:
    """Record that a service went down."""
    name, body = call.path_params["service"], call.body
    event_id = call.runtime.infrastructure.record_service_down(name, at=body.at, reason=body.reason)
    return StateRecorded(event_id, name, "down")


def up(call: Call[NoQuery, UpBody]) -> StateRecorded:
    """Record that a service came up."""
    name = call.path_params["service"]
    return StateRecorded(call.runtime.infrastructure.record_service_up(name, at=call.body.at), name, "up")


def maintenance(call: Call[NoQuery, MaintenanceBody]) -> MaintenanceRecorded:
    """Record planned time of a service."""
    name, body = call.path_params["service"], call.body
    event_id = call.runtime.infrastructure.record_maintenance(name, body.start, body.end, body.reason)
    return MaintenanceRecorded(event_id, name)


def summary(call: Call[EnvironmentQuery, NoBody]) -> dict[str, object]:
    """Answer how the machine is, at a glance."""
    return dict(call.runtime.infrastructure.get_metrics_summary(environment=call.query.environment))


def prometheus(call: Call[ExpositionQuery, NoBody]) -> Content:
    """Answer with everything that is measured, for a Prometheus that scrapes this path."""
    return exposition(call.runtime, call.query.scope)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{_BASE}/summary", summary, EnvironmentQuery,
        "The machine at a glance", "Status, CPU, memory, disk and network.",
    ),
    get(
        f"{_BASE}/cpu", cpu, NoQuery,
        "CPU", "How busy the CPUs are.",
    ),
    get(
        f"{_BASE}/memory", memory, NoQuery,
        "Memory", "How much memory is used.",
    ),
    get(
        f"{_BASE}/disk", disk, DiskQuery,
        "Disk", "How full a filesystem is, and what its device reads and writes.",
    ),
    get(
        f"{_BASE}/network", network, NoQuery,
        "Network", "What the interfaces carry.",
    ),
    get(
        f"{_BASE}/process", process, ProcessQuery,
        "Process", "What a process uses.",
    ),
    get(
        f"{_BASE}/series", series, MachineSeriesQuery,
        "How the machine was over time", "Per step the mean and the largest: CPU, memory, disk, network.",
    ),
    get(
        f"{_BASE}/hosts", hosts, NoQuery,
        "Every host that sends readings", "Hosts, containers and processes heard of in the last 5 minutes.",
        lists=(Listing("hosts", ("host", "kind")), Listing("processes", ("service_name", "instance", "name"))),
    ),
    get(
        f"{_BASE}/services", services, EnvironmentQuery,
        "Every registered service", "Which are up and which are down.",
        lists=(Listing("services", ("service_name", "state")),),
    ),
    get(
        f"{_BASE}/availability/{{service}}", availability, AvailabilityQuery,
        "Availability of one service", "Availability with its bounds, incidents, and the error budget that is left.",
    ),
    get(
        f"{_BASE}/availability/{{service}}/series", availability_series, AvailabilitySeriesQuery,
        "Availability of one service over time", "Per step: availability with its bounds, time up, down and unknown.",
    ),
    post(
        f"{_BASE}/services/register", register, ServiceBody,
        "Register a service, or set its target", "The service, once it is committed.",
    ),
    post(
        f"{_BASE}/services/{{service}}/down", down, DownBody,
        "Record that a service went down", "The id, once the state is committed.",
    ),
    post(
        f"{_BASE}/services/{{service}}/up", up, UpBody,
        "Record that a service came up", "The id, once the state is committed.",
    ),
    post(
        f"{_BASE}/services/{{service}}/maintenance", maintenance, MaintenanceBody,
        "Record planned time of a service", "The id, once it is committed; the service is neither up nor down then.",
    ),
    get(
        f"{_BASE}/prometheus", prometheus, ExpositionQuery,
        "Prometheus exposition", "Every series, in the text format of Prometheus.",
        produces=("text/plain",),
    ),
)  # fmt: skip
