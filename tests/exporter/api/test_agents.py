"""Agents and tools over HTTP, from the spans that tell of them."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from exporter.otlp import PROTOBUF
from otel_measure.records.kinds import Json
from tests.facts import inference
from tests.otlp.requests import CHAT, NOW_US, record_request, span, span_request

AGENTS = "/api/v1/metrics/ai/agents"
WINDOW = {
    "start": "2025-12-31T12:00:00.000001Z", "end": "2026-01-01T12:00:00.000001Z",
    "timezone": "UTC", "definitions": "current", "environment": "",
}  # fmt: skip


def send(client: TestClient, *spans: dict[str, object]) -> None:
    """Send spans as another program would."""
    body = span_request(*spans).SerializeToString()
    assert client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF}).status_code == 200


def data(client: TestClient, **query: str) -> Any:
    """Return what is answered."""
    return client.get(AGENTS, params=query).json()["data"]


def test_empty(client: TestClient) -> None:
    """On an empty system there are no agents, and the window says what was looked at."""
    assert data(client) == {
        "agents": [], "tools": [], "costliest_runs": [], "total_runs": 0, "total_cost_usd": 0.0,
        "loops": {"runs": 0, "loops": 0, "repeated_uses": 0, "cost_usd": 0.0, "compared_ratio": None},
        "dropped_runs": 0, "dropped_uses": 0, "window": WINDOW,
    }  # fmt: skip


def test_an_agent_that_asks_a_model_and_uses_a_tool(client: TestClient) -> None:
    """Its run costs what its call costs; an agent that is created runs nothing; another service did nothing."""
    agent: dict[str, Json] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
    tool: dict[str, Json] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    tool["error.type"] = "Timeout"
    call: dict[str, Json] = {**CHAT, "gen_ai.usage.cost": 0.02, "gen_ai.usage.input_tokens": 10}
    send(client, span(5, {"gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "planner"}))
    send(client, span(3, call, parent=2), span(4, tool, parent=2), span(2, agent))
    quarter = {"mean": 250.0, "p50": 250.0, "p95": 250.0, "max": 250.0}
    one = {"mean": 1.0, "p50": 1.0, "p95": 1.0, "max": 1.0}
    assert data(client) == {
        "agents": [
            {
                "agent": "planner", "kind": "agent", "runs": 1, "errors": 0, "error_rate": 0.0, "incomplete_runs": 0,
                "duration_ms": quarter, "calls": 1, "failed_calls": 0, "input_tokens": 10, "output_tokens": None,
                "cost_usd": 0.02, "priced_ratio": 1.0, "calls_per_run": one,
                "tokens_per_run": dict.fromkeys(one, 10.0), "cost_per_run_usd": dict.fromkeys(one, 0.02),
            }
        ],
        "tools": [
            {"tool": "search", "kind": "tool", "uses": 1, "errors": 1, "error_rate": 1.0, "latency_ms": quarter}
        ],
        "loops": {"runs": 0, "loops": 0, "repeated_uses": 0, "cost_usd": 0.0, "compared_ratio": 0.0},
        "costliest_runs": [
            {
                "trace_id": f"{1:032x}", "span_id": f"{2:016x}", "agent": "planner",
                "started_at": "2026-01-01T11:59:59.750000Z", "duration_ms": 250.0, "calls": 1, "input_tokens": 10,
                "output_tokens": None, "cost_usd": 0.02, "priced_ratio": 1.0, "error_type": None, "incomplete": False,
            }
        ],
        "total_runs": 1, "total_cost_usd": 0.02, "dropped_runs": 0, "dropped_uses": 0, "window": WINDOW,
    }  # fmt: skip
    assert data(client, service="another")["total_runs"] == 0
    assert data(client, environment="staging")["total_runs"] == 0


def test_a_run_whose_root_did_not_come_says_so(client: TestClient) -> None:
    """Until it comes."""
    agent: dict[str, Json] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
    send(client, span(2, agent, parent=9), span(3, CHAT, parent=2))
    assert data(client)["agents"][0]["incomplete_runs"] == 1
    send(client, span(9, {"http.request.method": "POST"}))
    assert data(client)["agents"][0]["incomplete_runs"] == 0


def test_calls_that_our_sdk_records_are_in_the_run_around_them(client: TestClient) -> None:
    """Its fact comes as an event with the span that was current, its spans say whose they are; the call counts once."""
    agent: dict[str, Json] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
    measured: dict[str, Json] = {**CHAT, "otel_measure.inference.id": "i-1"}
    send(client, span(2, agent), span(3, measured, parent=2), span(4, {"http.request.method": "GET"}, parent=2))
    at = {"trace_id": f"{1:032x}", "cost_usd": 0.25, "cost_source": "caller"}
    facts = [inference("i-1", NOW_US, span_id=f"{3:016x}", **at), inference("i-2", NOW_US, span_id=f"{4:016x}", **at)]
    body = record_request(facts).SerializeToString()
    answer = client.post("/v1/logs", content=body, headers={"content-type": PROTOBUF})
    assert answer.status_code == 200
    (run,) = data(client)["agents"]
    assert (run["runs"], run["calls"], run["cost_usd"], run["incomplete_runs"]) == (1, 2, 0.5, 0)
