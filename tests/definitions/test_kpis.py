"""The KPI table: every number of the specification, and how a value is judged against it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.kpis import BY_KEY, KPIS, Kpi, format_value, host_status, judge
from otel_measure.records.enums import HealthStatus

SPECIFIED = {
    "cpu_usage_percent": ("below", 80, 90, 300),
    "memory_usage_percent": ("below", 80, 90, 300),
    "disk_usage_percent": ("below", 80, 90, 0),
    "network_throughput_bytes_per_second": ("none", None, None, 0),
    "availability_percent": ("above", 99.9, 99.9, 0),
    "latency_p95_ms": ("below", 200, 500, 0),
    "cost_per_request_usd": ("below", 0.01, 0.05, 0),
    "accuracy": ("above", 0.95, 0.90, 0),
    "drift_score": ("below", 0.1, 0.3, 0),
    "health_score": ("above", 90, 80, 0),
    "stickiness": ("above", 0.2, None, 0),
    "conversion_rate": ("above", 0.05, None, 0),
    "day_7_retention": ("above", 0.40, None, 0),
    "nps_score": ("above", 40, 0, 0),
    "bounce_rate": ("below", 0.40, None, 0),
    "dau_drop": ("below", None, 0.20, 0),
    "conversion_drop": ("below", None, 0.30, 0),
}
OURS = {
    "error_rate": ("below", 0.01, 0.05, 0),
    "data_quality": ("above", 0.99, 0.90, 0),
    "fairness_gap": ("below", 0.1, 0.2, 0),
}


def _numbers(source: str) -> dict[str, tuple[str, float | None, float | None, int]]:
    return {k.key: (k.direction, k.target, k.alert, k.alert_for_s) for k in KPIS if k.source == source}


def test_the_table_holds_every_specified_kpi_and_no_other() -> None:
    """Directions, targets, alerts and durations are those of the specification, and ours are marked as ours."""
    assert (_numbers("seed"), _numbers("ours")) == (SPECIFIED, OURS)


def test_keys_are_unique_and_index_the_table() -> None:
    """``BY_KEY`` has each row of the table once."""
    assert list(BY_KEY.values()) == list(KPIS)


def test_an_alert_threshold_and_its_sentence_come_together() -> None:
    """A KPI has an alert sentence exactly when it has a threshold, and a duration only then."""
    assert [k.key for k in KPIS if bool(k.alert_rule) != (k.alert is not None)] == []
    assert [k.key for k in KPIS if k.alert_for_s and k.alert is None] == []


@pytest.mark.parametrize("kpi", [k for k in KPIS if k.target is not None and k.alert is not None], ids=lambda k: k.key)
def test_an_alert_is_never_on_the_good_side_of_its_target(kpi: Kpi) -> None:
    """The alert threshold lies at the target or on its bad side, so that no value is good and alerting."""
    assert kpi.target is not None
    assert kpi.alert is not None
    assert kpi.alert >= kpi.target if kpi.direction == "below" else kpi.alert <= kpi.target


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("cpu_usage_percent", 79.9, "ok"),
        ("cpu_usage_percent", 80.0, "warning"),
        ("cpu_usage_percent", 90.0, "warning"),
        ("cpu_usage_percent", 90.1, "alert"),
        ("availability_percent", 99.91, "ok"),
        ("availability_percent", 99.9, "warning"),
        ("availability_percent", 99.89, "alert"),
        ("nps_score", 40.0, "warning"),
        ("nps_score", 0.0, "warning"),
        ("nps_score", -0.1, "alert"),
        ("bounce_rate", 0.99, "warning"),
        ("dau_drop", 0.20, "ok"),
        ("dau_drop", 0.21, "alert"),
        ("dau_drop", -3.0, "ok"),
        ("network_throughput_bytes_per_second", 1e12, "ok"),
        ("network_throughput_bytes_per_second", math.nan, "unknown"),
        ("latency_p95_ms", math.inf, "alert"),
        ("latency_p95_ms", math.nan, "unknown"),
        ("latency_p95_ms", None, "unknown"),
    ],
)
def test_bounds_are_strict_on_both_sides(key: str, value: float | None, verdict: str) -> None:
    """A target is missed at its bound, an alert does not fire at its bound, and the unknown stays unknown."""
    assert judge(BY_KEY[key], value) == verdict


@pytest.mark.parametrize(("evidence", "verdict"), [(None, "alert"), (100, "alert"), (99, "unknown"), (0, "unknown")])
def test_too_little_evidence_is_no_verdict(evidence: int | None, verdict: str) -> None:
    """A drop among fewer users than the KPI needs is unknown, whatever its size."""
    assert judge(BY_KEY["dau_drop"], 0.5, evidence=evidence) == verdict


@given(st.sampled_from([k for k in KPIS if k.direction != "none"]), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_worse_value_never_gets_a_better_verdict(kpi: Kpi, one: float, other: float) -> None:
    """Verdicts are monotone along the KPI's direction."""
    order = ["ok", "warning", "alert"]
    better, worse = sorted((one, other), reverse=kpi.direction == "above")
    assert order.index(judge(kpi, better)) <= order.index(judge(kpi, worse))


@pytest.mark.parametrize(
    ("readings", "status"),
    [
        ((10.0, 20.0, 30.0), "healthy"),
        ((80.0, 20.0, 30.0), "degraded"),
        ((10.0, 95.0, 85.0), "critical"),
        ((10.0, 20.0, 90.0), "degraded"),
        ((math.nan, 20.0, math.nan), "healthy"),
        ((math.nan, math.nan, 91.0), "critical"),
        ((math.nan, math.nan, math.nan), "degraded"),
    ],
)
def test_the_host_is_as_well_as_its_worst_known_reading(readings: tuple[float, float, float], status: str) -> None:
    """The worst verdict decides, unknown readings are left out, and a host without readings is not healthy."""
    assert host_status(*readings) is HealthStatus(status)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("cpu_usage_percent", 93.25, "93.25 %"),
        ("accuracy", 0.9123, "91.23 %"),
        ("latency_p95_ms", 12345.0, "12,345 ms"),
        ("cost_per_request_usd", 0.01234, "$0.01234"),
        ("drift_score", 0.25, "0.25"),
        ("nps_score", -33.3, "-33.3"),
        ("network_throughput_bytes_per_second", 1234567.0, "1,234,567 B/s"),
        ("accuracy", math.nan, "unknown"),
        ("accuracy", None, "unknown"),
    ],
)
def test_a_value_is_written_with_its_unit(key: str, value: float | None, text: str) -> None:
    """Ratios are written as percentages, and an unknown value as a word."""
    assert format_value(BY_KEY[key], value) == text
