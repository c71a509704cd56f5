"""The answers about one model, its registration and its truths."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from otel_measure.runtime import Runtime

BASE = "/api/v1/metrics/ai"
CALL: dict[str, Any] = {"model_name": "a/b", "model_version": "1", "latency_ms": 100.0, "cost_usd": 0.5}
MODEL = f"{BASE}/models/a%2Fb/1"


@pytest.fixture
def known(client: TestClient) -> TestClient:
    """A server that has seen one call of the model `a/b`."""
    body = CALL | {"inference_id": "i-1", "prediction": "cat"}
    assert client.post(f"{BASE}/inferences/record", json=body).status_code == 201
    return client


def test_parts_are_those_of_the_service(known: TestClient, runtime: Runtime) -> None:
    """Latency, cost and accuracy over HTTP are what the service says; drift without a reference is null."""
    for part, ask in (
        ("latency", runtime.ai.get_latency_metrics),
        ("cost", runtime.ai.get_cost_metrics),
        ("accuracy", runtime.ai.get_accuracy_metrics),
    ):
        found = known.get(f"{MODEL}/{part}").json()
        said: Any = ask("a/b", "1")
        assert found["status"] == "success"
        assert set(found["data"]) == set(said.__slots__)
        assert found["data"]["window"]["timezone"] == "UTC"
    assert known.get(f"{MODEL}/latency").json()["data"]["p95_ms"] == 100.0
    assert known.get(f"{MODEL}/cost").json()["data"]["total_usd"] == 0.5
    assert known.get(f"{MODEL}/drift").json() == {"status": "success", "data": None}


@pytest.mark.parametrize("part", ["latency", "cost", "accuracy", "drift"])
def test_an_unknown_model_is_not_found(client: TestClient, part: str) -> None:
    """And the message names it."""
    answer = client.get(f"{BASE}/models/nobody/1/{part}")
    assert (answer.status_code, answer.json()) == (404, {"status": "error", "message": "no model named 'nobody 1'"})


def test_register(client: TestClient) -> None:
    """A registered model is listed before its first call, with its type."""
    body = {
        "model_name": "m",
        "model_version": "1",
        "model_type": "nlp_generation",
        "targets": {"latency_p95_ms": 5000},
    }
    answer = client.post(f"{BASE}/models/register", json=body)
    expected = {"model_name": "m", "model_version": "1", "model_type": "nlp_generation"}
    assert (answer.status_code, answer.json()) == (201, {"status": "success", "data": expected})
    (listed,) = client.get(f"{BASE}/models").json()["data"]["models"]
    assert (listed["model_type"], listed["targets"], listed["inference_count"]) == (
        "nlp_generation", {"latency_p95_ms": 5000.0}, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"model_type": "x"}, "model_type"), ({"targets": {"speed": 1}}, "speed"), ({"more": 1}, "more")],
)
def test_a_wrong_registration_is_named(client: TestClient, wrong: dict[str, Any], named: str) -> None:
    """A wrong argument is a 400 that names it."""
    answer = client.post(f"{BASE}/models/register", json={"model_name": "m", "model_version": "1"} | wrong)
    assert answer.status_code == 400
    assert named in answer.json()["message"]


def test_a_truth_learnt_later_counts(known: TestClient) -> None:
    """The prediction is right once its truth is known; the same truth again changes nothing."""
    for _ in range(2):
        answer = known.post(f"{BASE}/ground-truths/record", json={"inference_id": "i-1", "value": "cat"})
        assert (answer.status_code, answer.json()["data"]["inference_id"]) == (201, "i-1")
    found = known.get(f"{MODEL}/accuracy").json()["data"]
    assert (found["accuracy"], found["labelled"], found["label_coverage"]) == (1.0, 1, 1.0)
