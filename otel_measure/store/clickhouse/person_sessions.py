"""Sessions of persons, by the day on which they start: one reading tells of every step that is expected."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from otel_measure.definitions.days import Days, day_date, day_number, day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.active_persons import Ask, within_table
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.persons import ON_DAYS
from otel_measure.store.clickhouse.sessions import background_sql, sessions_sql
from otel_measure.store.clickhouse.settled_days import fact_days
from otel_measure.store.types.users import SessionTotals

_SECOND_US: Final = 1_000_000
_NONE: Final = SessionTotals(0, 0, 0, 0, 0, 0)


class PersonSessions:
    """What sessions add up to.

    Args:
        database: of the store.
        definitions: of the store.
        ask: asks the server about the users whom answers are about.
    """

    def __init__(self, database: ClickHouseDatabase, definitions: Definitions, ask: Ask) -> None:
        self._database = database
        self._definitions = definitions
        self._ask = ask
        self._read: dict[int, list[tuple[Days, Mapping[int, SessionTotals]]]] = {}

    def totals(self, days: Days, now: int, steps: Collection[Days]) -> SessionTotals:
        """Return what the sessions that start on some days add up to; those still open at `now` are in no bounce.

        Args:
            days: asked about.
            now: microseconds.
            steps: that are about to be asked for.
        """
        days, read = within_table(days), self._read.setdefault(now, [])
        by_day = next((by_day for known, by_day in read if _holds(known, days)), None)
        if by_day is None:
            wanted = [days, *(step for step in steps if not any(_holds(known, step) for known, _ in read))]
            span = within_table(Days(min(step.first for step in wanted), max(step.last for step in wanted)))
            by_day = self._by_day(span, now)
            read.append((span, by_day))
        totals = [of_day for day, of_day in by_day.items() if days.first <= day <= days.last]
        return SessionTotals(*map(sum, zip(*totals, strict=True))) if totals else _NONE

    def _by_day(self, days: Days, now: int) -> dict[int, SessionTotals]:
        in_none = self._ask(
            background_sql(ON_DAYS, has_settled=bool(self._settled)),
            days,
            passive=sorted(self._definitions.passive_event_types),
            **self._settled,
        )
        by_day = {int(day): _NONE._replace(background=n) for day, n in in_none}
        margin = 2  # of the sessions that start on the last day all that end on it have ended by then
        while True:
            read = self._read_for(days, margin)
            rows = self._rows(days, read, now)
            if not any(unfinished for *_, unfinished in rows) or read.last >= self._newest_day():
                break
            margin *= 2
        for day, sessions, duration_us, events, viewed, bounced, _ in rows:
            background = by_day.get(day, _NONE).background
            by_day[day] = SessionTotals(sessions, duration_us, events, viewed, bounced, background)
        return by_day

    def _read_for(self, days: Days, margin: int) -> Days:
        """Return on which days lies what may be part of a session that starts on these.

        Args:
            days: that are asked about.
            margin: how many after them are read.
        """
        rules = self._definitions
        longest_us = max(rules.session_gap_us, rules.client_session_gap_us)
        return within_table(Days(rules.day_of(day_start(days.first, rules.zone) - longest_us), days.last + margin))

    def _rows(self, days: Days, read: Days, now: int) -> Sequence[Sequence[Any]]:
        rules = self._definitions
        on_days = "day BETWEEN toDate({read_first:UInt32}) AND toDate({read_last:UInt32})"
        return self._ask(
            sessions_sql(on_days, has_settled=bool(self._settled)),
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
        tables = ("event", "past_day")
        newest = " UNION ALL ".join(f"SELECT toUInt16(max(day)) AS d FROM {{db}}.{table}" for table in tables)
        ((known,),) = self._database.rows(f"SELECT max(d) FROM ({newest})")
        return max(int(known), *(day_number(day) for day in self._settled.get("settled", ())), 0)


def _holds(known: Days, days: Days) -> bool:
    return known.first <= days.first and days.last <= known.last
