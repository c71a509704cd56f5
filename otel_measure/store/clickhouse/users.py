"""Questions about users, answered from facts: persons by their active days, sessions, conversions, answers.

Every question reads what it needs at once: the days on which users were active from the projection `user_day`,
sessions from the stretches of settled days, the rest from the events of the days asked about. Users that are one person
become it while the question is asked: their numbers travel with it.
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
from otel_measure.store.clickhouse.sessions import background_sql, sessions_sql
from otel_measure.store.clickhouse.settled_days import fact_days
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals

_SECOND_US: Final = 1_000_000
_ALL_DAYS: Final = Days(0, 2**16 - 1)
_OF_SERVICE: Final = "environment = {environment:String} AND (service = {service:String} OR {every:Bool})"
_ON_DAYS: Final = "day BETWEEN toDate({first:UInt32}) AND toDate({last:UInt32})"
# user → person; users that are nobody else's have no row
_MERGED: Final = "if(m.person = 0, u.user, m.person)"
_JOIN: Final = "LEFT ANY JOIN merged AS m ON m.user = u.user"
# (person, d, first): the days of persons and their first activity on each
_DAYS: Final = (
    f"(SELECT {_MERGED} AS person, d, min(u.first) AS first FROM (SELECT user, toInt32(toUInt16(day)) AS d,"
    f" toUnixTimestamp64Micro(min(ts)) AS first FROM {{db}}.event"
    f" WHERE active = 1 AND {_OF_SERVICE} AND {_ON_DAYS} GROUP BY user, day) AS u {_JOIN} GROUP BY person, d)"
)
_CONVERSIONS: Final = (
    f"(SELECT {_MERGED} AS person, u.ts AS ts, u.currency AS currency, u.value_nano AS value_nano FROM"
    " (SELECT user, toUnixTimestamp64Micro(ts) AS ts, ifNull(currency, '') AS currency, value_nano"
    f" FROM {{db}}.event FINAL WHERE (type = {{event:String}} OR name = {{event:String}}) AND {_OF_SERVICE}"
    f" AND {_ON_DAYS}) AS u {_JOIN}) AS c"
    f" INNER JOIN (SELECT person, min(first) AS entered FROM {_DAYS} GROUP BY person) AS e ON e.person = c.person"
    " WHERE c.ts >= e.entered"
)
# As `records.ids.id_text` says it: of answers at one time the last one by its id counts.
_ID_TEXT: Final = "if(id_text != '', id_text, toString(toUUID(lower(leftPad(hex(id), 32, '0')))))"
_ANSWERS: Final = (
    "SELECT score, count() FROM (SELECT argMax(u.score, (u.ts, u.answer_id)) AS score FROM (SELECT user, survey, score,"
    f" toUnixTimestamp64Micro(ts) AS ts, {_ID_TEXT} AS answer_id FROM {{db}}.nps_response FINAL WHERE {_OF_SERVICE}"
    f" AND {_ON_DAYS} AND (survey = {{survey:String}} OR {{any_survey:Bool}})) AS u {_JOIN}"
    f" GROUP BY {_MERGED}, u.survey) GROUP BY score"
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

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions persons are counted: every answer is made anew, by those of now."""
        return "current"

    def first_day(self) -> int | None:
        """Return the day on which the second person was first seen; of one person alone theirs."""
        rows = self._rows(f"SELECT min(d) AS day FROM {_DAYS} GROUP BY person ORDER BY day LIMIT 2", _ALL_DAYS)
        return int(rows[-1][0]) if rows else None

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""
        return self._number(f"SELECT uniqExact(person) FROM {_DAYS}", days)

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""
        return {int(day): int(n) for day, n in self._rows(f"SELECT d, count() FROM {_DAYS} GROUP BY d", days)}

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""
        of_persons = f"(SELECT min(d) AS day FROM {_DAYS} GROUP BY person)"
        return self._number(f"SELECT countIf(day >= {days.first:d}) FROM {of_persons}", Days(0, days.last))

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""
        pauses = f"(SELECT arraySort(groupArray(d)) AS ds, arrayDifference(ds) AS pauses FROM {_DAYS} GROUP BY person)"
        returns = f"arrayCount((d, pause) -> d >= {days.first:d} AND pause >= {gap:d}, ds, pauses)"
        return self._number(f"SELECT sum({returns}) FROM {pauses}", Days(0, days.last))

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""
        of_persons = f"(SELECT count() AS n, max(d) AS last FROM {_DAYS} GROUP BY person)"
        return self._number(f"SELECT countIf(n >= {at_least:d} AND last >= {lately.first:d}) FROM {of_persons}", days)

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to; those still open at `now` are in no bounce."""
        asked = _clamped(days)
        background = self._number(
            background_sql(f"{_OF_SERVICE} AND {_ON_DAYS}", has_settled=bool(self._settled)),
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
            sessions_sql(f"{_OF_SERVICE} AND {on_days}", _MERGED, _JOIN, has_settled=bool(self._settled)),
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
        return max(of_facts, *(day_number(day) for day in self._settled.get("settled", ())), 0)

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
        returned = "".join(f", countIf(has(ds, day + {offset:d}))" for offset in offsets)
        of_persons = f"(SELECT groupArray(d) AS ds, min(d) AS day FROM {_DAYS} GROUP BY person)"
        rows = self._rows(
            f"SELECT day, count(){returned} FROM {of_persons} WHERE day BETWEEN {days.first:d} AND {days.last:d}"
            " GROUP BY day ORDER BY day",
            _ALL_DAYS,
        )
        return [Cohort(day, size, dict(zip(offsets, back, strict=True))) for day, size, *back in rows]

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""
        rows = self._rows(_ANSWERS, days, survey=survey or "", any_survey=survey is None)
        return Counter({int(score): int(n) for score, n in rows})

    def _number(self, sql: str, days: Days, **parameters: Any) -> int:
        return int(self._rows(sql, days, **parameters)[0][0])

    def _rows(self, sql: str, days: Days, **parameters: Any) -> Sequence[Sequence[Any]]:
        first, last = _clamped(days)
        return self._database.rows(sql, self._merged, first=first, last=last, **self._of, **parameters)


def _clamped(days: Days) -> Days:
    """Return those of some days that a table has."""
    first, last = (min(max(day, _ALL_DAYS.first), _ALL_DAYS.last) for day in days)
    return Days(first, last)
