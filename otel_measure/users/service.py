"""The users of an application: recording what they do, and asking how they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from otel_measure.config import Settings
from otel_measure.enums import EventType
from otel_measure.errors import NoStore
from otel_measure.recorder import Recorder
from otel_measure.records import Origin, UserEvent
from otel_measure.store.base import Filter, Store
from otel_measure.users import reports
from otel_measure.users.track import EventBuilder
from otel_measure.windows import Span, span


class UserAnalyticsService:
    """What `get_user_analytics_service()` returns.

    Args:
        settings: names.
        recorder: takes the records.
        store: answers; without one every question raises `NoStore`.
        now_us, new_id: clock and ids.
        timezone: whose calendar days count.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        store: Store | None,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
    ) -> None:
        self._recorder = recorder
        self._store = store
        self._now_us = now_us
        self._timezone = timezone
        self._builder = EventBuilder(Origin(settings.service_name, settings.environment), now_us, new_id)

    def event_record(self, user_id: object, event_type: EventType | str, event_name: str, **fields: Any) -> UserEvent:
        """Return the record that `track_event` would record, without recording it."""
        return self._builder.build(user_id, event_type, event_name, **fields)

    def track_event(self, user_id: object, event_type: EventType | str, event_name: str, **fields: Any) -> str:
        """Record something a user did; it is committed within 200 ms.

        Args:
            user_id: an int or a non-empty string; `1` and `"1"` are the same user.
            event_type: one of `EventType`.
            event_name: your own label.
            fields: `page_url`, `properties`, `session_id`, `device_type`, `referrer`, `value`, `currency`,
                `timestamp` (aware), `event_id`.

        Returns:
            The id of the event.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        event = self._builder.build(user_id, event_type, event_name, **fields)
        self._recorder.put(event)
        return event.id

    def get_engagement_metrics(
        self,
        window: str = "30d",
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.Engagement:
        """Return active users; narrowed to a service or environment it reads the facts and is slower.

        Raises:
            NoStore: there is none to ask.
        """
        store, found = self._asked("engagement", window, as_of)
        return reports.engagement(store, found, Filter(service, environment))

    def _asked(self, what: str, window: str, as_of: date | None) -> tuple[Store, Span]:
        found = span(window, self._now_us(), self._timezone, as_of)
        if self._store is None:
            raise NoStore(what)
        self._recorder.flush()
        return self._store, found
