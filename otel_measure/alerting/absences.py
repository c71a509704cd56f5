"""Who is silent that calls, or is called, at this time of every day: models and services of a store, judged.

What changes is read at every turn: who had a call in the last minutes. Of the others the weeks before are read once and
kept, some of them at a turn; who had so few calls in them that nobody can miss one is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.alerting.environments import environments_of
from otel_measure.alerting.late_calls import LateCalls
from otel_measure.alerting.signs_of_life import LATELY_US, SignsOfLife
from otel_measure.definitions.alerting.absence import (
    AbsenceHistory,
    fewest_calls,
    judge_daily_batch,
    judge_sender,
    judge_silence,
    judge_young_silence,
)
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.past_calls import REACH_US, MinutesOf, PastCalls
from otel_measure.definitions.alerting.rule import AlertRule, Judge
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.store.model_questions import CallTimeQuestions
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.types.alerts import LateDay
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ServiceModel

ABSENCES: Final[Mapping[Judge, Callable[[AlertRule, AbsenceHistory, int], Judgement]]] = MappingProxyType(
    {
        "silence": judge_silence,
        "young_silence": judge_young_silence,
        "daily_batch": judge_daily_batch,
        "sender_silence": judge_sender,
    }
)
_ACTIVE_US: Final = 8 * DAY_US  # a week of silence is told of; who is silent for longer is not expected any more
_KEPT_US: Final = 6 * HOUR_US
_AT_ONCE_US: Final = 10 * MINUTE_US
_READ_AT_A_TURN: Final = 8  # 4 ms each, of a model that is called every hour
_Hours: TypeAlias = dict[int, int]


class CallAbsences:
    """Judges silence in all environments of a store.

    Args:
        store: knows the calls, and what else comes.
        rules: that are judged by `ABSENCES`.
        zone: whose clock those who call go by.
    """

    def __init__(self, store: Store, rules: Sequence[AlertRule], zone: ZoneInfo) -> None:
        self._store = store
        self._rules = rules
        self._zone = zone
        self._environments: dict[str, _Environment] = {}

    def judge(self, now_us: int) -> list[Judgement]:
        """Return what the rules say of models, and of services that call models: those with a call in eight days.

        Nothing is said of those that had fewer calls before than any rule needs, and have none now.
        """
        judged: list[Judgement] = []
        for name in environments_of(self._store) if self._rules else ():
            shortest_us = min(rule.window_s for rule in self._rules) * SECOND_US
            environment = self._environments.setdefault(name, _Environment(name, self._zone, shortest_us))
            with self._store.asking(Filter(environment=name)) as known:
                judged += environment.judge(known, self._rules, now_us)
            late = environment.take_late()
            if late:
                self._store.alerts.note_late(late, now_us)
        return judged


@dataclass(slots=True)
class _WeeksBefore:
    """What was read of a subject.

    Attributes:
        minutes: how many calls each minute of an hour had, by the beginning of the hour.
        models: that somebody had called before a time.
    """

    calls: PastCalls
    read_us: int
    minutes: dict[int, _Hours] = field(default_factory=dict)
    models: dict[int, set[str]] = field(default_factory=dict)


class _Environment:
    """Models and services of one environment, and what was read of them.

    Args:
        name: of the environment.
        zone: whose clock those who call go by.
        shortest_us: the shortest window of a rule; who was called within it is not silent.
    """

    def __init__(self, name: str, zone: ZoneInfo, shortest_us: int) -> None:
        self._name = name
        self._zone = zone
        self._shortest_us = shortest_us
        self._life = SignsOfLife(name)
        self._late = LateCalls(shortest_us)
        self._active: dict[ServiceModel, int] = {}
        self._active_read_us: int | None = None
        self._calls: dict[ServiceModel, float] = {}
        self._expected: dict[AlertSubject, list[ServiceModel]] = {}
        self._kept: dict[AlertSubject, _WeeksBefore] = {}

    def judge(self, known: Moment, rules: Sequence[AlertRule], now_us: int) -> Iterator[Judgement]:
        """Yield what rules say of each subject."""
        times = known.call_times
        lately = times.called_since(now_us - self._shortest_us)
        self._note_active(known, lately, fewest_calls(rules), now_us)
        silent_before = self._late.begin(now_us)
        watched = known.alerts.watched(now_us - REACH_US)
        reads_left = max(_READ_AT_A_TURN, len(self._expected) // 60)
        silent: list[tuple[AlertSubject, list[ServiceModel]]] = []
        for subject, calls in self._expected.items():
            if lately.isdisjoint(calls):
                silent.append((subject, calls))
                continue
            if subject in silent_before:
                self._note_came(times, subject, calls, silent_before[subject], now_us)
            for rule in rules:
                if rule.about == subject.kind:
                    yield Judgement(rule.key, subject, "within", threshold=rule.threshold)
        last_us = {subject: self._last_us(times, calls) for subject, calls in silent}
        if silent:
            self._look_who_lives(known, lately, last_us, now_us)
        for subject, calls in sorted(silent, key=lambda one: one[0] in self._kept):  # who was never read, first
            kept = self._kept.get(subject)
            if (kept is None or not 0 <= now_us - kept.read_us < _KEPT_US) and reads_left > 0:
                reads_left -= 1
                kept = self._kept[subject] = _WeeksBefore(_read(times, calls, now_us), now_us)
            if last_us[subject] > silent_before.get(subject, now_us):
                self._note_came(times, subject, calls, silent_before[subject], now_us)
            if subject.kind == "service":
                last_us[subject] = max(last_us[subject], self._life.heard_until(subject.name))
            self._late.is_silent(subject, last_us[subject])
            if kept is None:
                continue
            late_us = self._late.usual_us(subject, kept.calls.first_call_us, now_us)
            minutes_of = _minutes_of(times, calls, kept)
            history = AbsenceHistory(
                subject, kept.calls, minutes_of, last_us[subject], watched, self._zone, late_us=late_us
            )
            if subject.kind == "model":
                history = self._with_sender(history, times, calls, kept, lately)
            yield from (ABSENCES[rule.judge](rule, history, now_us) for rule in rules if rule.about == subject.kind)

    def _note_active(self, known: Moment, lately: Set[ServiceModel], fewest: float, now_us: int) -> None:
        """Know who had calls in eight days, and their last hour or one before it; all are read once an hour."""
        times = known.call_times
        is_due = self._active_read_us is None or not 0 <= now_us - self._active_read_us < HOUR_US
        if is_due:
            self._active = times.active(now_us - _ACTIVE_US, now_us + HOUR_US)
            self._calls = {**times.totals(now_us - REACH_US, now_us + HOUR_US)}
            self._late.read(known.alerts.late_days(self._name))
            self._active_read_us = now_us
        is_new = any(self._calls.get(called) != inf for called in lately)
        self._active.update(dict.fromkeys(lately, now_us - now_us % HOUR_US - HOUR_US))
        self._calls.update(dict.fromkeys(lately, inf))  # who is called is looked at, however few calls that were so far
        if is_due or is_new:
            self._expected = {
                subject: calls
                for subject, calls in self._subjects().items()
                if sum(self._calls.get(called, 0) for called in calls) >= fewest
            }
            self._kept = {subject: self._kept[subject] for subject in self._expected if subject in self._kept}

    def _subjects(self) -> dict[AlertSubject, list[ServiceModel]]:
        """Return every model and every service that is active, with the calls that are its own."""
        subjects: dict[AlertSubject, list[ServiceModel]] = {}
        for called in sorted(self._active):
            for subject in (
                AlertSubject("model", called.model, self._name),
                AlertSubject("service", called.service, self._name),
            ):
                subjects.setdefault(subject, []).append(called)
        return subjects

    def _look_who_lives(
        self, known: Moment, lately: Set[ServiceModel], last_us: Mapping[AlertSubject, int], now_us: int
    ) -> None:
        """Look who lives: who tells in batches lives until the next one is due."""
        late: dict[str, int] = {}
        calling = {called.service for called in lately}
        for subject, until_us in last_us.items():
            if subject.kind == "service":
                kept = self._kept.get(subject)
                late_us = self._late.usual_us(subject, None if kept is None else kept.calls.first_call_us, now_us)
                late[subject.name] = late_us
                if late_us and now_us - until_us < LATELY_US + late_us:
                    calling.add(subject.name)
        self._life.look(known.streams, calling, late, now_us)

    def _note_came(
        self,
        times: CallTimeQuestions,
        subject: AlertSubject,
        calls: Sequence[ServiceModel],
        until_us: int,
        now_us: int,
    ) -> None:
        """Learn from calls of a subject that was silent until a turn ago how late they are."""
        minutes = (min(times.by_minute(called, until_us, now_us), default=None) for called in calls)
        self._late.came(subject, min((minute for minute in minutes if minute is not None), default=None), now_us)

    def _with_sender(
        self,
        history: AbsenceHistory,
        times: CallTimeQuestions,
        calls: Sequence[ServiceModel],
        kept: _WeeksBefore,
        lately: Set[ServiceModel],
    ) -> AbsenceHistory:
        """Return what is known of a model, with who called it and lives, and what they call instead."""
        sender = self._life.one_that_lives({called.service for called in calls})
        others = sorted(called for called in lately if called.service == sender)
        last_us = history.last_us

        def successor() -> str:
            # For a while both are called, so one whose first calls lie a little earlier is new as well.
            before = last_us - last_us % HOUR_US - HOUR_US
            if others and before not in kept.models:
                kept.models[before] = {one.model for one in times.totals(before - REACH_US, before)}
            new = (one for one in others if one.model not in kept.models[before])
            return next((one.model for one in new if times.by_minute(one, before, last_us + _AT_ONCE_US)), "")

        return replace(history, sender=sender, successor=successor)

    def _last_us(self, times: CallTimeQuestions, calls: Sequence[ServiceModel]) -> int:
        """Return when the last minute ended that held one of some calls; 0 for none."""
        minutes = (times.last_minute(called, self._active[called]) for called in calls)
        return max((minute + MINUTE_US for minute in minutes if minute is not None), default=0)

    def take_late(self) -> list[LateDay]:
        """Return what was learnt of how late calls become known, once."""
        return self._late.take_noted()


def _minutes_of(times: CallTimeQuestions, calls: Sequence[ServiceModel], kept: _WeeksBefore) -> MinutesOf:
    """Return what tells the calls of an hour by the minute; of hours that are over it is kept."""

    def minutes_of(hour: int) -> _Hours:
        if hour in kept.minutes:
            return kept.minutes[hour]
        minutes = _added(times.by_minute(called, hour, hour + HOUR_US) for called in calls)
        if hour + HOUR_US <= kept.read_us:
            kept.minutes[hour] = minutes
        return minutes

    return minutes_of


def _read(times: CallTimeQuestions, calls: Iterable[ServiceModel], now_us: int) -> PastCalls:
    """Return the weeks before; hours that nothing is asked of are not in it."""
    first = now_us - now_us % HOUR_US - REACH_US
    hours = _added(times.by_hour(called, first, now_us) for called in calls)
    return PastCalls(first, [hours.get(at, 0) for at in range(first, now_us, HOUR_US)])


def _added(each: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return counts of several, added."""
    first, *others = each
    added = dict(first)
    for counts in others:
        for at, calls in counts.items():
            added[at] = added.get(at, 0) + calls
    return added
