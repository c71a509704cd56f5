"""R1: the server is killed again and again while clients write."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.writing import Clients, stored
from tests.components import free_port, running
from tests.e2e.talking import Exporter

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
TRACK = "/api/v1/metrics/users/events/track"


def test_every_acknowledged_event_is_there_once(tmp_path: Path) -> None:
    """With 8 clients that repeat what was not acknowledged nothing is lost, nothing doubled, and totals are exact."""
    port, store = free_port(), tmp_path / "measure.db"
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "exporter.cli", "serve", "--port", str(port), "--store", str(store)]
    clients = Clients(url + TRACK)
    with clients.at_work():
        for n in range(ROUNDS):
            with running(command, tmp_path / f"log{n}") as server:
                until_s, enough = time.monotonic() + 120, len(clients.acknowledged) + 50
                while len(clients.acknowledged) < enough and time.monotonic() < until_s:
                    time.sleep(0.01)
                assert len(clients.acknowledged) >= enough
                time.sleep(0.1 * (n % 5))  # at another moment each time
                server.process.send_signal(signal.SIGKILL)
                server.process.wait(10)
    with running(command, tmp_path / "log") as server:
        server.wait_http(f"{url}/readyz", 120)
        kept = stored(store)
        total = Exporter(url).value("otel_measure_users_events_total", otel_measure_event_type="click")
    assert clients.faults == []
    assert set(clients.acknowledged) <= set(kept)
    assert Counter(kept).most_common(1)[0][1] == 1
    assert total == len(kept)
