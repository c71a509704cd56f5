"""The alerts: what stands beyond its alert threshold, evaluated when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import nan
from typing import Final, Literal, TypeAlias

from otel_measure.alerting.messages import AlertMessage
from otel_measure.alerting.report import RuleAlerts
from otel_measure.definitions.alerting.judgement import ALL_USERS, AlertSubject, SubjectKind
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.verdicts import format_value
from otel_measure.definitions.windows import minutes
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Scorecard

_KINDS: Final[Mapping[str, SubjectKind]] = {"infrastructure": "host", "ai": "model", "users": "users"}
_OF_SERVICES: Final = "availability_percent"
_ByKpi: TypeAlias = Mapping[tuple[str, AlertSubject], AlertMessage]


@dataclass(frozen=True, slots=True)
class Alert:
    """A KPI beyond its alert threshold, as a sentence for the person who is woken.

    Attributes:
        rule: the alert of the KPI in words.
        evidence: how many calls, labels, answers, sessions or persons it rests on; `None` where none are counted.
        since: when the alert rule of this KPI about this subject (a model with all its versions) began to fire or to be
            pending, or fired last within the window of the KPI; `None` where it did not.
        told_by: the key of that rule, while it fires: then the subject is told of by it.
        model_name, model_version: of the model that the subject is; empty for every other subject.
    """

    key: str
    domain: str
    subject: str
    value: float
    threshold: float
    rule: str
    message: str
    evidence: int | None = None
    since: datetime | None = None
    told_by: str = ""
    model_name: str = ""
    model_version: str = ""
    severity: Literal["critical"] = "critical"


@dataclass(frozen=True, slots=True)
class Alerts:
    """What fires now; `evaluated` readings were looked at, `unknown` of them had no evidence.

    Services, models and users are of one `environment`.

    Attributes:
        alerts: the KPIs beyond their alert threshold.
        rules: how the alerts of rules stand.
    """

    alerts: tuple[Alert, ...]
    evaluated: int
    unknown: int
    timestamp: datetime
    environment: str
    rules: RuleAlerts


def alerts(card: Scorecard, rules: RuleAlerts, host: str) -> Alerts:
    """Return the alerts of a scorecard, in its order, beside those of rules.

    Args:
        card: every KPI with its verdict.
        rules: how the alerts of rules stand, of the environment of the card.
        host: the name of the machine.
    """
    by_kpi: dict[tuple[str, AlertSubject], AlertMessage] = {}
    for message in (*rules.active, *rules.recent):
        about = AlertSubject(message.subject.kind, message.subject.name, message.subject.environment)
        by_kpi.setdefault((message.kpi, about), message)
    firing = tuple(_dated(alert_of(reading), by_kpi, host, card) for reading in card.kpis if reading.verdict == "alert")
    unknown = card.verdicts["unknown"]
    return Alerts(firing, len(card.kpis), unknown, card.timestamp, card.environment, rules)


def alert_of(reading: Reading) -> Alert:
    """Return the alert that a reading is, if it is one."""
    threshold = threshold_of(reading)
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
        reading.evidence,
        model_name=reading.model_name,
        model_version=reading.model_version,
    )


def threshold_of(reading: Reading) -> float:
    """Return beyond which value a reading alerts; `nan` where it never does."""
    return nan if reading.alert is None else reading.alert


def subject_of(reading: Reading | Alert, host: str, environment: str) -> AlertSubject | None:
    """Return whom a reading is about: a model with all its versions, a service, the machine, the users.

    `None` for one that stands for models or services that are not there.

    Args:
        reading: of a KPI, or the alert that it is.
        host: the name of the machine.
        environment: that services, models and users are of.
    """
    kind: SubjectKind = "service" if reading.key == _OF_SERVICES else _KINDS[reading.domain]
    if kind == "host":
        return AlertSubject(kind, host, "")
    name = {"users": ALL_USERS, "model": reading.model_name}.get(kind, reading.subject)
    return AlertSubject(kind, name, environment) if name else None


def _dated(alert: Alert, by_kpi: _ByKpi, host: str, card: Scorecard) -> Alert:
    """Return an alert with what its rule knows of it."""
    about = subject_of(alert, host, card.environment)
    message = None if about is None else by_kpi.get((alert.key, about))
    if message is None or (message.until is not None and message.until < _looked_back(alert.key, card.timestamp)):
        return alert
    return replace(alert, since=message.since, told_by=message.rule if message.state == "firing" else "")


def _looked_back(key: str, now: datetime) -> datetime:
    """Return since when a KPI looks."""
    window = BY_KEY[key].window
    return now if window == "now" else now - timedelta(minutes=minutes(window))
