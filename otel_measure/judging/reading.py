"""One KPI of one subject, judged."""

from __future__ import annotations

from dataclasses import dataclass

from otel_measure.definitions.verdicts import Verdict
from otel_measure.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class Reading:
    """One KPI of one subject.

    Attributes:
        value: `nan` where nothing is known.
        value_ci: its 95 % interval, `None` where it has none.
        evidence: how many calls, labels, answers, sessions or persons it rests on; `None` where none are counted.
        verdict: "unknown" with less evidence than the KPI needs.
        missing: what is missing for a verdict, as a sentence; empty where nothing is.
        model_name, model_version: of the model that the subject is; empty for every other subject.
    """

    key: str
    domain: str
    title: str
    unit: str
    subject: str
    value: float
    value_ci: Interval | None
    evidence: int | None
    target: float | None
    alert: float | None
    verdict: Verdict
    missing: str
    window: str
    alert_rule: str
    model_name: str = ""
    model_version: str = ""
