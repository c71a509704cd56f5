"""Any number of servers on one ClickHouse store: one is killed under load, and nothing of it can be seen."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from tests.chaos.writing import Clients
from tests.clickhouse import ClickHouseServer
from tests.components import RunProcess
from tests.e2e.alert_sink import alert_sink
from tests.e2e.balancer import balancer
from tests.e2e.talking import Exporter, eventually
from tests.e2e.test_alerts import AlertingServers, kill
from tests.e2e.test_faults import TRACK

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FACTS = ("otel_measure_users_events_total", "otel_measure_ai_", "gen_ai_")


def test_one_of_two_replicas_is_killed_under_load(run_process: RunProcess, tmp_path: Path) -> None:
    """What was acknowledged is there once, alerts go on and are told once by id, and all tell the same totals."""
    with ClickHouseServer(tmp_path / "clickhouse").run() as clickhouse, alert_sink() as sink:
        hook = f"{sink.url}/hook"
        servers = AlertingServers(run_process, clickhouse.url("replicas"), sink, OTEL_MEASURE_ALERT_WEBHOOK=hook)
        killed, killed_url = servers.start(), servers.url
        servers.tell("/register", {"name": "api"})
        servers.tell("/api/down", {"reason": "disk"})
        assert list(eventually(sink.told, bool, 120).values()) == [("firing", "api")]
        servers.start()
        with balancer([killed_url, servers.url]) as url:
            clients = Clients(f"{url}{TRACK}", 4)
            with clients.at_work():
                eventually(lambda: len(clients.acknowledged), lambda n: n > 20, 120)
                kill(killed)
                n = len(clients.acknowledged)
                assert servers.evaluated()
                assert eventually(lambda: len(clients.acknowledged), lambda more: more > n + 20, 120) > n + 20
                servers.tell("/api/up", {})
                told = eventually(sink.told, lambda told: len(told) == 2, 120)
        survivor = Exporter(servers.url)
        servers.start()
        totals = [server.lines(*FACTS) for server in (survivor, Exporter(servers.url), survivor)]
        client = clickhouse.client()
        stored = [UUID(int=number) for (number,) in client.query("SELECT id FROM replicas.event").result_rows]
        client.close()
    assert clients.faults == []
    assert set(map(UUID, clients.acknowledged)) <= set(stored)
    assert len(stored) == len(set(stored))
    assert totals[0] == totals[1] == totals[2]
    assert [float(line.split()[-1]) for line in totals[0]] == [len(stored)]
    assert sorted(told.values()) == [("firing", "api"), ("resolved", "api")]
    assert len(sink.bodies) == len(sink.told()) == 2
