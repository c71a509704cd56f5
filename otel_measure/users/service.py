"""The users of an application: recording what they do, and asking how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Final

from otel_measure.config import Settings
from otel_measure.conventions import semconv
from otel_measure.deferred import AT_ONCE, Deferred
from otel_measure.definitions.days import day_date
from otel_measure.definitions.series import Compare, Series, check_compare
from otel_measure.definitions.windows import DaySpan, counted, day_span
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.records.enums import EventType
from otel_measure.records.kinds import Origin
from otel_measure.store.protocol import Store
from otel_measure.store.questions import UserQuestions
from otel_measure.store.types.facts import Filter
from otel_measure.users import reports
from otel_measure.users.ab_tests import AbTestCalls, AbTests
from otel_measure.users.answers import AnswerBuilder
from otel_measure.users.commands import IdentifyCommand, UnlinkCommand
from otel_measure.users.persons import PersonCalls
from otel_measure.users.series import UserGroupBy, check_user_group, user_series
from otel_measure.users.track import EventBuilder

DEFAULT_CONVERSION: Final = EventType.CONVERSION.value
WEEK: Final = "7d"
MONTH: Final = "30d"
QUARTER: Final = "90d"


class UserAnalyticsService(AbTestCalls, PersonCalls):
    """What `get_user_analytics_service()` returns.

    A `window` ("30d") is a number of whole local days that end with today or with the day `as_of`. An answer is about
    one `environment`: the one asked for, else that of the settings, else `production`, else the unnamed, else the first
    one seen. Narrowed to a `service`, a question reads the facts and is slower. Every question may raise `NoStore`, and
    `ValueError` for a bad window or a day in the future.

    Args:
        settings: names.
        recorder: takes the records.
        store: answers; without one every question raises `NoStore`.
        now_us, new_id: clock and ids.
        timezone: whose calendar days count.
        ab_tests: answers the calls that belong to experiments.
        deferred: keeps what is set while the store is away.

    Attributes:
        event_record: makes the record that `track_event` would record, without recording it; `sent_at` is the client's
            clock.
        nps_record: likewise, of `record_nps_response`.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        store: Store | None,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
        *,
        ab_tests: AbTests,
        deferred: Deferred = AT_ONCE,
    ) -> None:
        AbTestCalls.__init__(self, ab_tests)
        PersonCalls.__init__(self, recorder, store, now_us, deferred)
        self._new_id = new_id
        self._timezone = timezone
        origin = Origin(settings.service_name, settings.environment)
        self.event_record: Final = EventBuilder(origin, now_us, new_id).build
        self.nps_record: Final = AnswerBuilder(origin, now_us, new_id).build

    # ------------------------------------------------------------ recording

    def track_event(
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
    ) -> str:
        """Record something a user did; it is committed within 200 ms.

        Args:
            user_id: an int, a UUID or a non-empty string; `1` and `"1"` are the same user.
            event_type: one of `EventType`.
            event_name: your own label.
            page_url: where it happened; over 8,192 characters it is cut and ends with "…", as `referrer` does.
            properties: anything else; `"background": True` marks what is no activity.
            session_id: the client's; without one, sessions are made by the gap rule.
            device_type: what it happened on.
            referrer: where the user came from.
            value: money or another amount, at most 1e12 either way.
            currency: its ISO 4217 code.
            timestamp: aware; now when not given.
            event_id: a second event with the same id is a duplicate.

        Returns:
            The id of the event.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        event = self.event_record(
            user_id,
            event_type,
            event_name,
            page_url=page_url,
            properties=properties,
            session_id=session_id,
            device_type=device_type,
            referrer=referrer,
            value=value,
            currency=currency,
            timestamp=timestamp,
            event_id=event_id,
        )
        self._recorder.put(event)
        return event.id

    def start_session(
        self, user_id: object, *, session_id: str | None = None, timestamp: datetime | None = None
    ) -> str:
        """Record that a session begins, which is no activity by itself; give the returned id to `track_event`.

        Returns:
            The session id: the given one, else a new one.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        session = self._new_id() if session_id is None else checks.id_text("session_id", session_id)
        self._mark(user_id, semconv.EVENT_SESSION_START, session, timestamp)
        return session

    def end_session(self, user_id: object, session_id: str, *, timestamp: datetime | None = None) -> None:
        """Record that a session ends; what carries its id later belongs to it all the same.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        session = checks.id_text("session_id", session_id)
        self._mark(user_id, semconv.EVENT_SESSION_END, session, timestamp)

    def _mark(self, user_id: object, marker: str, session_id: str, timestamp: datetime | None) -> None:
        self._recorder.put(self.event_record(user_id, marker, marker, session_id=session_id, timestamp=timestamp))

    def record_nps_response(
        self,
        user_id: object,
        score: int,
        comment: str = "",
        *,
        survey: str = "default",
        timestamp: datetime | None = None,
        response_id: str | None = None,
    ) -> str:
        """Record an answer to "how likely are you to recommend us"; of one person and survey the last one counts.

        Args:
            user_id: an int, a UUID or a non-empty string.
            score: a whole number from 0 to 10.
            comment: what the user said.
            survey: which question it was.
            timestamp: aware; now when not given.
            response_id: a second answer with the same id is a duplicate.

        Returns:
            The id of the answer.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        answer = self.nps_record(user_id, score, comment, survey=survey, timestamp=timestamp, response_id=response_id)
        self._recorder.put(answer)
        return answer.id

    # ------------------------------------------------------------ who is who

    def identify(self, anonymous_id: object, user_id: object) -> str:
        """Say that an anonymous visitor is a user: from now on, and looking back, they are one person.

        With a spool, and while the store is away, they are when the store is there; a link that is refused then is
        counted, and what was done under the given id meanwhile is of whom it belongs to.

        Returns:
            The anonymous id to go on with: the given one when the two are one person now, or a fresh one when it
            belongs to somebody else already (a second user on the same device), or is a user itself: an id that
            anything was ever identified as is not merged into another. The given one while the link waits.

        Raises:
            ValueError: an id is none, or a placeholder such as "undefined".
            NoStore: there is none to remember it.
            StoreUnavailable: it is away, and the link is not kept on this host either.
        """
        command = IdentifyCommand(
            checks.linked_id("anonymous_id", anonymous_id), checks.identified_user_id("user_id", user_id)
        )
        store = self._store_for("identify")
        self._recorder.flush()
        link = self._deferred.do(store, command, "linked")
        return self._new_id() if link == "refused" else command.anonymous_id

    def unlink(self, anonymous_id: object) -> bool | None:
        """Take back that an anonymous visitor is a user: what it did is its own again, in every answer.

        What was identified as it goes with it; it may be identified anew. What retention has removed the facts of
        stays with the user.

        Returns:
            Whether it was linked to anybody; `None` while the store is away, with a spool: it is taken back when the
            store is there, links that wait before it included.

        Raises:
            ValueError: the id is none.
            NoStore: there is none to remember it.
            StoreUnavailable: it is away, and nothing is kept on this host either.
        """
        anonymous = checks.stored_user_id("anonymous_id", anonymous_id)
        return self._deferred.do(self._store_for("unlink"), UnlinkCommand(anonymous), None)

    # ------------------------------------------------------------ questions

    @property
    def pending(self) -> int:
        """How many records of this process the last answer in this thread or task is without; 0 when it has all."""
        return self._recorder.pending

    def get_engagement_metrics(
        self,
        window: str = MONTH,
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.Engagement:
        """Return active users, and what their sessions are like."""
        days = self._days(window, as_of)
        with self._asking("engagement", service, environment) as ask:
            return reports.engagement(ask, counted(days, ask), self._now_us())

    def get_conversion_metrics(
        self,
        conversion_event: EventType | str = DEFAULT_CONVERSION,
        window: str = MONTH,
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.Conversion:
        """Return who of the active persons converted; `conversion_event` is the type or the name of an event.

        Conversions, purchases, sign-ups and submitted forms are rolled up; any other event is looked up in the facts,
        which is slower.
        """
        days = self._days(window, as_of)
        event = checks.text("conversion_event", getattr(conversion_event, "value", conversion_event))
        with self._asking("conversion", service, environment) as ask:
            return reports.conversion(ask, counted(days, ask), event)

    def get_retention_metrics(
        self,
        window: str = QUARTER,
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.Retention:
        """Return who comes back 1, 7 and 30 days after the first, for the cohorts of the window; and the churn."""
        days = self._days(window, as_of)
        with self._asking("retention", service, environment) as ask:
            return reports.retention(ask, counted(days, ask))

    def get_nps_metrics(
        self,
        window: str = QUARTER,
        *,
        survey: str | None = None,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.Nps:
        """Return the net promoter score of one survey, or of all of them together."""
        days = self._days(window, as_of)
        with self._asking("nps", service, environment) as ask:
            return reports.nps(ask, counted(days, ask), survey)

    def segment_users(
        self,
        window: str = MONTH,
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.Segments:
        """Return how many persons are new, active, power users, at risk, churned and resurrected, as of a day.

        Segments look at 28 days and at the first and last day ever, whatever the window.
        """
        days = self._days(window, as_of)
        with self._asking("segments", service, environment) as ask:
            return reports.segments(ask, counted(days, ask))

    def get_user_series(
        self,
        window: str = MONTH,
        *,
        step: str | None = None,
        compare: Compare | None = None,
        group_by: UserGroupBy | None = None,
        conversion_event: EventType | str = DEFAULT_CONVERSION,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> Series:
        """Return active users, who is new, back or gone, sessions, conversions and NPS over time.

        Args:
            window: such as "30d", whole local days that end with today or `as_of`.
            step: "1d" or "1w"; days up to 92 of them when not given. A person counts once in a step.
            compare: "previous" adds as many days before.
            group_by: "cohort" adds, for each first day in a window of at most 92 days, how many of the persons first
                seen on it were active on each day, and their share: unknown before that day, and until a day is over.
            conversion_event: type or name of what converts.
            as_of: the last day.
            service: of one service alone, which reads the facts of each step.
            environment: of this one.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NoStore: there is none.
        """
        check_compare(compare)
        check_user_group(group_by)
        days = self._days(window, as_of)
        event = checks.text("conversion_event", getattr(conversion_event, "value", conversion_event))
        with self._asking("series", service, environment) as ask:
            return user_series(ask, days, step, compare, event, self._now_us(), group_by)

    def get_users_summary(
        self,
        window: str = MONTH,
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> reports.UsersSummary:
        """Return everything at once: retention and NPS over 90 days, the rest over the window."""
        days, quarter = self._days(window, as_of), self._days(QUARTER, as_of)
        with self._asking("summary", service, environment) as ask:
            return self._summary(ask, days, quarter)

    def get_users_overview(self, *, environment: str | None = None) -> reports.UsersOverview:
        """Return what users are judged by, all of it as of one moment: the summary and the last two complete weeks."""
        days, quarter = self._days(MONTH, None), self._days(QUARTER, None)
        yesterday = day_date(days.last_complete_day)
        last_week, week_before = (self._days(WEEK, yesterday - timedelta(days=ago)) for ago in (0, 7))
        with self._asking("overview", None, environment) as ask:
            return reports.UsersOverview(
                self._summary(ask, days, quarter),
                reports.complete_week(ask, counted(last_week, ask), DEFAULT_CONVERSION),
                reports.complete_week(ask, counted(week_before, ask), DEFAULT_CONVERSION),
                reports.daily_active(ask, days.last_complete_day),
            )

    def _summary(self, ask: UserQuestions, days: DaySpan, quarter: DaySpan) -> reports.UsersSummary:
        days, quarter = counted(days, ask), counted(quarter, ask)
        return reports.summary(ask, days, quarter, self._now_us(), DEFAULT_CONVERSION)

    def _days(self, window: str, as_of: date | None) -> DaySpan:
        return day_span(window, self._now_us(), self._timezone, as_of)

    @contextmanager
    def _asking(self, what: str, service: str | None, environment: str | None) -> Iterator[UserQuestions]:
        store = self._store_for(what)
        self._recorder.settle()
        with store.asking(Filter(service, environment)) as moment:
            yield moment.users
