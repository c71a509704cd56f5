"""Questions about users, answered from facts: persons by their active days, sessions, conversions, answers.

Every question reads what it needs at once: the days on which users were active from the projection `user_day`,
sessions from the stretches of settled days, the rest from the events of the days asked about; and what facts said that
retention removed. Users that are one person become it while the question is asked: their numbers travel with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import CountedBy
from otel_measure.store.clickhouse.active_persons import ActivePersons, within_table
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.past import kept_from
from otel_measure.store.clickhouse.person_answers import PersonAnswers
from otel_measure.store.clickhouse.person_conversions import PersonConversions
from otel_measure.store.clickhouse.person_sessions import PersonSessions
from otel_measure.store.clickhouse.persons import of_persons, user_days
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals


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
        self._conversions = PersonConversions(self._rows, self.active)
        self._answers = PersonAnswers(self._rows)

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
        return self._conversions.totals(days, event, self._steps)

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""
        return self._persons.cohorts(days, offsets)

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""
        return self._answers.scores(days, survey, self._steps)

    def _rows(self, sql: str, days: Days, **parameters: Any) -> Sequence[Sequence[Any]]:
        first, last = within_table(days)
        given = {"first": first, "last": last, "kept_from": self._kept_from, **self._of, **parameters}
        sql = of_persons(sql.replace("{user_days}", self._user_days), is_anybody_merged=bool(self._merged))
        return self._database.rows(sql, self._merged, **given)

    @cached_property
    def _user_days(self) -> str:
        return user_days(self._database)

    @cached_property
    def _kept_from(self) -> int:
        return kept_from(self._database)
