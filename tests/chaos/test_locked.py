"""R12: another process holds the store's lock; what waits for it is told so in time, and nothing else waits."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.chaos.asking import status_of
from tests.chaos.locking import locked
from tests.chaos.scheduling import wait_for_end, waiting_for
from tests.chaos.victim import Victim, victim

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
TRACK = "/api/v1/metrics/users/events/track"
BATCH = "/api/v1/metrics/users/events/batch"
EVENT = {"user_id": 1, "event_type": "click", "event_name": "x"}
API = "/api/v1/metrics"
IN_TIME_S = 6  # 5 s after it came, and what an answer takes
ATTRIBUTES = [{"key": key, "value": {"stringValue": "x"}} for key in ("user.id", "otel_measure.event.label")]
LOG = {"eventName": "otel_measure.click", "attributes": ATTRIBUTES}
POINT = {"name": "x", "sum": {"isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [{"asInt": 1}]}}
# A write of each kind: what goes through the group commit, by a thread of its own, and what is large.
WRITES: list[tuple[str, str, object]] = [
    ("POST", TRACK, EVENT),
    ("POST", BATCH, {"events": [EVENT]}),
    ("POST", f"{API}/ai/inferences/record", {"model_name": "m", "model_version": "1", "latency_ms": 1}),
    ("POST", f"{API}/ai/models/register", {"model_name": "m", "model_version": "1"}),
    ("POST", f"{API}/users/identify", {"anonymous_id": "a", "user_id": "b"}),
    ("DELETE", f"{API}/users/1", None),
    ("POST", f"{API}/infrastructure/services/register", {"name": "s"}),
    ("POST", "/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [POINT]}]}]}),
    ("POST", "/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [LOG]}]}]}),
]


def post(path: str, content: object, method: str = "POST") -> bytes:
    """Return a write."""
    body = json.dumps(content).encode() if content is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def timed(server: Victim, request: bytes, into: list[tuple[int, float, bytes]]) -> None:
    """Note the status of an answer, how long the server let it wait, and the answer."""
    with waiting_for(server.process.pid) as wait:
        answer = server.ask(request, 120)
    into.append((status_of(answer), wait.own_s, answer))


def test_writes_are_told_in_time(tmp_path: Path) -> None:
    """Each of 60 writes is answered 503 with Retry-After some 5 s after it came; afterwards all goes on by itself."""
    answers: list[tuple[int, float, bytes]] = []
    with victim(tmp_path) as server:
        assert status_of(server.ask(post(TRACK, EVENT), 60)) == 201
        with locked(tmp_path / "measure.db"):
            requests = [post(TRACK, EVENT)] * 30 + [post(BATCH, {"events": [EVENT]})] * 30
            threads = [threading.Thread(target=timed, args=(server, each, answers)) for each in requests]
            for thread in threads:
                thread.start()
                time.sleep(0.01)
            healthy: list[tuple[int, float, bytes]] = []
            timed(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", healthy)
            for thread in threads:
                thread.join()
        assert {status for status, _, _ in answers} == {503}
        assert all(b"\r\nretry-after: 1\r\n" in answer for _, _, answer in answers)
        assert max(took_s for _, took_s, _ in answers) < IN_TIME_S
        assert healthy[0][0] == 200
        assert healthy[0][1] < 1
        assert status_of(server.ask(post(TRACK, EVENT), 60)) == 201


def test_every_kind_of_write_is_told_in_time(tmp_path: Path) -> None:
    """Ten of each kind at once: each is answered 503 some 5 s after it came, whatever waits before it."""
    with victim(tmp_path) as server:
        before = [server.ask(post(path, content, method), 60) for method, path, content in WRITES]
        assert [status_of(answer) for answer in before] == [201, 200, 201, 201, 200, 200, 201, 200, 200]
        answers: dict[str, list[tuple[int, float, bytes]]] = {path: [] for _, path, _ in WRITES}
        with locked(tmp_path / "measure.db"):
            threads = [
                threading.Thread(target=timed, args=(server, post(path, content, method), answers[path]))
                for _ in range(10)
                for method, path, content in WRITES
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        slowest_s = {path: max(took_s for _, took_s, _ in of_path) for path, of_path in answers.items()}
        assert {path: {status for status, _, _ in of_path} for path, of_path in answers.items()} == {
            path: {503} for _, path, _ in WRITES
        }
        assert {path: s for path, s in slowest_s.items() if s >= IN_TIME_S} == {}


def test_a_server_ends_while_the_store_is_locked(tmp_path: Path) -> None:
    """SIGTERM ends it within 10 s, also then, and with ten writes of each kind that wait."""
    with victim(tmp_path) as server:
        assert status_of(server.ask(post(TRACK, EVENT), 60)) == 201
        with locked(tmp_path / "measure.db"):
            late: list[tuple[int, float, bytes]] = []
            for method, path, content in WRITES * 10:
                request = post(path, content, method)
                threading.Thread(target=timed, args=(server, request, late), daemon=True).start()
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            wait_for_end(server.process, 10)
        assert "OTLP endpoint" not in server.log.read_text()


def test_questions_do_not_wait(tmp_path: Path) -> None:
    """Reads, scrapes and `/readyz` are answered at once, and `/readyz` says that a write would wait."""
    with victim(tmp_path) as server:
        assert status_of(server.ask(post(TRACK, EVENT), 60)) == 201
        assert server.status("/metrics", 60) == 200
        with locked(tmp_path / "measure.db"):
            for path, status in (("/metrics", 200), ("/api/v1/metrics/users/summary", 200), ("/readyz", 503)):
                with waiting_for(server.process.pid) as wait:
                    assert (path, server.status(path, 60)) == (path, status)
                assert wait.own_s < 1
        assert server.status("/readyz", 60) == 200
