"""Every KPI of the product: its unit, window, target, alert threshold and evidence. No other module has such a number.

A *target* is what a healthy system keeps, an *alert* what somebody has to look at now; between the two lies a warning.
Both are strict, as they are written: "target < 80" is missed at 80, "alert > 90" does not fire at 90.

Ratios are 0 to 1 and percentages 0 to 100, as the field of the API that carries the value has them. The gauge named by
``metric`` is always a ratio where the KPI is a percentage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from otel_measure.conventions import instruments

Domain = Literal["infrastructure", "ai", "users"]
Unit = Literal["percent", "ratio", "ms", "usd", "score", "points", "bytes_per_second"]
Direction = Literal["below", "above", "none"]


MIN_PRICED_RATIO: Final = 0.5
"""Of the calls of a model, that have a price where it is said what a call costs."""


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key performance indicator.

    Attributes:
        key: the name in the API and in ``register_model(targets=...)``.
        domain: the section of the dashboard it belongs to.
        title: what a person reads.
        unit: of the value, the target and the alert.
        window: the time the value is taken over (``5m``, ``24h``, ``28d``); ``now`` for a current reading.
        direction: the side of the target that is good; ``none`` when there is nothing to judge.
        target: strict bound of the good side; ``None`` when only a change alerts.
        met_at_target: whether a target that is just reached is met, as that of an SLA is.
        alert: strict bound beyond which somebody has to look; ``None`` when there is no such rule.
        alert_for_s: seconds through which the alert must hold before it fires.
        alert_rule: the alert as a sentence; empty without one.
        metric: OpenTelemetry gauge that carries the value; empty when no single gauge does.
        needs: the evidence without which there is no verdict, in words that complete "needs".
        min_evidence: the same as a number.
        source: ``seed`` for a KPI of the product's specification, ``ours`` for one that we added.
    """

    key: str
    domain: Domain
    title: str
    unit: Unit
    window: str
    direction: Direction
    target: float | None = None
    met_at_target: bool = False
    alert: float | None = None
    alert_for_s: int = 0
    alert_rule: str = ""
    metric: str = ""
    needs: str = ""
    min_evidence: int = 1
    source: Literal["seed", "ours"] = "seed"


KPIS: Final[tuple[Kpi, ...]] = (
    Kpi(
        key="cpu_usage_percent",
        domain="infrastructure",
        title="CPU usage",
        unit="percent",
        window="5m",
        direction="below",
        target=80.0,
        alert=90.0,
        alert_for_s=300,
        alert_rule="CPU > 90 % for 5 minutes",
        metric=instruments.SYSTEM_CPU_UTILIZATION.name,
        needs="two readings",
        min_evidence=2,
    ),
    Kpi(
        key="memory_usage_percent",
        domain="infrastructure",
        title="Memory usage",
        unit="percent",
        window="5m",
        direction="below",
        target=80.0,
        alert=90.0,
        alert_for_s=300,
        alert_rule="Memory > 90 % for 5 minutes",
        metric=instruments.SYSTEM_MEMORY_UTILIZATION.name,
        needs="a reading",
    ),
    Kpi(
        key="disk_usage_percent",
        domain="infrastructure",
        title="Disk usage",
        unit="percent",
        window="now",
        direction="below",
        target=80.0,
        alert=90.0,
        alert_rule="Disk > 90 %",
        metric=instruments.SYSTEM_FILESYSTEM_UTILIZATION.name,
        needs="a reading of the fullest local mount of 1 GiB or more",
    ),
    Kpi(
        key="network_throughput_bytes_per_second",
        domain="infrastructure",
        title="Network throughput",
        unit="bytes_per_second",
        window="now",
        direction="none",
        needs="two readings",
        min_evidence=2,
    ),
    Kpi(
        key="availability_percent",
        domain="infrastructure",
        title="Availability",
        unit="percent",
        window="30d",
        direction="above",
        target=99.9,
        met_at_target=True,
        alert=99.9,
        alert_rule="Availability < 99.9 %",
        metric=instruments.OTEL_MEASURE_SERVICE_AVAILABILITY_RATIO.name,
        needs="an hour of observed time, and 90 % of the window",
    ),
    Kpi(
        key="latency_p95_ms",
        domain="ai",
        title="Inference latency p95",
        unit="ms",
        window="24h",
        direction="below",
        target=200.0,
        alert=500.0,
        alert_rule="P95 latency > 500 ms",
        needs="20 calls",
        min_evidence=20,
    ),
    Kpi(
        key="cost_per_request_usd",
        domain="ai",
        title="Cost per request",
        unit="usd",
        window="24h",
        direction="below",
        target=0.01,
        alert=0.05,
        alert_rule="Cost per request > $0.05",
        needs="20 priced calls, and a price for half of the calls",
        min_evidence=20,
    ),
    Kpi(
        key="accuracy",
        domain="ai",
        title="Model accuracy",
        unit="ratio",
        window="24h",
        direction="above",
        target=0.95,
        alert=0.90,
        alert_rule="Accuracy < 90 %",
        metric=instruments.OTEL_MEASURE_AI_ACCURACY_RATIO.name,
        needs="50 predictions whose truth is known",
        min_evidence=50,
    ),
    Kpi(
        key="drift_score",
        domain="ai",
        title="Model drift score",
        unit="score",
        window="24h",
        direction="below",
        target=0.1,
        alert=0.3,
        alert_rule="Drift score > 0.3",
        metric=instruments.OTEL_MEASURE_AI_DRIFT_SCORE.name,
        needs="50 independent records in the window, a reference, and a shift of 2 σ to be one that would be found",
        min_evidence=50,
    ),
    Kpi(
        key="health_score",
        domain="ai",
        title="Model health score",
        unit="points",
        window="24h",
        direction="above",
        target=90.0,
        alert=80.0,
        alert_rule="Health score < 80",
        metric=instruments.OTEL_MEASURE_AI_HEALTH_SCORE.name,
        needs="20 calls with errors and latency measured",
        min_evidence=20,
    ),
    Kpi(
        key="error_rate",
        domain="ai",
        title="Error rate",
        unit="ratio",
        window="24h",
        direction="below",
        target=0.01,
        alert=0.05,
        alert_rule="Error rate > 5 %",
        needs="20 calls",
        min_evidence=20,
        source="ours",
    ),
    Kpi(
        key="data_quality",
        domain="ai",
        title="Data quality",
        unit="ratio",
        window="24h",
        direction="above",
        target=0.99,
        alert=0.90,
        alert_rule="Data quality < 90 %",
        metric=instruments.OTEL_MEASURE_AI_DATA_QUALITY_RATIO.name,
        needs="50 records with features, and a reference",
        min_evidence=50,
        source="ours",
    ),
    Kpi(
        key="fairness_gap",
        domain="ai",
        title="Fairness gap",
        unit="ratio",
        window="24h",
        direction="below",
        target=0.1,
        alert=0.2,
        alert_rule="Fairness gap > 20 %",
        needs="two groups of 100 records each",
        min_evidence=100,
        source="ours",
    ),
    Kpi(
        key="stickiness",
        domain="users",
        title="DAU/MAU ratio",
        unit="ratio",
        window="28d",
        direction="above",
        target=0.2,
        metric=instruments.OTEL_MEASURE_USERS_STICKINESS_RATIO.name,
        needs="28 complete days with 30 active persons",
        min_evidence=30,
    ),
    Kpi(
        key="conversion_rate",
        domain="users",
        title="Conversion rate",
        unit="ratio",
        window="30d",
        direction="above",
        target=0.05,
        metric=instruments.OTEL_MEASURE_USERS_CONVERSION_RATIO.name,
        needs="30 persons who entered",
        min_evidence=30,
    ),
    Kpi(
        key="day_7_retention",
        domain="users",
        title="Day 7 retention",
        unit="ratio",
        window="90d",
        direction="above",
        target=0.40,
        metric=instruments.OTEL_MEASURE_USERS_RETENTION_RATIO.name,
        needs="30 persons in mature cohorts",
        min_evidence=30,
    ),
    Kpi(
        key="nps_score",
        domain="users",
        title="NPS score",
        unit="points",
        window="90d",
        direction="above",
        target=40.0,
        alert=0.0,
        alert_rule="NPS score < 0",
        metric=instruments.OTEL_MEASURE_USERS_NPS_SCORE.name,
        needs="30 answers",
        min_evidence=30,
    ),
    Kpi(
        key="bounce_rate",
        domain="users",
        title="Bounce rate",
        unit="ratio",
        window="30d",
        direction="below",
        target=0.40,
        metric=instruments.OTEL_MEASURE_USERS_BOUNCE_RATIO.name,
        needs="30 finished sessions with a view",
        min_evidence=30,
    ),
    Kpi(
        key="dau_drop",
        domain="users",
        title="DAU drop, last complete day against the mean of the last four same weekdays",
        unit="ratio",
        window="1d",
        direction="below",
        alert=0.20,
        alert_rule="DAU drops by > 20 %",
        needs="14 days of history with 100 active users on the same weekdays",
        min_evidence=100,
    ),
    Kpi(
        key="conversion_drop",
        domain="users",
        title="Conversion rate drop, last 7 complete days against the 7 before",
        unit="ratio",
        window="7d",
        direction="below",
        alert=0.30,
        alert_rule="Conversion rate drops by > 30 %",
        needs="100 persons who entered in each of the two weeks",
        min_evidence=100,
    ),
)

BY_KEY: Final[dict[str, Kpi]] = {kpi.key: kpi for kpi in KPIS}
