"""What is seen of the settings of alerts: each function looks at what one of them does."""

from __future__ import annotations

import json
from typing import Any, Final

import requests

from otel_measure.alerting.evaluator import AlertRules
from otel_measure.runtime import Runtime
from tests.alerting.evaluating import RULES
from tests.alerting.test_thread import is_evaluating
from tests.definitions.alerting.judging import judged
from tests.otlp.requests import NOW_US
from tests.wired_settings import Given

FIRING: Final = AlertRules(RULES, "x", lambda _: [judged("beyond")])


def evaluating(given: Given) -> object:
    """Whether alerts are evaluated once a process has started, and once it serves."""
    runtime = given.runtime()
    runtime.start()
    seen = [is_evaluating(runtime)]
    runtime.evaluate_alerts()
    seen.append(is_evaluating(runtime))
    runtime.shutdown()
    return seen


def interval(given: Given) -> object:
    """How often alerts are evaluated in two minutes."""
    now_s, turns = 0.0, 0

    def judge(_: int) -> list[Any]:
        nonlocal turns
        turns += 1
        return []

    runtime = Runtime(
        given.with_settings(),
        clock=lambda: NOW_US + int(now_s * 1e6),
        monotonic=lambda: now_s,
        alert_rules=AlertRules(RULES, "x", judge),
        raise_faults=True,
    )
    assert runtime.alerts is not None
    for _ in range(120):
        runtime.alerts.run_due()
        now_s += 1
    runtime.shutdown()
    return turns


def told(given: Given, **others: str) -> object:
    """Where an alert that fires is told, and whether it is signed."""
    seen: list[tuple[str, bool]] = []

    def request(method: str, url: str, headers: dict[str, str], **_: Any) -> requests.Response:
        seen.append((url, "webhook-signature" in headers))
        response = requests.Response()
        response.status_code = 200
        response.raw = _Raw()
        return response

    given.monkeypatch.setattr(requests, "request", request)
    runtime = Runtime(given.with_settings(**others), clock=lambda: NOW_US, alert_rules=FIRING, raise_faults=True)
    assert runtime.alerts is not None
    runtime.alerts.run_due()
    runtime.shutdown()
    return seen


def signed(given: Given) -> object:
    """The same with a webhook."""
    return told(given, alert_webhook="http://hook")


def linked(given: Given) -> object:
    """Where a notification says that it is told what to do."""
    seen: list[str] = []

    def request(method: str, url: str, data: bytes, **_: Any) -> requests.Response:
        seen.append(json.loads(data)["alerts"][0]["docs"])
        response = requests.Response()
        response.status_code = 200
        response.raw = _Raw()
        return response

    given.monkeypatch.setattr(requests, "request", request)
    settings = given.with_settings(alert_webhook="http://hook")
    runtime = Runtime(settings, clock=lambda: NOW_US, alert_rules=FIRING, raise_faults=True)
    assert runtime.alerts is not None
    runtime.alerts.run_due()
    runtime.shutdown()
    return seen


def failing(given: Given) -> object:
    """Which rules tell of a model of which half the calls fail, and how urgent that is."""
    runtime = Runtime(given.with_settings(), clock=lambda: NOW_US, raise_faults=True)
    for number in range(40):
        runtime.ai.record_inference("m", "1", 1.0, error_type="timeout" if number % 2 else None)
    runtime.flush()
    assert runtime.alerts is not None
    runtime.alerts.run_due()
    told = {alert.rule: alert.severity for alert in runtime.rule_alerts().active if alert.subject.kind == "model"}
    runtime.shutdown()
    return {key: told[key] for key in ("model_errors", "model_errors_sustained") if key in told}


class _Raw:
    """The connection of an answer that has no body."""

    def close(self) -> None:
        """Nothing is open."""
