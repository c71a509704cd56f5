"""From a caller's arguments to a user event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from otel_measure.records import checks
from otel_measure.records.caller import caller
from otel_measure.records.enums import EventType
from otel_measure.records.kinds import USER_EVENT_TYPES, Origin, UserEvent
from otel_measure.records.limits import MAX_KIND_CHARS, MAX_TEXT_CHARS, MAX_VALUE

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
            page_url: where it happened; over 8,192 characters it is cut and ends with "…", as `referrer` does.
            properties: anything else; `"background": True` marks what is no activity.
            session_id: the client's; without one, sessions are made by the gap rule.
            device_type: what it happened on.
            referrer: where the user came from.
            value: money or another amount, at most 1e12 either way.
            currency: its ISO 4217 code.
            timestamp: when it happened by the client's clock; now when not given.
            event_id: a second event with the same id is a duplicate.
            sent_at: when the client sent it, by the same clock: the difference to ours corrects `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        now = self._now_us()
        who = caller()
        ts, clamped = settled_us(timestamp, sent_at, now)
        kept = checks.json_object("properties", properties)
        event = UserEvent(
            id=self._new_id() if event_id is None else checks.text("event_id", event_id, checks.MAX_ID_CHARS),
            ts=ts,
            origin=self._origin,
            user_id=user_of(user_id, who.user_id),
            type=checks.one_of("event_type", event_type, USER_EVENT_TYPES),
            name=checks.text("event_name", event_name),
            page_url=checks.cut_text("page_url", page_url, MAX_TEXT_CHARS),
            session_id=checks.optional_text("session_id", session_id, checks.MAX_ID_CHARS) or who.session_id,
            device_type=checks.optional_text("device_type", device_type, MAX_KIND_CHARS),
            referrer=checks.cut_text("referrer", referrer, MAX_TEXT_CHARS),
            value=checks.optional_number("value", value, low=-MAX_VALUE, high=MAX_VALUE),
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


def settled_us(timestamp: datetime | None, sent_at: datetime | None, now_us: int) -> tuple[int, bool]:
    """Return when something counts as having happened, in microseconds, and whether it was clamped.

    With `sent_at` the client's clock is corrected by what it is off; over 300 s in the future becomes now.
    """
    original = checks.timestamp_us("timestamp", timestamp, now_us)
    if sent_at is not None:
        offset = now_us - checks.timestamp_us("sent_at", sent_at, now_us)
        original += offset if timestamp is not None else 0
    return checks.settled_time(max(original, 0), now_us)


def user_of(given: object, surrounding: str | None) -> str:
    """Return the user an argument names, or that of the surrounding context when it names none."""
    if given is None and surrounding is not None:
        return surrounding
    return checks.user_id("user_id", given)


def _currency(value: object) -> str | None:
    code = checks.optional_text("currency", value)
    if code is not None and not (len(code) == _CURRENCY_CHARS and code.isascii() and code.isalpha()):
        raise ValueError(f"currency must be an ISO 4217 code of three letters, not {value!r}")
    return code.upper() if code is not None else None
