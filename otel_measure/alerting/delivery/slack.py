"""An incoming webhook of Slack: one text per message (https://docs.slack.dev/messaging/formatting-message-text)."""

from __future__ import annotations

from typing import Final

import msgspec

from otel_measure.alerting.delivery.http import ReceiverReply, SendRequest
from otel_measure.alerting.messages import AlertMessage, Message, NotificationMessage, SummaryMessage

MOST_LINES: Final = 20  # of a summary; a channel is read by people
_encode = msgspec.json.Encoder().encode
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_STATUS: Final = {"firing": ":rotating_light:", "resolved": ":white_check_mark:", "test": ":wave:"}


class Slack:
    """Posts messages to a channel.

    Args:
        url: of the incoming webhook; who knows it can write to the channel.
        send_request: sends a request.
    """

    name: Final = "slack"

    def __init__(self, url: str, send_request: SendRequest) -> None:
        self._url = url
        self._send_request = send_request

    def send(self, message: Message, now_us: int) -> ReceiverReply:
        """Send it."""
        body = _encode({"text": text_of(message)})
        return self._send_request(self._url, body, {"Content-Type": "application/json"})


def text_of(message: Message) -> str:
    """Return the text of a message in Slack's format."""
    lines = _summary(message) if isinstance(message, SummaryMessage) else _notification(message)
    return "\n".join(lines)


def _notification(message: NotificationMessage) -> list[str]:
    title = message.title.translate(_ESCAPES)
    return [f"{_STATUS[message.status]} *{message.severity}, {message.status}*: {title}", *map(_line, message.alerts)]


def _summary(message: SummaryMessage) -> list[str]:
    since = f"{message.failing_since:%Y-%m-%d %H:%M} UTC"
    n = len(message.missed) + message.given_up
    lines = [f":warning: {n} notifications were missed since {since}; {len(message.firing)} alerts fire now"]
    lines += [f"now: {alert.subject.name} {_line(alert)}".translate({10: " "}) for alert in message.firing[:MOST_LINES]]
    lines += [f"missed: {one.status}, {one.title.translate(_ESCAPES)}" for one in message.missed[-MOST_LINES:]]
    left_out = max(len(message.firing) - MOST_LINES, 0) + max(len(message.missed) - MOST_LINES, 0)
    return [*lines, *([f"and {left_out} more, in /alerts"] if left_out else [])]


def _line(alert: AlertMessage) -> str:
    cause = f" (cause: {alert.cause})" if alert.cause else ""
    what_to_do = f"; what to do: {alert.docs}" if alert.docs and alert.state == "firing" else ""
    why = f" [{alert.resolution}]" if alert.resolution else ""
    return f"• {alert.sentence or alert.title}{cause}{why}{what_to_do}".translate(_ESCAPES)
