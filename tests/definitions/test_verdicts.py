"""How a value is judged and written against its KPI."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.kpis import BY_KEY, KPIS, Kpi
from otel_measure.definitions.verdicts import format_value, host_status, judge, missing
from otel_measure.records.enums import HealthStatus


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("cpu_usage_percent", 79.9, "ok"),
        ("cpu_usage_percent", 80.0, "warning"),
        ("cpu_usage_percent", 90.0, "warning"),
        ("cpu_usage_percent", 90.1, "alert"),
        ("availability_percent", 99.91, "ok"),
        ("availability_percent", 99.9, "ok"),
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
    """A target is missed at its bound (not that of an SLA), no alert fires at its own, and the unknown stays so."""
    assert judge(BY_KEY[key], value) == verdict


@pytest.mark.parametrize(("evidence", "verdict"), [(None, "alert"), (100, "alert"), (99, "unknown"), (0, "unknown")])
def test_too_little_evidence_is_no_verdict(evidence: int | None, verdict: str) -> None:
    """A drop among fewer users than the KPI needs is unknown, whatever its size."""
    assert judge(BY_KEY["dau_drop"], 0.5, evidence=evidence) == verdict


@pytest.mark.parametrize(
    ("key", "value", "interval", "verdict"),
    [
        ("error_rate", 0.10, (0.06, 0.16), "alert"),
        ("error_rate", 0.10, (0.04, 0.20), "warning"),
        ("error_rate", 0.02, (0.001, 0.2), "warning"),
        ("error_rate", 0.0, (0.0, 0.1), "ok"),
        ("accuracy", 0.80, (0.70, 0.88), "alert"),
        ("accuracy", 0.80, (0.70, 0.91), "warning"),
        ("nps_score", -100.0, (-100.0, 48.0), "warning"),
        ("nps_score", -60.0, (-80.0, -40.0), "alert"),
        ("conversion_rate", 0.01, (0.0, 0.02), "warning"),
    ],
)
def test_an_alert_is_beyond_doubt_and_a_warning_is_not(
    key: str, value: float, interval: tuple[float, float], verdict: str
) -> None:
    """A proportion alerts when its whole interval lies beyond the threshold, and warns by its value alone."""
    assert judge(BY_KEY[key], value, interval=interval) == verdict


@pytest.mark.parametrize(
    ("key", "value", "evidence", "sentence"),
    [
        ("error_rate", 1.0, 3, "needs 20 calls; there are 3 so far"),
        ("error_rate", math.nan, 0, "needs 20 calls"),
        ("error_rate", 0.5, 20, ""),
        ("stickiness", math.nan, None, "needs 28 complete days with 30 active persons"),
        ("disk_usage_percent", 12.0, None, ""),
    ],
)
def test_an_answer_says_what_is_missing(key: str, value: float, evidence: int | None, sentence: str) -> None:
    """Words and how far it is from enough; nothing where a verdict can be given."""
    assert missing(BY_KEY[key], value, evidence) == sentence


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("availability_percent", 99.899, "99.899 %"),
        ("availability_percent", 99.89999, "99.89999 %"),
        ("availability_percent", 99.9, "99.9 %"),
        ("availability_percent", 99.96064, "99.96 %"),
        ("availability_percent", 99.99999, "99.99999 %"),
        ("availability_percent", 100.0, "100 %"),
        ("error_rate", 0.0500001, "5.00001 %"),
        ("error_rate", 1e-7, "1e-05 %"),
        ("latency_p95_ms", 500.0001, "500.0001 ms"),
        ("drift_score", 0.30001, "0.30001"),
        ("nps_score", -0.0001, "-0.0001"),
    ],
)
def test_what_is_written_agrees_with_what_is_compared(key: str, value: float, text: str) -> None:
    """A value has as many digits as tell it from its target, its threshold, and from nothing and everything."""
    assert format_value(BY_KEY[key], value) == text


@given(st.sampled_from(KPIS), st.floats(-1e9, 1e9))
def test_no_value_is_written_as_a_bound_that_it_is_not(kpi: Kpi, value: float) -> None:
    """Whatever the value: only the bound itself is written like the bound."""
    for bound in (kpi.target, kpi.alert):
        if bound is not None and bound != value:
            assert format_value(kpi, value) != format_value(kpi, bound)


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


def test_the_host_is_critical_when_five_minutes_were_seen() -> None:
    """As its KPI, a mean beyond the threshold is a warning before; a full disk is full at once."""
    seen = [host_status(95.0, 20.0, 30.0, seconds) for seconds in (10.0, 269.0, 270.0)]
    assert seen == [HealthStatus.DEGRADED, HealthStatus.DEGRADED, HealthStatus.CRITICAL]
    assert host_status(10.0, 20.0, 95.0, 0.0) is HealthStatus.CRITICAL


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
