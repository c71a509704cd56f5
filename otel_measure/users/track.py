"""From a caller's arguments to a user event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from otel_measure.records import checks
from otel_measure.records.caller import current_caller
from otel_measure.records.enums import EventType
from otel_measure.records.events import USER_EVENT_TYPES
from otel_measure.records.kinds import Origin, UserEvent
from otel_measure.records.limits import MAX_LABEL_CHARS, MAX_RECORD_BYTES, MAX_TEXT_CHARS, MAX_VALUE


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
        """Return the record of something a user did; the arguments are those of `track_event`.

        `sent_at` is when the client sent it, by its own clock: a difference of 60 s or more to ours corrects
        `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        caller = current_caller()
        ts, clamped = checks.settled_timestamp("timestamp", timestamp, self._now_us(), sent_at)
        given = checks.json_object("properties", properties)
        event = UserEvent(
            id=self._new_id() if event_id is None else checks.id_text("event_id", event_id),
            ts=ts,
            origin=self._origin,
            user_id=caller.user(user_id),
            type=checks.one_of("event_type", event_type, USER_EVENT_TYPES),
            name=checks.text("event_name", event_name),
            page_url=checks.cut_text("page_url", page_url, MAX_TEXT_CHARS),
            session_id=caller.session(session_id),
            device_type=checks.optional_text("device_type", device_type, MAX_LABEL_CHARS),
            referrer=checks.cut_text("referrer", referrer, MAX_TEXT_CHARS),
            value=checks.optional_number("value", value, low=-MAX_VALUE, high=MAX_VALUE),
            currency=checks.currency("currency", currency),
            background=given is not None and given.get("background") is True,
            properties=given,
            clamped=clamped,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )
        if given is not None and len(msgspec.json.encode(given)) > MAX_RECORD_BYTES:
            raise ValueError(f"properties must be at most {MAX_RECORD_BYTES} bytes as JSON")
        return event
