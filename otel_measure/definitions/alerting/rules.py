"""Every alert rule: whom it judges, in which window, against what, and whether it wakes somebody.

The numbers of the specification are those of the KPI table. What pages harms somebody now and cannot wait
for the morning; all else is a ticket.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.kpis import BY_KEY

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S


def _alert(key: str) -> float:
    """Return the alert threshold that the KPI table has."""
    alert = BY_KEY[key].alert
    if alert is None:
        raise ValueError(f"the KPI {key!r} has no alert threshold: give the rule a number of its own")
    return alert


_MODELS: Final = (
    AlertRule(
        key="model_errors",
        title="Calls of a model fail",
        about="model",
        judge="error_share",
        severity="page",
        window_s=5 * MINUTE_S,
        long_window_s=HOUR_S,
        threshold=_alert("error_rate"),
        unit="ratio",
        kpi="error_rate",
    ),
    AlertRule(
        key="model_errors_sustained",
        title="Calls of a model keep failing",
        about="model",
        judge="error_share",
        severity="ticket",
        window_s=30 * MINUTE_S,
        long_window_s=6 * HOUR_S,
        threshold=_alert("error_rate"),
        unit="ratio",
        kpi="error_rate",
        clears_s=30 * MINUTE_S,
    ),
    AlertRule(
        key="model_latency",
        title="A model is slow",
        about="model",
        judge="slow_share",
        severity="page",
        severity_untargeted="ticket",
        window_s=15 * MINUTE_S,
        long_window_s=HOUR_S,
        threshold=_alert("latency_p95_ms"),
        unit="ms",
        kpi="latency_p95_ms",
    ),
    AlertRule(
        key="model_silence",
        title="A model is not called any more",
        about="model",
        judge="silence",
        severity="page",
        window_s=10 * MINUTE_S,
        threshold=14,
        unit="calls",
    ),
    AlertRule(
        key="model_silence_young",
        title="A model of a few days is not called any more",
        about="model",
        judge="young_silence",
        severity="ticket",
        window_s=30 * MINUTE_S,
        long_window_s=3 * HOUR_S,
        threshold=60,
        unit="calls",
    ),
    AlertRule(
        key="model_batch_missed",
        title="The daily batch of a model did not run",
        about="model",
        judge="daily_batch",
        severity="ticket",
        window_s=26 * HOUR_S,
        threshold=14,
        unit="calls",
    ),
    AlertRule(
        key="sender_silence",
        title="Nothing comes any more from a service that calls models",
        about="service",
        judge="sender_silence",
        severity="page",
        window_s=10 * MINUTE_S,
        threshold=14,
        unit="calls",
    ),
    AlertRule(
        key="model_cost",
        title="A call of a model costs too much",
        about="model",
        judge="cost",
        severity="page",
        severity_untargeted="ticket",
        window_s=HOUR_S,
        threshold=_alert("cost_per_request_usd"),
        unit="usd",
        kpi="cost_per_request_usd",
    ),
    AlertRule(
        key="model_accuracy",
        title="A model is wrong too often",
        about="model",
        judge="kpi",
        severity="ticket",
        window_s=DAY_S,
        threshold=_alert("accuracy"),
        unit="ratio",
        kpi="accuracy",
        clears_s=HOUR_S,
    ),
    AlertRule(
        key="model_drift",
        title="What a model is given or answers has drifted",
        about="model",
        judge="kpi",
        severity="ticket",
        window_s=DAY_S,
        threshold=_alert("drift_score"),
        unit="score",
        kpi="drift_score",
        clears_s=HOUR_S,
    ),
    AlertRule(
        key="model_health",
        title="A model is not well",
        about="model",
        judge="kpi",
        severity="ticket",
        window_s=DAY_S,
        threshold=_alert("health_score"),
        unit="points",
        kpi="health_score",
        clears_s=HOUR_S,
    ),
    AlertRule(
        key="model_data_quality",
        title="What a model is given is incomplete or out of range",
        about="model",
        judge="kpi",
        severity="ticket",
        window_s=DAY_S,
        threshold=_alert("data_quality"),
        unit="ratio",
        kpi="data_quality",
        clears_s=HOUR_S,
    ),
    AlertRule(
        key="model_fairness",
        title="A model treats groups differently",
        about="model",
        judge="kpi",
        severity="ticket",
        window_s=DAY_S,
        threshold=_alert("fairness_gap"),
        unit="ratio",
        kpi="fairness_gap",
        clears_s=HOUR_S,
    ),
)
_MACHINES: Final = (
    AlertRule(
        key="host_cpu",
        title="The CPU is busy",
        about="host",
        judge="kpi",
        severity="ticket",
        window_s=5 * MINUTE_S,
        threshold=_alert("cpu_usage_percent"),
        unit="percent",
        kpi="cpu_usage_percent",
    ),
    AlertRule(
        key="host_memory",
        title="The memory is nearly full",
        about="host",
        judge="kpi",
        severity="ticket",
        window_s=5 * MINUTE_S,
        threshold=_alert("memory_usage_percent"),
        unit="percent",
        kpi="memory_usage_percent",
    ),
    AlertRule(
        key="host_disk",
        title="A disk is nearly full",
        about="host",
        judge="kpi",
        severity="page",
        window_s=MINUTE_S,
        threshold=_alert("disk_usage_percent"),
        unit="percent",
        kpi="disk_usage_percent",
    ),
    AlertRule(
        key="host_disk_fills",
        title="A disk will be full within a day",
        about="host",
        judge="disk_fit",
        severity="page",
        window_s=6 * HOUR_S,
        threshold=24,
        unit="hours",
        clears_s=30 * MINUTE_S,
    ),
)
_SERVICES: Final = (
    AlertRule(
        key="service_down",
        title="A service is down",
        about="service",
        judge="down",
        severity="page",
        window_s=MINUTE_S,
        threshold=MINUTE_S,
        unit="seconds",
    ),
    AlertRule(
        key="service_burn_fast",
        title="A service spends its allowed downtime within two days",
        about="service",
        judge="burn_rate",
        severity="page",
        window_s=5 * MINUTE_S,
        long_window_s=HOUR_S,
        threshold=14.4,
        unit="times",
    ),
    AlertRule(
        key="service_burn_slow",
        title="A service spends its allowed downtime within five days",
        about="service",
        judge="burn_rate",
        severity="ticket",
        window_s=30 * MINUTE_S,
        long_window_s=6 * HOUR_S,
        threshold=6,
        unit="times",
    ),
    AlertRule(
        key="service_availability",
        title="A service misses its objective",
        about="service",
        judge="kpi",
        severity="ticket",
        window_s=30 * DAY_S,
        threshold=_alert("availability_percent"),
        unit="percent",
        kpi="availability_percent",
        clears_s=HOUR_S,
    ),
)
_USERS: Final = (
    AlertRule(
        key="users_dau_drop",
        title="Fewer persons came than on the same weekdays before",
        about="users",
        judge="kpi",
        severity="ticket",
        window_s=DAY_S,
        threshold=_alert("dau_drop"),
        unit="ratio",
        kpi="dau_drop",
    ),
    AlertRule(
        key="users_conversion_drop",
        title="A smaller share of persons converted than the week before",
        about="users",
        judge="kpi",
        severity="ticket",
        window_s=7 * DAY_S,
        threshold=_alert("conversion_drop"),
        unit="ratio",
        kpi="conversion_drop",
    ),
    AlertRule(
        key="users_nps",
        title="More persons advise against than recommend",
        about="users",
        judge="kpi",
        severity="ticket",
        window_s=90 * DAY_S,
        threshold=_alert("nps_score"),
        unit="points",
        kpi="nps_score",
        clears_s=HOUR_S,
    ),
)
_OURS: Final = (
    AlertRule(
        key="measure_dropped",
        title="Records were dropped before they were stored",
        about="process",
        judge="loss",
        severity="page",
        window_s=5 * MINUTE_S,
        threshold=0,
        unit="records",
    ),
    AlertRule(
        key="measure_rejected",
        title="The store refused records",
        about="process",
        judge="loss",
        severity="page",
        window_s=5 * MINUTE_S,
        threshold=0,
        unit="records",
    ),
    AlertRule(
        key="measure_store_full",
        title="The store has no room",
        about="process",
        judge="room",
        severity="page",
        window_s=MINUTE_S,
        threshold=0,
        unit="records",
    ),
    AlertRule(
        key="measure_no_evaluation",
        title="Alerts are not evaluated",
        about="process",
        judge="evaluation",
        severity="page",
        window_s=5 * MINUTE_S,
        threshold=5 * MINUTE_S,
        unit="seconds",
    ),
    AlertRule(
        key="measure_other_rules",
        title="A process has other alert rules",
        about="process",
        judge="other_rules",
        severity="ticket",
        window_s=5 * MINUTE_S,
        threshold=0,
        unit="seconds",
        holds_s=10 * MINUTE_S,
    ),
)
ALERT_RULES: Final[tuple[AlertRule, ...]] = (*_MODELS, *_MACHINES, *_SERVICES, *_USERS, *_OURS)


def rules_digest(rules: Iterable[AlertRule]) -> str:
    """Return what tells one set of rules from another; titles and links do not count, nor the order."""
    decisive = {
        rule.key: {**asdict(rule), "threshold": float(rule.threshold), "title": "", "docs": ""} for rule in rules
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
