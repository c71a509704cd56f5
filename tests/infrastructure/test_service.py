"""The calls of the infrastructure service as an application makes them, in processes that are killed and that fork."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from math import nan
from pathlib import Path

import msgspec
import pytest

from otel_measure.config import Settings
from otel_measure.definitions.days import micros
from otel_measure.errors import NoStore, NotFound
from otel_measure.infrastructure.processes import Processes
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.runtime import Runtime
from otel_measure.testing import START, Capture, Clock
from tests.infrastructure.fakes import GIB, Machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def capture() -> Iterator[Capture]:
    """A runtime whose clock tests set."""
    with Capture() as made:
        yield made


@pytest.fixture
def infra(capture: Capture) -> InfrastructureService:
    """Its infrastructure service."""
    return capture.infrastructure


def until(is_so: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait for what a thread of ours does."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def run(script: str, path: Path) -> subprocess.Popen[str]:
    """Start a process of ours over a store."""
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


# The machine


def test_every_reading_of_this_machine_is_json(infra: InfrastructureService) -> None:
    """On a real machine the first call of each kind answers, with counts as whole numbers."""
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
    """Up, time by state, incidents, availability, coverage and budget are gauges; the unknown is left out."""
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
        "otel_measure.service.state.time": states,
        "otel_measure.service.up": {api: 1, new: 1},
    }
    infra.record_service_down("new")
    families = capture.families()
    assert [s.value for s in families["otel_measure.service.up"].samples] == [1, 0]


_STATES = ("up", "down", "unknown")


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


# Watching


def test_a_watched_service_registers_itself_and_is_recorded(tmp_path: Path) -> None:
    """What a callable says is recorded when it changes, until nobody watches any more."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")))
    runtime.start()
    infra, up = runtime.infrastructure, threading.Event()
    infra.watch_service("db", up.is_set, interval_s=0.01)
    until(lambda: infra.list_services().services_down == 1)
    up.set()
    until(lambda: infra.list_services().services_down == 0)
    infra.unwatch_service("db")
    infra.unwatch_service("db")
    found = infra.get_availability_metrics("db")
    assert (found.incidents, found.sla_target) == (1, 99.9)
    assert found.last_incident is not None
    assert found.last_incident.reason == "the probe returned False"
    up.clear()
    until(lambda: not _watching())
    assert infra.list_services().services_down == 0
    runtime.shutdown()


def _watching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("otel-measure-watch-")]


def test_watching_again_replaces_the_probe_and_keeps_the_target(tmp_path: Path) -> None:
    """One name has one probe; a registered service keeps its target; shutting down ends the thread."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")))
    runtime.start()
    infra = runtime.infrastructure
    infra.register_service("db", 95)
    infra.watch_service("db", lambda: False, interval_s=0.01)
    until(lambda: infra.list_services().services_down == 1)
    infra.watch_service("db", lambda: True, interval_s=0.01)
    until(lambda: infra.list_services().services_down == 0 and _watching() == ["otel-measure-watch-db"])
    assert infra.list_services().services[0].sla_target == 95
    runtime.shutdown()
    until(lambda: not _watching())


def test_a_probe_that_cannot_be_asked_registers_nothing(infra: InfrastructureService) -> None:
    """A wrong argument leaves no trace."""
    with pytest.raises(ValueError, match="probe must be"):
        infra.watch_service("db", "nowhere")
    assert infra.list_services().total_services == 0


def test_a_store_that_refuses_does_not_end_the_watch(tmp_path: Path) -> None:
    """A fault of ours is told once and counted; the probe is asked on, and recorded when the store is back."""
    faults: list[str] = []
    ledger = _Refusing()
    infra = InfrastructureService(
        None,  # type: ignore[arg-type]  # nothing is read here
        ledger,  # type: ignore[arg-type]  # all that a watch asks
        Processes(),
        beat_soon=lambda: None,
        fault=lambda what, message, error: faults.append(f"{what}: {message}"),
        streams=list,
    )
    infra.watch_service("db", lambda: True, interval_s=0.01)
    until(lambda: len(ledger.heard) == 2)
    infra.stop_watching()
    assert faults == ["watch: what was heard of service 'db' could not be recorded: OSError('full')"]


def test_the_heartbeat_tells_of_a_probe_that_hangs(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that never returns is down at the first heartbeat after the time-out."""
    infra, asked, go_on = capture.infrastructure, threading.Event(), threading.Event()

    def hung() -> bool:
        asked.set()
        return go_on.wait(10)

    infra.watch_service("db", hung)
    assert asked.wait(10)
    infra.beat()
    assert infra.list_services().services_down == 0
    late_s = time.monotonic() + 11
    monkeypatch.setattr(infra._watches["db"], "_clock", lambda: late_s)
    infra.beat()
    assert infra.list_services().services_down == 1
    go_on.set()


class _Refusing:
    """A ledger that refuses the first state."""

    def __init__(self) -> None:
        self.heard: list[str | None] = []

    def knows(self, name: str) -> bool:
        return True

    def observe(self, name: str, down_because: str | None) -> None:
        self.heard.append(down_because)
        if len(self.heard) == 1:
            raise OSError("full")


# Life and death


def test_heartbeats_begin_with_the_first_service_and_end_with_the_process(tmp_path: Path) -> None:
    """Who registers a service is there to see: at once, and at the end."""
    clock = Clock()
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    runtime.start()
    runtime.infrastructure.register_service("api")
    clock.advance(timedelta(seconds=30))
    runtime.shutdown()
    clock.advance(timedelta(seconds=100))
    later = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    later.start()
    found = later.infrastructure.get_availability_metrics("api")
    assert (found.uptime_seconds, found.unknown_seconds) == (30, 100)
    later.shutdown()


@pytest.mark.parametrize("call", ["record_service_down", "record_service_up"])
def test_who_records_a_state_is_there_to_see(tmp_path: Path, call: str) -> None:
    """A process that registers nothing and records a state keeps the heartbeats from then on."""
    clock = Clock()
    first = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    first.start()
    for name in ("api", "db"):
        first.infrastructure.register_service(name)
    first.shutdown()
    clock.advance(timedelta(seconds=100))
    second = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    second.start()
    getattr(second.infrastructure, call)("db")
    store = second.store
    assert store is not None
    until(lambda: len(store.services.histories(0)[0].watched) == 2)
    clock.advance(timedelta(seconds=30))
    second.shutdown()
    clock.advance(timedelta(seconds=100))
    third = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    third.start()
    found = third.infrastructure.get_availability_metrics("api")
    assert (found.uptime_seconds, found.unknown_seconds) == (30, 200)
    third.shutdown()


def test_a_process_that_watches_nothing_leaves_no_heartbeat(tmp_path: Path) -> None:
    """A script that only asks does not claim to have been there."""
    path = str(tmp_path / "m.db")
    runtime = Runtime(Settings(store=path), clock=Clock())
    runtime.start()
    runtime.infrastructure.register_service("api")
    runtime.shutdown()
    late = Clock(START + timedelta(hours=1))
    asking = Runtime(Settings(store=path), clock=late)
    asking.start()
    asking.infrastructure.get_availability_metrics("api")
    asking.shutdown()
    last = Runtime(Settings(store=path), clock=late)
    last.start()
    assert last.infrastructure.get_availability_metrics("api").unknown_seconds == 3600
    last.shutdown()


KILLED = """
    import sys, time
    from otel_measure import configure, get_infrastructure_service
    configure(store=sys.argv[1])
    infra = get_infrastructure_service()
    infra.register_service("db", 99)
    infra.register_service("api", 99)
    infra.record_service_down("db", reason="disk full")
    print("recorded", flush=True)
    time.sleep(60)
"""


def test_kill_9_in_the_middle_of_an_outage(tmp_path: Path) -> None:
    """Of a process killed while a service is down, the outage lasts through the gap and the rest is unknown."""
    with run(KILLED, tmp_path / "m.db") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        process.kill()
    clock = Clock()
    clock.now_us = time.time_ns() // 1000 + 600_000_000
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    runtime.start()
    infra = runtime.infrastructure
    assert [(s.service_name, s.state) for s in infra.list_services().services] == [("api", "up"), ("db", "down")]
    infra.record_service_up("db")
    db, api = infra.get_availability_metrics("db"), infra.get_availability_metrics("api")
    assert (db.incidents, db.last_incident and db.last_incident.reason) == (1, "disk full")
    assert 600 <= db.downtime_seconds < 660
    assert db.unknown_seconds < 1
    assert (api.downtime_seconds, api.sla_compliance) == (0, None)
    assert 600 <= api.unknown_seconds < 660
    runtime.shutdown()


FORKED = """
    import os, sys, threading, time, warnings
    from otel_measure import configure, get_infrastructure_service, shutdown
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is the point
    configure(store=sys.argv[1])
    infra = get_infrastructure_service()
    infra.watch_service("api", lambda: True, interval_s=0.05)
    watching = lambda: [t.name for t in threading.enumerate() if "watch" in t.name]
    child = os.fork()
    if child == 0:
        infra.record_service_down("api", reason="said the child")
        os._exit(len(watching()) + len(infra._watches))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(watching()))
    while infra.list_services().services_down:
        time.sleep(0.01)
    print(infra.get_availability_metrics("api").last_incident.reason)
    shutdown()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_parent_watches_on_and_the_child_does_not(tmp_path: Path) -> None:
    """The child has no thread that asks, can record, and what it records the parent's probe corrects."""
    with run(FORKED, tmp_path / "m.db") as process:
        told, _ = process.communicate(timeout=30)
    assert told == "0 1\nsaid the child\n"


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
