"""Whether calls stay away that came on all days before: pure judges of silence.

The time since the last call is compared with the same time before: on each of 7 days, or on the same weekday of each of
4 weeks. Where every one of them held 14 calls or more, at three different times or more, none at all is no accident (of
14 that are expected, chance leaves none once in a million times), and no burst that comes a little later today. Calls
that come together, as those of a session do, count as one. What a local clock and what the hours that passed call the
same time differs for some days after clocks were changed: then both have to hold as many. A time in which nobody
evaluated is left out: what was sent then may not have come. So is the time of which calls are not usually known yet, of
a sender that tells of them in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome
from otel_measure.definitions.alerting.past_calls import (
    DAILY,
    RHYTHMS,
    MinutesOf,
    PastCalls,
    Rhythm,
    Span,
    by_minute,
    times_before,
)
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.days import DAY_US, moment
from otel_measure.definitions.windows import HOUR_US, MINUTE_US

FEWEST_TIMES: Final = 3
_FEWEST_OF_A_DAY: Final = 14
_FEWEST_PARTS: Final = 3  # the hours of a young model; days and weeks are more
BATCH_HOURS: Final = 4.0
"""A model that is called in at most so many hours of a day, in the mean, is called by a batch."""


@dataclass(frozen=True, slots=True)
class AbsenceHistory:
    """What is known of a subject that may be silent.

    Attributes:
        calls: of the weeks before.
        minutes_of: tells of their hours by the minute.
        last_us: when the last minute ended that held a call; of a sender, before which anything came of it last.
        watched: when somebody evaluated, ascending; the last one until now.
        zone: whose clock those who call go by.
        sender: a service that called the model and of which other things come now; empty where there is none.
        late_us: how late calls of it usually become known: of that time before now nothing is expected.
        successor: returns the model that this service began to call when it stopped calling this one; empty for none.
    """

    subject: AlertSubject
    calls: PastCalls
    minutes_of: MinutesOf
    last_us: int
    watched: Sequence[Span]
    zone: ZoneInfo
    sender: str = ""
    late_us: int = 0
    successor: Callable[[], str] = str


class _Expected(NamedTuple):
    """How many calls every one of the times before held at least."""

    calls: int
    rhythm: Rhythm


def judge_silence(rule: AlertRule, history: AbsenceHistory, now_us: int) -> Judgement:
    """Say whether a model is not called that is always called at this time, by a service that is there.

    Where another one took its place, as one of another name does, that can wait.
    """
    expected, outcome = _silence(rule, history, now_us)
    if expected is None or not history.sender:
        return _judgement(rule, history, "unknown" if outcome == "beyond" else outcome)
    successor = history.successor()
    goes_on = f"began to call {successor} instead" if successor else "goes on sending"
    judgement = _beyond(
        rule,
        history,
        expected.calls,
        f"{history.subject.name} was not called since {_at(history.last_us)}, and {history.sender} {goes_on};"
        f" at the same time of day it had {expected.calls:,} calls or more on {expected.rhythm.name}"
        f"{_lateness(history)}",
    )
    return replace(judgement, severity="ticket") if successor else judgement


def judge_sender(rule: AlertRule, history: AbsenceHistory, now_us: int) -> Judgement:
    """Say whether nothing comes of a service that always calls models at this time."""
    expected, outcome = _silence(rule, history, now_us)
    if expected is None:
        return _judgement(rule, history, outcome)
    return _beyond(
        rule,
        history,
        expected.calls,
        f"nothing came from {history.subject.name} since {_at(history.last_us)}; at the same time of day it made"
        f" {expected.calls:,} calls of models or more on {expected.rhythm.name}{_lateness(history)}",
    )


def judge_young_silence(rule: AlertRule, history: AbsenceHistory, now_us: int) -> Judgement:
    """Say whether a model of less than a week is not called any more that was busy for the last hours.

    The threshold is of each hour of the long window. Days that it has seen have to have held calls at this time.
    """
    since, calls, until_us = history.last_us, history.calls, now_us - history.late_us
    first = calls.first_call_us
    if first is None or first <= since - DAILY.us * DAILY.times:
        return _judgement(rule, history, "within")
    outcome = _watched_silence(rule, history, now_us)
    if outcome != "beyond":
        return _judgement(rule, history, outcome)
    hours = range(since - rule.long_window_s * SECOND_US, since, HOUR_US)
    fewest = min(by_minute((hour, hour + HOUR_US), history.minutes_of) for hour in hours)
    days = [since - k * DAY_US for k in range(1, DAILY.times + 1)]
    silent_us = min(until_us - since, DAY_US)
    held = [calls.between((day, day + silent_us), history.minutes_of) for day in days if day >= first]
    if fewest < rule.threshold or any(of_day < _FEWEST_OF_A_DAY for of_day in held):
        return _judgement(rule, history, "within")
    return _beyond(
        rule,
        history,
        fewest,
        f"{history.subject.name} was not called since {_at(since)}; in each of the"
        f" {len(hours)} hours before it had {fewest:,} calls or more{_lateness(history)}",
    )


def judge_daily_batch(rule: AlertRule, history: AbsenceHistory, now_us: int) -> Judgement:
    """Say whether a model was not called that a batch calls every day, or on this weekday.

    The window is a day and how much earlier or later the batch may run.
    """
    slack_us = max(rule.window_s * SECOND_US - DAY_US, 0)
    if not is_called_by_batch(history.calls):
        return _judgement(rule, history, "within")
    outcome = _watched_silence(rule, history, now_us)
    if outcome != "beyond":
        return _judgement(rule, history, outcome)
    begins, until_us = history.last_us + slack_us, now_us - history.late_us
    for rhythm in RHYTHMS:
        parts = _watched_parts(history.watched, (begins, min(until_us - slack_us, begins + rhythm.us)))
        least = _least(history, parts, rhythm, rule.threshold)
        if least:
            return _beyond(
                rule,
                history,
                least,
                f"the batch that calls {history.subject.name} did not run: no call since {_at(history.last_us)}; until"
                f" this time of day it had {least:,} or more on {rhythm.name}{_lateness(history)}",
            )
    return _judgement(rule, history, "within")


def fewest_calls(rules: Iterable[AlertRule]) -> float:
    """Return how many calls the weeks before have to have held for any rule to miss one now.

    Each rule needs its threshold at three times before or more: in the hours before, on days, or in weeks.
    """
    return min((_FEWEST_PARTS * rule.threshold for rule in rules), default=0.0)


def is_called_by_batch(calls: PastCalls) -> bool:
    """Whether calls come in few hours of a day only."""
    return calls.active_hours_a_day <= BATCH_HOURS


# ---------------------------------------------------------------- how long nothing came, and what came before


def _silence(rule: AlertRule, history: AbsenceHistory, now_us: int) -> tuple[_Expected | None, Outcome]:
    """Return what should have come, where it is beyond; and how it stands."""
    outcome = _watched_silence(rule, history, now_us)
    if outcome != "beyond":
        return None, outcome
    if is_called_by_batch(history.calls):
        return None, "within"
    since, until_us = history.last_us, now_us - history.late_us
    enough = rule.threshold * history.calls.calls_together
    for rhythm in RHYTHMS:
        parts = _watched_parts(history.watched, (since, min(until_us, since + rhythm.us)))
        least = _least(history, parts, rhythm, enough, without_ramps=True, times=FEWEST_TIMES)
        if least:
            return _Expected(least, rhythm), "beyond"
    return None, "within"


def _watched_silence(rule: AlertRule, history: AbsenceHistory, now_us: int) -> Outcome:
    """Return whether nothing came for as long as a rule wants it, which is unknown until somebody watched as long.

    An hour is enough for those who send to be heard again after we were away, and as much as they are late.
    """
    window_us = rule.window_s * SECOND_US
    if now_us - history.late_us - history.last_us < window_us:
        return "within"
    begins_us = now_us - history.late_us - min(window_us, HOUR_US)
    is_watched = any(start <= begins_us and now_us <= end for start, end in history.watched)
    return "beyond" if is_watched else "unknown"


def _watched_parts(watched: Sequence[Span], span: Span) -> list[Span]:
    """Return the whole minutes of a time in which somebody watched."""
    start, end = span
    parts = ((max(first, start), min(last, end)) for first, last in watched)
    minutes = ((first + -first % MINUTE_US, last - last % MINUTE_US) for first, last in parts)
    return [(first, last) for first, last in minutes if first < last]


def _least(
    history: AbsenceHistory,
    parts: Sequence[Span],
    rhythm: Rhythm,
    enough: float,
    *,
    without_ramps: bool = False,
    times: int = 0,
) -> int:
    """Return the fewest calls of a time before; 0 where one held fewer than is enough, or at fewer times."""
    calls, ramps = history.calls, rhythm if without_ramps else None
    held: list[int] = []
    for k in range(1, rhythm.times + 1):
        for before in times_before(parts, k * rhythm.days, history.zone):
            if sum(calls.at_most(part, ramps) for part in before) < enough:
                return 0
            held.append(sum(calls.between(part, history.minutes_of, ramps) for part in before))
            if held[-1] < enough:
                return 0
            if times > sum(calls.times(part, history.minutes_of, times, ramps) for part in before):
                return 0
    return min(held)


# ---------------------------------------------------------------- what is said


def _lateness(history: AbsenceHistory) -> str:
    """Return how late calls are, where they are, as the end of a sentence."""
    late = timedelta(microseconds=history.late_us - history.late_us % MINUTE_US)
    return f"; its calls become known up to {late} h late" if late else ""


def _at(us: int) -> str:
    return f"{moment(us):%Y-%m-%d %H:%M} UTC"


def _judgement(rule: AlertRule, history: AbsenceHistory, outcome: Outcome) -> Judgement:
    return Judgement(rule.key, history.subject, outcome, threshold=rule.threshold)


def _beyond(rule: AlertRule, history: AbsenceHistory, evidence: int, sentence: str) -> Judgement:
    return Judgement(
        rule.key,
        history.subject,
        "beyond",
        value=0.0,
        threshold=rule.threshold,
        evidence=evidence,
        sentence=sentence,
        since_us=history.last_us,
    )
