"""What facts that are gone left of persons, moved with a store: from a file to the tables of `past.py`, and back.

A file keeps a session whole, here it lies in parts by day. A file has a row under the person whose it was counted for,
and so it is moved; here that is asked anew each time, and what is moved back is of the persons of that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from otel_measure.conventions.instruments import NANO
from otel_measure.definitions.days import day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import BY_GAP, Client, SessionSpan, merged_spans
from otel_measure.records.ids import id_key, id_text
from otel_measure.store.clickhouse.columns import WrittenBy, person_numbers, refuse_days, session_number, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.past import kept_from
from otel_measure.store.clickhouse.persons import JOIN, MERGED, PAST
from otel_measure.store.clickhouse.settling import new_version
from otel_measure.store.clickhouse.tables import PAST_DAY, PAST_NAME, PAST_TABLES, StateTable
from otel_measure.store.sqlite import past
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.parting import PartedStore
from otel_measure.store.sqlite.transaction import NOTHING_FROZEN

_AT_ONCE: Final = 50_000
_IN_A_PART: Final = 1_000_000  # rows, of which all of a person are together
_NOBODY: Final = 0
Row: TypeAlias = tuple[Any, ...]


class _Into(NamedTuple):
    """Where the rows of a table of a file go.

    Attributes:
        table: of the past.
        columns: beside those of every row, but for the day.
        rows: returns the days, and these columns, that what a row has beside its person comes to.
    """

    table: str
    columns: tuple[str, ...]
    rows: Callable[[Definitions, Sequence[Any]], Iterable[Row]]


def _stretches(rules: Definitions, row: Sequence[Any]) -> Iterator[Row]:
    """Yield the parts of a session by day; all that it counts is in the first one."""
    client, start, end, *counted = row
    number = session_number(id_text(client))
    while True:
        day = rules.day_of(start)
        last = min(end, day_start(day + 1, rules.zone) - 1)
        yield (day, number, start, last, *counted)
        if last == end:
            return
        start, counted = last + 1, [0, 0, 0]


def _conversions(rules: Definitions, row: Sequence[Any]) -> Iterator[Row]:
    """Yield one for each; what those of one moment are worth is that of one of them."""
    goal, ts, currency, n, valued, amount, nanos = row
    value = amount * NANO + nanos
    for i in range(n):
        yield rules.day_of(ts), goal, ts, currency, (value if i == 0 else 0) if i < valued else None


_IN: Final[Mapping[str, _Into]] = {
    past.DAYS: _Into("past_activity", ("first",), lambda _, row: [tuple(row)]),
    past.SESSIONS: _Into("past_stretch", ("session", "lo", "hi", "events", "views", "keys"), _stretches),
    past.CONVERSIONS: _Into("past_conversion", ("goal", "ts", "currency", "value_nano"), _conversions),
    past.ANSWERS: _Into(
        "past_answer", ("survey", "ts", "answer_id", "score"), lambda _, row: [(row[1], row[0], *row[2:])]
    ),
    past.ARMS: _Into(
        "past_exposure", ("experiment", "variant", "first"), lambda rules, row: [(rules.day_of(row[2]), *row)]
    ),
    past.TEST_CONVERSIONS: _Into(
        "past_test_conversion", ("experiment", "ts", "tolerance"), lambda rules, row: [(rules.day_of(row[1]), *row)]
    ),
    past.BACKGROUND: _Into("past_background", ("events",), lambda _, row: [tuple(row)]),
}


def move_past_in(database: ClickHouseDatabase, source: PartedStore, by: WrittenBy) -> None:
    """Write what facts that are gone left in a file, in place of what was written of it before.

    Args:
        database: in which a store is being moved: nobody else uses it.
        source: a copy of the file, that is up to date.
        by: what decides under which numbers users lie.
    """
    for each in (PAST_DAY, *PAST_TABLES):
        database.alter(each.name, "DROP PARTITION ALL")
    frozen = source.frozen
    if frozen == NOTHING_FROZEN:
        return

    @lru_cache(_AT_ONCE)
    def number_of(user: str) -> int:
        return user_number(by, user) if user else _NOBODY

    version, days = new_version(database), {frozen.day - 1}
    for table, into in _IN.items():
        made = (
            (environment, number_of(user), *each)
            for environment, user, *row in source.past_of(table)
            for each in into.rows(by.definitions, row)
        )
        for some in chunks(made, _AT_ONCE):
            days.update(_write(database, version, into.table, into.columns, some))
    names = (("", number_of(user), frozen.day - 1, user) for user in source.users())
    for some in chunks(names, _AT_ONCE):
        _write(database, version, PAST_NAME.name, ("user_id",), some)
    refuse_days(days)
    database.insert(PAST_DAY.name, {"day": sorted(days), "version": [version] * len(days)})


def _write(
    database: ClickHouseDatabase, version: int, table: str, columns: Sequence[str], rows: Sequence[Row]
) -> set[int]:
    """Write rows of an environment, a person, a day and these columns; return the days."""
    by_column = dict(zip(("environment", "user", "day", *columns), zip(*rows, strict=True), strict=True))
    days = set(by_column["day"])
    refuse_days(days)
    database.insert(table, {"version": [version] * len(rows), **by_column})
    return days


# ---------------------------------------------------------------- the way back


def _of_persons(table: str, columns: str) -> str:
    """Return the SQL of rows of the past, each with the number of its person of now: those of a part of all persons."""
    rows = f"(SELECT *, toInt32(toUInt16(day)) AS d FROM {{db}}.{table} WHERE {PAST}) AS u {JOIN}"
    of_all = f"SELECT u.environment AS environment, {MERGED} AS whose, {columns} FROM {rows}"
    return f"(SELECT * FROM ({of_all}) WHERE whose % {{parts:UInt32}} = {{part:UInt32}})"


_OUT: Final[Mapping[str, str]] = {
    past.DAYS: (
        f"SELECT environment, whose, d, min(first) FROM {_of_persons('past_activity', 'u.d AS d, u.first AS first')}"
        " GROUP BY environment, whose, d ORDER BY environment, whose, d"
    ),
    past.CONVERSIONS: (
        "SELECT environment, whose, goal, ts, currency, count(), countIf(value IS NOT NULL), sum(ifNull(value, 0)) FROM"
        " "
        + _of_persons("past_conversion", "u.goal AS goal, u.ts AS ts, u.currency AS currency, u.value_nano AS value")
        + " GROUP BY environment, whose, goal, ts, currency"
    ),
    past.ANSWERS: (
        "SELECT environment, whose, survey, d, last.1, last.2, last.3 FROM"
        " (SELECT environment, whose, survey, d, max((ts, answer_id, score)) AS last FROM "
        + _of_persons(
            "past_answer", "u.survey AS survey, u.d AS d, u.ts AS ts, u.answer_id AS answer_id, u.score AS score"
        )
        + " GROUP BY environment, whose, survey, d)"
    ),
    past.ARMS: (
        "SELECT environment, whose, experiment, variant, min(first) FROM "
        + _of_persons("past_exposure", "u.experiment AS experiment, u.variant AS variant, u.first AS first")
        + " GROUP BY environment, whose, experiment, variant"
    ),
    past.TEST_CONVERSIONS: (
        "SELECT environment, whose, experiment, ts, max(tolerance) FROM "
        + _of_persons("past_test_conversion", "u.experiment AS experiment, u.ts AS ts, u.tolerance AS tolerance")
        + " GROUP BY environment, whose, experiment, ts"
    ),
    past.BACKGROUND: (
        "SELECT environment, whose, d, sum(events) FROM "
        + _of_persons("past_background", "u.d AS d, u.events AS events")
        + " GROUP BY environment, whose, d"
    ),
}
_STRETCHES: Final = "SELECT environment, whose, session, lo, hi, events, views, keys FROM " + _of_persons(
    "past_stretch",
    "u.session AS session, u.lo AS lo, u.hi AS hi, u.events AS events, u.views AS views, u.keys AS keys",
)
# The ids of sessions that facts which are there go on with; of others nobody can tell.
_CLIENTS: Final = (
    "SELECT DISTINCT session, session_id FROM {db}.event WHERE session GLOBAL IN"
    " (SELECT session FROM {db}.past_stretch WHERE session != 0 AND hi >= {since:Int64})"
)
_NAMES: Final = "SELECT DISTINCT user, user_id FROM {db}.past_name WHERE user % {parts:UInt32} = {part:UInt32}"


def move_past_out(database: ClickHouseDatabase, file: PartedStore, by: WrittenBy) -> None:
    """Write into a file what facts that are gone left, in place of what it has; then it is counted anew.

    Args:
        database: of the store.
        file: has the small state and all facts of it.
        by: what decides under which numbers users lie.
    """
    day = kept_from(database)
    if not day:
        return
    with file.asking() as moment:
        merged = person_numbers(by, moment.merged_users)
    rules = by.definitions
    since = day_start(day, rules.zone) - max(rules.session_gap_us, rules.client_session_gap_us)
    clients = {number: id_key(text) for number, text in database.rows(_CLIENTS, since=since)}
    ((n,),) = database.rows(f"SELECT sum(n) FROM ({' UNION ALL '.join(map(_count, PAST_TABLES))})")
    parts = n // _IN_A_PART + 1
    file.forget_past()
    for part in range(parts):
        given = {"kept_from": day, "part": part, "parts": parts}
        found = {table: database.rows(sql, merged, **given) for table, sql in _OUT.items()}
        stretches = database.rows(_STRETCHES, merged, **given)
        found[past.SESSIONS] = list(_sessions(rules, stretches, clients))
        persons = {row[1] for rows in found.values() for row in rows}
        known: dict[int, str] = dict(map(tuple, database.rows(_NAMES, part=part, parts=parts)))
        file.take_users(known.values())
        names = _names(persons, known, file, by)
        for table, rows in found.items():
            some = [(environment, names[whose], *_BACK.get(table, tuple)(row)) for environment, whose, *row in rows]
            file.take_past(table, some)
    file.count_past()


def _count(table: StateTable) -> str:
    return f"SELECT count() AS n FROM {{db}}.{table.name}"


def _sessions(rules: Definitions, stretches: Sequence[Sequence[Any]], clients: Mapping[int, Client]) -> Iterator[Row]:
    """Yield the sessions that parts of them make, of any persons; one whose id nobody knows has its number instead."""
    for (environment, whose, number), parts in groupby(sorted(map(tuple, stretches)), key=itemgetter(0, 1, 2)):
        client = clients.get(number, number.to_bytes(16)) if number else BY_GAP
        for session in merged_spans((SessionSpan(*part[3:]) for part in parts), client, rules):
            yield (environment, whose, client, *session)


def _conversion(row: Sequence[Any]) -> Row:
    *one, value = row
    return (*one, *divmod(value, NANO))


_BACK: Final[Mapping[str, Callable[[Sequence[Any]], Row]]] = {past.CONVERSIONS: _conversion}


def _names(persons: set[int], known: Mapping[int, str], file: PartedStore, by: WrittenBy) -> dict[int, str]:
    """Return the ids of persons: of whoever is somebody else too, and did nothing under that id, the file knows it.

    Who has none, for facts went before ids were kept, has the number.
    """
    names = {_NOBODY: "", **{person: known[person] for person in persons & known.keys()}}
    if missing := persons - names.keys():
        names |= {number: user for user in file.users() if (number := user_number(by, user)) in missing}
    return {person: f"{person:032x}" for person in persons} | names
