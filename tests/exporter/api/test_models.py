"""Models over HTTP: their calls, one by one and in batches, the answers about them, registration and truths."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from otel_measure.runtime import Runtime

BASE = "/api/v1/metrics/ai"
CALL: dict[str, Any] = {
    "model_name": "gpt-4", "model_version": "1.0", "latency_ms": 150.5,
    "input_tokens": 100, "output_tokens": 200, "cost_usd": 0.005,
}  # fmt: skip


def error(message: str) -> dict[str, str]:
    """Return the envelope of an error."""
    return {"status": "error", "message": message}


def test_a_truth_given_with_the_call_counts(client: TestClient) -> None:
    """A prediction sent with its ground truth is labelled at once, alone and in a batch."""
    right = CALL | {"prediction": "cat", "ground_truth": "cat"}
    wrong = CALL | {"prediction": "cat", "ground_truth": "dog"}
    assert client.post(f"{BASE}/inferences/record", json=right).status_code == 201
    batch = client.post(f"{BASE}/inferences/batch", json={"inferences": [wrong, CALL]}).json()["data"]
    assert (batch["accepted"], len(batch["results"])) == (2, 2)
    accuracy = client.get(f"{BASE}/models/gpt-4/1.0/accuracy").json()["data"]
    assert (accuracy["labelled"], accuracy["accuracy"]) == (2, 0.5)


def test_record(client: TestClient) -> None:
    """One call is committed before the answer and counts at once; a retry is a success that doubles nothing."""
    first = client.post(f"{BASE}/inferences/record", json=CALL)
    inference_id = first.json()["data"]["inference_id"]
    again = client.post(f"{BASE}/inferences/record", json=CALL | {"inference_id": inference_id})
    assert (first.status_code, first.json()) == (201, {"status": "success", "data": {"inference_id": inference_id}})
    assert (again.status_code, again.json()["data"]) == (201, {"inference_id": inference_id, "duplicate": True})
    cost = client.get(f"{BASE}/models/gpt-4/1.0").json()["data"]["cost"]
    assert (cost["requests"], cost["total_usd"], cost["input_tokens"], cost["output_tokens"]) == (1, 0.005, 100, 200)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"latency_ms": -1}, "latency_ms must be between 0 and 1e+12, not -1.0"),
        ({"latency_ms": "1"}, "latency_ms: expected `float`, got `str`"),
        ({"latency_ms": True}, "latency_ms: expected `float`, got `bool`"),
        ({"cost_usd": -0.1}, "cost_usd must be between 0 and 1e+06, not -0.1"),
        ({"input_tokens": 1.5}, "input_tokens: expected `int | null`, got `float`"),
        ({"input_tokens": -1}, "input_tokens must be between 0 and 1e15, not -1"),
        ({"model_name": ""}, "model_name must be a non-empty string, not ''"),
        ({"model_version": None}, "model_version: expected `str`, got `null`"),
        ({"user_id": False}, "user_id: expected `int | str | null`, got `bool`"),
        ({"latency": 1}, "latency is unknown (field of the body)"),
    ],
)
def test_wrong_arguments(client: TestClient, wrong: dict[str, Any], message: str) -> None:
    """A wrong argument is a 400 that names it and its rule, and no model appears."""
    answer = client.post(f"{BASE}/inferences/record", json=CALL | wrong)
    assert (answer.status_code, answer.json()) == (400, error(message))
    assert client.get(f"{BASE}/models").json()["data"]["total_models"] == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_no_numbers(client: TestClient, number: str) -> None:
    """What is no finite number is malformed."""
    content = f'{{"model_name": "m", "model_version": "1", "latency_ms": {number}}}'
    answer = client.post(f"{BASE}/inferences/record", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_batch(client: TestClient) -> None:
    """Each call of a batch is judged by itself; sent again, the same ids double nothing."""
    batch = {"inferences": [CALL | {"inference_id": "a"}, {"model_name": "m"}, CALL | {"inference_id": "b"}]}
    first, again = (client.post(f"{BASE}/inferences/batch", json=batch) for _ in range(2))
    for answer, status, n in ((first, "accepted", (2, 0, 1)), (again, "duplicate", (0, 2, 1))):
        assert (answer.status_code, answer.json()["data"]) == (
            200,
            {
                "results": [
                    {"status": status, "inference_id": "a", "reason": None},
                    {"status": "rejected", "inference_id": None,
                     "reason": "model_version is required (field of the inference)"},
                    {"status": status, "inference_id": "b", "reason": None},
                ],
                **dict(zip(("accepted", "duplicate", "rejected"), n, strict=True)),
            },
        )  # fmt: skip
    assert client.get(f"{BASE}/models").json()["data"]["total_inferences"] == 2


@pytest.mark.parametrize("name", ["org/llm", "a b", 'say "hi"', "a\nb", "模型-é", "50%", "a?b#c", "detail"])
def test_names(client: TestClient, name: str) -> None:
    """A name with slash, space, quote, newline or whatever else works through every endpoint and in the exposition."""
    assert client.post(f"{BASE}/inferences/record", json=CALL | {"model_name": name}).status_code == 201
    by_path = client.get(f"{BASE}/models/{quote(name, safe='')}/1.0").json()["data"]
    by_query = client.get(f"{BASE}/models/detail", params={"name": name, "version": "1.0"}).json()["data"]
    (listed,) = client.get(f"{BASE}/models").json()["data"]["models"]
    assert by_path == by_query == listed
    assert (listed["model_name"], listed["inference_count"]) == (name, 1)
    escaped = name.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    assert f'gen_ai_request_model="{escaped}"' in client.get("/metrics").text


def test_unknown_model(client: TestClient) -> None:
    """A model nobody has recorded is a 404 by its name, in the path and in the query."""
    for path in (f"{BASE}/models/no/1", f"{BASE}/models/detail?name=no&version=1"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (404, error("no model named 'no 1'"))


def test_detail_needs_a_name(client: TestClient) -> None:
    """The query must name the model and its version."""
    answer = client.get(f"{BASE}/models/detail", params={"name": "m"})
    assert (answer.status_code, answer.json()) == (400, error("version is required (field of the query)"))


def test_empty(client: TestClient) -> None:
    """On an empty system there are no models, and the window says what was looked at."""
    answer = client.get(f"{BASE}/models").json()
    assert answer["data"].pop("summary")["inference_count"] == 0
    assert answer == {
        "status": "success",
        "data": {
            "models": [], "total_models": 0, "total_inferences": 0,
            "window": {
                "start": "2025-12-31T12:00:00.000001Z", "end": "2026-01-01T12:00:00.000001Z",
                "timezone": "UTC", "definitions": "current", "environment": "",
            },
        },
    }  # fmt: skip


def test_narrowed(client: TestClient) -> None:
    """A service that recorded nothing did nothing."""
    client.post(f"{BASE}/inferences/record", json=CALL)
    asked = {
        service: client.get(f"{BASE}/models/gpt-4/1.0", params={"service": service})
        for service in ("", "unknown_service")
    }
    assert {service: answer.json()["data"]["inference_count"] for service, answer in asked.items()} == {
        "": 0, "unknown_service": 1,
    }  # fmt: skip


CHEAP_CALL: dict[str, Any] = {"model_name": "a/b", "model_version": "1", "latency_ms": 100.0, "cost_usd": 0.5}
MODEL = f"{BASE}/models/a%2Fb/1"


@pytest.fixture
def known(client: TestClient) -> TestClient:
    """A server that has seen one call of the model `a/b`."""
    body = CHEAP_CALL | {"inference_id": "i-1", "prediction": "cat"}
    assert client.post(f"{BASE}/inferences/record", json=body).status_code == 201
    return client


def test_parts_are_those_of_the_service(known: TestClient, runtime: Runtime) -> None:
    """Latency, cost and accuracy over HTTP are what the service says; drift without a reference is null."""
    for part, ask in (
        ("latency", runtime.ai.get_latency_metrics),
        ("cost", runtime.ai.get_cost_metrics),
        ("accuracy", runtime.ai.get_accuracy_metrics),
    ):
        answer = known.get(f"{MODEL}/{part}").json()
        said: Any = ask("a/b", "1")
        assert answer["status"] == "success"
        assert set(answer["data"]) == set(said.__slots__)
        assert answer["data"]["window"]["timezone"] == "UTC"
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
    accuracy = known.get(f"{MODEL}/accuracy").json()["data"]
    assert (accuracy["accuracy"], accuracy["labelled"], accuracy["label_coverage"]) == (1.0, 1, 1.0)


def test_series(client: TestClient) -> None:
    """Columns over the steps of a window: of all models, of one version, and told apart."""
    call = CALL | {"model_version": "1/beta"}
    assert client.post(f"{BASE}/inferences/record", json=call).status_code == 201
    every = client.get(f"{BASE}/series?window=15m&step=5m&group_by=version&compare=previous").json()["data"]
    assert (every["step_seconds"], every["partial"], every["columns"]["requests"]) == (300, [3], [0, 0, 0, 1])
    assert every["columns"]["error_rate"] == [None, None, None, 0]
    assert [group["key"] for group in every["groups"]] == [{"model_name": "gpt-4", "model_version": "1/beta"}]
    assert sum(every["previous"]["columns"]["requests"]) == 0
    one = client.get(f"{BASE}/models/gpt-4/1%2Fbeta/series?start=2026-01-01T11:00:00Z&step=1h").json()["data"]
    assert (one["start"], one["columns"]["requests"]) == (["2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"], [0, 1])
    assert client.get(f"{BASE}/models/gpt-4/2/series").status_code == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("step=2m", "step must be one of 1m, 5m, 15m, 1h, 6h, 1d, 1w, not '2m'"),
        ("window=24h&start=2026-01-01T11:00:00Z", "window='24h' and start or end exclude each other: give one of them"),
        ("version=1", "model_version='1' needs a model_name"),
        ("window=30d&step=1m", "step='1m' would make over 1,500 points: ask for a longer step or less time"),
    ],
)
def test_a_series_that_cannot_be(client: TestClient, query: str, message: str) -> None:
    """400 says which parameter, its rule and the value."""
    answer = client.get(f"{BASE}/series?{query}")
    assert (answer.status_code, answer.json()) == (400, error(message))


def test_the_clock_of_a_client_corrects_its_calls(client: TestClient) -> None:
    """Two days slow by its own `sent_at`, alone or of a batch, and its calls are of today."""
    call = CALL | {"model_name": "slow", "model_version": "1", "timestamp": "2025-12-30T11:00:00Z"}
    sent = {"sent_at": "2025-12-30T12:00:00Z"}
    assert client.post(f"{BASE}/inferences/record", json=call | sent).status_code == 201
    batch = {"inferences": [call, call | sent], **sent}
    assert client.post(f"{BASE}/inferences/batch", json=batch).json()["data"]["accepted"] == 2
    assert client.get(f"{BASE}/models/slow/1").json()["data"]["inference_count"] == 3


def test_what_is_behind_a_number(client: TestClient) -> None:
    """Errors by type of all models or of one, and the slowest and dearest calls of a window."""
    timeout: dict[str, Any] = {"error_type": "Timeout"}
    for n, changes in enumerate(({}, timeout, timeout | {"latency_ms": 9000.0})):
        body = CALL | {"inference_id": f"i{n}"} | changes
        assert client.post(f"{BASE}/inferences/record", json=body).status_code == 201
    for path in ("/errors", "/errors?model=gpt-4&version=1.0", "/models/gpt-4/1.0/errors"):
        (failed,) = client.get(f"{BASE}{path}").json()["data"]["errors"]
        assert (failed["error_type"], failed["count"], failed["trace_id"]) == ("Timeout", 2, None)
    assert client.get(f"{BASE}/errors?model=other").json()["data"]["errors"] == []
    assert client.get(f"{BASE}/models/other/1.0/errors").status_code == 404
    slowest = client.get(f"{BASE}/calls?limit=1").json()["data"]
    assert [(call["inference_id"], call["latency_ms"]) for call in slowest["calls"]] == [("i2", 9000.0)]
    dearest = client.get(f"{BASE}/calls?sort=cost&model=gpt-4&window=1h").json()["data"]
    assert [call["cost_usd"] for call in dearest["calls"]] == [0.005] * 3
    for query, message in (
        ("sort=size", "sort"),
        ("limit=1001", "limit"),
        ("version=1.0", "model_version='1.0' needs a model_name"),
    ):
        refused = client.get(f"{BASE}/calls?{query}")
        assert (refused.status_code, message in refused.json()["message"]) == (400, True)


def test_two_versions_side_by_side(client: TestClient) -> None:
    """Each number of both with its interval and the change; a version that nobody knows is 404, one not named 400."""
    for version, latency_ms in (("1.0", 100.0), ("2.0", 200.0)):
        batch = {"inferences": [CALL | {"model_version": version, "latency_ms": latency_ms} for _ in range(80)]}
        assert client.post(f"{BASE}/inferences/batch", json=batch).json()["data"]["accepted"] == 80
    answer = client.get(f"{BASE}/compare?model=gpt-4&version=2.0&baseline=1.0").json()["data"]
    assert (answer["model_name"], answer["model_version"], answer["baseline_version"]) == ("gpt-4", "2.0", "1.0")
    by_key = {number["key"]: number for number in answer["numbers"]}
    p95 = by_key["p95_ms"]
    assert (p95["value"], p95["baseline"], p95["change"], p95["verdict"]) == (200.0, 100.0, 1.0, "higher")
    assert (p95["samples"], p95["baseline_samples"], p95["change_is"], p95["missing"]) == (80, 80, "relative", "")
    assert (by_key["p99_ms"]["change_ci"], by_key["p99_ms"]["verdict"]) == ([None, None], "unknown")
    assert by_key["cost_per_request_usd"]["verdict"] == "unclear"
    missing = client.get(f"{BASE}/compare?model=gpt-4&version=2.0&baseline=3.0")
    assert (missing.status_code, missing.json()) == (404, error("no model named 'gpt-4 3.0'"))
    unnamed = client.get(f"{BASE}/compare?model=gpt-4&version=2.0")
    assert unnamed.status_code == 400
    assert "baseline" in unnamed.json()["message"]
