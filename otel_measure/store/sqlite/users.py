"""Questions about users, answered from cells: sums of some hundred rows, however many users there are.

They are about one environment, which has cells of its own. Narrowed to a service, the same roll-ups are made of the
events that match, in tables that live as long as the question: one definition of every number, at the price of reading
the facts.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from otel_measure.definitions.conversions import ConversionSum, conversion, first_after_entry, total_value
from otel_measure.definitions.days import Days, day_start
from otel_measure.definitions.sessions import SessionSpan
from otel_measure.definitions.windows import CountedBy
from otel_measure.store.sqlite import activity, answers, persons
from otel_measure.store.sqlite.environments import Environment
from otel_measure.store.sqlite.kept import FACTS, StoreState, counted_by
from otel_measure.store.sqlite.transaction import NOTHING_FROZEN, Transaction
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals


def narrow(transaction: Transaction, where: Filter) -> None:
    """Make the roll-ups of users of the facts that match, until `widen`."""
    transaction.connection.execute("SAVEPOINT narrowed")
    _hide_roll_ups(transaction.connection, where)
    for roll_up in (activity, answers):
        for _ in roll_up.recount(transaction, NOTHING_FROZEN):
            pass


def widen(connection: sqlite3.Connection) -> None:
    """Take back what `narrow` did, or began to do."""
    connection.execute("ROLLBACK TO narrowed")
    connection.execute("RELEASE narrowed")


def leaves_out(connection: sqlite3.Connection, where: Filter) -> bool:
    """Tell whether there is anything in the environment that does not match."""
    return where.service is not None and bool(
        connection.execute("SELECT 1 FROM origin WHERE service <> ? AND environment = ?", where).fetchone()
    )


def _hide_roll_ups(connection: sqlite3.Connection, where: Filter) -> None:
    """Put empty tables, and views of the facts that match, before the stored ones of the same names."""
    connection.execute("CREATE TEMP TABLE chosen AS SELECT id FROM origin WHERE id = 0")
    connection.execute("INSERT INTO chosen SELECT id FROM origin WHERE service = ? AND environment = ?", where)
    for table in ("event", "nps_response"):
        connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT * FROM main.{table} WHERE origin IN (SELECT id FROM temp.chosen)"
        )
    for name in (*activity.TABLES, *answers.TABLES):
        (made,) = connection.execute("SELECT sql FROM main.sqlite_master WHERE name = ?", (name,)).fetchone()
        connection.execute(made.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))


class SqliteUserQuestions:
    """Satisfies `otel_measure.store.questions.UserQuestions`, within one read transaction."""

    def __init__(
        self, transaction: Transaction, environment: Environment, seen: StoreState, *, is_narrowed: bool
    ) -> None:
        self._connection = transaction.connection
        self._environment, self.environment = environment
        self._definitions = transaction.definitions
        self._seen = seen
        self._open_at: dict[int, Mapping[int, Sequence[bool]]] = {}
        self._source = None if is_narrowed else FACTS  # what is narrowed is made of the facts that are there

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions persons are counted in [start, end)."""
        return counted_by(self._connection, self._seen, start, end, self._source)

    def expect(self, active: Iterable[Days], steps: Iterable[Days] = ()) -> None:
        """Do nothing: every answer is a sum of some hundred rows."""

    def first_day(self) -> int | None:
        """Return the first day that is known, `None` without anybody; of one service not before its facts."""
        first_day = persons.first_day(self._connection, self._environment)
        if first_day is None or self._source is not None:
            return first_day
        return max(first_day, self._first_with_facts())

    def _first_with_facts(self) -> int:
        """Return the first day of which no fact is gone."""
        horizon, day_of = self._seen.horizon, self._definitions.day_of
        return day_of(horizon - 1) + 1 if horizon else NOTHING_FROZEN.day

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""
        return persons.active(self._connection, self._environment, days.last, days.length)

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""
        return persons.active_by_day(self._connection, self._environment, *days)

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""
        return persons.first_seen(self._connection, self._environment, days.last, days.length)

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""
        return persons.back_after(self._connection, self._environment, days.last, days.length, gap)

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""
        return persons.frequent(self._connection, self._environment, *days, at_least, lately.first)

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to; the open ones are in no bounce rate yet."""
        row = self._connection.execute(
            "SELECT total(sessions), total(duration_us), total(events), total(viewed), total(bounced),"
            " total(background)"
            " FROM session_cell WHERE environment = ? AND day BETWEEN ? AND ?",
            (self._environment, *days),
        ).fetchone()
        totals, still_open = SessionTotals(*map(int, row)), self._still_open(now)
        bounces = [
            bounces for day, of_day in still_open.items() if days.first <= day <= days.last for bounces in of_day
        ]
        return totals._replace(viewed=totals.viewed - len(bounces), bounced=totals.bounced - sum(bounces))

    def _still_open(self, now: int) -> Mapping[int, Sequence[bool]]:
        """Return of each session with a view that may still go on whether it is one that bounced, by its first day.

        Each step of a series asks, all of them for the same time: it is read once.
        """
        known = self._open_at.get(now)
        if known is not None:
            return known
        by_day: dict[int, list[bool]] = {}
        rows = self._connection.execute(
            "SELECT started, ended, events, views, keys FROM session WHERE environment = ? AND views > 0 AND ended > ?",
            (self._environment, now - self._definitions.session_gap_us),
        )
        for numbers in rows:
            session = SessionSpan(*numbers)
            bounced = session.is_bounced(self._definitions)
            by_day.setdefault(self._definitions.day_of(session.start), []).append(bounced)
        self._open_at[now] = by_day
        return by_day

    def conversions(self, days: Days, event: str) -> ConversionTotals | None:
        """Return who converted; what is no key event is looked up in the facts, slower, `None` where some are gone."""
        entered = self.active(days)
        if event not in self._definitions.key_event_types:
            if days.first < self._first_with_facts():
                return None
            return self._converted_in_facts(days, event, entered)
        reached = self._connection.execute(
            "SELECT persons, wait_us FROM goal_cell"
            " WHERE environment = ? AND goal = ? AND hit_day BETWEEN ? AND ? AND day >= ?",
            (self._environment, event, *days, days.first),
        ).fetchall()
        sums = self._connection.execute(
            "SELECT currency, n, valued, amount, nanos FROM goal_sum"
            " WHERE environment = ? AND goal = ? AND hit_day BETWEEN ? AND ? AND day >= ?",
            (self._environment, event, *days, days.first),
        ).fetchall()
        conversions, value = total_value(sums)
        return ConversionTotals(
            entered, sum(n for n, _ in reached), conversions, sum(wait for _, wait in reached), value
        )

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""
        found: dict[int, dict[int, int]] = {}
        for cohort, offset, n in self._connection.execute(
            "SELECT cohort, day_offset, n FROM cohort_cell WHERE environment = ? AND cohort BETWEEN ? AND ?"
            f" AND day_offset IN (0, {', '.join(str(int(offset)) for offset in offsets)}) ORDER BY cohort",
            (self._environment, *days),
        ):
            found.setdefault(cohort, {})[offset] = n
        return [Cohort(day, n[0], {offset: n.get(offset, 0) for offset in offsets}) for day, n in found.items()]

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""
        return answers.scores(self._connection, self._environment, *days, survey)

    def _converted_in_facts(self, days: Days, event: str, entered: int) -> ConversionTotals:
        """Return who converted by an event that nothing is rolled up of, from the events themselves."""
        zone = self._definitions.zone
        first_ts = dict(
            self._connection.execute(
                "SELECT uid, first_ts FROM person_day"
                " WHERE environment = ?3 AND day BETWEEN ?1 AND ?2 AND (prev IS NULL OR prev < ?1)",
                (*days, self._environment),
            )
        )
        rows = self._connection.execute(
            "SELECT coalesce(p.merged_into, p.uid), e.ts, e.extra FROM event e JOIN person p ON p.uid = e.uid"
            " WHERE (e.type = ? OR e.name = ?) AND e.ts >= ? AND e.ts < ?"
            " AND e.origin IN (SELECT origin FROM environment_of WHERE environment = ?)",
            (event, event, day_start(days.first, zone), day_start(days.last + 1, zone), self._environment),
        )
        events = [(uid, ts, extra) for uid, ts, extra in rows if uid in first_ts and ts >= first_ts[uid]]
        converted = first_after_entry(first_ts, ((uid, ts) for uid, ts, _ in events))
        sums: list[ConversionSum] = []
        for _, ts, extra in events:
            rare = activity.rare_fields(extra)
            sums.append(conversion(ts, rare.value, rare.currency)[1:])
        conversions, value = total_value(sums)
        wait_us = sum(ts - first_ts[uid] for uid, ts in converted.items())
        return ConversionTotals(entered, len(converted), conversions, wait_us, value)
