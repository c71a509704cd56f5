"""Sessions in SQL: stretches of what users did, of settled days or made of facts, joined to sessions of persons.

A stretch is what a user did under one session id without a pause that ends a session. Two that lie no longer apart than
that are parts of one session, whichever users and services they are of, if the users are one person. So it does not
matter of which events, or of how many, a stretch was made.
"""

from __future__ import annotations

from typing import Final

from otel_measure.store.clickhouse.persons import DAY, JOIN, MERGED, OF_FACTS, OF_PAST

_LONGEST: Final = "if(session = 0, {gap:Int64}, {client_gap:Int64})"
# Of facts: `acts` of one user and session, cut where the pause is too long.
_CUT: Final = (
    f"arrayJoin(arraySplit((act, pause) -> pause > {_LONGEST},"
    " arraySort(groupArray((toUnixTimestamp64Micro(ts), active, type IN {views:Array(String)},"
    f" type IN {{keys:Array(String)}}, {DAY}))) AS acts, arrayDifference(acts.1))) AS span"
)
_SUMS: Final = "arraySum(span.2) AS events, arraySum(span.3) AS views, arraySum(span.4) AS keys"
_IN_SESSIONS: Final = "background = 0 AND (active = 1 OR session != 0)"
_IN_NONE: Final = "background = 1 AND type NOT IN {passive:Array(String)}"


def _stretches(of: str, where: str) -> str:
    return f"(SELECT {of}, {_CUT} FROM {{db}}.event FINAL WHERE {_IN_SESSIONS} AND {where} GROUP BY {of})"


def settle_sql(day: int, version: int, where: str) -> str:
    """Return the statement that adds the stretches of a day.

    Args:
        day: since 1970.
        version: of these stretches.
        where: which facts of the day.
    """
    where = f"day = toDate({day:d}) AND {where}"
    of = "environment, service, user"
    into = f"day, version, {of}, session, lo, hi, events, views, keys, background, alone"
    key, from_facts = "environment, user, session", f"{{db}}.event WHERE {_IN_SESSIONS}"
    several = f"(SELECT {key} FROM {from_facts} AND {where} GROUP BY {key} HAVING uniqExact(service) > 1)"
    beside = f"(SELECT {key} FROM {from_facts} AND day IN {{beside:Array(Date)}})"
    is_far = f"lo >= {{start:Int64}} + {_LONGEST} AND hi + {_LONGEST} < {{end:Int64}}"
    return (
        f"INSERT INTO {{db}}.stretch ({into}) SELECT toDate({day:d}), {version:d}, {of}, session,"
        f" span[1].1 AS lo, span[-1].1 AS hi, {_SUMS}, 0,"
        f" ({key}) NOT IN {several} AND ({is_far} OR ({key}) NOT IN {beside})"
        f" FROM {_stretches(f'{of}, session', where)}"
        f" UNION ALL SELECT toDate({day:d}), {version:d}, {of}, 0, 0, 0, 0, 0, 0, count(), 0"
        f" FROM {{db}}.event FINAL WHERE {_IN_NONE} AND {where} GROUP BY {of}"
    )


def past_stretches_sql() -> str:
    """Return the query of (environment, person, session, start, end, events, views, keys) of the facts `{of}`."""
    return (
        f"SELECT u.environment, {MERGED}, u.session, u.span[1].1, u.span[-1].1, arraySum(u.span.2),"
        f" arraySum(u.span.3), arraySum(u.span.4) FROM {_stretches('environment, user, session', '{of}')} AS u {JOIN}"
    )


def past_background_sql() -> str:
    """Return the query of (environment, nobody, events in no session) of the facts `{of}`: an erasure leaves them."""
    return (
        "SELECT environment, toUInt128(0) AS person, count() FROM {db}.event FINAL"
        f" WHERE {_IN_NONE} AND {{of}} GROUP BY environment"
    )


def sessions_sql(on_days: str, *, has_settled: bool) -> str:
    """Return the query of what the sessions add up to that start on each of the days from `first` to `last`.

    Its rows have the day, their number, length, events, and of those with a view that are over the number, and how many
    bounced; then how many of them may go on after what is read.

    Args:
        on_days: which rows are read, of facts and of stretches.
        has_settled: whether stretches of settled days are read.
    """
    read, where = "user, session, lo, hi, d, events, views, keys", f"{OF_FACTS} AND {on_days}"
    of_facts = (
        f"SELECT user, session, span[1].1 AS lo, span[-1].1 AS hi, span[1].5 AS d, {_SUMS}"
        f" FROM {_stretches('user, session', where + (_NOT_SETTLED if has_settled else ''))}"
    )
    of_days = (
        f"SELECT user, session, lo, hi, {DAY} AS d, events, views, keys FROM {{db}}.stretch"
        f" WHERE version IN {{versions:Array(UInt64)}} AND background = 0 AND NOT ({_ALONE}) AND {where}"
    )
    of_past = (
        f"SELECT user, session, lo, hi, {DAY} AS d, events, views, keys FROM {{db}}.past_stretch"
        f" WHERE {OF_PAST} AND {on_days}"
    )
    parts = " UNION ALL ".join((of_facts, of_past, *([of_days] if has_settled else ())))
    of_persons = (
        f"SELECT {MERGED} AS person, u.session AS session, {_LONGEST} AS pause,"
        " groupArray((lo, hi, d, events, views, keys)) AS parts, min(lo) AS begun, max(hi) AS ended,"
        f" {_ONE} AS whole, if(length(parts) = 1 OR ended - begun <= pause, [whole], {_JOINED}) AS sessions"
        f" FROM (SELECT {read} FROM ({parts})) AS u {JOIN} GROUP BY person, session"
    )
    sessions = (
        "SELECT one.1 AS d, one.2 AS ended, one.2 - one.3 AS length_us, one.4 AS events, one.5 AS views, one.6 AS keys,"
        f" ended + pause >= {{read_end:Int64}} AS may_go_on FROM (SELECT pause, arrayJoin(sessions) AS one"
        f" FROM ({of_persons}))"
    )
    alone = (
        f" UNION ALL SELECT {DAY} AS d, hi AS ended, hi - lo AS length_us, events, views, keys, 0 AS may_go_on"
        f" FROM {{db}}.stretch WHERE {_ALONE} AND {where}"
    )
    return (
        "SELECT d, count(), sum(length_us), sum(events), countIf(viewed),"
        " countIf(viewed AND length_us < {engaged:Int64} AND views < {engaged_views:Int64} AND keys = 0),"
        " sum(may_go_on) FROM"
        f" (SELECT *, views > 0 AND ended <= {{over:Int64}} AS viewed FROM ({sessions}{alone if has_settled else ''}))"
        " WHERE d BETWEEN {first:Int32} AND {last:Int32} GROUP BY d"
    )


# Sessions as they are: of users that are nobody else, and that nobody else is.
_ALONE: Final = (
    "alone = 1 AND version IN {alone:Array(UInt64)}"
    " AND user NOT IN (SELECT user FROM merged UNION ALL SELECT person FROM merged)"
)
_NOT_SETTLED: Final = " AND day NOT IN {settled:Array(Date)}"
# A session as (first day, end, start, events, views, keys).
_ONE: Final = "(argMin(d, lo), ended, begun, sum(events), sum(views), sum(keys))"
# Where parts may lie apart or overlap: their starts, and their ends later by the longest pause, in order. Between
# sessions no part has begun that has not ended; of a start and an end at one time the start comes first.
_EDGES: Final = (
    "arraySort(arrayConcat(arrayMap(p -> (p.1, 0, p.3, p.4, p.5, p.6), parts),"
    " arrayMap(p -> (p.2 + pause, 1, toInt32(0), toUInt64(0), toUInt64(0), toUInt64(0)), parts)))"
)
_JOINED: Final = (
    "arrayMap(span -> (span[1].3, span[-1].1 - pause, span[1].1, arraySum(e -> e.4, span), arraySum(e -> e.5, span),"
    f" arraySum(e -> e.6, span)), arraySplit((edge, open) -> open = 0, {_EDGES} AS edges,"
    " arrayPopBack(arrayPushFront(arrayCumSum(e -> if(e.2 = 0, 1, -1), edges), 1))))"
)


def background_sql(on_days: str, *, has_settled: bool) -> str:
    """Return the query of how many events each day has that are tracked and belong to no session."""
    not_settled = _NOT_SETTLED if has_settled else ""
    of_facts = (
        f"SELECT {DAY} AS d, count() AS n FROM {{db}}.event FINAL"
        f" WHERE {_IN_NONE} AND {OF_FACTS} AND {on_days}{not_settled} GROUP BY d"
    )
    of_past = f"SELECT {DAY} AS d, events AS n FROM {{db}}.past_background WHERE {OF_PAST} AND {on_days}"
    of_days = (
        f"SELECT {DAY} AS d, background AS n FROM {{db}}.stretch"
        f" WHERE version IN {{versions:Array(UInt64)}} AND background > 0 AND {OF_FACTS} AND {on_days}"
    )
    counts = " UNION ALL ".join((of_facts, of_past, *([of_days] if has_settled else ())))
    return f"SELECT d, sum(n) FROM ({counts}) GROUP BY d"
