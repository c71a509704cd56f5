"""The bound of a store's bytes, held by a server that several clients write to; `make soak` does it at length."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.chaos.soak import MIB, Traffic, fill, horizon_of, missing, size_mib, threads, write
from tests.chaos.victim import victim

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
MAX_MIB = 16
ENOUGH = 1_000  # events after the first ones went
TEXT = "x" * 900


def test_the_oldest_facts_go_while_clients_write(tmp_path: Path) -> None:
    """No write is refused, file and log stay within 110 %, and nothing is lost that is not older than the horizon."""
    traffic, ended, largest_mib = Traffic(), threading.Event(), 0.0
    store = tmp_path / "measure.db"
    fill(store, MAX_MIB * MIB, traffic, 0.89, TEXT)
    with victim(tmp_path, OTEL_MEASURE_STORE_MAX_BYTES=str(MAX_MIB * MIB)) as server:
        clients = [lambda seed=seed: write(server.port, 2000, traffic, ended, seed, 20, TEXT) for seed in range(3)]
        with threads(*clients):
            until_s, enough = time.monotonic() + 120, 0
            while time.monotonic() < until_s and not 0 < enough <= traffic.outcomes["accepted"]:
                time.sleep(0.05)
                largest_mib = max(largest_mib, size_mib(store) + size_mib(store.with_name(f"{store.name}-wal")))
                if not enough and horizon_of(store):
                    enough = traffic.outcomes["accepted"] + ENOUGH
            ended.set()
        assert enough
        assert missing(store, traffic) == []
    assert traffic.faults == []
    assert largest_mib < 1.1 * MAX_MIB
