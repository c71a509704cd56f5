"""A webhook: JSON, signed as the Standard Webhooks specification 1.0 has it (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import msgspec

from otel_measure.alerting.delivery.http import ReceiverReply, SendRequest
from otel_measure.alerting.messages import Message
from otel_measure.definitions.alerting.states import SECOND_US

SECRET_PREFIX: Final = "whsec_"
_encode = msgspec.json.Encoder().encode


class Webhook:
    """Posts messages as JSON.

    Args:
        url: where to.
        secret: `whsec_` and the key in base64; `None` signs nothing.
        send_request: sends a request.
    """

    name: Final = "webhook"

    def __init__(self, url: str, secret: str | None, send_request: SendRequest) -> None:
        self._url = url
        self._key = None if secret is None else base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        self._send_request = send_request

    def send(self, message: Message, now_us: int) -> ReceiverReply:
        """Send it."""
        body, at_s = _encode(message), str(now_us // SECOND_US)
        headers = {"Content-Type": "application/json", "webhook-id": message.id, "webhook-timestamp": at_s}
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, message.id, at_s, body)
        return self._send_request(self._url, body, headers)


def signature(key: bytes, message_id: str, at_s: str, body: bytes) -> str:
    """Return `v1,` and the HMAC-SHA256 of id, seconds since 1970 and body, with dots in between, in base64."""
    signed = b".".join((message_id.encode(), at_s.encode(), body))
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
