"""The receivers that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from otel_measure.alerting.delivery.courier import AlertReceiver
from otel_measure.alerting.delivery.http import ReceiverReply, SendRequest, send_request
from otel_measure.alerting.delivery.present import Alertmanager, HeartbeatUrl
from otel_measure.alerting.delivery.slack import Slack
from otel_measure.alerting.delivery.webhook import Webhook
from otel_measure.alerting.evaluator import PresentAlerts
from otel_measure.alerting.messages import Messages, trial
from otel_measure.config import Settings
from otel_measure.definitions.alerting.judgement import AlertSubject

Trial: TypeAlias = Callable[[int], ReceiverReply]


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who is told of alerts.

    Attributes:
        each_once: told of each notification once, by way of the outbox.
        present: told after every turn how things stand; none raises.
        trials: by name, what sends a message that says it is a test and returns the reply.
    """

    each_once: list[AlertReceiver] = field(default_factory=list)
    present: list[Callable[[PresentAlerts], None]] = field(default_factory=list)
    trials: dict[str, Trial] = field(default_factory=dict)


def receivers_of(settings: Settings, messages: Messages, send: SendRequest = send_request) -> Receivers:
    """Return the receivers that the settings name.

    Args:
        settings: of this process.
        messages: makes what they are told.
        send: sends a request.
    """
    told, subject = Receivers(), AlertSubject("process", settings.service_name, settings.environment)

    def trial_of(receiver: AlertReceiver) -> Trial:
        return lambda now_us: receiver.send(messages.notification(trial(subject, now_us)), now_us)

    if settings.alert_webhook is not None:
        told.each_once.append(Webhook(settings.alert_webhook, settings.alert_webhook_secret, send))
    if settings.alert_slack is not None:
        told.each_once.append(Slack(settings.alert_slack, send))
    told.trials.update((receiver.name, trial_of(receiver)) for receiver in told.each_once)
    if settings.alert_alertmanager is not None:
        alertmanager = Alertmanager(settings.alert_alertmanager, messages, send)
        told.present.append(alertmanager.tell)
        told.trials["alertmanager"] = lambda now_us: alertmanager.post(trial(subject, now_us).firing, (), now_us)
    if settings.alert_heartbeat is not None:
        heartbeat = HeartbeatUrl(settings.alert_heartbeat, send)
        told.present.append(heartbeat.tell)
        told.trials["heartbeat"] = lambda _: heartbeat.ask()
    return told
