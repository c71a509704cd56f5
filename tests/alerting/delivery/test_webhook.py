from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest

from otel_measure.alerting.delivery.webhook import signature
from tests.alerting.evaluating import KEY, AlertServer
from tests.definitions.alerting.judging import judged


def test_what_a_webhook_is_sent() -> None:
    """One JSON object per notification: who, how bad, since when, and each alert with its evidence."""
    server = AlertServer()
    server.minute(judged("beyond"), judged("beyond", "latency", value=float("nan")))
    (request,) = server.log.requests
    assert request.url == "http://hook/s3cret"
    body = request.json
    incident = body["incident"]
    subject = {"kind": "model", "name": "churn", "environment": "prod"}
    alert = {
        "rule": "errors",
        "title": "Errors",
        "subject": subject,
        "severity": "page",
        "state": "firing",
        "resolution": "",
        "value": 0.9,
        "threshold": 0.05,
        "evidence": 20,
        "sentence": "errors of churn is 0.9",
        "cause": "timeout",
        "since": "2026-01-15T12:01:00Z",
        "until": None,
        "kpi": "error_rate",
        "docs": "http://page/#/rules/what-to-do",
    }
    other = alert | {"rule": "latency", "title": "Latency", "severity": "ticket", "value": None}
    assert body == {
        "id": f"{incident}-1",
        "type": "notification",
        "status": "firing",
        "incident": incident,
        "severity": "page",
        "subject": subject,
        "title": "Errors: model churn (prod)",
        "at": "2026-01-15T12:01:00Z",
        "opened": "2026-01-15T12:01:00Z",
        "alerts": [alert, other | {"sentence": "latency of churn is nan"}],
    }
    assert request.headers == {
        "Content-Type": "application/json",
        "webhook-id": f"{incident}-1",
        "webhook-timestamp": "1768478460",
    }


def test_a_signature_that_the_receiver_can_check() -> None:
    """HMAC-SHA256 of id, time and body by the key of the secret, as the Standard Webhooks specification has it."""
    server = AlertServer(alert_webhook="http://hook", alert_webhook_secret=KEY)
    server.minute(judged("beyond"))
    (request,) = server.log.requests
    signed = b"%s.%s.%s" % (
        request.headers["webhook-id"].encode(),
        request.headers["webhook-timestamp"].encode(),
        request.body or b"",
    )
    digest = hmac.new(base64.b64decode(KEY.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_the_vector_of_the_specification() -> None:
    """The example that its reference libraries test themselves with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = json.dumps({"test": 2432232314}).encode()
    assert (
        signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_the_receiver_of_the_documents_knows_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes what we signed, and nothing that was changed, is old, or is signed with another key."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "alerts.md", "exec"), names)
    is_ours = names["is_ours"]
    server = AlertServer(alert_webhook="http://hook", alert_webhook_secret=KEY)
    server.minute(judged("beyond"))
    (request,) = server.log.requests
    at = int(request.headers["webhook-timestamp"])
    monkeypatch.setattr("time.time", lambda: float(at + 299))
    assert is_ours(KEY, request.headers, request.body)
    assert not is_ours(KEY, request.headers, b" ")
    assert not is_ours(KEY, {**request.headers, "webhook-id": "other"}, request.body)
    assert not is_ours("whsec_" + "b3RoZXIh" * 4, request.headers, request.body)
    monkeypatch.setattr("time.time", lambda: float(at + 301))
    assert not is_ours(KEY, request.headers, request.body)
