"""What is told of alerts, as the values that become JSON: times as RFC 3339, what is unknown as `null`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from otel_measure.definitions.alerting.incidents import Notification
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Severity, SubjectKind
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import AlertChange, AlertState, Resolution, worst_first
from otel_measure.definitions.days import moment
from otel_measure.store.types.alerts import ReceiverState

TRIAL_RULE: Final = "otel_measure_test"


@dataclass(frozen=True, slots=True)
class SubjectMessage:
    """Whom it is about."""

    kind: SubjectKind
    name: str
    environment: str


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One alert.

    Attributes:
        state: it fires, is pending, or was resolved.
        resolution: why it was resolved; empty otherwise.
        since: when the state began; of a resolved one, when it fired.
        until: when it was resolved; `None` otherwise.
        kpi: the KPI that the rule judges by; empty where it judges by none.
        docs: the address at which the page says what it means and what to do.
    """

    rule: str
    title: str
    subject: SubjectMessage
    severity: Severity
    state: Literal["pending", "firing", "resolved"]
    resolution: Resolution
    value: float
    threshold: float
    evidence: int
    sentence: str
    cause: str
    since: datetime
    until: datetime | None
    kpi: str
    docs: str


@dataclass(frozen=True, slots=True)
class NotificationMessage:
    """What changed of one subject: the worst alert comes first and gives the title."""

    id: str
    type: Literal["notification"]
    status: Literal["firing", "resolved", "test"]
    incident: str
    severity: Severity
    subject: SubjectMessage
    title: str
    at: datetime
    opened: datetime
    alerts: tuple[AlertMessage, ...]


@dataclass(frozen=True, slots=True)
class MissedMessage:
    """A notification that a receiver did not take while it was told."""

    id: str
    incident: str
    status: Literal["firing", "resolved", "test"]
    severity: Severity
    subject: SubjectMessage
    title: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SummaryMessage:
    """What a receiver that was away is told when it is back.

    Attributes:
        missed: notifications, the oldest first.
        given_up: how many older ones are not kept any more.
        firing: the alerts that fire now, the worst first.
    """

    id: str
    type: Literal["summary"]
    at: datetime
    failing_since: datetime
    given_up: int
    missed: tuple[MissedMessage, ...]
    firing: tuple[AlertMessage, ...]


Message: TypeAlias = NotificationMessage | SummaryMessage


class Messages:
    """Makes messages.

    Args:
        rules: that titles and links are of.
        page_url: where people reach the page, with a slash at its end.
    """

    def __init__(self, rules: Mapping[str, AlertRule], page_url: str) -> None:
        self._rules = rules
        self._page_url = page_url

    def notification(self, told: Notification) -> NotificationMessage:
        """Return what is told of one subject."""
        alerts = (*map(self.alert, told.firing), *map(self.change, told.resolved))
        return NotificationMessage(
            told.id,
            "notification",
            told.status,
            told.incident,
            told.severity,
            SubjectMessage(*told.subject),
            title_of(told.subject, alerts[0].title if alerts else told.status),
            moment(told.at_us),
            moment(told.opened_us),
            alerts,
        )

    def summary(
        self, missed: Sequence[Notification], firing: Iterable[AlertState], receiver: ReceiverState, now_us: int
    ) -> SummaryMessage:
        """Return what a receiver that was away is told, under an id that is made of what it missed."""
        told = [self.notification(one) for one in missed]
        return SummaryMessage(
            hashlib.sha256("\x1f".join(one.id for one in told).encode()).hexdigest()[:24],
            "summary",
            moment(now_us),
            moment(receiver.failing_since_us),
            receiver.given_up,
            tuple(MissedMessage(m.id, m.incident, m.status, m.severity, m.subject, m.title, m.at) for m in told),
            tuple(self.alert(state) for state in worst_first(list(firing))),
        )

    def alert(self, state: AlertState) -> AlertMessage:
        """Return an alert that is pending or fires."""
        return self._message(state.judgement, state.severity, state.phase, state.since_us)

    def change(self, change: AlertChange) -> AlertMessage:
        """Return an alert that has fired or was resolved."""
        if change.change == "fired":
            return self._message(change.judgement, change.severity, "firing", change.since_us)
        until, why = moment(change.at_us), change.resolution
        return self._message(change.judgement, change.severity, "resolved", change.since_us, until, why)

    def docs_of_kpi(self, key: str) -> str:
        """Return the address at which the page says what to do when a KPI is beyond its threshold."""
        rule = next((rule for rule in self._rules.values() if rule.kpi == key), None)
        return docs_link(self._page_url, "" if rule is None else rule.section)

    def _message(
        self,
        judgement: Judgement,
        severity: Severity,
        state: Literal["pending", "firing", "resolved"],
        since_us: int,
        until: datetime | None = None,
        resolution: Resolution = "",
    ) -> AlertMessage:
        rule = self._rules.get(judgement.rule)
        return AlertMessage(
            judgement.rule,
            judgement.rule if rule is None else rule.title,
            SubjectMessage(*judgement.subject),
            severity,
            state,
            resolution,
            judgement.value,
            judgement.threshold,
            judgement.evidence,
            judgement.sentence,
            judgement.cause,
            moment(since_us),
            until,
            "" if rule is None else rule.kpi,
            docs_link(self._page_url, "" if rule is None else rule.section),
        )


def docs_link(page_url: str, section: str) -> str:
    """Return where the page shows a section of `docs/alerts.md`, or all of it for an empty one."""
    return f"{page_url}#/rules/{section}" if section else f"{page_url}#/rules"


def title_of(subject: AlertSubject, title: str) -> str:
    """Return a line for a person: what, of whom, where."""
    where = f" ({subject.environment})" if subject.environment else ""
    return f"{title}: {subject.kind} {subject.name}".rstrip() + where


def trial(subject: AlertSubject, now_us: int) -> Notification:
    """Return what `otel-measure alerts test` tells: an alert that says that nothing is wrong."""
    sentence = "This is a test of the alerts of otel-measure: nothing is wrong"
    judgement = Judgement(TRIAL_RULE, subject, "beyond", 1.0, 0.0, 1, sentence, since_us=now_us)
    state = AlertState("ticket", "firing", now_us, 0, now_us, now_us, "beyond", judgement)
    return Notification(f"test-{now_us}", f"test-{now_us}", "test", "ticket", subject, now_us, now_us, (state,))
