"""Questions about users, answered from facts: persons by their active days, sessions, conversions, answers.

Every question reads what it needs at once: the days on which users were active from the projection `user_day`,
sessions from the stretches of settled days, the rest from the events of the days asked about; and what facts said that
retention removed. Users that are one person become it while the question is asked: their numbers travel with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

from otel_measure.definitions.conversions import total_value
from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import CountedBy
from otel_measure.store.clickhouse.active_persons import (
    ActivePersons,
    within_table,
)
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.past import kept_from
from otel_measure.store.clickhouse.person_sessions import PersonSessions
from otel_measure.store.clickhouse.persons import (
    ANSWER_ID,
    DAY,
    JOIN,
    MERGED,
    OF_FACTS,
    OF_PAST,
    ON_DAYS,
    USER_DAYS,
    user_days,
)
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals

# The numbers of the steps that a day lies in.
_IN_STEPS: Final = (
    "arrayFilter((i, begin, end) -> d BETWEEN begin AND end, arrayEnumerate({firsts:Array(Int32)}),"
    " {firsts:Array(Int32)}, {lasts:Array(Int32)})"
)
# Days of users, and events by which they may have converted; of each row the other half says nothing.
_NEVER: Final = "toInt64(9223372036854775807)"
_CONVERTING: Final = "CAST({}, 'Array(Tuple(at Int64, money String, nanos Nullable(Int128)))') AS converting"
_EVENTS: Final = (
    f"{{db}}.event FINAL WHERE (type = {{event:String}} OR name = {{event:String}}) AND {OF_FACTS} AND {ON_DAYS}"
)
_PAST: Final = f"{{db}}.past_conversion WHERE goal = {{event:String}} AND {OF_PAST} AND {ON_DAYS}"
# Whose days matter: who converted, and whoever may be one person with somebody.
_MAY_CONVERT: Final = (
    f"user GLOBAL IN (SELECT user FROM {_EVENTS} UNION ALL SELECT user FROM {_PAST}"
    " UNION ALL SELECT user FROM merged UNION ALL SELECT person FROM merged)"
)
# The projection comes last: where a query names it before its table, the server looks for the table's columns in it.
_DAYS_AND_CONVERSIONS: Final = (
    f"SELECT user, {DAY} AS d, {_NEVER} AS first, "
    + _CONVERTING.format("[(toUnixTimestamp64Micro(ts), ifNull(currency, ''), value_nano)]")
    + f" FROM {_EVENTS} UNION ALL SELECT user, {DAY} AS d, {_NEVER} AS first,"
    f" {_CONVERTING.format('[(ts, currency, value_nano)]')} FROM {_PAST}"
    f" UNION ALL SELECT user, d, first, {_CONVERTING.format('[]')} FROM {USER_DAYS} WHERE {_MAY_CONVERT}"
)
# Of each step how many converted after their first activity in it, how long that took, and sums by currency.
_CONVERSIONS: Final = (
    "SELECT step, count(), sum(arrayMin(found.at) - entered), sumMap(found.money, arrayMap(one -> 1, found),"
    " arrayMap(one -> toUInt8(one.nanos IS NOT NULL), found), arrayMap(one -> ifNull(one.nanos, 0), found))"
    " FROM (SELECT step, min(first) AS entered,"
    " arrayFilter(one -> one.at >= entered, groupArrayArray(converting)) AS found"
    f" FROM (SELECT arrayJoin({_IN_STEPS}) AS step, {MERGED} AS person, u.first AS first, u.converting AS converting"
    f" FROM ({_DAYS_AND_CONVERSIONS}) AS u {JOIN}) GROUP BY step, person HAVING notEmpty(found)) GROUP BY step"
)
_OF_SURVEY: Final = f"{ON_DAYS} AND (survey = {{survey:String}} OR {{any_survey:Bool}})"
_ANSWERS: Final = (
    "SELECT step, score, count() FROM (SELECT u.step AS step, argMax(u.score, (u.ts, u.answer_id)) AS score"
    f" FROM (SELECT user, survey, score, ts, answer_id, arrayJoin({_IN_STEPS}) AS step FROM"
    f" (SELECT user, survey, score, toUnixTimestamp64Micro(ts) AS ts, {ANSWER_ID} AS answer_id, {DAY} AS d"
    f" FROM {{db}}.nps_response FINAL WHERE {OF_FACTS} AND {_OF_SURVEY}"
    f" UNION ALL SELECT user, survey, score, ts, answer_id, {DAY} AS d FROM {{db}}.past_answer"
    f" WHERE {OF_PAST} AND {_OF_SURVEY})) AS u {JOIN}"
    f" GROUP BY step, {MERGED}, u.survey) GROUP BY step, score"
)
_Sums: TypeAlias = tuple[Sequence[str], Sequence[int], Sequence[int], Sequence[int]]
_NOBODY_CONVERTED: Final[tuple[int, int, _Sums]] = (0, 0, ((), (), (), ()))


class ClickHouseUserQuestions:
    """Answers as `otel_measure.store.questions.UserQuestions` asks, of one environment or one service in it.

    What facts said that were removed is known of an environment; of one service there is what its facts say.

    Args:
        database: of the store.
        definitions: of the store.
        merged: users that are somebody else, by their numbers.
        environment: whose events and answers are counted.
        service: those of it alone; `None` for all.
        horizon: time before which facts may have been removed, microseconds; 0 when none were.
        counted_by: returns by which definitions [start, end) is counted.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        merged: dict[int, int],
        environment: str,
        service: str | None = None,
        horizon: int = 0,
        counted_by: Callable[[int, int], CountedBy] = lambda start, end: "current",
    ) -> None:
        self.environment = environment
        self._database = database
        self._definitions = definitions
        self._counted_by = counted_by
        self._merged = merged
        self._first_with_facts = definitions.day_of(horizon - 1) + 1 if horizon else 0
        self._of = {"environment": environment, "service": service or "", "every": service is None}
        self._persons = ActivePersons(self._rows, is_anybody_merged=bool(merged))
        self._sessions = PersonSessions(database, definitions, self._rows)
        self._steps: set[Days] = set()
        self._conversions: dict[tuple[Days, str], ConversionTotals] = {}
        self._scores: dict[tuple[Days, str | None], Counter[int]] = {}

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions persons are counted: what facts that are gone said stays as it was counted."""
        return self._counted_by(start, end)

    def expect(self, active: Iterable[Days], steps: Iterable[Days] = ()) -> None:
        """Be told of which days it is about to be asked who was active, and of which steps everything else."""
        self._persons.expect(active)
        self._steps.update(steps)

    def first_day(self) -> int | None:
        """Return the day on which the second person was first seen; of one person alone theirs."""
        return self._persons.first_day()

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""
        return self._persons.active(days)

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""
        return self._persons.active_by_day(days)

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""
        return self._persons.first_seen(days)

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""
        return self._persons.back_after(days, gap)

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""
        return self._persons.frequent(days, at_least, lately)

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to; those still open at `now` are in no bounce."""
        return self._sessions.totals(days, now, self._steps)

    def conversions(self, days: Days, event: str) -> ConversionTotals | None:
        """Return who converted by events of a type or name; `None` where facts are gone and it is no key event."""
        if event not in self._definitions.key_event_types and days.first < self._first_with_facts:
            return None
        key = days, event
        if key not in self._conversions:
            steps = sorted({step for step in self._steps if (step, event) not in self._conversions} | {days})
            found = {step: row for step, *row in self._rows_of_steps(_CONVERSIONS, steps, event=event)}
            for i, step in enumerate(steps, 1):
                self._conversions[step, event] = self._converted(step, *found.get(i, _NOBODY_CONVERTED))
        return self._conversions[key]

    def _converted(self, days: Days, converted: int, wait_us: int, sums: _Sums) -> ConversionTotals:
        by_currency = zip(*sums, strict=True)
        conversions, value = total_value((currency, n, valued, 0, nanos) for currency, n, valued, nanos in by_currency)
        return ConversionTotals(self.active(days), converted, conversions, wait_us, value)

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""
        return self._persons.cohorts(days, offsets)

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""
        key = days, survey
        if key not in self._scores:
            steps = sorted({step for step in self._steps if (step, survey) not in self._scores} | {days})
            for step in steps:
                self._scores[step, survey] = Counter()
            for i, score, n in self._rows_of_steps(_ANSWERS, steps, survey=survey or "", any_survey=survey is None):
                self._scores[steps[i - 1], survey][score] = n
        return self._scores[key]

    def _rows_of_steps(self, sql: str, steps: Sequence[Days], **parameters: Any) -> Sequence[Sequence[Any]]:
        firsts, lasts = [step.first for step in steps], [step.last for step in steps]
        return self._rows(sql, Days(min(firsts), max(lasts)), firsts=firsts, lasts=lasts, **parameters)

    def _rows(self, sql: str, days: Days, **parameters: Any) -> Sequence[Sequence[Any]]:
        first, last = within_table(days)
        given = {"first": first, "last": last, "kept_from": self._kept_from, **self._of, **parameters}
        return self._database.rows(sql.replace("{user_days}", self._user_days), self._merged, **given)

    @cached_property
    def _user_days(self) -> str:
        return user_days(self._database)

    @cached_property
    def _kept_from(self) -> int:
        return kept_from(self._database)
