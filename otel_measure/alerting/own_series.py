"""Rules of a user's own about columns of series: what each column says of each subject, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import nan
from types import MappingProxyType
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.ai import series as model_series
from otel_measure.alerting.environments import environments_of
from otel_measure.definitions.alerting.judgement import ALL_USERS, AlertSubject, Judgement, SubjectKind
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import DAY_S, HOUR_S, MINUTE_S
from otel_measure.definitions.alerting.series_rule import SeriesValue, judge_series
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.days import Days, day_start
from otel_measure.definitions.machine_cells import FINEST_S, mean_of, most_of
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US, DaySpan, TimeSpan, time_span, whole_minutes
from otel_measure.infrastructure.availability import Availability
from otel_measure.records.enums import EventType
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelChoice
from otel_measure.users import series as user_series

KEPT_US: Final = 300 * SECOND_US  # what looks back for long is not read anew every minute, as KPIs are not
_TURN_US: Final = 3 * MINUTE_US
_LARGEST: Final = "_max"
_Value: TypeAlias = tuple[AlertSubject, SeriesValue]
Availabilities: TypeAlias = Callable[[str, str], Iterable[Availability]]


class SeriesJudge:
    """Judges columns of series by rules of a user's own, those of windows over an hour every 5 minutes.

    Args:
        store: knows the series.
        rules: each about a column.
        host: the name of the machine whose readings are kept.
        timezone: whose days those of users are.
        availabilities: returns those of the services of an environment, over a window.
    """

    def __init__(
        self, store: Store, rules: Sequence[AlertRule], host: str, timezone: str, availabilities: Availabilities
    ) -> None:
        self._store = store
        self._rules = rules
        self._host = host
        self._timezone = timezone
        self._availabilities = availabilities
        self._kept: dict[str, tuple[int, list[Judgement]]] = {}
        self._values: Mapping[SubjectKind, Callable[[AlertRule, int], Iterator[_Value]]] = MappingProxyType(
            {"model": self._models, "users": self._users, "host": self._machine, "service": self._services}
        )

    def judge(self, now_us: int) -> list[Judgement]:
        """Return what each rule says of each subject."""
        return [judgement for rule in self._rules for judgement in self._of_rule(rule, now_us)]

    def _of_rule(self, rule: AlertRule, now_us: int) -> list[Judgement]:
        at, kept = self._kept.get(rule.key, (now_us, None))
        if kept is not None and rule.window_s > HOUR_S and 0 <= now_us - at < KEPT_US:
            return kept
        is_watched = self._is_watched(now_us - rule.window_s * SECOND_US, now_us)
        judged = [
            judge_series(rule, subject, value, is_watched)
            for subject, value in self._values[rule.about](rule, now_us)
            if rule.only in ("", subject.name)
        ]
        self._kept[rule.key] = now_us, judged
        return judged

    def _is_watched(self, start: int, now_us: int) -> bool:
        """Return whether alerts were evaluated from a time until now."""
        with self._store.asking() as known:
            runs = known.alerts.watched(start)
        return any(first <= start and last >= now_us - _TURN_US for first, last in runs)

    # ------------------------------------------------------------ what columns say

    def _models(self, rule: AlertRule, now_us: int) -> Iterator[_Value]:
        column, span = _column(rule), self._span(rule, now_us)
        made = Steps(whole_minutes(span), rule.window_s, ())
        for environment in environments_of(self._store):
            with self._store.asking(Filter(environment=environment)) as known:
                uses = _uses(known, made, rule.only)
            for name, use in uses.items():
                value = model_series.values_of(use, span)[column]
                evidence = model_series.evidence_of(column, use, span)
                yield AlertSubject("model", name, environment), SeriesValue(value, evidence)

    def _users(self, rule: AlertRule, now_us: int) -> Iterator[_Value]:
        today, zone = time_span("1m", now_us, self._timezone).day, ZoneInfo(self._timezone)
        days = Days(today - rule.window_s // DAY_S, today - 1)
        starts = day_start(days.first, zone), day_start(today, zone)
        span = DaySpan(days.first, days.last, *starts, is_today=False, timezone=self._timezone)
        for environment in environments_of(self._store):
            with self._store.asking(Filter(environment=environment)) as known:
                first_day, told = known.users.first_day(), {}
                if first_day is not None and days.first >= first_day:
                    told = dict(
                        user_series.values_of(known.users, days, span, EventType.CONVERSION.value, now_us, first_day)
                    )
            column = _column(rule)
            evidence = told.get(_EVIDENCE_OF_USERS.get(column, "active"), 0)
            yield AlertSubject("users", ALL_USERS, environment), SeriesValue(told.get(column, nan), int(evidence))

    def _machine(self, rule: AlertRule, now_us: int) -> Iterator[_Value]:
        made = Steps(whole_minutes(self._span(rule, now_us)), rule.window_s, ())
        with self._store.asking() as known:
            cell = known.streams.machine(made).get(0, {})
        column = _column(rule)
        name = column.removesuffix(_LARGEST)
        seen_s = cell[name].n * FINEST_S if name in cell else 0
        value = mean_of(cell, name) if name == column else most_of(cell, name)
        yield AlertSubject("host", self._host, ""), SeriesValue(value, seen_s)

    def _services(self, rule: AlertRule, now_us: int) -> Iterator[_Value]:
        column, window = _column(rule), f"{rule.window_s // MINUTE_S}m"
        for environment in environments_of(self._store):
            for service in self._availabilities(window, environment):
                seen_s = service.uptime_seconds + service.downtime_seconds + service.maintenance_seconds
                value = SeriesValue(float(getattr(service, column)), int(seen_s))
                yield AlertSubject("service", service.service_name, environment), value

    def _span(self, rule: AlertRule, now_us: int) -> TimeSpan:
        return time_span(f"{rule.window_s // MINUTE_S}m", now_us, self._timezone)


_EVIDENCE_OF_USERS: Final = {
    "avg_session_duration_seconds": "sessions",
    "bounce_rate": user_series.VIEWED,
    "conversion_rate": user_series.ENTERED,
    "nps_score": "nps_responses",
}


def _column(rule: AlertRule) -> str:
    return rule.series.partition(".")[2]


def _uses(known: Moment, made: Steps, only: str) -> dict[str, ModelUse]:
    """Return what models did in a window, all versions together; one that a rule names also where it did nothing."""
    uses = {
        name: of_steps[0]
        for (name,), of_steps in known.models.use_by_step(made, "model", ModelChoice(only or None)).items()
        if 0 in of_steps
    }
    if only and only not in uses and any(model.name == only for model in known.models.models()):
        uses[only] = ModelUse(only, "")
    return uses
