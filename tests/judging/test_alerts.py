"""Alerts, from a scorecard and beside those of rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from otel_measure.alerting.deliveries import ListedAlert
from otel_measure.alerting.messages import SubjectMessage
from otel_measure.alerting.report import RuleAlerts
from otel_measure.judging.alerts import Alert, Alerts, alerts
from otel_measure.judging.scorecard import Scorecard, scorecard
from tests.judging.test_scorecard import NOW, models, overview

SINCE = NOW - timedelta(hours=3)


def slow() -> Scorecard:
    """A machine whose disk is nearly full, and a model that is slow."""
    return scorecard(replace(overview(), models=models(slow=600)))


def latency(**changes: Any) -> ListedAlert:
    """The alert of the rule about latency, of the slow model with all its versions."""
    message = ListedAlert(
        rule="model_latency",
        title="A model is slow",
        subject=SubjectMessage("model", "slow", ""),
        severity="ticket",
        state="firing",
        resolution="",
        value=0.9,
        threshold=500.0,
        evidence=40,
        sentence="slow is slow",
        cause="",
        since=SINCE,
        until=None,
        kpi="latency_p95_ms",
        docs="http://page/#/rules/model_latency",
    )
    return replace(message, **changes)


def test_an_alert_is_a_sentence() -> None:
    """What fires says what it is, of what, its value, the threshold and how much it rests on."""
    card = slow()
    assert alerts(card, RuleAlerts(), "web-1") == Alerts(
        (
            Alert("disk_usage_percent", "infrastructure", "", 95.0, 90.0, "Disk > 90 %",
                  "Disk usage is 95 %, above 90 %"),
            Alert("latency_p95_ms", "ai", "slow 1", 600, 500.0, "P95 latency > 500 ms",
                  "Inference latency p95 of slow 1 is 600 ms, above 500 ms", 20, model_name="slow", model_version="1"),
        ),
        len(card.kpis),
        sum(reading.verdict == "unknown" for reading in card.kpis),
        NOW,
        "",
        RuleAlerts(),
    )  # fmt: skip


def test_an_alert_knows_since_when_by_its_rule() -> None:
    """The rule of the KPI about its subject says since when: while it fires or is pending, or where it lately did."""

    def dated(rules: RuleAlerts) -> list[tuple[str, object, str]]:
        return [(one.key, one.since, one.told_by) for one in alerts(slow(), rules, "web-1").alerts]

    def of_latency(since: object, told_by: str = "") -> list[tuple[str, object, str]]:
        return [("disk_usage_percent", None, ""), ("latency_p95_ms", since, told_by)]

    assert dated(RuleAlerts((latency(),))) == of_latency(SINCE, "model_latency")
    assert dated(RuleAlerts((latency(state="pending"),))) == of_latency(SINCE)
    resolved = latency(state="resolved", until=NOW - timedelta(hours=1))
    assert dated(RuleAlerts(recent=(resolved, latency(since=SINCE - timedelta(days=2))))) == of_latency(SINCE)
    earlier = replace(resolved, until=NOW - timedelta(hours=25))  # the KPI no longer looks so far back
    assert dated(RuleAlerts(recent=(earlier,))) == of_latency(None)
    others = (
        latency(subject=SubjectMessage("model", "slow", "staging")),
        latency(subject=SubjectMessage("model", "slow 1", "")),
        latency(kpi="error_rate"),
    )
    assert dated(RuleAlerts(others)) == of_latency(None)
    disk = latency(kpi="disk_usage_percent", rule="host_disk", subject=SubjectMessage("host", "web-1", ""))
    assert dated(RuleAlerts((disk,)))[0] == ("disk_usage_percent", SINCE, "host_disk")
