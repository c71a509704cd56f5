"""An outage reaches somebody, once, whatever is killed meanwhile."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.components import Running, RunProcess, free_port, requires_binary
from tests.e2e.alert_sink import AlertSink, alert_sink
from tests.e2e.talking import PROGRAMS, eventually
from tests.e2e.test_prometheus import post

pytestmark = pytest.mark.e2e
SERVICES = "/api/v1/metrics/infrastructure/services"


class AlertingServers:
    """Servers of one store, which tell a sink that they live."""

    def __init__(self, run_process: RunProcess, store: Path | str, sink: AlertSink, **env: str) -> None:
        self._run_process = run_process
        self._store = store
        self._sink = sink
        self._env = {"OTEL_MEASURE_ALERT_INTERVAL_S": "1", "OTEL_MEASURE_ALERT_HEARTBEAT": f"{sink.url}/beat", **env}
        self.url = ""

    def start(self) -> Running:
        """Start one, which is the one that is told things from now on."""
        port, grpc_port = free_port(), str(free_port())
        command = (sys.executable, str(PROGRAMS / "alerting.py"), str(self._store), str(port))
        server = self._run_process(*command, OTEL_MEASURE_GRPC_PORT=grpc_port, **self._env)
        self.url = f"http://127.0.0.1:{port}"
        server.wait_http(f"{self.url}/readyz", 60)
        return server

    def tell(self, path: str, body: Any) -> None:
        """Tell it something of a service."""
        post(f"{self.url}{SERVICES}{path}", body)

    def evaluated(self) -> bool:
        """Tell whether three more turns came to an end."""
        before = self._sink.beats
        return eventually(lambda: self._sink.beats, lambda beats: beats >= before + 3, 60) >= before + 3


def kill(server: Running) -> None:
    """End a server without a word."""
    server.process.kill()
    server.process.wait(10)


def test_an_outage_arrives_at_a_webhook_once_by_id(run_process: RunProcess, tmp_path: Path) -> None:
    """One of two servers tells it; both are killed while the webhook is dead, and then nothing is lost or told anew."""
    with alert_sink() as sink:
        servers = AlertingServers(run_process, tmp_path / "m.db", sink, OTEL_MEASURE_ALERT_WEBHOOK=f"{sink.url}/hook")
        started = [servers.start(), servers.start()]
        for name in ("api", "db"):
            servers.tell("/register", {"name": name})
        servers.tell("/api/down", {"reason": "disk"})
        assert list(eventually(sink.told, bool, 60).values()) == [("firing", "api")]
        sink.is_up = False
        servers.tell("/db/down", {})
        assert servers.evaluated()
        for server in started:
            kill(server)
        servers.start()
        servers.tell("/api/up", {})
        assert servers.evaluated()
        sink.is_up = True
        told = eventually(sink.told, lambda told: len(told) == 3, 90)
        assert sorted(told.values()) == [("firing", "api"), ("firing", "db"), ("resolved", "api")]
        assert len({id.partition("-")[0] for id, (_, subject) in told.items() if subject == "api"}) == 1


def test_an_outage_arrives_through_an_alertmanager(run_process: RunProcess, tmp_path: Path) -> None:
    """A real Alertmanager tells once that it fires, and once that it is over; we are killed in between."""
    binary = requires_binary("prometheus-alertmanager", "prometheus-alertmanager")
    with alert_sink() as sink, alert_sink() as behind:
        config = tmp_path / "alertmanager.yml"
        config.write_text(
            json.dumps(
                {
                    "route": {
                        "receiver": "hook",
                        "group_by": ["kind", "subject", "environment"],
                        "group_wait": "1s",
                        "group_interval": "1s",
                    },
                    "receivers": [{"name": "hook", "webhook_configs": [{"url": f"{behind.url}/hook"}]}],
                }
            )
        )
        port = free_port()
        alertmanager = run_process(
            binary,
            f"--config.file={config}",
            f"--storage.path={tmp_path / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        )
        base = f"http://127.0.0.1:{port}"
        alertmanager.wait_http(f"{base}/-/ready", 60)
        servers = AlertingServers(run_process, tmp_path / "m.db", sink, OTEL_MEASURE_ALERT_ALERTMANAGER=base)
        server = servers.start()
        servers.tell("/register", {"name": "api"})
        servers.tell("/api/down", {})

        def told() -> list[tuple[str, str, str]]:
            alerts = [alert for body in behind.bodies for alert in body["alerts"]]
            return [(alert["status"], alert["labels"]["subject"], alert["startsAt"]) for alert in alerts]

        assert [what[:2] for what in eventually(told, bool, 60)] == [("firing", "api")]
        kill(server)
        servers.start()
        assert servers.evaluated()
        servers.tell("/api/up", {})
        both = eventually(told, lambda told: len(told) > 1, 60)
        assert servers.evaluated()
        assert told() == both
        assert [what[:2] for what in both] == [("firing", "api"), ("resolved", "api")]
        assert len({starts for *_, starts in both}) == 1
