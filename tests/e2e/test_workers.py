"""Several worker processes behind one port answer as one."""

from __future__ import annotations

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.components import RunProcess, free_port, requires_module, wait_http
from tests.e2e.talking import eventually

pytestmark = pytest.mark.e2e


def test_four_gunicorn_workers_are_exact(run_process: RunProcess, tmp_path: Path) -> None:
    """The shop under gunicorn with 4 pre-forked, preloaded workers counts every request once, whoever answers."""
    requires_module("gunicorn")
    requires_module("fastapi")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = run_process(
        *(sys.executable, "-m", "gunicorn", "-w", "4", "-k", "uvicorn.workers.UvicornWorker", "--preload"),
        *("-b", f"127.0.0.1:{port}", "examples.shop:app"),
        OTEL_MEASURE_STORE=str(tmp_path / "measure.db"),
    )
    server.wait_http(f"{url}/docs", 60)

    def recommend(user: int) -> int:
        with urllib.request.urlopen(f"{url}/recommend/{user}", timeout=30) as response:
            return int(response.status)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(recommend, range(400))) == {200}

    # What one process has acknowledged, the others show when it is committed.
    exact = {(400, 400, 400.0, 400.0)}
    assert eventually(lambda: {told(f"{url}/measure") for _ in range(12)}, lambda answers: answers == exact) == exact


def told(measure: str) -> tuple[int, int, float, float]:
    """Return how many calls and users one of the workers shows, in the JSON API and in the exposition."""
    base = f"{measure}/api/v1/metrics"
    models = json.loads(wait_http(f"{base}/ai/models"))["data"]["models"]
    exposition = wait_http(f"{measure}/metrics").decode()
    return (
        sum(model["inference_count"] for model in models),
        json.loads(wait_http(f"{base}/users/engagement"))["data"]["dau"],
        total(exposition, "otel_measure_ai_inferences_total"),
        total(exposition, "otel_measure_users_events_total"),
    )


def total(text: str, name: str) -> float:
    """Return the sum of a metric's samples."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + "{"))
