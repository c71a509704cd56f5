"""R10: the clock of a machine is set wrong for a minute, or the machine slept for weeks; nothing is lost by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.asking import ask, question, status_of
from tests.chaos.victim import ROOT
from tests.chaos.writing import stored
from tests.components import free_port, running
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
DAY_S = 86_400
WRONG_S = 800 * DAY_S
BATCH = "/api/v1/metrics/users/events/batch"


@dataclass(frozen=True)
class ClockedMachine:
    """A machine whose clock can be set, and a store on it."""

    folder: Path
    port: int

    def set_clock(self, ahead_s: float) -> None:
        """Have the clock be ahead by so much; at once for whoever looks."""
        new = self.folder / "offset.new"
        new.write_text(str(ahead_s))
        new.rename(self.folder / "offset")

    def command(self, *words: str) -> list[str]:
        """Return a command of the command line, by that clock and on that store."""
        store = str(self.folder / "measure.db")
        return [sys.executable, "-m", "tests.chaos.clocked", str(self.folder / "offset"), *words, "--store", store]

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command to its end, and return the JSON it prints."""
        done = subprocess.run(
            [*self.command(*words), "--json"], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, text=True, check=False, timeout=120,
        )  # fmt: skip
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def clock_check(self, *words: str) -> dict[str, str]:
        """Return what `doctor` finds of the clock."""
        findings = self.run("doctor", *words)["findings"]
        return next(each for each in findings if each["check"] == "store clock")

    def readiness(self) -> dict[str, str]:
        """Return the answer of `/readyz`."""
        answer: dict[str, str] = json.loads(ask(self.port, question("/readyz"), 60).split(b"\r\n\r\n", 1)[1])
        return answer

    def send(self, ids: list[str], age: Callable[[int], timedelta], now: datetime) -> dict[str, Any]:
        """Post events of these ages, and return what became of them."""
        events = [
            {
                "user_id": 1, "event_type": "click", "event_name": "x", "event_id": id,
                "timestamp": (now - age(n)).isoformat(),
            }
            for n, id in enumerate(ids)
        ]  # fmt: skip
        body = json.dumps({"events": events}).encode()
        head = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
        answer = ask(self.port, head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body, 60)
        assert status_of(answer) == 200, answer
        told: dict[str, Any] = json.loads(answer.split(b"\r\n\r\n", 1)[1])["data"]
        return told


def ids(n: int, kind: int) -> list[str]:
    """Return ids of a kind."""
    return [f"{kind:08x}-0000-4000-8000-{i:012x}" for i in range(n)]


def outcome(told: dict[str, Any]) -> tuple[int, int, int]:
    """Return how many were accepted, known, and refused."""
    return told["accepted"], told["duplicate"], told["rejected"]


@pytest.fixture
def machine(tmp_path: Path) -> ClockedMachine:
    """A machine whose clock is right."""
    made = ClockedMachine(tmp_path, free_port())
    made.set_clock(0)
    return made


def test_a_clock_that_is_wrong_for_a_minute(machine: ClockedMachine) -> None:
    """Facts and their ids stay, writes are taken meanwhile and afterwards, and `/readyz` and `doctor` say why."""
    now = datetime.now(UTC)
    before, meanwhile, after = ids(300, 1), ids(20, 2), ids(20, 3)
    serve = machine.command("serve", "--port", str(machine.port))
    with running(serve, machine.folder / "log") as server:
        server.wait_http(f"http://127.0.0.1:{machine.port}/readyz", 120)
        until(lambda: machine.readiness() == {"status": "ready"})
        assert outcome(machine.send(before, lambda n: timedelta(days=n), now)) == (300, 0, 0)
        machine.set_clock(WRONG_S)
        until(lambda: machine.readiness() == {"status": "ready", "clock": "doubted"})
        time.sleep(3)  # some sweeps
        found = machine.clock_check()
        assert found["verdict"] == "warning"
        assert "nothing is removed and nothing runs out" in found["what"]
        assert outcome(machine.send(meanwhile, lambda n: timedelta(), now + timedelta(seconds=WRONG_S))) == (20, 0, 0)
        machine.set_clock(0)
        until(lambda: machine.readiness() == {"status": "ready"})
        time.sleep(2)
        assert outcome(machine.send(before, lambda n: timedelta(days=n), now)) == (0, 300, 0)
        assert outcome(machine.send(meanwhile, lambda n: timedelta(), now + timedelta(seconds=WRONG_S))) == (0, 20, 0)
        assert outcome(machine.send(after, lambda n: timedelta(), now)) == (20, 0, 0)
        assert machine.clock_check()["verdict"] == "ok"
    assert sorted(stored(machine.folder / "measure.db")) == sorted(before + meanwhile + after)
    assert "more than a day from the store's last heartbeat" in (machine.folder / "log").read_text()


def test_a_process_that_starts_by_a_wrong_clock(machine: ClockedMachine) -> None:
    """It knows the last heartbeat from the store, far ahead or far behind."""
    serve = machine.command("serve", "--port", str(machine.port))
    now, before = datetime.now(UTC), ids(300, 1)
    for ahead_s in (0, WRONG_S, -WRONG_S, 0):
        machine.set_clock(ahead_s)
        with running(serve, machine.folder / f"log{ahead_s}") as server:
            server.wait_http(f"http://127.0.0.1:{machine.port}/readyz", 120)
            doubted = {"clock": "doubted"} if ahead_s else {}
            until(lambda doubted=doubted: machine.readiness() == {"status": "ready", **doubted})  # type: ignore[misc]
            if not ahead_s:
                machine.send(before, lambda n: timedelta(days=n), now)
            time.sleep(2)
    assert sorted(stored(machine.folder / "measure.db")) == before


def test_a_store_that_slept_for_three_weeks(machine: ClockedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too old goes again after a day of running, which takes 4 s here; or at once, when somebody confirms."""
    serve = machine.command("serve", "--port", str(machine.port))
    now, store = datetime.now(UTC), machine.folder / "measure.db"
    monkeypatch.setenv("OTEL_MEASURE_RETENTION_DAYS", "10")
    with running(serve, machine.folder / "log") as server:
        server.wait_http(f"http://127.0.0.1:{machine.port}/readyz", 120)
        machine.send(ids(5, 1), lambda n: timedelta(days=n), now)
    machine.set_clock(21 * DAY_S)
    monkeypatch.setenv("CLOCKED_DAY_S", "4")
    with running(serve, machine.folder / "log") as server:
        server.wait_http(f"http://127.0.0.1:{machine.port}/readyz", 120)
        until(lambda: machine.readiness() == {"status": "ready", "clock": "doubted"})
        time.sleep(1)
        assert len(stored(store)) == 5
        until(lambda: machine.readiness() == {"status": "ready"})
        until(lambda: stored(store) == [])
        machine.send(ids(5, 2), lambda n: timedelta(days=n), now + timedelta(days=21))
    machine.set_clock(42 * DAY_S)
    monkeypatch.setenv("CLOCKED_DAY_S", "86400")
    with running(serve, machine.folder / "log") as server:
        server.wait_http(f"http://127.0.0.1:{machine.port}/readyz", 120)
        until(lambda: machine.readiness() == {"status": "ready", "clock": "doubted"})
        time.sleep(2)
        assert len(stored(store)) == 5
        assert machine.clock_check("--fix")["what"].startswith("fixed: believed; the last heartbeat was")
        until(lambda: machine.readiness() == {"status": "ready"})
        until(lambda: stored(store) == [])
