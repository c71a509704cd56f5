"""The answers about users as persons, their answers, who is who, and erasure."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from otel_measure.runtime import Runtime

BASE = "/api/v1/metrics/users"


def track(client: TestClient, user: int | str, kind: str = "page_view") -> None:
    """Track one event of a user."""
    body = {"user_id": user, "event_type": kind, "event_name": "home"}
    assert client.post(f"{BASE}/events/track", json=body).status_code == 201


def data(client: TestClient, path: str) -> Any:
    """Return the data of an answer that went well."""
    answer = client.get(f"{BASE}/{path}")
    assert (answer.status_code, answer.json()["status"]) == (200, "success"), answer.text
    return answer.json()["data"]


def test_reports_show_what_was_posted(client: TestClient) -> None:
    """Conversion by type or name, segments, NPS by survey and the summary."""
    track(client, 1)
    track(client, 1, "purchase")
    track(client, 2)
    for user, score, survey in ((1, 10, "default"), (2, 0, "default"), (2, 9, "other")):
        body = {"user_id": user, "score": score, "survey": survey, "comment": "<b>"}
        assert client.post(f"{BASE}/nps/record", json=body).status_code == 201
    bought = data(client, "conversion?conversion_event=purchase&window=7d")
    assert (bought["entered_users"], bought["converted_users"], bought["conversion_rate"]) == (2, 1, 0.5)
    assert data(client, "conversion")["converted_users"] == 0
    assert (data(client, "segments")["new"], data(client, "segments")["total_users"]) == (2, 2)
    assert data(client, "nps?survey=default")["nps_score"] == 0.0
    assert data(client, "nps")["responses"] == 3
    assert data(client, "retention")["day_7_retention"] is None
    summary = data(client, "summary")
    assert (summary["total_users"], summary["total_events"], summary["engagement"]["dau"]) == (2, 3, 2)


def test_an_answer_counts_once(client: TestClient) -> None:
    """A retry with the same id is a success that says so."""
    body = {"user_id": 1, "score": 7, "response_id": "r-1"}
    first, again = (client.post(f"{BASE}/nps/record", json=body) for _ in range(2))
    assert (first.status_code, first.json()["data"]) == (201, {"response_id": "r-1"})
    assert (again.status_code, again.json()["data"]) == (201, {"response_id": "r-1", "duplicate": True})


@pytest.mark.parametrize("score", [11, -1, "9", True, 9.5])
def test_a_wrong_score_is_refused(client: TestClient, score: object) -> None:
    """NPS knows the whole numbers from 0 to 10."""
    answer = client.post(f"{BASE}/nps/record", json={"user_id": 1, "score": score})
    assert answer.status_code == 400
    assert "score" in answer.json()["message"]


def test_an_anonymous_visitor_becomes_a_user(client: TestClient) -> None:
    """Two ids are one person afterwards, and an id of somebody else is answered with a fresh one."""
    track(client, "anon")
    track(client, "ada")
    identify = {"anonymous_id": "anon", "user_id": "ada"}
    answer = client.post(f"{BASE}/identify", json=identify)
    assert (answer.status_code, answer.json()["data"]) == (200, {"anonymous_id": "anon"})
    assert data(client, "summary")["total_users"] == 1
    track(client, "bob")
    other = client.post(f"{BASE}/identify", json={"anonymous_id": "anon", "user_id": "bob"}).json()["data"]
    assert other["anonymous_id"] not in {"anon", "ada", "bob"}


def test_erasure_answers_with_a_receipt(client: TestClient, runtime: Runtime) -> None:
    """What was removed is counted, and the reports do not know the user any more."""
    track(client, 123)
    track(client, 5)
    receipt = client.delete(f"{BASE}/123")
    assert receipt.status_code == 200
    assert (receipt.json()["data"]["user_id"], receipt.json()["data"]["events"]) == ("123", 1)
    assert data(client, "summary")["total_users"] == 1
    assert client.delete(f"{BASE}/nobody").json()["data"]["events"] == 0
