"""How users of one environment are: pure questions over a store. Persons are counted once, whatever ids they came with.

Every window is a number of whole local days; counts are exact, ratios of nothing are `nan`, and a proportion of persons
carries its 95 % interval (Wilson 1927).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from math import nan
from typing import Final

from otel_measure.definitions.active_days import unknown_before
from otel_measure.definitions.days import Days, day_date, trailing
from otel_measure.definitions.windows import DaySpan, Window
from otel_measure.stats.intervals import UNKNOWN, Interval, nps_interval, nps_score, wilson_interval
from otel_measure.store.questions import UserQuestions
from otel_measure.store.types.users import Cohort

MAU_DAYS: Final = 28
DROP_DAYS: Final = 36  # a day, four same weekdays before it, and 28 week-on-week ratios
WAU_DAYS: Final = 7
RETENTION_DAYS: Final = (1, 7, 30)
POWER_DAYS: Final = 12
RESURRECTED_GAP: Final = 30
_EVER: Final = -(2**31)
_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Engagement:
    """Active users and their sessions; `dau` is the last day of the window so far, `provisional` while it runs.

    `stickiness` is the mean DAU of the last 28 complete days over the MAU of the same 28. A session belongs to the day
    it starts on; those that may still go on are in no `bounce_rate` yet. `return_rate` is the share of active persons
    that were first seen before the window. `…_n` is the sessions or persons that a share is of; `missing` says why what
    looks back beyond the first day is unknown, by field.
    """

    dau: int
    wau: int
    mau: int
    mau_window_days: int
    stickiness: float
    sessions: int
    avg_session_duration_seconds: float
    avg_sessions_per_user: float
    avg_events_per_session: float
    bounce_rate: float
    bounce_rate_n: int
    bounce_rate_ci: Interval
    return_rate: float
    return_rate_n: int
    return_rate_ci: Interval
    provisional: bool
    missing: dict[str, str]
    window: Window


@dataclass(frozen=True, slots=True)
class Conversion:
    """Who, of those active in the window, converted in it at or after their first activity.

    `total_conversions` and `conversion_value` count all of those conversions; the value is `nan` when none carries one
    or they are in several currencies. What is no key event is looked up in the facts: where some of the window are gone
    everything about it is `nan`, and `missing` says so.
    """

    conversion_rate: float
    conversion_rate_ci: Interval
    entered_users: int
    converted_users: float
    total_conversions: float
    conversion_value: float
    avg_time_to_convert_seconds: float
    missing: dict[str, str]
    window: Window


@dataclass(frozen=True, slots=True)
class CohortRetention:
    """Persons first seen on one day, and the share of them active 1, 7, 30 days later; `nan` until that day is over."""

    day: date
    users: int
    day_1_retention: float
    day_7_retention: float
    day_30_retention: float


@dataclass(frozen=True, slots=True)
class Retention:
    """How many come back n days after they were first seen, over the cohorts for which that day is over.

    `…_n` is the persons in those cohorts. `churn_rate` is the share of those active in the 28 days before the last 28
    complete ones who were not active in these; `missing` says why it is unknown where they begin before the first day.
    """

    day_1_retention: float
    day_1_retention_n: int
    day_1_retention_ci: Interval
    day_7_retention: float
    day_7_retention_n: int
    day_7_retention_ci: Interval
    day_30_retention: float
    day_30_retention_n: int
    day_30_retention_ci: Interval
    churn_rate: float
    churn_rate_n: int
    churn_rate_ci: Interval
    cohorts: tuple[CohortRetention, ...]
    missing: dict[str, str]
    window: Window


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A period against the equally long one before it: new + returning + resurrecting are active, dormant are not."""

    new: int
    returning: int
    resurrecting: int
    dormant: int

    @property
    def before(self) -> int:
        """Those active in the period before."""
        return self.returning + self.dormant

    @property
    def churn_rate(self) -> float:
        """The share of those active in the period before who are not active any more."""
        return ratio(self.dormant, self.before)


@dataclass(frozen=True, slots=True)
class Nps:
    """Would they recommend us: 100 (promoters − detractors) / n over each person's last answer to each survey.

    Rounded to one decimal, half away from zero; `nps_score_ci` is its 95 % interval (`stats.intervals.nps_interval`),
    and `margin` half of its width, in points.
    """

    nps_score: float
    nps_score_ci: Interval
    margin: float
    promoters: int
    passives: int
    detractors: int
    responses: int
    average_score: float
    window: Window


@dataclass(frozen=True, slots=True)
class Segments:
    """Every person ever active, in one of six segments, as of the end of the window."""

    new: int
    active: int
    power: int
    at_risk: int
    churned: int
    resurrected: int
    total_users: int
    window: Window


@dataclass(frozen=True, slots=True)
class UsersSummary:
    """Everything at once; the totals are over all time."""

    total_users: int
    total_events: int
    total_sessions: int
    engagement: Engagement
    conversion: Conversion
    retention: Retention
    nps: Nps
    segments: Segments


@dataclass(frozen=True, slots=True)
class CompleteWeek:
    """The 7 days up to a complete one: active persons on the 1, 7 and 28 days that end with it, and who converted."""

    dau: int
    wau: int
    mau: int
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class UsersOverview:
    """Everything that users are judged by, as of one moment; the weeks end yesterday, and 7 days before that.

    `daily_active` has the active persons of each of the last 36 complete days, from the first of them with anybody on.
    """

    summary: UsersSummary
    last_week: CompleteWeek
    week_before: CompleteWeek
    daily_active: tuple[int, ...]


def ratio(part: float, whole: float) -> float:
    """Return part / whole; `nan` where the whole is 0."""
    return part / whole if whole else nan


def engagement(ask: UserQuestions, span: DaySpan, now_us: int) -> Engagement:
    """Distinct active persons on the trailing 1, 7 and 28 local days, and the sessions of the window."""
    days, month = Days(span.first_day, span.last_day), trailing(span.last_complete_day, MAU_DAYS)
    ask.expect((days, month, *month.each(), *(trailing(span.last_day, n) for n in (1, WAU_DAYS, MAU_DAYS))))
    new, active = ask.first_seen(days), ask.active(days)
    totals = ask.sessions(days, now_us)
    missing = unknown_before(ask.first_day(), stickiness=month, return_rate=days.before())
    is_young = "return_rate" in missing
    return Engagement(
        dau=ask.active(trailing(span.last_day, 1)),
        wau=ask.active(trailing(span.last_day, WAU_DAYS)),
        mau=ask.active(trailing(span.last_day, MAU_DAYS)),
        mau_window_days=MAU_DAYS,
        stickiness=nan if "stickiness" in missing else stickiness(ask, month),
        sessions=totals.sessions,
        avg_session_duration_seconds=ratio(totals.duration_us / _US, totals.sessions),
        avg_sessions_per_user=ratio(totals.sessions, active),
        avg_events_per_session=ratio(totals.events, totals.sessions),
        bounce_rate=ratio(totals.bounced, totals.viewed),
        bounce_rate_n=totals.viewed,
        bounce_rate_ci=wilson_interval(totals.bounced, totals.viewed),
        return_rate=nan if is_young else ratio(active - new, active),
        return_rate_n=active,
        return_rate_ci=UNKNOWN if is_young else wilson_interval(active - new, active),
        provisional=span.is_today,
        missing=missing,
        window=span.window,
    )


def stickiness(ask: UserQuestions, month: Days) -> float:
    """Mean DAU over MAU of the 28 days `month`; `nan` without anybody."""
    return ratio(sum(ask.active_by_day(month).values()) / MAU_DAYS, ask.active(month))


def conversion(ask: UserQuestions, span: DaySpan, event: str) -> Conversion:
    """Entered are the persons active in the window; `event` is the type or the name of what converts."""
    days = Days(span.first_day, span.last_day)
    found = ask.conversions(days, event)
    if found is None:
        return _unknown_conversion(ask.active(days), span, event)
    return Conversion(
        conversion_rate=ratio(found.converted, found.entered),
        conversion_rate_ci=wilson_interval(found.converted, found.entered),
        entered_users=found.entered,
        converted_users=found.converted,
        total_conversions=found.conversions,
        conversion_value=nan if found.value is None else found.value,
        avg_time_to_convert_seconds=ratio(found.wait_us / _US, found.converted),
        missing={},
        window=span.window,
    )


def _unknown_conversion(entered: int, span: DaySpan, event: str) -> Conversion:
    why = f"{event!r} is no key event, and facts of the window are gone: ask for days that retention has left"
    missing = dict.fromkeys(("conversion_rate", "converted_users", "total_conversions", "conversion_value"), why)
    return Conversion(nan, UNKNOWN, entered, nan, nan, nan, nan, missing, span.window)


def retention(ask: UserQuestions, span: DaySpan) -> Retention:
    """Day n: active on the calendar day n days after the first one; the cohorts are those of the window."""
    cohorts = ask.cohorts(Days(span.first_day, span.last_day), RETENTION_DAYS)
    last = span.last_complete_day
    day_1, day_7, day_30 = (_pooled(cohorts, n, last) for n in RETENTION_DAYS)
    month = trailing(last, MAU_DAYS)
    ask.expect(month.compared())
    missing, persons = unknown_before(ask.first_day(), churn_rate=month.before()), lifecycle(ask, month)
    return Retention(
        day_1_retention=ratio(*day_1),
        day_1_retention_n=day_1[1],
        day_1_retention_ci=wilson_interval(*day_1),
        day_7_retention=ratio(*day_7),
        day_7_retention_n=day_7[1],
        day_7_retention_ci=wilson_interval(*day_7),
        day_30_retention=ratio(*day_30),
        day_30_retention_n=day_30[1],
        day_30_retention_ci=wilson_interval(*day_30),
        churn_rate=nan if missing else persons.churn_rate,
        churn_rate_n=persons.before,
        churn_rate_ci=UNKNOWN if missing else wilson_interval(persons.dormant, persons.before),
        cohorts=tuple(_cohort(cohort, last) for cohort in cohorts),
        missing=missing,
        window=span.window,
    )


def _pooled(cohorts: list[Cohort], n: int, last_complete_day: int) -> tuple[int, int]:
    """Return who came back on day n, and the size of the cohorts for which that day is over."""
    mature = [cohort for cohort in cohorts if cohort.day + n <= last_complete_day]
    return sum(cohort.returned[n] for cohort in mature), sum(cohort.size for cohort in mature)


def _cohort(cohort: Cohort, last_complete_day: int) -> CohortRetention:
    day_1, day_7, day_30 = (ratio(*_pooled([cohort], n, last_complete_day)) for n in RETENTION_DAYS)
    return CohortRetention(day_date(cohort.day), cohort.size, day_1, day_7, day_30)


def lifecycle(ask: UserQuestions, period: Days) -> Lifecycle:
    """Set a period against the equally long one before it, from the persons active in each and in both together."""
    ask.expect(period.compared())
    active, before, in_either = map(ask.active, period.compared())
    returning = active + before - in_either
    new = ask.first_seen(period)
    return Lifecycle(new, returning, active - new - returning, before - returning)


def nps(ask: UserQuestions, span: DaySpan, survey: str | None = None) -> Nps:
    """Promoters answer 9 or 10, detractors 0 to 6; without a survey all are pooled."""
    scores = ask.scores(Days(span.first_day, span.last_day), survey)
    responses = sum(scores.values())
    promoters, detractors = scores[9] + scores[10], sum(scores[score] for score in range(7))
    score, (low, high) = nps_score(promoters, detractors, responses), nps_interval(promoters, detractors, responses)
    return Nps(
        nps_score=score,
        nps_score_ci=(low, high),
        margin=(high - low) / 2,
        promoters=promoters,
        passives=responses - promoters - detractors,
        detractors=detractors,
        responses=responses,
        average_score=ratio(_total(scores), responses),
        window=span.window,
    )


def _total(scores: Counter[int]) -> int:
    return sum(score * n for score, n in scores.items())


def segments(ask: UserQuestions, span: DaySpan) -> Segments:
    """Count persons by when they were first and last active, as of the last day of the window.

    With L days since the last active day, F since the first, A active days of the last 28, the first that holds: new
    F < 7; resurrected L < 7 after a gap of 30 or more; power L < 7 and A >= 12; active L < 7; at risk L < 30; churned.
    Who is active on 12 of 28 days was neither new nor away for 30 days within the last week.
    """
    week, month = trailing(span.last_day, WAU_DAYS), trailing(span.last_day, MAU_DAYS)
    ask.expect((week, trailing(span.last_day, RESURRECTED_GAP)))
    new, resurrected = ask.first_seen(week), ask.back_after(week, RESURRECTED_GAP)
    lately, everybody = ask.active(week), ask.first_seen(Days(_EVER, span.last_day))
    power = ask.frequent(month, POWER_DAYS, week)
    known = ask.active(trailing(span.last_day, RESURRECTED_GAP))
    return Segments(
        new=new,
        active=lately - new - resurrected - power,
        power=power,
        at_risk=known - lately,
        churned=everybody - known,
        resurrected=resurrected,
        total_users=everybody,
        window=span.window,
    )


def summary(ask: UserQuestions, month: DaySpan, quarter: DaySpan, now_us: int, event: str) -> UsersSummary:
    """Everything at once: retention and NPS over a quarter, the rest over a month."""
    ever = Days(_EVER, -_EVER)
    everything = ask.sessions(ever, now_us)
    return UsersSummary(
        total_users=ask.first_seen(ever),
        total_events=everything.events + everything.background,
        total_sessions=everything.sessions,
        engagement=engagement(ask, month, now_us),
        conversion=conversion(ask, month, event),
        retention=retention(ask, quarter),
        nps=nps(ask, quarter),
        segments=segments(ask, month),
    )


def daily_active(ask: UserQuestions, last_complete_day: int) -> tuple[int, ...]:
    """Return the active persons of each complete day that a drop is judged by, from the first with anybody on."""
    days = trailing(last_complete_day, DROP_DAYS)
    active = ask.active_by_day(days)
    return tuple(active.get(day, 0) for day in range(min(active, default=days.last + 1), days.last + 1))


def complete_week(ask: UserQuestions, week: DaySpan, event: str) -> CompleteWeek:
    """Return what is compared from week to week."""
    return CompleteWeek(
        dau=ask.active(trailing(week.last_day, 1)),
        wau=ask.active(trailing(week.last_day, WAU_DAYS)),
        mau=ask.active(trailing(week.last_day, MAU_DAYS)),
        conversion=conversion(ask, week, event),
    )
