"""Who is told after every turn how things stand: an Alertmanager by its API v2, and whoever watches a heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from otel_measure.alerting.delivery.http import ReceiverReply, SendRequest
from otel_measure.alerting.evaluator import PresentAlerts
from otel_measure.alerting.messages import AlertMessage, Messages
from otel_measure.definitions.alerting.states import SECOND_US, AlertChange, AlertState
from otel_measure.definitions.days import moment

_log: Final = logging.getLogger("otel_measure")
ENDS_AFTER_US: Final = 240 * SECOND_US  # an alert that we do not tell of again for so long is over
BATCH: Final = 500
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class PostableAlert:
    """An alert as `POST /api/v2/alerts` of an Alertmanager takes it; its labels are what it is known by."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    startsAt: datetime  # noqa: N815 - a name of that API
    endsAt: datetime  # noqa: N815


def postable(alert: AlertMessage, now_us: int) -> PostableAlert:
    """Return an alert that fires or was resolved; one that fires ends in four minutes unless it is told of again."""
    labels = {
        "alertname": alert.rule,
        "severity": alert.severity,
        "kind": alert.subject.kind,
        "subject": alert.subject.name,
        "environment": alert.subject.environment,
    }
    annotations = {
        "summary": alert.title,
        "description": alert.sentence,
        "cause": alert.cause,
        "kpi": alert.kpi,
        "value": f"{alert.value:g}",
        "threshold": f"{alert.threshold:g}",
        "docs": alert.docs,
        "resolution": alert.resolution,
    }
    ends = moment(now_us + ENDS_AFTER_US) if alert.until is None else alert.until
    # An Alertmanager takes an empty label for a missing one, and refuses one without a name.
    return PostableAlert(_given(labels), _given(annotations), alert.since, ends)


def _given(pairs: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in pairs.items() if value}


class SayOnce:
    """Logs that somebody takes nothing, once until it is well again.

    Args:
        name: of the receiver, never its URL.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_well = True

    def note(self, reply: ReceiverReply) -> None:
        """Note how it went."""
        if not reply.is_taken and self._is_well:
            _log.warning("the alert receiver %s takes nothing: %s (logged once)", self._name, reply.why)
        elif reply.is_taken and not self._is_well:
            _log.warning("the alert receiver %s is well again", self._name)
        self._is_well = reply.is_taken


class Alertmanager:
    """Tells an Alertmanager what fires, again after every turn; what it missed is in the next telling.

    Args:
        url: its base.
        messages: makes what it is told.
        send_request: sends a request.
    """

    def __init__(self, url: str, messages: Messages, send_request: SendRequest) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._messages = messages
        self._send_request = send_request
        self._said = SayOnce("alertmanager")

    def tell(self, present: PresentAlerts) -> None:
        """Tell it."""
        self._said.note(self.post(present.firing, present.resolved, present.now_us))

    def post(self, firing: Sequence[AlertState], resolved: Sequence[AlertChange], now_us: int) -> ReceiverReply:
        """Post alerts that fire and that were resolved; return the first reply that is not well, else the last."""
        alerts = (*map(self._messages.alert, firing), *map(self._messages.change, resolved))
        postables = [postable(alert, now_us) for alert in alerts]
        reply = ReceiverReply(200)
        for first in range(0, len(postables), BATCH):
            body = _encode(postables[first : first + BATCH])
            reply = self._send_request(self._url, body, {"Content-Type": "application/json"})
            if not reply.is_taken:
                break
        return reply


class HeartbeatUrl:
    """Asks for a URL after every turn: who watches it learns that we are gone.

    Args:
        url: that is asked for.
        send_request: sends a request.
    """

    def __init__(self, url: str, send_request: SendRequest) -> None:
        self._url = url
        self._send_request = send_request
        self._said = SayOnce("heartbeat")

    def tell(self, _: PresentAlerts) -> None:
        """Ask for it."""
        self._said.note(self.ask())

    def ask(self) -> ReceiverReply:
        """Ask for it, and return what was said."""
        return self._send_request(self._url, None, {})
