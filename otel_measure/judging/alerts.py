"""The alerts: what stands beyond its alert threshold, evaluated when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from math import nan
from typing import Literal

from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.verdicts import format_value
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Scorecard


@dataclass(frozen=True, slots=True)
class Alert:
    """A KPI beyond its alert threshold, as a sentence for the person who is woken."""

    key: str
    domain: str
    subject: str
    value: float
    threshold: float
    rule: str
    message: str
    severity: Literal["critical"] = "critical"


@dataclass(frozen=True, slots=True)
class Alerts:
    """What fires now; `evaluated` readings were looked at, `unknown` of them had no evidence.

    Services, models and users are of one `environment`.
    """

    alerts: tuple[Alert, ...]
    evaluated: int
    unknown: int
    timestamp: datetime
    environment: str = ""


def alerts(card: Scorecard) -> Alerts:
    """Return the alerts of a scorecard, in its order."""
    firing = tuple(alert_of(reading) for reading in card.kpis if reading.verdict == "alert")
    return Alerts(firing, len(card.kpis), card.verdicts["unknown"], card.timestamp, card.environment)


def alert_of(reading: Reading) -> Alert:
    """Return the alert that a reading is, if it is one."""
    threshold = nan if reading.alert is None else reading.alert
    kpi = replace(BY_KEY[reading.key], target=reading.target, alert=reading.alert)
    side = "above" if kpi.direction == "below" else "below"
    of = f" of {reading.subject}" if reading.subject else ""
    return Alert(
        reading.key,
        reading.domain,
        reading.subject,
        reading.value,
        threshold,
        reading.alert_rule,
        f"{reading.title}{of} is {format_value(kpi, reading.value)}, {side} {format_value(kpi, threshold)}",
    )
