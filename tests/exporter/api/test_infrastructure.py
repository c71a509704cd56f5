from __future__ import annotations

import dataclasses

import pytest
from starlette.testclient import TestClient

from otel_measure.infrastructure.reports import Cpu, Memory

BASE = "/api/v1/metrics/infrastructure"


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
