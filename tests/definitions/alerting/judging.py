"""Rules, subjects and judgements of the tests of alerting."""

from __future__ import annotations

from typing import Final

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome, Severity
from otel_measure.definitions.alerting.rule import AlertRule

MINUTE: Final = 60_000_000
NOW: Final = 1_768_478_400_000_000
CHURN: Final = AlertSubject("model", "churn", "prod")
API: Final = AlertSubject("service", "api", "prod")


def rule(key: str = "errors", severity: Severity = "page", holds_s: int = 0, clears_s: int = 300) -> AlertRule:
    """Return a rule about models."""
    return AlertRule(
        key=key,
        title=key.title(),
        about="model",
        judge="error_share",
        severity=severity,
        window_s=300,
        threshold=0.05,
        unit="ratio",
        holds_s=holds_s,
        clears_s=clears_s,
        kpi="error_rate",
        docs="what-to-do",
    )


def judged(outcome: Outcome, key: str = "errors", subject: AlertSubject = CHURN, value: float = 0.9) -> Judgement:
    """Return what a rule says."""
    said = f"{key} of {subject.name} is {value}" if outcome == "beyond" else ""
    return Judgement(key, subject, outcome, value, 0.05, 20, said, "timeout" if said else "", NOW if said else 0)
