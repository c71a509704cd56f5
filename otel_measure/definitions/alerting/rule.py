"""The shape of an alert rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_measure.definitions.alerting.judgement import Severity, SubjectKind

Judge = Literal[
    "error_share",
    "slow_share",
    "silence",
    "young_silence",
    "daily_batch",
    "sender_silence",
    "cost",
    "kpi",
    "disk_fit",
    "down",
    "burn_rate",
    "loss",
    "room",
    "evaluation",
    "other_rules",
    "series",
]
"""Which function of `definitions/alerting` says how a subject stands."""

AlertUnit = Literal[
    "ratio", "percent", "ms", "usd", "score", "points", "calls", "hours", "seconds", "times", "records",
    "count", "load", "bytes", "bytes_per_second", "value",
]  # fmt: skip
"""The unit of a threshold; `times` is how many times faster than allowed a budget of errors is spent."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alert rule.

    Attributes:
        key: the name in the API, the settings and `/metrics`.
        title: what a person reads.
        about: whom it judges.
        judge: how it is judged.
        severity: "page" wakes somebody, "ticket" waits for the day.
        severity_untargeted: of a model for which nobody registered a target of this KPI; the same where it is `None`.
        window_s: the short window that it looks at.
        long_window_s: the window that has to confirm the short one; 0 where there is none.
        threshold: in the unit of what it judges; strict, as the bounds of KPIs are.
        unit: of the threshold and of the value.
        kpi: the KPI of which a target of one's own moves the threshold; empty where there is none.
        holds_s: how long it is beyond before it fires; 0 fires at once.
        clears_s: how long it is within before it is resolved.
        docs: the anchor of the heading in `docs/alerts.md` below which stands what it means and what to do; empty for
            its key.
        series: of a rule of a user's own, the column that it judges, such as "ai.p95_ms"; empty for every other one.
        side: the side of the threshold that is beyond; of a rule of the product its judge knows.
        only: the one subject that a user's own rule is about; empty for all.
        min_evidence: that a user's own rule asks for; 0 for what its column needs.
    """

    key: str
    title: str
    about: SubjectKind
    judge: Judge
    severity: Severity
    window_s: int
    threshold: float
    unit: AlertUnit
    long_window_s: int = 0
    kpi: str = ""
    severity_untargeted: Severity | None = None
    holds_s: int = 0
    clears_s: int = 300
    docs: str = ""
    series: str = ""
    side: Literal["above", "below"] = "above"
    only: str = ""
    min_evidence: int = 0

    @property
    def section(self) -> str:
        """The anchor of its section in `docs/alerts.md`."""
        return self.docs or self.key

    def severity_of(self, has_own_target: bool) -> Severity:
        """Return how urgent it is about a subject that has a target of its own, or none."""
        return self.severity if has_own_target or self.severity_untargeted is None else self.severity_untargeted
