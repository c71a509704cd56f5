from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.api.experiments import ConvertBody, ExperimentBody, StopBody
from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.experiments.service import ExperimentService
from otel_measure.runtime import Runtime
from otel_measure.users.ab_tests import AbTestCalls

BASE = "/api/v1/metrics/experiments"
TEST = {"test_name": "New Homepage", "variants": ["control", "variant_a"]}


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (ExperimentBody, AbTestCalls.create_ab_test),
        (StopBody, AbTestCalls.stop_ab_test),
        (ConvertBody, ExperimentService.conversion_record),
    ],
)
def test_bodies_have_the_arguments(body: type[msgspec.Struct], call: Callable[..., object]) -> None:
    """A body has the arguments of its call, with the same ones required; the test is named by the path."""
    arguments = [p for p in inspect.signature(call).parameters.values() if p.name not in {"self", "test_id"}]
    assert {f.name: f.required for f in msgspec.structs.fields(body)} == {
        p.name: p.default is p.empty for p in arguments
    }


def test_from_creation_to_results(client: TestClient) -> None:
    """What is created, assigned and converted shows at once, in the list and by itself."""
    created = [client.post(BASE, json=TEST) for _ in range(2)]
    assert [(one.status_code, one.json()) for one in created] == [
        (201, {"status": "success", "data": {"test_id": "new-homepage"}})
    ] * 2
    assigned = [client.post(f"{BASE}/new-homepage/assign", json={"user_id": user}) for user in (1, 2, "1")]
    assert [(one.status_code, one.json()["data"]) for one in assigned] == [
        (200, {"variant": variant}) for variant in ("control", "variant_a", "control")
    ]
    body = {"user_id": 1, "event_id": "c"}
    converted = [client.post(f"{BASE}/new-homepage/convert", json=body) for _ in range(2)]
    assert [(one.status_code, one.json()["data"]) for one in converted] == [
        (201, {"event_id": "c"}),
        (201, {"event_id": "c", "duplicate": True}),
    ]
    answer = client.get(f"{BASE}/new-homepage").json()
    assert answer["status"] == "success"
    shown = {k: answer["data"][k] for k in ("test_id", "variant_users", "variant_conversions", "verdict", "created_at")}
    assert shown == {
        "test_id": "new-homepage",
        "variant_users": {"control": 1, "variant_a": 1},
        "variant_conversions": {"control": 1, "variant_a": 0},
        "verdict": "not_enough_data",
        "created_at": "2026-01-01T12:00:00Z",
    }
    listed = client.get(BASE).json()["data"]
    assert listed == {"experiments": [answer["data"]], "environment": ""}


def test_unknown_numbers_are_null(client: TestClient) -> None:
    """An experiment without users has rates, effects and p-values of null."""
    client.post(BASE, json=TEST)
    test = client.get(f"{BASE}/new-homepage").json()["data"]
    shown = (test["control_conversion_rate"], test["control_conversion_rate_ci"], test["p_value"], test["winner"])
    assert shown == (None, [None, None], None, None)


def test_a_test_over_time(client: TestClient) -> None:
    """Each variant is a group; no such test, and no such step, are errors."""
    client.post(BASE, json={"test_name": "New homepage", "variants": ["a", "b"]})
    series = client.get(f"{BASE}/new-homepage/series?window=2d&step=1d").json()["data"]
    assert [group["key"] for group in series["groups"]] == [{"variant": "a"}, {"variant": "b"}]
    assert (len(series["start"]), series["columns"]["users"][-1]) == (2, 0)
    assert client.get(f"{BASE}/nobody/series").status_code == 404
    assert client.get(f"{BASE}/new-homepage/series?step=1h").status_code == 400


def test_outside_coverage_there_is_no_variant(client: TestClient) -> None:
    """The variant is null and nobody is exposed."""
    client.post(BASE, json=TEST | {"coverage": 0.0001, "key": "ключ"})
    answer = client.post(f"{BASE}/ключ/assign", json={"user_id": 1})
    assert (answer.status_code, answer.json()["data"]) == (200, {"variant": None})
    assert client.get(f"{BASE}/ключ").json()["data"]["users"] == 0


def test_a_stopped_test_gives_everybody_one_variant(client: TestClient) -> None:
    """The answer and the report say which; a higher coverage is taken, and nobody is exposed any more."""
    created = [client.post(BASE, json=TEST | {"coverage": share}).status_code for share in (0.5, 0.6, 0.4)]
    stopped = client.post(f"{BASE}/new-homepage/stop", json={"winner": "variant_a"})
    assigned = {
        client.post(f"{BASE}/new-homepage/assign", json={"user_id": u}).json()["data"]["variant"] for u in "123"
    }
    test = client.get(f"{BASE}/new-homepage").json()["data"]
    assert created == [201, 201, 409]
    assert (stopped.status_code, stopped.json()["data"]) == (
        200,
        {"test_id": "new-homepage", "served_variant": "variant_a"},
    )
    assert assigned == {"variant_a"}
    assert (test["stopped_at"], test["served_variant"], test["users"]) == ("2026-01-01T12:00:00Z", "variant_a", 0)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/none", None, 404, "no test named 'none'"),
        ("POST", "/none/assign", {"user_id": 1}, 404, "no test named 'none'"),
        ("POST", "/none/convert", {"user_id": 1}, 404, "no test named 'none'"),
        ("POST", "/none/stop", {}, 404, "no test named 'none'"),
        (
            "POST", "/new-homepage/stop", {"winner": "b"}, 400,
            "winner must be one of the variants ['control', 'variant_a'], not 'b'",
        ),
        ("POST", "/new-homepage/assign", {}, 400, "user_id is required (field of the body)"),
        ("POST", "/new-homepage/assign", {"user_id": ""}, 400, "user_id must be a non-empty string, not ''"),
        ("POST", "", TEST | {"weights": [0.7, 0.6]}, 400, "weights=[0.7, 0.6]: must add to 1, not 1.2999999999999998"),
        ("POST", "", TEST | {"variants": ["a"]}, 400, "variants must be 2 to 100 different names, not ['a']"),
        (
            "POST", "", TEST | {"variants": ["a", "b"]}, 409,
            "test 'new-homepage' exists with another definition: variants is ('control', 'variant_a') there and"
            " ('a', 'b') here; give another key=...",
        ),
        (
            "GET", "?window=1d", None, 400,
            "query parameter 'window' has no meaning here; allowed: environment, limit, offset, sort, q",
        ),
    ],
)  # fmt: skip
def test_errors(
    client: TestClient, method: str, path: str, body: dict[str, Any] | None, status: int, message: str
) -> None:
    """What is unknown, wrong or contradicts what is there is an error in the envelope that names it."""
    client.post(BASE, json=TEST)
    answer = client.request(method, BASE + path, json=body)
    assert (answer.status_code, answer.json()) == (status, {"status": "error", "message": message})


def test_creating_needs_the_admin_scope(tmp_path: Path, local: Callable[[Starlette], TestClient]) -> None:
    """A token that may write assigns and converts; only the full token creates; one that may read looks."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db"), token="all", write_token="put", read_token="look"))
    with local(create_app(runtime=runtime)) as client:
        created = {
            token: client.post(BASE, json=TEST, headers={"authorization": f"Bearer {token}"}).status_code
            for token in ("look", "put", "all")
        }
        assigned = {
            token: client.post(
                f"{BASE}/new-homepage/assign", json={"user_id": 1}, headers={"authorization": f"Bearer {token}"}
            ).status_code
            for token in ("look", "put")
        }
        stopped = {
            token: client.post(
                f"{BASE}/new-homepage/stop", json={}, headers={"authorization": f"Bearer {token}"}
            ).status_code
            for token in ("put", "all")
        }
        seen = client.get(f"{BASE}/new-homepage", headers={"authorization": "Bearer look"}).status_code
    runtime.shutdown()
    assert stopped == {"put": 403, "all": 200}
    assert (created, assigned, seen) == ({"look": 403, "put": 403, "all": 201}, {"look": 403, "put": 200}, 200)
