"""Questions about users, answered from facts: persons by their active days, sessions, conversions, answers.

Every question reads what it needs at once: the days on which users were active from the projection `user_day`,
sessions from the stretches of settled days, the rest from the events of the days asked about; and what facts of before
said that retention removed. Users that are one person become it while the question is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from otel_measure.definitions.conversions import total_value
from otel_measure.definitions.days import Days, day_date, day_number, day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import CountedBy
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.past import kept_from
from otel_measure.store.clickhouse.persons import OF_FACTS, OF_PAST, ON_DAYS, answers_sql, conversions_sql, days_sql
from otel_measure.store.clickhouse.sessions import background_sql, sessions_sql
from otel_measure.store.clickhouse.settled_days import fact_days
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals

_SECOND_US: Final = 1_000_000
_ALL_DAYS: Final = Days(0, 2**16 - 1)


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
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        merged: dict[int, int],
        environment: str,
        service: str | None = None,
        horizon: int = 0,
    ) -> None:
        self.environment = environment
        self._database = database
        self._definitions = definitions
        self._merged = merged
        self._first_with_facts = definitions.day_of(horizon - 1) + 1 if horizon else 0
        self._of = {"environment": environment, "service": service or "", "every": service is None}

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions persons are counted: every answer is made anew, by those of now."""
        return "current"

    def first_day(self) -> int | None:
        """Return the day on which the second person was first seen; of one person alone theirs."""
        rows = self._rows(f"SELECT min(d) AS day FROM {self._days} GROUP BY person ORDER BY day LIMIT 2", _ALL_DAYS)
        return int(rows[-1][0]) if rows else None

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""
        return self._number(f"SELECT uniqExact(person) FROM {self._days}", days)

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""
        return {int(day): int(n) for day, n in self._rows(f"SELECT d, count() FROM {self._days} GROUP BY d", days)}

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""
        of_persons = f"(SELECT min(d) AS day FROM {self._days} GROUP BY person)"
        return self._number(f"SELECT countIf(day >= {days.first:d}) FROM {of_persons}", Days(0, days.last))

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""
        pauses = (
            f"(SELECT arraySort(groupArray(d)) AS ds, arrayDifference(ds) AS pauses FROM {self._days} GROUP BY person)"
        )
        returns = f"arrayCount((d, pause) -> d >= {days.first:d} AND pause >= {gap:d}, ds, pauses)"
        return self._number(f"SELECT sum({returns}) FROM {pauses}", Days(0, days.last))

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""
        of_persons = f"(SELECT count() AS n, max(d) AS last FROM {self._days} GROUP BY person)"
        return self._number(f"SELECT countIf(n >= {at_least:d} AND last >= {lately.first:d}) FROM {of_persons}", days)

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to; those still open at `now` are in no bounce."""
        asked = _clamped(days)
        background = self._number(
            background_sql(f"{OF_FACTS} AND {ON_DAYS}", self._past_on(ON_DAYS), has_settled=bool(self._settled)),
            asked,
            passive=sorted(self._definitions.passive_event_types),
            **self._settled,
        )
        margin = 2  # of the sessions that start on the last day all that end on it have ended by then
        while True:
            read = self._read_for(asked, margin)
            sessions, duration_us, events, viewed, bounced, unfinished = self._sessions(asked, read, now)
            if not unfinished or read.last >= self._newest_day():
                return SessionTotals(sessions, duration_us, events, viewed, bounced, background)
            margin *= 2

    def _read_for(self, days: Days, margin: int) -> Days:
        """Return on which days lies what may be part of a session that starts on these.

        Args:
            days: that are asked about.
            margin: how many after them are read.
        """
        rules = self._definitions
        longest_us = max(rules.session_gap_us, rules.client_session_gap_us)
        return _clamped(Days(rules.day_of(day_start(days.first, rules.zone) - longest_us), days.last + margin))

    def _sessions(self, days: Days, read: Days, now: int) -> Sequence[int]:
        rules = self._definitions
        on_days = "day BETWEEN toDate({read_first:UInt32}) AND toDate({read_last:UInt32})"
        (row,) = self._rows(
            sessions_sql(f"{OF_FACTS} AND {on_days}", self._past_on(on_days), has_settled=bool(self._settled)),
            days,
            read_first=read.first,
            read_last=read.last,
            read_end=day_start(read.last + 1, rules.zone),
            gap=rules.session_gap_us,
            client_gap=rules.client_session_gap_us,
            engaged=rules.engaged_s * _SECOND_US,
            engaged_views=rules.engaged_views,
            over=now - rules.session_gap_us,
            views=sorted(rules.view_event_types),
            keys=sorted(rules.key_event_types),
            **self._settled,
        )
        return row

    @cached_property
    def _settled(self) -> Mapping[str, Any]:
        """The settled days and the versions of their stretches, as parameters; empty without any."""
        days = [each for each in fact_days(self._database, self._definitions) if each.is_settled]
        if not days:
            return {}
        return {
            "settled": [day_date(each.day) for each in days],
            "versions": [each.version for each in days],
            "alone": [each.version for each in days if each.tells_alone],
        }

    def _newest_day(self) -> int:
        of_facts = int(self._database.rows("SELECT toUInt16(max(day)) FROM {db}.event")[0][0])
        return max(of_facts, *(day_number(day) for day in self._settled.get("settled", ())), self._kept_from - 1)

    # ------------------------------------------------------------ what is past

    @cached_property
    def _kept_from(self) -> int:
        return kept_from(self._database)

    @property
    def _has_past(self) -> bool:
        return self._kept_from > 0 and bool(self._of["every"])

    def _past_on(self, on_days: str) -> str | None:
        return f"{OF_PAST} AND {on_days}" if self._has_past else None

    @property
    def _days(self) -> str:
        return days_sql(has_past=self._has_past)

    @property
    def _conversions(self) -> str:
        return conversions_sql(has_past=self._has_past)

    def conversions(self, days: Days, event: str) -> ConversionTotals | None:
        """Return who converted by events of a type or name; `None` where facts are gone and it is no key event."""
        if event not in self._definitions.key_event_types and days.first < self._first_with_facts:
            return None
        sums = self._rows(
            "SELECT c.currency, count(), count(c.value_nano), ifNull(sum(c.value_nano), 0)"
            f" FROM {self._conversions} GROUP BY c.currency",
            days,
            event=event,
        )
        ((converted, wait_us),) = self._rows(
            "SELECT count(), sum(wait_us) FROM (SELECT min(c.ts) - any(e.entered) AS wait_us"
            f" FROM {self._conversions} GROUP BY c.person)",
            days,
            event=event,
        )
        conversions, value = total_value((currency, n, valued, 0, nanos) for currency, n, valued, nanos in sums)
        return ConversionTotals(self.active(days), converted, conversions, wait_us, value)

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""
        returned = "".join(f", countIf(has(ds, day + {offset:d}))" for offset in offsets)
        of_persons = f"(SELECT groupArray(d) AS ds, min(d) AS day FROM {self._days} GROUP BY person)"
        rows = self._rows(
            f"SELECT day, count(){returned} FROM {of_persons} WHERE day BETWEEN {days.first:d} AND {days.last:d}"
            " GROUP BY day ORDER BY day",
            _ALL_DAYS,
        )
        return [Cohort(day, size, dict(zip(offsets, back, strict=True))) for day, size, *back in rows]

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""
        rows = self._rows(answers_sql(has_past=self._has_past), days, survey=survey or "", any_survey=survey is None)
        return Counter({int(score): int(n) for score, n in rows})

    def _number(self, sql: str, days: Days, **parameters: Any) -> int:
        return int(self._rows(sql, days, **parameters)[0][0])

    def _rows(self, sql: str, days: Days, **parameters: Any) -> Sequence[Sequence[Any]]:
        first, last = _clamped(days)
        return self._database.rows(
            sql, self._merged, first=first, last=last, kept_from=self._kept_from, **self._of, **parameters
        )


def _clamped(days: Days) -> Days:
    """Return those of some days that a table has."""
    first, last = (min(max(day, _ALL_DAYS.first), _ALL_DAYS.last) for day in days)
    return Days(first, last)
