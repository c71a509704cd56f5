"""What users have otherwise than the table of alert rules."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import pytest

from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rules import ALERT_RULES, rules_digest
from otel_measure.errors import ConfigurationError


def test_threshold_window_and_severity_may_be_otherwise() -> None:
    """An override changes what it names, a severity for every subject; all other rules stay, in their order."""
    changed = rules_with(
        {
            "model_latency": {"threshold": 2000, "window_s": 600, "severity": "page", "enabled": True},
            "users_nps": {"threshold": -20},
        }
    )
    assert [rule.key for rule in changed] == [rule.key for rule in ALERT_RULES]
    rules = {rule.key: rule for rule in changed}
    latency = rules["model_latency"]
    assert (latency.threshold, latency.window_s, latency.severity) == (2000.0, 600, "page")
    assert latency.severity_of(has_own_target=False) == "page"
    assert rules["users_nps"].threshold == -20.0
    assert {key for key, rule in rules.items() if rule not in ALERT_RULES} == {"model_latency", "users_nps"}


def test_a_rule_that_is_off_is_none() -> None:
    """What is not enabled is not among the rules, which are another set then."""
    rules = rules_with({"model_latency": {"enabled": False}})
    assert rules == tuple(rule for rule in ALERT_RULES if rule.key != "model_latency")
    assert rules_digest(rules) != rules_digest(ALERT_RULES)


def test_an_override_that_changes_nothing_is_the_same_set_of_rules() -> None:
    """A threshold that is given as the table has it leaves the digest as it is."""
    assert rules_digest(rules_with({"model_silence": {"threshold": 14}})) == rules_digest(ALERT_RULES)


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("model_mood", {}, "alert_rules['model_mood'] is no alert rule; they are model_errors, model_errors_sus"),
        ("model_mood", {"above": 1}, "a rule of your own needs a series, such as 'ai.p95_ms'"),
        ("model_errors", {"series": "ai.errors"}, "alert_rules['model_errors'] has the unknown key 'series'; known"),
        (
            "model_errors", {"treshold": 1},
            "alert_rules['model_errors'] has the unknown key 'treshold';"
            " known are threshold, window_s, severity, enabled",
        ),
        (
            "model_errors", {"threshold": 5.0},
            "alert_rules['model_errors']['threshold'] is 5.0; it must be a number from 0 to 1 (ratio)",
        ),
        (
            "model_latency", {"threshold": nan},
            "alert_rules['model_latency']['threshold'] is nan; it must be a number from 0 on (ms)",
        ),
        (
            "model_latency", {"threshold": "2 s"},
            "alert_rules['model_latency']['threshold'] is '2 s'; it must be a number from 0 on (ms)",
        ),
        (
            "users_nps", {"threshold": -101},
            "alert_rules['users_nps']['threshold'] is -101; it must be a number from -100 to 100 (points)",
        ),
        (
            "service_availability", {"threshold": 99},
            "alert_rules['service_availability']['threshold'] is 99; each service has its own:"
            " register it with another sla_target",
        ),
        (
            "model_errors", {"window_s": 90},
            "alert_rules['model_errors']['window_s'] is 90; it must be whole minutes, from 60 to 3600 seconds",
        ),
        (
            "model_errors", {"window_s": 7200},
            "alert_rules['model_errors']['window_s'] is 7200; it must be whole minutes, from 60 to 3600 seconds",
        ),
        (
            "host_cpu", {"window_s": 60},
            "alert_rules['host_cpu']['window_s'] is 60; it has the window of the KPI cpu_usage_percent: leave it out",
        ),
        (
            "service_down", {"window_s": 60},
            "alert_rules['service_down']['window_s'] is 60; it has none that can be set: leave it out",
        ),
        (
            "users_nps", {"severity": "phone"},
            "alert_rules['users_nps']['severity'] is 'phone'; it must be one of page, ticket",
        ),
        (
            "users_nps", {"enabled": "no"},
            "alert_rules['users_nps']['enabled'] is 'no'; it must be true or false",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(key: str, changes: Mapping[str, object], message: str) -> None:
    """A refusal names the rule, the value, and what it may be."""
    with pytest.raises(ConfigurationError) as refused:
        rules_with({key: changes})
    assert message in str(refused.value)
