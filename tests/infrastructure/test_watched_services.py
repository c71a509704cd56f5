"""Services that an application watches: probes, heartbeats, processes that are killed and that fork."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.infrastructure.processes import Processes
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.runtime import Runtime
from otel_measure.testing import START, Capture, Clock
from tests.store.asking import asked
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, path: Path) -> subprocess.Popen[str]:
    """Start a process of ours over a store."""
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def test_a_watched_service_registers_itself_and_is_recorded(tmp_path: Path) -> None:
    """What a callable says is recorded when it changes, until nobody watches any more."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")))
    runtime.start()
    infra, up = runtime.infrastructure, threading.Event()
    infra.watch_service("db", up.is_set, interval_s=0.01, retries=0)
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
    infra.watch_service("db", lambda: False, interval_s=0.01, retries=0)
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
    assert infra.list_services().services == ()


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
        history=None,  # type: ignore[arg-type]  # nor asked
    )
    infra.watch_service("db", lambda: True, interval_s=0.01)
    until(lambda: len(ledger.heard) >= 2)
    infra.stop_watching()
    assert faults == ["watch: what was heard of service 'db' could not be recorded: OSError('full')"]


def test_the_heartbeat_tells_of_a_probe_that_hangs(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that never returns is down at the first heartbeat after the time-out."""
    infra, asked, go_on = capture.infrastructure, threading.Event(), threading.Event()

    def hung() -> bool:
        asked.set()
        return go_on.wait(60)

    infra.watch_service("db", hung)
    assert asked.wait(60)
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

    def has(self, name: str) -> bool:
        return True

    def watch(self, name: str) -> None:
        pass

    def end_watch(self, name: str) -> None:
        pass

    def observe(self, name: str, down_because: str | None, failing_for_s: float) -> None:
        self.heard.append(down_because)
        if len(self.heard) == 1:
            raise OSError("full")


def test_a_service_is_observed_until_it_is_unwatched(capture: Capture) -> None:
    """The heartbeats of a process tell of the services that it watches; afterwards they are unknown."""
    infra, clock = capture.infrastructure, capture.clock
    infra.watch_service("db", lambda: True, interval_s=3600)
    infra.register_service("api")
    for _ in range(8):
        clock.advance(timedelta(seconds=15))
        infra.beat()
    infra.unwatch_service("db")
    for _ in range(4):
        clock.advance(timedelta(seconds=15))
        infra.beat()
    db, api = infra.get_availability_metrics("db"), infra.get_availability_metrics("api")
    assert (db.uptime_seconds, db.unknown_seconds) == (120, 60)
    assert (api.uptime_seconds, api.unknown_seconds) == (180, 0)


def test_a_watch_whose_thread_is_dead_sees_nothing(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process lives on and beats; the service is unknown from the last heartbeat of its watcher on."""
    infra, clock = capture.infrastructure, capture.clock
    infra.watch_service("db", lambda: True, interval_s=3600)
    monkeypatch.setattr(infra._watches["db"], "is_alive", lambda: False)
    for _ in range(8):
        clock.advance(timedelta(seconds=15))
        infra.beat()
    assert infra.get_availability_metrics("db").unknown_seconds == 120


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
    until(lambda: len(asked(store, lambda m: m.services.histories(0))[0].heartbeats) == 2)
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
        told, _ = process.communicate(timeout=60)
    assert told == "0 1\nsaid the child\n"
