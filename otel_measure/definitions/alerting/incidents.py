"""Whom alerts are told to hears of a subject, not of each of its rules: one incident, led by its worst rule.

A notification goes out when the severity of the worst alert that is not silenced changes, and when all are resolved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from otel_measure.definitions.alerting.judgement import AlertSubject, Severity
from otel_measure.definitions.alerting.states import AlertChange, AlertState, worst_first


@dataclass(frozen=True, slots=True)
class AlertIncident:
    """Alerts about one subject from the first that was told until the last is resolved.

    Attributes:
        id: the same for whoever evaluates: it is made of the subject and the time.
        severity: that was told last.
        told: how many notifications went out.
    """

    id: str
    subject: AlertSubject
    opened_us: int
    severity: Severity
    told: int


@dataclass(frozen=True, slots=True)
class Notification:
    """What is told of a subject; however often it is sent, it has one id.

    Attributes:
        id: of the incident, and its number within it.
        severity: of the worst alert; of a resolved incident, that it had last.
        firing: the alerts that fire and are not silenced, the worst first.
        resolved: those that were resolved with this.
    """

    id: str
    incident: str
    status: Literal["firing", "resolved", "test"]
    severity: Severity
    subject: AlertSubject
    at_us: int
    opened_us: int
    firing: tuple[AlertState, ...] = ()
    resolved: tuple[AlertChange, ...] = ()


def incident_id(subject: AlertSubject, opened_us: int) -> str:
    """Return the id of an incident: 24 hexadecimal digits."""
    told_apart = "\x1f".join((*subject, str(opened_us)))
    return hashlib.sha256(told_apart.encode()).hexdigest()[:24]


def follow(
    incident: AlertIncident | None,
    subject: AlertSubject,
    loud: Sequence[AlertState],
    resolved: Sequence[AlertChange],
    *,
    is_silent: bool,
    now_us: int,
) -> tuple[AlertIncident | None, Notification | None]:
    """Return how the incident of a subject goes on, and what is told of it.

    Args:
        incident: that is open; `None` for none.
        subject: of it.
        loud: the alerts that fire and are not silenced.
        resolved: the alerts that were resolved in this turn.
        is_silent: alerts fire that are silenced: without `loud` ones the incident stays open and nothing is told.
        now_us: microseconds.
    """
    if not loud:
        if is_silent or incident is None:
            return incident, None
        return None, _told(incident, "resolved", now_us, (), resolved)
    firing = worst_first(loud)
    severity = firing[0].severity
    if incident is None:
        incident = AlertIncident(incident_id(subject, now_us), subject, now_us, severity, 0)
    elif incident.severity == severity:
        return incident, None
    incident = replace(incident, severity=severity, told=incident.told + 1)
    return incident, _told(incident, "firing", now_us, firing, resolved)


def _told(
    incident: AlertIncident,
    status: Literal["firing", "resolved"],
    now_us: int,
    firing: Sequence[AlertState],
    resolved: Sequence[AlertChange],
) -> Notification:
    number = incident.told if status == "firing" else incident.told + 1
    return Notification(
        f"{incident.id}-{number}",
        incident.id,
        status,
        incident.severity,
        incident.subject,
        now_us,
        incident.opened_us,
        tuple(firing),
        tuple(resolved),
    )
