"""Users over HTTP: events one by one and in batches, the answers about them, who is who, and erasure."""

from __future__ import annotations

import gzip
import json
from datetime import date
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from starlette.testclient import TestClient

from otel_measure.runtime import Runtime

BASE = "/api/v1/metrics/users"
EVENT: dict[str, Any] = {"user_id": 123, "event_type": "page_view", "event_name": "home_page", "page_url": "/home"}


def error(message: str) -> dict[str, str]:
    """Return the envelope of an error."""
    return {"status": "error", "message": message}


def test_track(client: TestClient) -> None:
    """One event is committed before the answer and counts at once; a retry is a success that doubles nothing."""
    first = client.post(f"{BASE}/events/track", json=EVENT)
    event_id = first.json()["data"]["event_id"]
    again = client.post(f"{BASE}/events/track", json=EVENT | {"event_id": event_id})
    assert (first.status_code, first.json()) == (201, {"status": "success", "data": {"event_id": event_id}})
    assert (again.status_code, again.json()["data"]) == (201, {"event_id": event_id, "duplicate": True})
    assert client.get(f"{BASE}/engagement").json()["data"]["dau"] == 1
    (line,) = [
        line for line in client.get("/metrics").text.splitlines() if line.startswith("otel_measure_users_events_total{")
    ]
    assert line.endswith(" 1.0")


def test_compressed(client: TestClient) -> None:
    """A body may be compressed."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = client.post(f"{BASE}/events/track", content=gzip.compress(json.dumps(EVENT).encode()), headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"user_id": True}, "user_id: expected `int | str`, got `bool`"),
        ({"user_id": 1.5}, "user_id: expected `int | str`, got `float`"),
        ({"user_id": None}, "user_id: expected `int | str`, got `null`"),
        ({"user_id": ""}, "user_id must be a non-empty string, not ''"),
        ({"user_id": "undefined"},
         "user_id must be an id of somebody, not the placeholder 'undefined': leave out who is not known"),
        ({"user_id": -1}, "user_id must be an id of somebody, not the placeholder -1: leave out who is not known"),
        ({"event_name": " "}, "event_name must be a non-empty string, not ' '"),
        ({"event_type": 1}, "event_type: expected `str`, got `int`"),
        ({"value": "1"}, "value: expected `float | null`, got `str`"),
        ({"currency": "EURO"}, "currency must be an ISO 4217 code of three letters, not 'EURO'"),
        ({"properties": []}, "properties: expected `object | null`, got `array`"),
        ({"timestamp": "yesterday"}, "timestamp: invalid RFC3339 encoded datetime"),
        ({"timestamp": "1969-12-31T00:00:00Z"},
         "timestamp must not lie before 1970, not datetime.datetime(1969, 12, 31, 0, 0, tzinfo=datetime.timezone.utc)"),
        ({"timestamp": "2026-01-01T00:00:00"},
         "timestamp must carry a time zone (datetime.now(timezone.utc)), not the naive "
         "datetime.datetime(2026, 1, 1, 0, 0)"),
        ({"event_id": ""}, "event_id must be a non-empty string, not ''"),
        ({"evnt": 1}, "evnt is unknown (field of the body)"),
    ],
)  # fmt: skip
def test_wrong_arguments(client: TestClient, wrong: dict[str, Any], message: str) -> None:
    """A wrong argument is a 400 that names it and its rule, and nothing is recorded."""
    answer = client.post(f"{BASE}/events/track", json=EVENT | wrong)
    assert (answer.status_code, answer.json()) == (400, error(message))
    assert client.get(f"{BASE}/engagement").json()["data"]["dau"] == 0


def test_event_type(client: TestClient) -> None:
    """An event type that does not exist is refused with the list of those that do."""
    answer = client.post(f"{BASE}/events/track", json=EVENT | {"event_type": "klick"})
    start, _, rest = answer.json()["message"].partition(" click, ")
    assert (answer.status_code, start, rest.endswith("signup, not 'klick'")) == (400, "event_type must be one of", True)


@pytest.mark.parametrize("missing", ["user_id", "event_type", "event_name"])
def test_missing_arguments(client: TestClient, missing: str) -> None:
    """A missing argument is a 400 that names it."""
    body = {name: value for name, value in EVENT.items() if name != missing}
    answer = client.post(f"{BASE}/events/track", json=body)
    assert (answer.status_code, answer.json()) == (400, error(f"{missing} is required (field of the body)"))


def test_large_event(client: TestClient) -> None:
    """An event over 32 KiB is a 413."""
    answer = client.post(f"{BASE}/events/track", json=EVENT | {"properties": {"a": "x" * 32768}})
    assert (answer.status_code, answer.json()) == (
        413, error("the body must have at most 32768 bytes (after decompression)"),
    )  # fmt: skip


def test_batch(client: TestClient) -> None:
    """Each event of a batch is judged by itself; sent again, the same ids double nothing."""
    events = [
        EVENT | {"event_id": "a"},
        EVENT | {"event_id": "a"},
        {"user_id": 1},
        EVENT | {"event_id": "b", "user_id": "123"},
        EVENT | {"event_id": "c", "user_id": ""},
        7,
        EVENT | {"properties": {"a": "x" * 32768}},
    ]
    rejected = [
        (2, "event_type is required (field of the event)"),
        (4, "user_id must be a non-empty string, not ''"),
        (5, "event: expected `object`, got `int`"),
        (6, f"an item must have at most 32768 bytes, not {len(msgspec.json.encode(events[6]))}"),
    ]

    def expected(*statuses: str) -> dict[str, Any]:
        results = [
            {"status": status, "event_id": event_id, "reason": None}
            for status, event_id in zip(statuses, ("a", "a", "b"), strict=True)
        ]
        for at, reason in rejected:
            results.insert(at, {"status": "rejected", "event_id": None, "reason": reason})
        n = {status: statuses.count(status) for status in ("accepted", "duplicate")}
        return {"status": "success", "data": {"results": results, **n, "rejected": 4}}

    content, headers = msgspec.json.encode({"events": events}), {"content-type": "application/json"}
    first, again = (client.post(f"{BASE}/events/batch", content=content, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (200, expected("accepted", "duplicate", "accepted"))
    assert (again.status_code, again.json()) == (200, expected("duplicate", "duplicate", "duplicate"))
    assert client.get(f"{BASE}/engagement").json()["data"]["dau"] == 1


def test_sent_at(client: TestClient, runtime: Runtime) -> None:
    """The clock of the sender corrects the times of its events: two days slow, and this is an event of today."""
    batch = {"sent_at": "2025-12-30T12:00:00Z", "events": [EVENT | {"timestamp": "2025-12-30T11:00:00Z"}]}
    assert client.post(f"{BASE}/events/batch", json=batch).json()["data"]["accepted"] == 1
    assert client.get(f"{BASE}/engagement").json()["data"]["dau"] == 1


def test_every_write_of_a_client_says_when_it_was_sent(client: TestClient, runtime: Runtime) -> None:
    """Two days slow, and what it says counts today: an event, one of a batch, an answer."""
    said = {"timestamp": "2025-12-30T11:00:00Z", "sent_at": "2025-12-30T12:00:00Z"}
    assert client.post(f"{BASE}/events/track", json=EVENT | said).status_code == 201
    own = {"sent_at": "2025-12-01T12:00:00Z", "events": [EVENT | said | {"user_id": 5}]}
    assert client.post(f"{BASE}/events/batch", json=own).json()["data"]["accepted"] == 1
    assert client.post(f"{BASE}/nps/record", json={"user_id": 5, "score": 9} | said).status_code == 201
    assert client.get(f"{BASE}/engagement").json()["data"]["dau"] == 2
    assert client.get(f"{BASE}/nps?window=1d").json()["data"]["responses"] == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"events": [EVENT] * 1001}, 413, "a batch must have at most 1000 items, not 1001"),
        ({"events": {}}, 400, "events: expected `array`, got `object`"),
        ({}, 400, "events is required (field of the body)"),
        ({"events": [], "more": 1}, 400, "more is unknown (field of the body)"),
        ({"events": ["x" * 2**20]}, 413, "the body must have at most 1048576 bytes (after decompression)"),
    ],
)
def test_wrong_batches(client: TestClient, body: dict[str, Any], status: int, message: str) -> None:
    """What is no batch, or too large a one, is refused as a whole."""
    answer = client.post(f"{BASE}/events/batch", json=body)
    assert (answer.status_code, answer.json()) == (status, error(message))


def test_engagement_is_what_python_answers(client: TestClient, runtime: Runtime) -> None:
    """JSON has the fields of the result, an unknown number as null and times in UTC with Z."""
    data = client.get(f"{BASE}/engagement", params={"window": "7d", "as_of": "2025-12-31"}).json()["data"]
    assert data == json.loads(msgspec.json.encode(runtime.users.get_engagement_metrics("7d", as_of=date(2025, 12, 31))))
    assert data["stickiness"] is None
    assert data["window"] == {
        "start": "2025-12-25T00:00:00Z",
        "end": "2026-01-01T00:00:00Z",
        "timezone": "UTC",
        "definitions": "current",
        "environment": "",
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("window=0d", "window must be a number and a unit (m, h, d, w) such as \"24h\", at most 10 years, not '0d'"),
        ("window=1y", "window must be a number and a unit (m, h, d, w) such as \"24h\", at most 10 years, not '1y'"),
        ("as_of=2026-01-02", "as_of must not lie in the future, not 2026-01-02"),
    ],
)
def test_wrong_questions(client: TestClient, query: str, message: str) -> None:
    """A window or day that cannot be answered for is a 400 that says why."""
    answer = client.get(f"{BASE}/engagement?{query}")
    assert (answer.status_code, answer.json()) == (400, error(message))


@pytest.mark.parametrize("window", ["99999w", "9" * 400 + "d", "-1d", "1d%0A", ""])
def test_windows_that_break_arithmetic(client: TestClient, window: str) -> None:
    """No window, however long or strange, is more than a 400."""
    assert client.get(f"{BASE}/engagement?window={window}").status_code == 400


@pytest.mark.parametrize("as_of", ["0001-01-01", "1969-12-31"])
def test_long_ago(client: TestClient, as_of: str) -> None:
    """A day before there was anything has nobody."""
    assert client.get(f"{BASE}/engagement?as_of={as_of}").status_code in {200, 400}


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


def test_a_link_is_taken_back(client: TestClient) -> None:
    """The two are two persons again, at once; a second time there is nothing to take back."""
    for user in ("anon", "ada"):
        track(client, user)
    client.post(f"{BASE}/identify", json={"anonymous_id": "anon", "user_id": "ada"})
    answers = [client.post(f"{BASE}/unlink", json={"anonymous_id": "anon"}) for _ in range(2)]
    assert [(a.status_code, a.json()["data"]) for a in answers] == [
        (200, {"was_linked": True}),
        (200, {"was_linked": False}),
    ]
    assert data(client, "summary")["total_users"] == 2


@pytest.mark.parametrize(
    "body", [{"anonymous_id": "undefined", "user_id": "ada"}, {"anonymous_id": "a", "user_id": "0"}]
)
def test_nobody_is_linked_to_a_placeholder(client: TestClient, body: dict[str, Any]) -> None:
    """It would make one person of all who have no id."""
    answer = client.post(f"{BASE}/identify", json=body)
    assert (answer.status_code, "must be an id of somebody" in answer.json()["message"]) == (400, True)


def test_erasure_answers_with_a_receipt(client: TestClient, runtime: Runtime) -> None:
    """What was removed is counted, and the reports do not know the user any more."""
    track(client, 123)
    track(client, 5)
    receipt = client.delete(f"{BASE}/123")
    assert receipt.status_code == 200
    assert (receipt.json()["data"]["user_id"], receipt.json()["data"]["events"]) == ("123", 1)
    assert data(client, "summary")["total_users"] == 1
    assert client.delete(f"{BASE}/nobody").json()["data"]["events"] == 0


@pytest.mark.parametrize("user_id", ["ada", "nps", "nps/record", ".."])
def test_all_that_is_stored_of_a_user(client: TestClient, user_id: str) -> None:
    """The answer of the path and that of the query are the same; of somebody unknown it is empty."""
    track(client, user_id)
    found = client.get(f"{BASE}/export", params={"user_id": user_id})
    assert found.status_code == 200
    (fact,) = found.json()["data"]["facts"]
    assert fact["attributes"]["user.id"] == user_id
    assert client.get(f"{BASE}/{quote(user_id, safe='').replace('.', '%2e')}/export").json() == found.json()
    assert client.get(f"{BASE}/nobody/export").json()["data"] == {
        "user_id": "nobody", "ids": [], "facts": [], "rolled_up": {}, "series": [],
    }  # fmt: skip


def test_whether_the_bytes_are_cleared(client: TestClient) -> None:
    """The receipt of an erasure asks later; another one is not found."""
    track(client, 123)
    receipt = client.delete(f"{BASE}/123").json()["data"]
    state = client.get(f"/api/v1/metrics/erasures/{receipt['receipt']}")
    assert (state.status_code, state.json()["data"]) == (
        200,
        {"receipt": 1, "erased_at": receipt["erased_at"], "bytes_cleared": True, "cleared_at": receipt["erased_at"]},
    )
    for other in ("2", "x", "9" * 30):
        missing = client.get(f"/api/v1/metrics/erasures/{other}")
        assert (missing.status_code, missing.json()) == (404, error(f"no erasure named {other!r}"))


@pytest.mark.parametrize(
    "user_id",
    # Starlette's test client decodes a path twice: what holds an encoded character is in tests/exporter/http.
    ["summary", "engagement", "nps", "identify", "events", "nps/record", "events/track", "a/b", "100%", "ü€😀", "a b",
     "?x=1#y", ";,&=+", ".", "..", "../..", "\\"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["path", "query"])
def test_every_id_can_be_erased(client: TestClient, user_id: str, form: str) -> None:
    """Whatever an id is, also a word of a path, it can be erased, named in the path or in the query."""
    track(client, user_id)
    if form == "query":
        receipt = client.delete(BASE, params={"user_id": user_id})
    else:
        receipt = client.delete(f"{BASE}/{quote(user_id, safe='').replace('.', '%2e')}")
    assert receipt.status_code == 200
    assert (receipt.json()["data"]["user_id"], receipt.json()["data"]["events"]) == (user_id, 1)


def test_series(client: TestClient) -> None:
    """Columns over the days of a window, and 400 for what is no step of days."""
    event = {"user_id": "a", "event_type": "page_view", "event_name": "x"}
    assert client.post(f"{BASE}/events/track", json=event).status_code == 201
    series = client.get(f"{BASE}/series?window=2d&compare=previous").json()["data"]
    assert (series["start"], series["partial"]) == (["2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z"], [1])
    assert (series["columns"]["active"], series["columns"]["dormant"]) == ([None, 1], [None, None])
    assert series["previous"]["columns"]["active"] == [None, None]
    refused = client.get(f"{BASE}/series?step=1h")
    message = "step must be one of 1d, 1w, not '1h': persons are counted by local days"
    assert (refused.status_code, refused.json()) == (400, {"status": "error", "message": message})


def test_cohorts_over_time(client: TestClient) -> None:
    """Cohorts of the series are asked for by name; of weeks there are none, and the answer says the way out."""
    body = {"user_id": "u", "event_type": "click", "event_name": "x"}
    assert client.post(f"{BASE}/events/track", json=body).status_code == 201
    asked = client.get(f"{BASE}/series?window=3d&group_by=cohort").json()["data"]
    (cohort,) = asked["groups"]
    assert cohort["columns"] == {"active": [None, None, None], "retention": [None, None, None]}
    assert cohort["key"]["first_day"] in asked["start"][-1]
    refused = client.get(f"{BASE}/series?window=30d&step=1w&group_by=cohort")
    assert (refused.status_code, "step='1d'" in refused.json()["message"]) == (400, True)
