"""Questions about users, answered from facts: persons by their active days, sessions, conversions, answers.

Every question reads what it needs at once: the days on which users were active from the projection `user_day`, the
rest from the events of the days asked about. Users that are one person become it while the question is asked: their
numbers travel with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from otel_measure.definitions.conversions import total_value
from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import CountedBy
from otel_measure.store.clickhouse.active_persons import (
    ALL_DAYS,
    JOIN,
    MERGED,
    OF_SERVICE,
    ON_DAYS,
    ActivePersons,
    per_person,
)
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals

_SECOND_US: Final = 1_000_000
# (person, d, first): the days of persons and their first activity on each
_DAYS: Final = (
    f"(SELECT {MERGED} AS person, d, min(u.first) AS first FROM (SELECT user, toInt32(toUInt16(day)) AS d,"
    f" toUnixTimestamp64Micro(min(ts)) AS first FROM {{db}}.event"
    f" WHERE active = 1 AND {OF_SERVICE} AND {ON_DAYS} GROUP BY user, day) AS u {JOIN} GROUP BY person, d)"
)
# Sessions of the persons who did something on the days asked about, of all days: none is cut at the edge of a window.
_TOUCHED: Final = (
    f"(SELECT DISTINCT {MERGED} AS person FROM (SELECT DISTINCT user FROM {{db}}.event"
    f" WHERE {OF_SERVICE} AND {ON_DAYS}) AS u {JOIN})"
)
_SPANS: Final = (
    "(SELECT person, session, arraySort(groupArray((ts, d, active, is_view, is_key))) AS acts,"
    " arrayJoin(arraySplit((act, pause) -> pause > if(session = 0, {gap:Int64}, {client_gap:Int64}), acts,"
    " arrayDifference(acts.1))) AS span FROM (SELECT"
    f" {MERGED} AS person, u.session AS session, u.ts AS ts, u.d AS d, u.active AS active, u.is_view AS is_view,"
    " u.is_key AS is_key FROM (SELECT user, session, toUnixTimestamp64Micro(ts) AS ts, toInt32(toUInt16(day)) AS d,"
    " active, type IN {views:Array(String)} AS is_view, type IN {keys:Array(String)} AS is_key FROM {db}.event FINAL"
    f" WHERE background = 0 AND (active = 1 OR session != 0) AND {OF_SERVICE}) AS u {JOIN}"
    f" WHERE person IN {_TOUCHED}) GROUP BY person, session)"
)
_SESSIONS: Final = (
    "SELECT count(), sum(length_us), sum(events), countIf(viewed), countIf(viewed AND length_us < {engaged:Int64}"
    " AND views < {engaged_views:Int64} AND keys = 0) FROM (SELECT span[1].2 AS d, span[-1].1 - span[1].1 AS length_us,"
    " arraySum(span.3) AS events, arraySum(span.4) AS views, arraySum(span.5) AS keys,"
    f" views > 0 AND span[-1].1 <= {{over:Int64}} AS viewed FROM {_SPANS})"
    " WHERE d BETWEEN {first:Int32} AND {last:Int32}"
)
_CONVERSIONS: Final = (
    f"(SELECT {MERGED} AS person, u.ts AS ts, u.currency AS currency, u.value_nano AS value_nano FROM"
    " (SELECT user, toUnixTimestamp64Micro(ts) AS ts, ifNull(currency, '') AS currency, value_nano"
    f" FROM {{db}}.event FINAL WHERE (type = {{event:String}} OR name = {{event:String}}) AND {OF_SERVICE}"
    f" AND {ON_DAYS}) AS u {JOIN}) AS c"
    f" INNER JOIN (SELECT person, min(first) AS entered FROM {_DAYS} GROUP BY person) AS e ON e.person = c.person"
    " WHERE c.ts >= e.entered"
)
# As `records.ids.id_text` says it: of answers at one time the last one by its id counts.
_ID_TEXT: Final = "if(id_text != '', id_text, toString(toUUID(lower(leftPad(hex(id), 32, '0')))))"
_ANSWERS: Final = (
    "SELECT score, count() FROM (SELECT argMax(u.score, (u.ts, u.answer_id)) AS score FROM (SELECT user, survey, score,"
    f" toUnixTimestamp64Micro(ts) AS ts, {_ID_TEXT} AS answer_id FROM {{db}}.nps_response FINAL WHERE {OF_SERVICE}"
    f" AND {ON_DAYS} AND (survey = {{survey:String}} OR {{any_survey:Bool}})) AS u {JOIN}"
    f" GROUP BY {MERGED}, u.survey) GROUP BY score"
)


class ClickHouseUserQuestions:
    """Answers as `otel_measure.store.questions.UserQuestions` asks, of one environment or one service in it.

    Args:
        database: of the store.
        definitions: of the store.
        merged: users that are somebody else, by their numbers.
        environment: whose events and answers are counted.
        service: those of it alone; `None` for all.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        merged: dict[int, int],
        environment: str,
        service: str | None = None,
    ) -> None:
        self.environment = environment
        self._database = database
        self._definitions = definitions
        self._merged = merged
        self._of = {"environment": environment, "service": service or "", "every": service is None}
        self._persons = ActivePersons(self._rows)

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions persons are counted: every answer is made anew, by those of now."""
        return "current"

    def expect(self, active: Iterable[Days]) -> None:
        """Be told of which days it is about to be asked who was active."""
        self._persons.expect(active)

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
        of_persons = per_person("groupArray(d)", "arraySort(groupUniqArrayArray(x))")
        returns = f"arrayCount((d, pause) -> d >= {days.first:d} AND pause >= {gap:d}, x, arrayDifference(x))"
        return self._number(f"SELECT sum({returns}) FROM {of_persons}", Days(0, days.last))

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""
        of_persons = per_person("groupArray(d)", "groupUniqArrayArray(x)")
        is_frequent = f"length(x) >= {at_least:d} AND arrayMax(x) >= {lately.first:d}"
        return self._number(f"SELECT countIf({is_frequent}) FROM {of_persons}", days)

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to; those still open at `now` are in no bounce."""
        rules = self._definitions
        ((sessions, duration_us, events, viewed, bounced),) = self._rows(
            _SESSIONS,
            days,
            gap=rules.session_gap_us,
            client_gap=rules.client_session_gap_us,
            engaged=rules.engaged_s * _SECOND_US,
            engaged_views=rules.engaged_views,
            over=now - rules.session_gap_us,
            views=sorted(rules.view_event_types),
            keys=sorted(rules.key_event_types),
        )
        background = self._number(
            f"SELECT count() FROM {{db}}.event FINAL WHERE background = 1 AND type NOT IN {{passive:Array(String)}}"
            f" AND {OF_SERVICE} AND {ON_DAYS}",
            days,
            passive=sorted(rules.passive_event_types),
        )
        return SessionTotals(sessions, duration_us, events, viewed, bounced, background)

    def conversions(self, days: Days, event: str) -> ConversionTotals:
        """Return who converted by events of a type or name."""
        sums = self._rows(
            "SELECT c.currency, count(), count(c.value_nano), ifNull(sum(c.value_nano), 0)"
            f" FROM {_CONVERSIONS} GROUP BY c.currency",
            days,
            event=event,
        )
        ((converted, wait_us),) = self._rows(
            "SELECT count(), sum(wait_us) FROM (SELECT min(c.ts) - any(e.entered) AS wait_us"
            f" FROM {_CONVERSIONS} GROUP BY c.person)",
            days,
            event=event,
        )
        conversions, value = total_value((currency, n, valued, 0, nanos) for currency, n, valued, nanos in sums)
        return ConversionTotals(self.active(days), converted, conversions, wait_us, value)

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""
        returned = "".join(f", countIf(has(x, day + {offset:d}))" for offset in offsets)
        of_persons = per_person("groupArray(d)", "groupUniqArrayArray(x)")
        rows = self._rows(
            f"SELECT arrayMin(x) AS day, count(){returned} FROM {of_persons}"
            f" WHERE day BETWEEN {days.first:d} AND {days.last:d} GROUP BY day ORDER BY day",
            ALL_DAYS,
        )
        return [Cohort(day, size, dict(zip(offsets, back, strict=True))) for day, size, *back in rows]

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""
        rows = self._rows(_ANSWERS, days, survey=survey or "", any_survey=survey is None)
        return Counter({int(score): int(n) for score, n in rows})

    def _number(self, sql: str, days: Days, **parameters: Any) -> int:
        return int(self._rows(sql, days, **parameters)[0][0])

    def _rows(self, sql: str, days: Days, **parameters: Any) -> Sequence[Sequence[Any]]:
        first, last = (min(max(day, ALL_DAYS.first), ALL_DAYS.last) for day in days)
        return self._database.rows(sql, self._merged, first=first, last=last, **self._of, **parameters)
