"""Processes that come from one another count what is theirs, and nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components import free_port
from tests.e2e.programs.forking import EACH, WAYS
from tests.e2e.sink import sink
from tests.e2e.talking import PROGRAMS, exporter

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
]


@pytest.mark.parametrize("way", sorted(WAYS))
def test_totals_are_exact_however_processes_begin(way: str, tmp_path: Path) -> None:
    """In the JSON API, `/metrics`, the events and the metrics that leave; every process has an id of its own."""
    store = tmp_path / "measure.db"
    with sink() as receiver:
        done = subprocess.run(
            [sys.executable, str(PROGRAMS / "forking.py"), receiver.url, str(store), way],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env={**os.environ, "OTEL_METRIC_EXPORT_INTERVAL": "300"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        recorded = int(done.stdout) * EACH
        assert {
            "inferences": receiver.total("otel_measure.ai.inferences", "'m'"),
            "duration": receiver.total("gen_ai.client.operation.duration", "'m'"),
            "application": receiver.total("app.took"),
            "processes": receiver.instances("app.took"),
        } == {
            "inferences": recorded,
            "duration": recorded,
            "application": recorded,
            "processes": int(done.stdout) - 1,
        }
        assert set(receiver.events.values()) == {1}
    with exporter(free_port(), store, tmp_path / "exporter.log") as local:
        assert local.model("m")["inference_count"] == recorded
        assert local.value("otel_measure_ai_inferences_total", gen_ai_request_model="m") == recorded
        assert local.value("app_took_seconds_count") == recorded
        total = sum(model["inference_count"] for model in local.get("/ai/models")["models"])
        assert len(receiver.events) == total
