"""Silence of models and of those who call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC as UTC_TIME
from datetime import datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from otel_measure.definitions.alerting.absence import (
    AbsenceHistory,
    judge_daily_batch,
    judge_sender,
    judge_silence,
    judge_young_silence,
)
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome
from otel_measure.definitions.alerting.past_calls import PastCalls
from otel_measure.definitions.alerting.rule import AlertRule, Judge
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.definitions.days import micros, moment
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from tests.definitions.alerting.absent import CallTimeline
from tests.definitions.alerting.judging import CHURN

START: Final = micros(datetime(2026, 1, 5, tzinfo=UTC_TIME))  # a Monday
DAY_US: Final = 24 * HOUR_US
RULES: Final = {rule.judge: rule for rule in ALERT_RULES}
JUDGES: Final[Mapping[Judge, Callable[[AlertRule, AbsenceHistory, int], Judgement]]] = {
    "silence": judge_silence,
    "young_silence": judge_young_silence,
    "daily_batch": judge_daily_batch,
    "sender_silence": judge_sender,
}


def calls_of(days: float, calls: Callable[[datetime], int], zone: str = "UTC", start: int = START) -> CallTimeline:
    """Return the calls of each minute of some days, as the local clock says."""
    first = moment(start).astimezone(UTC_TIME)
    at = (first + timedelta(minutes=k) for k in range(round(days * 1440)))
    return CallTimeline(start, [calls(minute.astimezone(ZoneInfo(zone))) for minute in at])


def outcomes(
    timeline: CallTimeline, judge: Judge, since_us: int, until_us: int, step_us: int = MINUTE_US, zone: str = "UTC"
) -> dict[int, Outcome]:
    """Return what a rule says at each step of a time, in minutes from its beginning."""
    return {
        (now - since_us) // MINUTE_US: JUDGES[judge](
            RULES[judge], timeline.history(now, zone=ZoneInfo(zone)), now
        ).outcome
        for now in range(since_us, until_us, step_us)
    }


def beyond(
    timeline: CallTimeline, judge: Judge, since_us: int, until_us: int, step_us: int = MINUTE_US, zone: str = "UTC"
) -> list[int]:
    """Return the minutes at which a rule is beyond."""
    said = outcomes(timeline, judge, since_us, until_us, step_us, zone)
    return [at for at, outcome in said.items() if outcome == "beyond"]


def stopped(timeline: CallTimeline, start_us: int, minutes: int) -> CallTimeline:
    """Return the same, without the calls of some minutes."""
    first = (start_us - START) // MINUTE_US
    return CallTimeline(
        START, [0 if first <= k < first + minutes else calls for k, calls in enumerate(timeline.minutes)]
    )


def each_minute(_: datetime) -> int:
    """One call a minute."""
    return 1


def office(at: datetime) -> int:
    """Two calls a minute from nine to five on weekdays."""
    return 2 if at.weekday() < 5 and 9 <= at.hour < 17 else 0


def test_no_call_for_45_minutes_is_told_within_half_an_hour_and_is_over() -> None:
    """At one call a minute silence is beyond from the 16th minute until the first call after it."""
    outage = START + 8 * DAY_US + 10 * HOUR_US
    timeline = stopped(calls_of(9, each_minute), outage, 45)
    assert beyond(timeline, "silence", outage, outage + 2 * HOUR_US) == list(range(14, 46))


def test_who_is_woken_reads_since_when_and_what_is_usual() -> None:
    """The judgement says who is silent, since when, that the sender lives, and what the days before held."""
    outage = START + 8 * DAY_US + 10 * HOUR_US
    timeline, now = stopped(calls_of(9, each_minute), outage, 45), outage + 30 * MINUTE_US
    assert judge_silence(RULES["silence"], timeline.history(now), now) == Judgement(
        *("model_silence", CHURN, "beyond", 0.0, 14, 30),
        "churn was not called since 2026-01-13 10:00 UTC, and shop goes on sending; at the same time of day it had"
        " 30 calls or more on each of the 7 days before",
        since_us=outage,
    )
    shop = AlertSubject("service", "shop", "prod")
    assert judge_sender(RULES["sender_silence"], timeline.history(now, subject=shop), now) == Judgement(
        *("sender_silence", shop, "beyond", 0.0, 14, 30),
        "nothing came from shop since 2026-01-13 10:00 UTC; at the same time of day it made 30 calls of models or more"
        " on each of the 7 days before",
        since_us=outage,
    )


def test_without_a_living_sender_it_is_not_the_model_that_is_silent() -> None:
    """Whoever calls the model sends nothing else either: of the model nothing is known."""
    outage = START + 8 * DAY_US + 10 * HOUR_US
    timeline, now = stopped(calls_of(9, each_minute), outage, 45), outage + 30 * MINUTE_US
    assert judge_silence(RULES["silence"], timeline.history(now, sender=""), now).outcome == "unknown"


def test_office_hours_are_compared_with_the_same_weekdays() -> None:
    """Nights, weekends and a Monday that begins an hour late tell nothing; a Monday without calls does from then on."""
    friday, monday = START + 32 * DAY_US + 12 * HOUR_US, START + 35 * DAY_US
    timeline = calls_of(36, office)
    assert beyond(timeline, "silence", friday, monday + 12 * HOUR_US, 20 * MINUTE_US) == []
    late = stopped(timeline, monday + 9 * HOUR_US, 60)
    assert beyond(late, "silence", monday + 9 * HOUR_US, monday + 11 * HOUR_US, 5 * MINUTE_US) == []
    missing = stopped(timeline, monday, 24 * 60)
    told = beyond(missing, "silence", monday + 9 * HOUR_US, monday + 24 * HOUR_US, 15 * MINUTE_US)
    assert told == list(range(75, 15 * 60, 15))
    now = monday + 11 * HOUR_US
    assert judge_silence(RULES["silence"], missing.history(now), now).sentence == (
        "churn was not called since 2026-02-06 17:00 UTC, and shop goes on sending; at the same time of day it had"
        " 120 calls or more on the same weekday of each of the 4 weeks before"
    )


@pytest.mark.parametrize("changed", [datetime(2026, 3, 29), datetime(2026, 10, 25)])
def test_clocks_that_are_changed_tell_nothing(changed: datetime) -> None:
    """Neither calls by the local clock nor calls by UTC are silent in the days after clocks were changed."""
    start = micros(changed.replace(tzinfo=UTC_TIME)) - 35 * DAY_US
    for zone in ("Europe/Berlin", "UTC"):
        timeline = calls_of(38, office, zone, start)
        for day in (34, 36):
            since = start + day * DAY_US
            assert beyond(timeline, "silence", since, since + DAY_US, 20 * MINUTE_US, "Europe/Berlin") == []


def test_a_burst_that_comes_later_is_no_silence() -> None:
    """Twenty calls at the beginning of each hour may be 20 minutes late; three bursts that do not come are told."""
    timeline = calls_of(9, lambda at: 20 if at.minute == 0 else 0)
    since = START + 8 * DAY_US + 10 * HOUR_US
    late = stopped(timeline, since, 20)
    assert beyond(late, "silence", since - HOUR_US, since + 20 * MINUTE_US) == []
    missing = stopped(timeline, since, 5 * 60)
    assert min(beyond(missing, "silence", since, since + 4 * HOUR_US)) == 121


def test_a_time_in_which_nobody_watched_is_not_part_of_a_silence() -> None:
    """After a start nothing is told before its window was watched in full, and what lies before the gap counts."""
    outage = START + 8 * DAY_US + 10 * HOUR_US
    timeline = stopped(calls_of(9, each_minute), outage, 600)

    def said(now: int, *watched: tuple[int, int]) -> Outcome:
        return judge_silence(RULES["silence"], timeline.history(now, watched=watched), now).outcome

    came_back = outage + 120 * MINUTE_US
    assert said(came_back, (came_back, came_back)) == "unknown"
    assert [said(came_back + k * MINUTE_US, (came_back, came_back + k * MINUTE_US)) for k in (9, 10, 13, 14)] == [
        *("unknown", "within", "within", "beyond")
    ]
    before = (outage - DAY_US, outage + 8 * MINUTE_US)
    assert said(came_back + 9 * MINUTE_US, before, (came_back, came_back + 9 * MINUTE_US)) == "unknown"
    assert said(came_back + 10 * MINUTE_US, before, (came_back, came_back + 10 * MINUTE_US)) == "beyond"
    assert said(came_back + 60 * MINUTE_US, before) == "unknown"


def test_silence_is_told_of_for_a_week() -> None:
    """The days of the silence itself are none that it is compared with."""
    outage = START + 8 * DAY_US + 10 * HOUR_US
    timeline = stopped(calls_of(20, each_minute), outage, 12 * 1440)
    told = beyond(timeline, "silence", outage, outage + 7 * DAY_US, 6 * HOUR_US)
    assert told == list(range(360, 7 * 1440, 360))


def test_a_young_model_is_told_of_when_it_was_busy() -> None:
    """A model of a day that had a call each minute tells after half an hour; one of 50 an hour does not."""
    outage = START + 10 * HOUR_US
    timeline = stopped(calls_of(0.5, each_minute), outage, 120)
    assert beyond(timeline, "young_silence", outage, outage + HOUR_US) == list(range(30, 60))
    now = outage + 45 * MINUTE_US
    assert judge_young_silence(RULES["young_silence"], timeline.history(now), now) == Judgement(
        *("model_silence_young", CHURN, "beyond", 0.0, 60, 60),
        "churn was not called since 2026-01-05 10:00 UTC; in each of the 3 hours before it had 60 calls or more",
        since_us=outage,
    )
    quieter = stopped(calls_of(0.5, lambda at: int(at.minute % 6 > 0)), outage, 120)
    assert beyond(quieter, "young_silence", outage, outage + HOUR_US) == []


def test_the_evening_of_a_second_day_is_no_silence_of_a_young_model() -> None:
    """What was silent at this time of the day before may be; a model of a week is not young."""
    evening = START + DAY_US + 17 * HOUR_US
    assert beyond(calls_of(2, office), "young_silence", evening, evening + 3 * HOUR_US) == []
    assert beyond(calls_of(1, office), "young_silence", evening - DAY_US, evening - DAY_US + 2 * HOUR_US) != []
    outage = START + 8 * DAY_US
    grown = stopped(calls_of(9, each_minute), outage, 120)
    assert beyond(grown, "young_silence", outage, outage + HOUR_US) == []


def nightly(at: datetime) -> int:
    """A batch from two to half past on weekdays."""
    return 3 if at.weekday() < 5 and at.hour == 2 and at.minute < 30 else 0


def test_a_batch_that_did_not_run_is_told_of_26_hours_after_the_one_before() -> None:
    """It is a ticket of its own, until the batch runs; weekends without it and a batch an hour late tell nothing."""
    tuesday = START + 36 * DAY_US
    timeline = calls_of(39, nightly)
    assert beyond(timeline, "daily_batch", START + 31 * DAY_US, tuesday, HOUR_US) == []
    assert beyond(stopped(timeline, tuesday, 180), "silence", tuesday, tuesday + DAY_US, HOUR_US) == []
    days = list(timeline.minutes)
    late = CallTimeline(START, days[: 36 * 1440] + [0] * 60 + days[36 * 1440 :])
    assert beyond(late, "daily_batch", tuesday, tuesday + 12 * HOUR_US, 15 * MINUTE_US) == []
    missed = stopped(timeline, tuesday, 24 * 60)
    told = beyond(missed, "daily_batch", tuesday, tuesday + 2 * DAY_US, 15 * MINUTE_US)
    assert told == list(range(4 * 60 + 30, 26 * 60 + 15, 15))
    now = tuesday + 6 * HOUR_US
    assert judge_daily_batch(RULES["daily_batch"], missed.history(now), now).sentence == (
        "the batch that calls churn did not run: no call since 2026-02-09 02:30 UTC; until this time of day it had 90"
        " or more on the same weekday of each of the 4 weeks before"
    )


@pytest.mark.parametrize("threshold", [14, 0])
def test_what_was_never_called_is_within(threshold: float) -> None:
    """No call is no silence, whatever the threshold."""
    never, now = CallTimeline(START, [0] * 2880), START + 2 * DAY_US
    rules = {judge: replace(RULES[judge], threshold=threshold) for judge in JUDGES}
    said = {judge: JUDGES[judge](rules[judge], never.history(now), now).outcome for judge in JUDGES}
    assert said == dict.fromkeys(JUDGES, "within")


def sessions_of(calls: int) -> Callable[[datetime], int]:
    """Return who calls by chance: in five minutes of an hour, so many calls at once."""
    generator = Random(5)
    return lambda _: calls * (generator.random() < 5 / 60)


def test_a_pause_between_sessions_is_no_silence() -> None:
    """Of calls that come eight at once their sessions count: when these stay away it is told of, a little later."""
    timeline, day = calls_of(11, sessions_of(8)), START + 8 * DAY_US
    assert beyond(timeline, "silence", day, day + 2 * DAY_US, 5 * MINUTE_US) == []
    outage = day + DAY_US
    told = beyond(stopped(timeline, outage, 600), "silence", outage, outage + 10 * HOUR_US, 5 * MINUTE_US)
    assert told == list(range(told[0], 600, 5))
    assert 14 / 5 * 60 <= told[0] <= 2 * 14 / 5 * 60


def test_how_many_calls_come_together() -> None:
    """Those of a session do; a rate that changes with the time of day, a pause and a load test make no difference."""
    generator = Random(5)

    def week(rate: Callable[[int], float], at_once: int = 1) -> list[int]:
        return [at_once * sum(generator.random() < rate(hour % 24) / 600 for _ in range(600)) for hour in range(168)]

    steady, daily = week(lambda _: 60), week(lambda hour: 60 - 5 * abs(hour - 12))
    hours = {
        "steady": steady,
        "daily": daily,
        "office": week(lambda hour: 60 if 9 <= hour < 17 else 0),
        "load test": [*steady[:50], 5000, *steady[51:]],
        "sessions": week(lambda _: 10, at_once=8),
        "no calls": [0] * 168,
    }
    together = {name: round(PastCalls(START, calls).calls_together, 1) for name, calls in hours.items()}
    assert together.pop("sessions") == pytest.approx(8, rel=0.25)
    assert together == {name: pytest.approx(1, abs=0.35) for name in together}
