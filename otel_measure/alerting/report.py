"""How alerts stand: what is pending and fires, what happened lately, and of what nobody is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from otel_measure.alerting.deliveries import Deliveries, ListedAlert
from otel_measure.alerting.messages import Messages
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.states import SECOND_US, worst_first
from otel_measure.definitions.alerting.turn import silencing
from otel_measure.definitions.days import moment
from otel_measure.store.protocol import Store

RECENT_US: Final = 7 * 24 * 3600 * SECOND_US
MOST_RECENT: Final = 100


@dataclass(frozen=True, slots=True)
class SilenceMessage:
    """A silence; `rule`, `subject` and `environment` are `None` for any."""

    id: str
    rule: str | None
    subject: str | None
    environment: str | None
    begins: datetime
    ends: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RuleAlerts:
    """How alerts of rules stand.

    Attributes:
        active: pending or firing, the worst first.
        silenced: of those that fire, how many nobody is told of because of a silence.
        recent: what fired and was resolved in the last seven days, the newest first, at most 100.
        silences: that have not ended.
        evaluated: when they were evaluated last; `None` where nobody ever did.
    """

    active: tuple[ListedAlert, ...] = ()
    silenced: int = 0
    recent: tuple[ListedAlert, ...] = ()
    silences: tuple[SilenceMessage, ...] = ()
    evaluated: datetime | None = None


def rule_alerts(store: Store, messages: Messages, environments: frozenset[str] | None, now_us: int) -> RuleAlerts:
    """Return how alerts stand.

    Args:
        store: keeps them.
        messages: makes them readable.
        environments: of the subjects; `None` for all.
        now_us: microseconds.
    """
    with store.asking() as known:
        states, changes = known.alerts.states(), known.alerts.history(now_us - RECENT_US, MOST_RECENT)
        silences, last = known.alerts.silences(now_us), known.alerts.last_evaluation()
        opened = {incident.id: incident.opened_us for incident in known.alerts.incidents()}
        oldest = min((now_us - RECENT_US, *opened.values(), *(change.since_us for change in changes)))
        told = Deliveries(known.alerts.deliveries(oldest), opened)
    active = [state for state in states if environments is None or state.subject.environment in environments]
    is_silenced = silencing(silences, frozenset(), now_us)
    return RuleAlerts(
        tuple(
            told.listed(messages.alert(state), None)
            for state in sorted(worst_first(active), key=lambda state: state.phase != "firing")
        ),
        sum(state.phase == "firing" and is_silenced(state) for state in active),
        tuple(
            told.listed(messages.change(change), moment(change.at_us))
            for change in changes
            if environments is None or change.judgement.subject.environment in environments
        ),
        tuple(map(silence_message, silences)),
        moment(last.at_us) if last is not None and last.at_us else None,
    )


def silence_message(silence: Silence) -> SilenceMessage:
    """Return a silence as it is shown."""
    about = (silence.id, silence.rule, silence.subject, silence.environment)
    return SilenceMessage(*about, moment(silence.begins_us), moment(silence.ends_us), silence.reason)
