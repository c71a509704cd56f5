"""The calls of the infrastructure service as an application makes them."""

from __future__ import annotations

import dataclasses
import os
import shutil
from datetime import timedelta
from math import isnan, nan
from pathlib import Path

import msgspec
import pytest

from otel_measure.config import Settings
from otel_measure.definitions.days import micros
from otel_measure.errors import NoStore, NotFound
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.runtime import Runtime
from otel_measure.testing import START, Capture, Clock
from tests.infrastructure.fakes import GIB, Machine
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


# The machine


def test_every_reading_of_this_machine_is_json(infra: InfrastructureService) -> None:
    """On a real machine each kind answers, the rates once there are two readings, with counts as whole numbers."""
    until(lambda: not isnan(infra.collect_cpu_metrics().usage_percent))
    cpu, memory = infra.collect_cpu_metrics(), infra.collect_memory_metrics()
    network, process = infra.collect_network_metrics(), infra.collect_process_metrics()
    assert 0 <= cpu.usage_percent <= 100
    assert 0 < memory.used_bytes < memory.total_bytes
    assert network.received_bytes_per_second >= 0
    assert (process.pid, process.memory_rss_bytes > 2**20) == (os.getpid(), True)
    for result in (cpu, memory, infra.collect_disk_metrics(), network, process):
        told = msgspec.json.decode(msgspec.json.encode(result))
        assert list(told) == [field.name for field in dataclasses.fields(result)]
        assert told["timestamp"].endswith("Z")


def test_disk_is_a_mount_or_any_directory(machine: Machine, tmp_path: Path) -> None:
    """A mount is answered from the last reading, another directory by itself, and what is none is an error."""
    with Capture(sampler=machine.sampler) as capture:
        infra = capture.infrastructure
        root, folder = infra.collect_disk_metrics(), infra.collect_disk_metrics(str(tmp_path))
        assert (root.mount_point, root.total_bytes) == ("/", 100 * GIB)
        assert root.used_percent == pytest.approx(4000 / 90)
        assert (folder.mount_point, folder.total_bytes) == (str(tmp_path), shutil.disk_usage(tmp_path).total)
        with pytest.raises(ValueError, match="mount_point must be an existing directory, not '/no/such/place'"):
            infra.collect_disk_metrics("/no/such/place")


def test_process_of_another_pid(infra: InfrastructureService) -> None:
    """Any process may be asked about; a pid of none is an error."""
    assert infra.collect_process_metrics(os.getppid()).pid == os.getppid()
    with pytest.raises(ValueError, match="pid must be a positive integer or None, not 0"):
        infra.collect_process_metrics(0)


def test_the_core_count_is_a_whole_number_where_it_is_one(infra: InfrastructureService) -> None:
    """JSON says 2 and not 2.0 cores; half a core stays half a core."""
    told = msgspec.json.decode(msgspec.json.encode(infra.get_metrics_summary()))
    cores = told["cpu"]["core_count"]
    assert isinstance(cores, int) or cores % 1 != 0


def test_background_collection_runs_until_it_is_stopped(infra: InfrastructureService) -> None:
    """The seed's call starts a thread that reads, and the other ends it."""

    def reading() -> bool:
        return infra._sampler.running

    infra.start_background_collection()
    assert reading()
    infra.stop_background_collection()
    until(lambda: not reading())


# Services


def test_the_availability_block_of_the_quick_start(tmp_path: Path) -> None:
    """Registering, going down, coming up and asking works line for line on an empty store."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")), clock=Clock(step_us=1_000_000))
    runtime.start()
    service = runtime.infrastructure
    service.register_service("my-api", sla_target=99.9)
    service.record_service_down("my-api")
    service.record_service_up("my-api")
    availability = service.get_availability_metrics("my-api")
    assert 0 < availability.availability_percent < 100
    assert (availability.incidents, availability.sla_compliance, availability.sla_target) == (1, False, 99.9)
    runtime.shutdown()


def test_the_summary_counts_services_that_are_down(infra: InfrastructureService) -> None:
    """Each registered service counts once, while it is down."""
    for name in ("a", "b", "c"):
        infra.register_service(name)
    infra.record_service_down("a")
    infra.record_service_down("a")
    infra.record_service_down("c")
    assert infra.get_metrics_summary()["services_down"] == 2
    infra.record_service_up("a")
    assert infra.get_metrics_summary()["services_down"] == 1
    assert [service.state for service in infra.list_services().services] == ["up", "up", "down"]


def test_families_tell_every_service(capture: Capture) -> None:
    """Up, time by state, incidents, availability, objective and budget are gauges; the unknown is left out."""
    infra = capture.infrastructure
    infra.register_service("api", 90)
    infra.record_service_down("api")
    capture.clock.advance(timedelta(seconds=10))
    infra.record_service_up("api")
    capture.clock.advance(timedelta(seconds=30))
    infra.register_service("new")
    told = {name: {s.labels: s.value for s in family.samples} for name, family in capture.families().items()}
    api, new = 'otel_measure_service_name="api"', 'otel_measure_service_name="new"'
    states = {f'{name},otel_measure_service_state="{state}"': 0.0 for name in (api, new) for state in _STATES}
    states |= {f'{api},otel_measure_service_state="down"': 10, f'{api},otel_measure_service_state="up"': 30}
    assert {name: samples for name, samples in told.items() if name.startswith("otel_measure.service.")} == {
        "otel_measure.service.availability.ratio": {api: 0.75},
        "otel_measure.service.coverage.ratio": {api: 1.0},
        "otel_measure.service.error_budget.remaining.ratio": {api: pytest.approx(1 - 10 / (0.1 * 40))},
        "otel_measure.service.incidents": {api: 1, new: 0},
        "otel_measure.service.objective.ratio": {api: 0.9, new: pytest.approx(0.999)},
        "otel_measure.service.state.time": states,
        "otel_measure.service.up": {api: 1, new: 1},
    }
    infra.record_service_down("new")
    families = capture.families()
    assert [s.value for s in families["otel_measure.service.up"].samples] == [1, 0]


_STATES = ("up", "down", "unknown", "maintenance")


def test_without_a_store_the_machine_is_measured_and_services_are_not() -> None:
    """Readings and the summary need no store; services say that they do."""
    runtime = Runtime(Settings(store=None))
    runtime.start()
    infra = runtime.infrastructure
    assert infra.get_metrics_summary()["services_down"] == 0
    with pytest.raises(NoStore):
        infra.watch_service("api", lambda: True)
    infra.beat()
    runtime.shutdown()


def test_recording_needs_a_registered_service(infra: InfrastructureService) -> None:
    """A misspelt name is an error and not a new service."""
    for record in (infra.record_service_down, infra.record_service_up):
        with pytest.raises(NotFound, match="no service named 'apy'"):
            record("apy")
    assert not infra.knows_service("apy")
    assert str(infra.get_availability_metrics("apy").availability_percent) == str(nan)
    assert infra.list_availability() == []


def test_a_record_tells_its_id(capture: Capture) -> None:
    """The id that is returned is that of the event which is emitted."""
    capture.infrastructure.register_service("api")
    ids = [capture.infrastructure.record_service_down("api", at=START - timedelta(hours=1), reason="late")]
    ids.append(capture.infrastructure.record_service_up("api"))
    seen = [(event.attributes["log.record.uid"], event.name, event.ts) for event in capture.events()]
    name = "otel_measure.service.state"
    assert seen == [(ids[0], name, micros(START) - 3_600_000_000), (ids[1], name, micros(START))]
