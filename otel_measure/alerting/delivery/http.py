"""One request to a receiver: what went wrong is said without the URL, which may be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

TIMEOUT_S: Final = 5.0
LONGEST_RETRY_AFTER_S: Final = 300.0


class ReceiverReply(NamedTuple):
    """What a receiver said.

    Attributes:
        status: 0 when it could not be reached.
        why: what was wrong, without any part of the URL; empty when nothing was.
        retry_after_s: for how long it asks to be left alone.
    """

    status: int
    why: str = ""
    retry_after_s: float = 0.0

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has what it was sent."""
        return 200 <= self.status < 300


class SendRequest(Protocol):
    """Sends a request and returns what was said; never raises."""

    def __call__(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> ReceiverReply:
        """Send a POST, or a GET without a body."""


def send_request(url: str, body: bytes | None, headers: Mapping[str, str]) -> ReceiverReply:
    """Send a request; a redirect is an answer like any other, for who answers may not choose whom we write to."""
    import requests

    method = "GET" if body is None else "POST"
    try:
        with requests.request(
            method, url, data=body, headers=dict(headers), timeout=TIMEOUT_S, allow_redirects=False, stream=True
        ) as response:
            status, retry_after = response.status_code, response.headers.get("Retry-After", "")
    except requests.Timeout:
        return ReceiverReply(0, f"no answer within {TIMEOUT_S:g} s")
    except requests.exceptions.SSLError:
        return ReceiverReply(0, "its certificate is not trusted")
    except (OSError, ValueError, requests.RequestException) as error:
        return ReceiverReply(0, f"it cannot be reached ({type(error).__name__})")
    if 200 <= status < 300:
        return ReceiverReply(status)
    why = "it redirects, which is not followed: give the URL it redirects to" if 300 <= status < 400 else "refused"
    seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return ReceiverReply(status, f"{why} (status {status})", min(seconds, LONGEST_RETRY_AFTER_S))
