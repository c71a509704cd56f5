"""The machine over HTTP, and the availability of services."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from otel_measure.config import Settings
from otel_measure.infrastructure.reports import Cpu, Memory
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore
from otel_measure.testing import Clock
from tests.closing import closed_later
from tests.store.asking import asked

BASE = "/api/v1/metrics/infrastructure"


@pytest.fixture
def clock() -> Clock:
    """Stands where it is put."""
    return Clock()


@pytest.fixture
def runtime(tmp_path: Path, clock: Clock) -> Iterator[Runtime]:
    """A runtime with that clock."""
    started = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    yield started
    started.shutdown()


def post(client: TestClient, path: str, status: int = 201, **body: Any) -> Any:
    """Return the data, or the message, of a write."""
    answer = client.post(f"{BASE}/services/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["data" if status < 300 else "message"]


def test_the_machine_over_time(client: TestClient, runtime: Runtime) -> None:
    """A column per reading, unknown before the first; a step that there is not is a 400."""
    runtime.background.run_due()
    series = client.get(f"{BASE}/series?window=1h&step=5m&compare=previous").json()["data"]
    assert (series["start"][0], series["step_seconds"], series["partial"]) == ("2026-01-15T11:00:00Z", 300, [12])
    assert series["columns"]["memory_percent"][:12] == [None] * 12
    assert series["previous"]["start"][0] == "2026-01-15T10:00:00Z"
    answer = client.get(f"{BASE}/series?step=2m")
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "step must be one of 10s, 1m, 5m, 15m, 1h, 6h, 1d, 1w, not '2m'",
    )


def test_an_outage_over_http(client: TestClient, clock: Clock) -> None:
    """A service is registered, goes down and comes up; each answer afterwards shows what was posted."""
    registered = {"service_name": "my-api", "state": "up", "down_since": None, "sla_target": 99.5}
    registered["registered_at"] = "2026-01-15T12:00:00Z"
    assert post(client, "register", name="my-api", sla_target=99.5) == registered
    clock.advance(timedelta(seconds=30))
    down = post(client, "my-api/down", reason="deploy")
    assert (down["service_name"], down["state"]) == ("my-api", "down")
    assert client.get(f"{BASE}/services").json() == {
        "status": "success",
        "data": {
            "services": [registered | {"state": "down", "down_since": "2026-01-15T12:00:30Z"}],
            "services_down": 1,
            "timestamp": "2026-01-15T12:00:30Z",
            "environment": "",
        },
    }
    assert client.get(f"{BASE}/summary").json()["data"]["services_down"] == 1
    clock.advance(timedelta(seconds=10))
    assert post(client, "my-api/up")["state"] == "up"
    assert client.get(f"{BASE}/availability/my-api").json() == {
        "status": "success",
        "data": {
            "service_name": "my-api",
            "availability_percent": 75.0,
            "availability_percent_low": 75.0,
            "availability_percent_high": 75.0,
            "uptime_seconds": 30.0,
            "downtime_seconds": 10.0,
            "maintenance_seconds": 0.0,
            "unknown_seconds": 0.0,
            "coverage_ratio": 1.0,
            "incidents": 1,
            "mtbf_seconds": 30.0,
            "mttr_seconds": 10.0,
            "sla_target": 99.5,
            "sla_compliance": False,
            "sla_status": "breached",
            "error_budget_remaining_seconds": pytest.approx(-9.8),
            "error_budget_remaining_ratio": pytest.approx(-49),
            "last_incident": {
                "started_at": "2026-01-15T12:00:30Z",
                "ended_at": "2026-01-15T12:00:40Z",
                "duration_seconds": 10.0,
                "reason": "deploy",
            },
            "window": {
                "start": "2026-01-15T12:00:00Z",
                "end": "2026-01-15T12:00:40Z",
                "timezone": "UTC",
                "definitions": "current",
                "environment": "",
            },
        },
    }
    series = client.get(f"{BASE}/availability/my-api/series?window=1m&step=1m").json()["data"]
    assert (series["columns"]["downtime_seconds"], series["partial"]) == ([0, 10], [1])
    assert client.get(f"{BASE}/availability/nobody/series").status_code == 404
    exposed = client.get(f"{BASE}/prometheus", params={"scope": "infrastructure"}).text.splitlines()
    assert 'otel_measure_service_availability_ratio{otel_measure_service_name="my-api"} 0.75' in exposed


def test_empty_server(client: TestClient) -> None:
    """Nothing is registered, and that is a success."""
    data = client.get(f"{BASE}/services").json()["data"]
    assert data == {
        "services": [],
        "services_down": 0,
        "timestamp": "2026-01-15T12:00:00Z",
        "environment": "",
    }


def test_a_window_a_day_and_a_back_fill(client: TestClient, clock: Clock) -> None:
    """An outage of the past counts in the windows that hold it; a name may hold a slash."""
    post(client, "register", name="eu/api")
    clock.advance(timedelta(minutes=2))
    post(client, "eu%2Fapi/down", at="2026-01-15T13:00:30+01:00")
    post(client, "eu%2Fapi/up", at="2026-01-15T12:01:00Z")
    path = f"{BASE}/availability/eu%2Fapi"
    downtime = [client.get(path, params=p).json()["data"]["downtime_seconds"] for p in ({}, {"window": "1m"})]
    assert downtime == [30, 0]
    assert client.get(path, params={"as_of": "2026-01-14"}).json()["data"]["availability_percent"] is None


def test_writes_are_committed_before_the_answer(client: TestClient, tmp_path: Path) -> None:
    """Another process sees the service and its state as soon as the answer is there."""
    post(client, "register", name="db")
    event_id = post(client, "db/down")["event_id"]
    other = closed_later(SqliteStore(str(tmp_path / "m.db")))
    (history,) = asked(other, lambda m: m.services.histories(0))
    assert (history.service.name, [change.event_id for change in history.changes]) == ("db", [event_id])
    other.close()


def test_planned_time_is_neither_up_nor_down(client: TestClient, clock: Clock) -> None:
    """It is recorded, shown as the state while it lasts, and told in the report."""
    post(client, "register", name="db")
    clock.advance(timedelta(minutes=2))
    post(client, "db/down", at="2026-01-15T12:01:00Z")
    planned: dict[str, Any] = {"start": "2026-01-15T12:00:30Z", "end": "2026-01-15T13:00:00Z"}
    recorded = post(client, "db/maintenance", **planned, reason="upgrade")
    (service,) = client.get(f"{BASE}/services").json()["data"]["services"]
    report = client.get(f"{BASE}/availability/db").json()["data"]
    assert (recorded["service_name"], service["state"], service["down_since"]) == ("db", "maintenance", None)
    assert (report["maintenance_seconds"], report["downtime_seconds"], report["incidents"]) == (90, 0, 0)
    assert post(client, "db/maintenance", 400, start=planned["end"], end=planned["start"]).startswith(
        "end must come after start, not 2026-01-15 12:00:30+00:00"
    )
    assert post(client, "web/maintenance", 404, **planned) == "no service named 'web'"


@pytest.mark.parametrize("path", ["web/down", "web/up"])
def test_writes_to_an_unknown_service_are_404(client: TestClient, path: str) -> None:
    """A state belongs to a registered service."""
    assert post(client, path, status=404) == "no service named 'web'"


def test_services_are_of_the_environment_asked_for(client: TestClient) -> None:
    """Of another one nothing of ours is told, and every answer says which it is about."""
    post(client, "register", name="my-api")
    services = client.get(f"{BASE}/services?environment=staging").json()["data"]
    assert (services["services"], services["environment"]) == ([], "staging")
    assert client.get(f"{BASE}/availability/my-api?environment=staging").status_code == 404
    window = client.get(f"{BASE}/availability/my-api?environment=").json()["data"]["window"]
    assert window["environment"] == ""


def test_availability_of_an_unknown_service_is_404(client: TestClient) -> None:
    """The message names what is not known."""
    answer = client.get(f"{BASE}/availability/web")
    assert (answer.status_code, answer.json()) == (404, {"status": "error", "message": "no service named 'web'"})


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("register", {}, "name is required (field of the body)"),
        ("register", {"name": " "}, "name must be a non-empty string, not ' '"),
        (
            "register",
            {"name": "x", "sla_target": 0},
            "sla_target must be in percent, above 1 and up to 100 (99.9, not 0.999), not 0.0",
        ),
        ("register", {"name": "x", "sla": 99}, "sla is unknown (field of the body)"),
        ("x/down", {"at": "soon"}, "at: invalid RFC3339 encoded datetime"),
        (
            "x/up",
            {"at": "2026-01-15T12:00:01Z"},
            "at must not lie in the future, not 2026-01-15 12:00:01+00:00 (now is 2026-01-15 12:00:00+00:00)",
        ),
    ],
)
def test_wrong_bodies_are_400(client: TestClient, path: str, body: dict[str, object], message: str) -> None:
    """The message names argument and rule."""
    post(client, "register", name="x")
    assert post(client, path, status=400, **body) == message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("availability/x?window=1y", "window"),
        ("availability/x?as_of=2026-01-16", "as_of must not lie in the future, not 2026-01-16"),
        (
            "availability/x?service=y",
            "query parameter 'service' has no meaning here; allowed: window, as_of, environment",
        ),
        ("services?window=1d", "query parameter 'window' has no meaning here; allowed: environment"),
        ("disk?mount_point=/no/such", "mount_point must be an existing directory, not '/no/such'"),
        ("process?pid=0", "pid: expected `int` >= 1"),
        ("process?pid=me", "pid: expected `int | null`, got `str`"),
        ("process?pid=2147483647", "pid must be that of a running process, not 2147483647"),
    ],
)
def test_wrong_parameters_are_400(client: TestClient, path: str, message: str) -> None:
    """The message begins with what is wrong."""
    post(client, "register", name="x")
    answer = client.get(f"{BASE}/{path}")
    assert (answer.status_code, answer.json()["status"]) == (400, "error")
    assert answer.json()["message"].startswith(message)


def test_disk_network_and_process(client: TestClient, tmp_path: Path) -> None:
    """Each reading answers for this machine; a disk for any directory, a process for any pid."""
    data = {path: client.get(f"{BASE}/{path}").json()["data"] for path in ("disk", "network", "process")}
    assert (data["disk"]["mount_point"], data["process"]["pid"]) == ("/", os.getpid())
    assert data["network"]["timestamp"].endswith("Z")
    folder = client.get(f"{BASE}/disk", params={"mount_point": str(tmp_path)}).json()["data"]
    assert (folder["mount_point"], folder["total_bytes"] > 0) == (str(tmp_path), True)
    assert client.get(f"{BASE}/process", params={"pid": os.getppid()}).json()["data"]["pid"] == os.getppid()


@pytest.mark.parametrize(("path", "result"), [("cpu", Cpu), ("memory", Memory)])
def test_readings(client: TestClient, path: str, result: type[Cpu | Memory]) -> None:
    """JSON has the fields of the result, and its time in UTC with Z."""
    answer = client.get(f"{BASE}/{path}")
    data = answer.json()["data"]
    assert (answer.status_code, list(data)) == (200, [field.name for field in dataclasses.fields(result)])
    assert data["timestamp"].endswith("Z")


def test_summary(client: TestClient) -> None:
    """The summary has every part of the machine."""
    answer = client.get(f"{BASE}/summary").json()
    assert answer["status"] == "success"
    assert set(answer["data"]) == {
        "status", "timestamp", "uptime_seconds", "services_down", "cpu", "memory", "disk", "network", "platform",
    }  # fmt: skip
