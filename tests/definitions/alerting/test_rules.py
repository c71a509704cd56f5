"""The table of alert rules."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from otel_measure.definitions.alerting.rules import ALERT_RULES, rules_digest
from otel_measure.definitions.kpis import KPIS

# The alerts of the product's specification: which KPI, and the rule that tells of it.
SPECIFIED = {
    "cpu_usage_percent": "host_cpu",
    "memory_usage_percent": "host_memory",
    "disk_usage_percent": "host_disk",
    "availability_percent": "service_availability",
    "latency_p95_ms": "model_latency",
    "cost_per_request_usd": "model_cost",
    "accuracy": "model_accuracy",
    "drift_score": "model_drift",
    "health_score": "model_health",
    "dau_drop": "users_dau_drop",
    "conversion_drop": "users_conversion_drop",
    "nps_score": "users_nps",
}


def test_every_alert_of_the_specification_has_a_rule_with_its_number() -> None:
    """Each KPI of the specification that alerts has one rule, against the same threshold."""
    specified = {kpi.key: kpi.alert for kpi in KPIS if kpi.source == "seed" and kpi.alert is not None}
    thresholds = {rule.key: rule.threshold for rule in ALERT_RULES}
    assert {kpi: thresholds[key] for kpi, key in SPECIFIED.items()} == specified


def test_every_kpi_with_an_alert_threshold_has_a_rule() -> None:
    """So that its state is kept: since when it is beyond, and who is told."""
    assert {kpi.key for kpi in KPIS if kpi.alert is not None} == {rule.kpi for rule in ALERT_RULES if rule.kpi}


def test_what_pages() -> None:
    """Errors, silence, what is down now, fast burn, disks and our own losses wake; so do targets of one's own."""
    pages = {rule.key for rule in ALERT_RULES if rule.severity_of(has_own_target=False) == "page"}
    with_targets = {rule.key for rule in ALERT_RULES if rule.severity_of(has_own_target=True) == "page"}
    assert pages == {
        *("model_errors", "model_silence", "sender_silence", "service_down", "service_burn_fast"),
        *("host_disk", "host_disk_fills"),
        *("measure_dropped", "measure_rejected", "measure_store_full", "measure_no_evaluation"),
    }
    assert with_targets - pages == {"model_latency", "model_cost"}


def test_keys_are_names_of_rules_and_anchors() -> None:
    """No key stands twice, each is an anchor of the docs, and a rule of a KPI says which."""
    keys = [rule.key for rule in ALERT_RULES]
    assert len(set(keys)) == len(keys)
    assert [rule.section for rule in ALERT_RULES] == keys
    assert [rule.key for rule in ALERT_RULES if rule.judge == "kpi" and not rule.kpi] == []


def test_every_rule_has_its_section_of_the_docs() -> None:
    """The link of a rule leads to a heading that says what it means and what to do."""
    page = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (\w+)$", page, re.MULTILINE)
    assert sorted(headings) == sorted(rule.key for rule in ALERT_RULES)


def test_the_digest_tells_sets_of_rules_apart() -> None:
    """Whatever decides an alert changes the digest; a title, and the order of the rules, do not."""
    first, *others = ALERT_RULES
    digest = rules_digest(ALERT_RULES)
    assert rules_digest([*others, first]) == digest
    assert rules_digest([replace(first, title="another one"), *others]) == digest
    assert rules_digest([replace(first, threshold=0.06), *others]) != digest
    assert rules_digest([replace(first, severity="ticket"), *others]) != digest
    assert rules_digest(others) != digest
