"""A real OpenTelemetry Collector between our SDK and our exporter."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.collector import ROOT, collector, free_ports, requires_collector, variables
from tests.components import free_port
from tests.e2e.talking import PROGRAMS, Program, eventually, exporter, figures

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
# The outage is E2E_OUTAGE_S=30; a shorter one goes the same way.
OUTAGE_S = float(os.environ.get("E2E_OUTAGE_S", "3"))


@pytest.mark.parametrize("config", ["collector.yaml", "collector-clickhouse.yaml"])
def test_the_files_are_valid(config: str) -> None:
    """The Collector itself says so."""
    checked = subprocess.run(
        [requires_collector(), "validate", "--config", str(ROOT / "deploy" / config)],
        env={**os.environ, **variables(free_ports(), "http://127.0.0.1:1")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_what_passes_a_collector_is_what_was_recorded(tmp_path: Path) -> None:
    """Totals, percentiles and events are equal on both sides, also after the Collector was away in the middle."""
    ports = free_ports()
    with exporter(free_port(), tmp_path / "central.db", tmp_path / "exporter.log") as central:
        shop = Program(str(PROGRAMS / "shop.py"), f"http://127.0.0.1:{ports.http}", str(tmp_path / "shop.db"))
        try:
            with collector(ports, central.url, tmp_path / "first.log"):
                first = shop.tell("record 0 600")
                assert eventually(lambda: figures(central.model()), lambda found: found == first) == first
            shop.tell("record 600 1500")
            time.sleep(OUTAGE_S)
            with collector(ports, central.url, tmp_path / "second.log"):
                last = shop.tell("record 1500 2000")
                assert eventually(lambda: figures(central.model()), lambda found: found == last, 90) == last
                assert eventually(lambda: events(central), lambda found: found == 2000) == 2000
                assert eventually(lambda: central.value("shop_jobs_total"), lambda found: found == 2000.0) == 2000.0
                assert shop.end() == 0
                with exporter(free_port(), tmp_path / "shop.db", tmp_path / "shop.log") as local:
                    facts = ("otel_measure_ai_", "gen_ai_client_", "otel_measure_users_events")
                    assert central.lines(*facts) == local.lines(*facts)
        finally:
            if shop.process.poll() is None:
                shop.kill()


def events(central: Any) -> int:
    """Return how many events of users arrived."""
    return int(central.get("/users/summary")["total_events"])
