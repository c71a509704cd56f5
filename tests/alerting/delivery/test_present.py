from __future__ import annotations

import logging

import pytest

from otel_measure.alerting.delivery.present import BATCH
from tests.alerting.evaluating import AlertServer
from tests.alerting.receiving import AWAY, TAKEN
from tests.definitions.alerting.judging import CHURN, judged


def test_an_alertmanager_is_told_of_what_fires_after_every_turn() -> None:
    """It ends in four minutes unless it is told of again, and at once when it is resolved."""
    server = AlertServer(alert_alertmanager="http://am/")
    for outcome in ("beyond", "beyond", *["within"] * 7):
        server.minute(judged("beyond" if outcome == "beyond" else "within"))
    assert {request.url for request in server.log.requests} == {"http://am/api/v2/alerts"}
    told = [body[0] for body in server.log.taken()]
    assert told[0] == {
        "labels": {
            "alertname": "errors",
            "severity": "page",
            "kind": "model",
            "subject": "churn",
            "environment": "prod",
        },
        "annotations": {
            "summary": "Errors",
            "description": "errors of churn is 0.9",
            "cause": "timeout",
            "kpi": "error_rate",
            "value": "0.9",
            "threshold": "0.05",
            "docs": "http://page/#/rules/what-to-do",
        },
        "startsAt": "2026-01-15T12:01:00Z",
        "endsAt": "2026-01-15T12:05:00Z",
    }
    assert {(alert["labels"]["alertname"], alert["startsAt"]) for alert in told} == {("errors", "2026-01-15T12:01:00Z")}
    ends = [alert["endsAt"][11:16] for alert in told]
    assert ends == ["12:05", "12:06", "12:07", "12:08", "12:09", "12:10", "12:11", "12:08"]
    assert told[-1]["annotations"]["resolution"] == "within"


def test_many_alerts_come_in_parts() -> None:
    """A request holds at most so many; without alerts nothing is sent."""
    server = AlertServer(alert_alertmanager="http://am")
    server.minute()
    assert server.log.requests == []
    server.minute(*(judged("beyond", subject=CHURN._replace(name=f"{n}")) for n in range(BATCH + 1)))
    assert [len(body) for body in server.log.taken()] == [BATCH, 1]
    server.log.reply = AWAY
    server.minute()
    assert [len(body) for body in server.log.taken()] == [BATCH]


def test_a_heartbeat_is_asked_for_after_every_turn(caplog: pytest.LogCaptureFixture) -> None:
    """Its failures are said once until it is well again, without its URL."""
    server = AlertServer(alert_heartbeat="https://watch/s3cret")
    with caplog.at_level(logging.WARNING, "otel_measure"):
        for reply in (TAKEN, AWAY, AWAY, TAKEN, TAKEN):
            server.log.reply = reply
            server.minute()
    assert [(request.url, request.body) for request in server.log.requests] == [("https://watch/s3cret", None)] * 5
    assert [record.getMessage() for record in caplog.records] == [
        "the alert receiver heartbeat takes nothing: it cannot be reached (ConnectionError) (logged once)",
        "the alert receiver heartbeat is well again",
    ]


def test_each_receiver_can_be_tried() -> None:
    """The message says that nothing is wrong."""
    server = AlertServer(
        alert_webhook="http://hook",
        alert_slack="http://slack",
        alert_alertmanager="http://am",
        alert_heartbeat="http://watch",
    )
    assert {name: send(server.now_us) for name, send in server.receivers.trials.items()} == dict.fromkeys(
        ("webhook", "slack", "alertmanager", "heartbeat"), TAKEN
    )
    hook, slack, (alert,), heartbeat = server.log.taken()
    assert (hook["status"], hook["id"][:5], heartbeat) == ("test", "test-", None)
    for said in (hook["alerts"][0]["sentence"], slack["text"], alert["annotations"]["description"]):
        assert "nothing is wrong" in said
