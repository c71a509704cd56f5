"""A receiver of the tests: it notes what it is sent, and takes it or does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from otel_measure.alerting.delivery.http import ReceiverReply

TAKEN = ReceiverReply(200)
AWAY = ReceiverReply(0, "it cannot be reached (ConnectionError)")


class NotedRequest(NamedTuple):
    """A request."""

    url: str
    body: bytes | None
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body or b"null")


class RequestLog:
    """Satisfies `SendRequest`.

    Attributes:
        requests: that were sent.
        reply: what is said to the next ones.
    """

    def __init__(self, reply: ReceiverReply = TAKEN) -> None:
        self.requests: list[NotedRequest] = []
        self.reply = reply

    def __call__(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> ReceiverReply:
        """Note a request."""
        self.requests.append(NotedRequest(url, body, headers))
        return self.reply

    def taken(self) -> list[Any]:
        """Return the JSON of the requests since the last time, and forget them."""
        bodies = [request.json for request in self.requests]
        self.requests.clear()
        return bodies
