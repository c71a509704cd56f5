"""From a caller's arguments to a user event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from otel_measure import checks
from otel_measure.caller import caller
from otel_measure.enums import EventType
from otel_measure.records import USER_EVENT_TYPES, Origin, UserEvent

_CURRENCY_CHARS: Final = 3


class EventBuilder:
    """Makes user events of one process.

    Args:
        origin: of every record.
        now_us, new_id: clock and ids.
    """

    def __init__(self, origin: Origin, now_us: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._origin = origin
        self._now_us = now_us
        self._new_id = new_id

    def build(
        self,
        user_id: object,
        event_type: EventType | str,
        event_name: str,
        *,
        page_url: str | None = None,
        properties: Mapping[str, object] | None = None,
        session_id: str | None = None,
        device_type: str | None = None,
        referrer: str | None = None,
        value: float | None = None,
        currency: str | None = None,
        timestamp: datetime | None = None,
        event_id: str | None = None,
        sent_at: datetime | None = None,
    ) -> UserEvent:
        """Return the record of something a user did.

        Args:
            user_id: an int or a non-empty string; `1` and `"1"` are the same user.
            event_type: one of `EventType`.
            event_name: the caller's own label.
            page_url, session_id, device_type, referrer: where it happened.
            properties: anything else; `"background": True` marks what is no activity.
            value, currency: money or another amount; a currency is an ISO 4217 code.
            timestamp: when it happened by the client's clock; now when not given.
            event_id: a second event with the same id is a duplicate.
            sent_at: when the client sent it, by the same clock: the difference to ours corrects `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        now = self._now_us()
        who = caller()
        original = checks.timestamp_us("timestamp", timestamp, now)
        if sent_at is not None and timestamp is not None:
            original += now - checks.timestamp_us("sent_at", sent_at, now)
        ts, clamped = checks.settled_time(max(original, 0), now)
        kept = checks.json_object("properties", properties)
        event = UserEvent(
            id=self._new_id() if event_id is None else checks.text("event_id", event_id, checks.MAX_ID_CHARS),
            ts=ts,
            origin=self._origin,
            user_id=self._user(user_id, who.user_id),
            type=checks.one_of("event_type", event_type, USER_EVENT_TYPES),
            name=checks.text("event_name", event_name),
            page_url=checks.optional_text("page_url", page_url, 8192),
            session_id=checks.optional_text("session_id", session_id, checks.MAX_ID_CHARS) or who.session_id,
            device_type=checks.optional_text("device_type", device_type, 256),
            referrer=checks.optional_text("referrer", referrer, 8192),
            value=checks.optional_number("value", value),
            currency=_currency(currency),
            background=kept is not None and kept.get("background") is True,
            properties=kept,
            clamped=clamped,
            trace_id=who.trace_id,
            span_id=who.span_id,
        )
        if kept is not None and len(msgspec.json.encode(kept)) > checks.MAX_RECORD_BYTES:
            raise ValueError(f"properties must be at most {checks.MAX_RECORD_BYTES} bytes as JSON")
        return event

    def _user(self, given: object, surrounding: str | None) -> str:
        if given is None and surrounding is not None:
            return surrounding
        return checks.user_id("user_id", given)


def _currency(value: object) -> str | None:
    code = checks.optional_text("currency", value)
    if code is not None and not (len(code) == _CURRENCY_CHARS and code.isascii() and code.isalpha()):
        raise ValueError(f"currency must be an ISO 4217 code of three letters, not {value!r}")
    return code.upper() if code is not None else None
