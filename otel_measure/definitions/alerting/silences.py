"""Silences: of which alerts nobody is told for a while, and why."""

from __future__ import annotations

from dataclasses import dataclass

from otel_measure.definitions.alerting.judgement import AlertSubject


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of which nobody is told; they go on being judged, and are told of when it ends and they still fire.

    Attributes:
        rule, subject, environment: of the alerts; `None` for any, and an empty environment is the unnamed one.
        begins_us, ends_us: when, the end excluded.
        reason: for whoever wonders why nobody was told.
    """

    id: str
    rule: str | None
    subject: str | None
    environment: str | None
    begins_us: int
    ends_us: int
    reason: str

    def __post_init__(self) -> None:
        if self.rule is None and self.subject is None and self.environment is None:
            raise ValueError("a silence needs a rule, a subject or an environment: one of everything would hide all")
        if not self.reason.strip():
            raise ValueError("a silence needs a reason, for whoever wonders why nobody was told")
        if self.ends_us <= self.begins_us:
            raise ValueError("a silence must end after it begins")

    def covers(self, rule: str, subject: AlertSubject, now_us: int) -> bool:
        """Tell whether nobody is told now of an alert of this rule about this subject."""
        asked = ((self.rule, rule), (self.subject, subject.name), (self.environment, subject.environment))
        return self.begins_us <= now_us < self.ends_us and all(mine in {None, theirs} for mine, theirs in asked)
