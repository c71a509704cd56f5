"""The shape of an alert rule."""

from __future__ import annotations

from dataclasses import dataclass

from otel_measure.definitions.alerting.judgement import Severity, SubjectKind


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alert rule.

    Attributes:
        key: the name in the API, the settings and `/metrics`.
        title: what a person reads.
        about: whom it judges.
        severity: "page" wakes somebody, "ticket" waits for the day.
        window_s: the short window that it looks at.
        threshold: in the unit of what it judges.
        holds_s: how long it is beyond before it fires; 0 fires at once.
        clears_s: how long it is within before it is resolved.
        docs: the section of the docs that says what to do.
    """

    key: str
    title: str
    about: SubjectKind
    severity: Severity
    window_s: int
    threshold: float
    holds_s: int = 0
    clears_s: int = 300
    docs: str = ""
