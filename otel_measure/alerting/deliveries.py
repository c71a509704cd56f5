"""Who was told of an alert: of the incident of its subject that was open while it fired."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from math import inf
from typing import Literal

from otel_measure.alerting.messages import AlertMessage
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.definitions.days import micros, moment
from otel_measure.store.types.alerts import AlertDelivery


@dataclass(frozen=True, slots=True)
class DeliveryMessage:
    """A notification of an incident and one of those who are told of it.

    Attributes:
        receiver: who.
        status: that the incident fires, is more or less severe now, or is resolved.
        at: when it was to be told.
        taken: when they took it; `None` where they have not.
    """

    receiver: str
    status: Literal["firing", "resolved", "test"]
    at: datetime
    taken: datetime | None


@dataclass(frozen=True, slots=True)
class ListedAlert(AlertMessage):
    """An alert, with who was told of it.

    Attributes:
        told: the notifications of its incident, by receiver, the oldest first; alerts that fire beside each other about
            one subject have them in common. Empty where nobody is told: it is pending, silenced, or nobody is named.
    """

    told: tuple[DeliveryMessage, ...] = ()


class Deliveries:
    """Finds who was told of an alert.

    Args:
        deliveries: the oldest first.
        still_open: the ids of the incidents that are.
    """

    def __init__(self, deliveries: Sequence[AlertDelivery], still_open: Collection[str]) -> None:
        self._still_open = still_open
        self._by_subject: dict[AlertSubject, dict[str, list[AlertDelivery]]] = {}
        for one in deliveries:
            self._by_subject.setdefault(one.subject, {}).setdefault(one.incident, []).append(one)

    def listed(self, alert: AlertMessage, end: datetime | None) -> ListedAlert:
        """Return an alert with who was told of it.

        Args:
            alert: that fires, or was resolved.
            end: until when what is told of its subject is about it; `None` for now.
        """
        about = AlertSubject(alert.subject.kind, alert.subject.name, alert.subject.environment)
        incidents = {} if alert.state == "pending" else self._by_subject.get(about, {})
        first, last = micros(alert.since), inf if end is None else micros(end)
        told = tuple(
            DeliveryMessage(
                one.receiver, one.status, moment(one.at_us), None if one.taken_us is None else moment(one.taken_us)
            )
            for incident, deliveries in incidents.items()
            if deliveries[0].opened_us <= last and (incident in self._still_open or first <= deliveries[-1].at_us)
            for one in deliveries
        )
        return ListedAlert(**{field.name: getattr(alert, field.name) for field in fields(AlertMessage)}, told=told)
