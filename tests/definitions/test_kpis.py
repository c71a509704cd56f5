"""The KPI table: every number of the specification, and how a value is judged against it."""

from __future__ import annotations

import pytest

from otel_measure.definitions.kpis import BY_KEY, KPIS, Kpi

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


EVIDENCE = {
    "latency_p95_ms": 20,
    "error_rate": 20,
    "cost_per_request_usd": 20,
    "accuracy": 50,
    "health_score": 20,
    "drift_score": 50,
    "data_quality": 50,
    "fairness_gap": 100,
    "stickiness": 30,
    "conversion_rate": 30,
    "day_7_retention": 30,
    "bounce_rate": 30,
    "nps_score": 30,
    "dau_drop": 100,
    "conversion_drop": 100,
    "cpu_usage_percent": 2,
    "network_throughput_bytes_per_second": 2,
}


def test_each_kpi_needs_the_evidence_that_is_specified() -> None:
    """One reading is enough where nothing else is said, and the words name the number."""
    assert {kpi.key: kpi.min_evidence for kpi in KPIS if kpi.min_evidence > 1} == EVIDENCE
    assert [kpi.key for kpi in KPIS if kpi.min_evidence > 2 and str(kpi.min_evidence) not in kpi.needs] == []
