"""What users have otherwise than the table of alert rules."""

from __future__ import annotations

import pytest

from otel_measure.definitions.alerting.overrides import RuleOverride, rules_with
from otel_measure.definitions.alerting.rules import ALERT_RULES, rules_digest
from otel_measure.errors import ConfigurationError


def test_threshold_window_and_severity_may_be_otherwise() -> None:
    """An override changes what it names, a severity for every subject; all other rules stay, in their order."""
    changed = rules_with(
        [
            RuleOverride("model_latency", threshold=2000, window_s=600, severity="page"),
            RuleOverride("users_nps", threshold=-20),
        ]
    )
    assert [rule.key for rule in changed] == [rule.key for rule in ALERT_RULES]
    rules = {rule.key: rule for rule in changed}
    latency = rules["model_latency"]
    assert (latency.threshold, latency.window_s, latency.severity) == (2000.0, 600, "page")
    assert latency.severity_of(has_own_target=False) == "page"
    assert rules["users_nps"].threshold == -20.0
    assert {key for key, rule in rules.items() if rule not in ALERT_RULES} == {"model_latency", "users_nps"}


def test_an_override_that_changes_nothing_is_the_same_set_of_rules() -> None:
    """A threshold that is given as the table has it leaves the digest as it is."""
    assert rules_digest(rules_with([RuleOverride("model_silence", threshold=14)])) == rules_digest(ALERT_RULES)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([RuleOverride("model_mood")], "alert rule 'model_mood': unknown; it must be one of model_errors, "),
        ([RuleOverride("users_nps"), RuleOverride("users_nps")], "alert rule 'users_nps': given twice"),
        (
            [RuleOverride("model_errors", threshold=5.0)],
            "alert rule 'model_errors': threshold=5.0 (ratio) must be a number from 0 to 1",
        ),
        (
            [RuleOverride("model_latency", threshold=float("nan"))],
            "alert rule 'model_latency': threshold=nan (ms) must be a number from 0 on",
        ),
        (
            [RuleOverride("users_nps", threshold=-101)],
            "alert rule 'users_nps': threshold=-101 (points) must be a number from -100 to 100",
        ),
        (
            [RuleOverride("model_errors", window_s=90)],
            "alert rule 'model_errors': window_s=90 must be whole minutes, from 60 to 3600 seconds",
        ),
        (
            [RuleOverride("model_errors", window_s=7200)],
            "alert rule 'model_errors': window_s=7200 must be whole minutes, from 60 to 3600 seconds",
        ),
        (
            [RuleOverride("host_cpu", window_s=60)],
            "alert rule 'host_cpu': window_s=60 cannot be set; it has the window of the KPI cpu_usage_percent",
        ),
        (
            [RuleOverride("users_nps", severity="phone")],
            "alert rule 'users_nps': severity='phone' must be one of page, ticket",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(overrides: list[RuleOverride], message: str) -> None:
    """A refusal names the rule, the value, and what it may be."""
    with pytest.raises(ConfigurationError) as refused:
        rules_with(overrides)
    assert message in str(refused.value)
