"""The page of pages: KPIs, alerts and the dashboard."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.definitions.kpis import KPIS
from otel_measure.records.kinds import Origin
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore
from tests.facts import inference

BASE = "/api/v1/metrics"


def test_an_empty_system_has_every_kpi(client: TestClient) -> None:
    """Each KPI of the table is there, with value, target, alert threshold and verdict."""
    scorecard = client.get(f"{BASE}/kpis").json()["data"]
    assert [one["key"] for one in scorecard["kpis"]] == [kpi.key for kpi in KPIS]
    assert set(scorecard["kpis"][0]) == {
        "key", "domain", "title", "unit", "subject", "value", "value_ci", "evidence", "target", "alert",
        "verdict", "missing", "window", "alert_rule", "model_name", "model_version",
    }  # fmt: skip
    assert sum(scorecard["verdicts"].values()) == len(KPIS)


def test_what_changed(runtime: Runtime, client: TestClient) -> None:
    """Nothing without a time before; the windows are told, and one that is malformed is 400."""
    told = client.get(f"{BASE}/changes?window=7d").json()["data"]
    assert (told["changes"], told["compared"]) == ([], 0)
    assert told["previous"]["end"] == told["window"]["start"]
    assert client.get(f"{BASE}/changes?window=yesterday").status_code == 400


def test_which_environments_there_are(runtime: Runtime, client: TestClient) -> None:
    """Each with the services that facts in it are from, and which one an answer is about where none is asked for."""
    assert runtime.store is not None
    origins = [
        Origin("worker", "production"),
        Origin("api", "production"),
        Origin("api", "staging"),
        Origin("", "staging"),
    ]
    runtime.store.accept([inference(f"i{i}", runtime.clock(), origin=origin) for i, origin in enumerate(origins)])
    told = client.get(f"{BASE}/environments").json()["data"]
    assert told["environment"] == "production"
    services = {one["name"]: one["services"] for one in told["environments"]}
    assert services["production"] == ["api", "worker"]
    assert services["staging"] == ["api"]


def test_a_slow_model_fires_an_alert(client: TestClient) -> None:
    """The alert says what it is, and the dashboard shows it among everything else."""
    body = {"model_name": "m", "model_version": "1", "latency_ms": 900.0}
    for _ in range(20):
        assert client.post(f"{BASE}/ai/inferences/record", json=body).status_code == 201
    fired = {one["key"]: one for one in client.get(f"{BASE}/alerts").json()["data"]["alerts"]}
    assert fired["latency_p95_ms"]["message"] == "Inference latency p95 of m 1 is 900 ms, above 500 ms"
    status = client.get(f"{BASE}/status").json()["data"]
    late = next(one for one in status["firing"] if one["kpi"] == "latency_p95_ms")
    assert (late["rule"], late["kind"], late["subject"], late["version"]) == ("", "model", "m", "1")
    assert (late["since"], late["evidence"], late["docs"]) == (None, 20, "http://127.0.0.1:5000/#/rules/model_latency")
    assert status["sentence"].startswith(status["firing"][0]["sentence"])
    page = client.get(f"{BASE}/dashboard").json()["data"]
    assert set(page) == {"infrastructure", "ai", "users", "kpis", "alerts"}
    assert page["ai"]["total_inferences"] == 20
    assert page["ai"]["summary"] == client.get(f"{BASE}/ai/summary").json()["data"]
    assert (page["ai"]["summary"]["inference_count"], page["ai"]["summary"]["latency"]["p95_ms"]) == (20, 900.0)
    assert page["users"]["total_users"] == 0
    assert "latency_p95_ms" in {one["key"] for one in page["alerts"]}


def test_lists_come_a_page_at_a_time(client: TestClient, runtime: Runtime) -> None:
    """Each list has its total beside it, and verdicts count all readings, whatever part is shown."""
    assert runtime.store is not None
    slow = [
        inference(f"{m}-{n}", runtime.clock(), model=f"m{m}", latency_ms=900.0) for m in range(3) for n in range(20)
    ]
    runtime.store.accept(slow)

    def told(path: str) -> tuple[dict[str, Any], dict[str, int]]:
        answer = client.get(f"{BASE}{path}").json()
        return answer["data"], {key: of["total"] for key, of in answer.get("lists", {}).items()}

    def asked(path: str) -> dict[str, Any]:
        return told(path)[0]

    whole, (first, lengths) = asked("/kpis"), told("/kpis?limit=1")
    assert (len(first["kpis"]), lengths) == (1, {"kpis": len(whole["kpis"])})
    assert sum(first["verdicts"].values()) == lengths["kpis"]  # those of the machine may be others by now
    pages = [asked(f"/kpis?limit=5&offset={offset}")["kpis"] for offset in range(0, lengths["kpis"], 5)]
    assert sorted((one["key"], one["subject"]) for page in pages for one in page) == sorted(
        (one["key"], one["subject"]) for one in whole["kpis"]
    )
    assert asked(f"/kpis?offset={lengths['kpis']}")["kpis"] == []
    late = {one["subject"] for one in asked("/alerts")["alerts"] if one["key"] == "latency_p95_ms"}
    assert late == {"m0 1", "m1 1", "m2 1"}
    alerts, of_alerts = told("/alerts?limit=2")
    assert len(alerts["alerts"]) == 2
    assert of_alerts["alerts"] >= 3
    status, of_status = told("/status?limit=2")
    assert len(status["firing"]) == 2
    assert of_status["firing"] >= 3
    page, of_page = told("/dashboard?limit=2&offset=1")
    assert [model["model_name"] for model in page["ai"]["models"]] == ["m1", "m2"]
    assert (of_page["ai.models"], of_page["kpis"]) == (3, lengths["kpis"])
    assert of_page["alerts"] >= 3
    assert [len(page[name]) for name in ("kpis", "alerts")] == [2, 2]
    for query in ("limit=0", "limit=1001", "offset=-1"):
        assert client.get(f"{BASE}/kpis?{query}").status_code == 400


def test_a_model_whose_calls_fail_is_told_of_once(client: TestClient, runtime: Runtime) -> None:
    """Its rule leads and says since when, KPIs name the rule, and the alerts of rules come a page at a time."""
    assert runtime.store is not None
    assert runtime.alerts is not None
    failed = [
        inference(f"{m}-{n}", runtime.clock(), model=f"m{m}", error_type="timeout" if n % 2 else None)
        for m in range(3)
        for n in range(40)
    ]
    runtime.store.accept(failed)
    runtime.alerts.run_due()
    status = client.get(f"{BASE}/status").json()["data"]
    models = {one["subject"]: one for one in status["firing"] if one["kind"] == "model"}
    assert {name: (one["rule"], one["kpi"], one["version"]) for name, one in models.items()} == dict.fromkeys(
        ("m0", "m1", "m2"), ("model_errors", "error_rate", "1")
    )
    assert set(models["m0"]["also"]) == {"model_errors_sustained", "model_health"}
    answer = client.get(f"{BASE}/alerts?limit=1&offset=1").json()
    page, whole = answer["data"], client.get(f"{BASE}/alerts").json()["data"]
    assert page["rules"]["active"] == whole["rules"]["active"][1:2]
    assert answer["lists"]["rules.active"]["total"] == len(whole["rules"]["active"]) >= 9
    told = {one["subject"]: one for one in whole["alerts"] if one["key"] == "error_rate"}["m0 1"]
    assert (told["told_by"], told["since"], told["evidence"]) == ("model_errors", models["m0"]["since"], 40)


def test_a_load_test_in_staging_wakes_nobody(client: TestClient, runtime: Runtime) -> None:
    """KPIs and alerts are about one environment: the one asked for, else production, and say which."""
    assert runtime.store is not None
    slow = [inference(f"s{n}", runtime.clock(), origin=Origin("shop", "staging"), latency_ms=900.0) for n in range(40)]
    runtime.store.accept([*slow, inference("p", runtime.clock(), origin=Origin("shop", "production"))])
    for query, environment, calls, fires in (
        ("", "production", 1, False),
        ("?environment=staging", "staging", 40, True),
    ):
        card = client.get(f"{BASE}/kpis{query}").json()["data"]
        (latency,) = (one for one in card["kpis"] if one["key"] == "latency_p95_ms")
        fired = client.get(f"{BASE}/alerts{query}").json()["data"]
        assert (card["environment"], fired["environment"]) == (environment, environment)
        assert (latency["evidence"], "latency_p95_ms" in {one["key"] for one in fired["alerts"]}) == (calls, fires)


def test_everything_is_read_once_per_request(
    client: TestClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dashboard reads each report once, and KPIs and alerts are judged by what was read."""
    body = {"model_name": "m", "model_version": "1", "latency_ms": 900.0}
    assert client.post(f"{BASE}/ai/inferences/record", json=body).status_code == 201
    assert isinstance(runtime.store, SqliteStore)
    database, reads = runtime.store._database, 0
    read = database.read

    def counted() -> AbstractContextManager[sqlite3.Connection]:
        nonlocal reads
        reads += 1
        return read()

    monkeypatch.setattr(database, "read", counted)
    assert client.get(f"{BASE}/dashboard").status_code == 200
    # 2 about services, 1 about models, users and alerts of rules each, and none about whether the store is being
    # brought up to date; there were 37 while each part asked for itself.
    assert reads == 5


def test_without_a_store_users_are_null(local: Callable[[Starlette], TestClient]) -> None:
    """The dashboard of a process without a store still shows machine and models; users alone answer 503."""
    runtime = Runtime(Settings(store=None))
    try:
        with local(create_app(runtime=runtime)) as client:
            assert client.get(f"{BASE}/dashboard").json()["data"]["users"] is None
            refused = client.get(f"{BASE}/users/summary")
            assert refused.status_code == 503
            assert "needs a store" in refused.json()["message"]
    finally:
        runtime.shutdown()
