"""R4: the disk that a store lies on is full, and has room again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.asking import status_of
from tests.chaos.victim import ROOT, Victim, victim
from tests.e2e.talking import Exporter, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
BATCH = "/api/v1/metrics/users/events/batch"
_MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a disk of its own: run as root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def written(server: Victim, first: int) -> int:
    """Write 200 events of some size under ids of their own; return the status of the answer."""
    events = [
        {
            "user_id": n, "event_type": "click", "event_name": "x", "event_id": f"e{n}",
            "properties": {"text": os.urandom(1000).hex()},
        }
        for n in range(first, first + 200)
    ]  # fmt: skip
    body = json.dumps({"events": events}).encode()
    head = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return status_of(server.ask(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body, 20))


def events_of(server: Victim) -> float:
    """Return how many events a server knows of."""
    return Exporter(f"http://127.0.0.1:{server.port}").value("otel_measure_users_events_total")


def test_nothing_acknowledged_is_lost_and_it_goes_on_by_itself(disk: Path, tmp_path: Path) -> None:
    """While the disk is full a write is answered 503 and `/readyz` says why; with room again both go on."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(5 * _MIB))
    store = disk / "measure.db"
    with victim(tmp_path, "--store", str(store)) as server:
        acknowledged = 0
        while (status := written(server, acknowledged)) == 200 and acknowledged < 20_000:
            acknowledged += 200
        assert status == 503
        assert acknowledged > 0
        assert written(server, acknowledged) == 503
        assert events_of(server) == acknowledged
        assert eventually(lambda: server.status("/readyz"), lambda seen: seen == 503) == 503
        told = subprocess.run(
            [sys.executable, "-m", "exporter.cli", "doctor", "--json", "--port", "0", "--store", str(store)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        verdicts = {each["check"]: each["verdict"] for each in json.loads(told.stdout)["findings"]}
        assert verdicts["store disk"] == "wrong"
        ballast.unlink()
        assert eventually(lambda: written(server, acknowledged), lambda seen: seen == 200) == 200
        assert eventually(lambda: server.status("/readyz"), lambda seen: seen == 200) == 200
        assert events_of(server) == acknowledged + 200
    assert "Traceback" not in server.log.read_text()
