"""How a query reads what was said of persons: facts that are there, and what those said that are gone (`past.py`).

Users that are one person become it while the question is asked: their numbers travel with it, as the table `merged`.
"""

from __future__ import annotations

from typing import Final

from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.tables import EVENT

# user → person; users that are nobody else's have no row
MERGED: Final = "if(m.person = 0, u.user, m.person)"
JOIN: Final = "LEFT ANY JOIN merged AS m ON m.user = u.user"
ON_DAYS: Final = "day BETWEEN toDate({first:UInt32}) AND toDate({last:UInt32})"
DAY: Final = "toInt32(toUInt16(day))"
# Facts of days before `kept_from` are being removed or gone, whatever is still there: what they said is past.
KEPT: Final = "day >= toDate({kept_from:UInt32})"
PAST: Final = (
    "day < toDate({kept_from:UInt32}) AND version IN"
    " (SELECT argMin(version, (_block_number, _block_offset)) FROM {db}.past_day GROUP BY day)"
)
OF_FACTS: Final = (
    f"environment = {{environment:String}} AND (service = {{service:String}} OR {{every:Bool}}) AND {KEPT}"
)
# Of one service nothing is kept but its facts.
OF_PAST: Final = f"{{every:Bool}} AND environment = {{environment:String}} AND {PAST}"
# As `records.ids.id_text` says it: of answers at one time the last one by its id counts.
UUID_OF_ID: Final = "toString(toUUID(lower(leftPad(hex(id), 32, '0'))))"
ANSWER_ID: Final = f"if(id_text != '', id_text, {UUID_OF_ID})"
# (user, d, first): the days of users and the first activity on each, several times where they lie in several parts;
# `{user_days}` is what `user_days()` returns.
USER_DAYS: Final = (
    f"(SELECT user, {DAY} AS d, toUnixTimestamp64Micro(finalizeAggregation(`min(ts)`)) AS first FROM {{user_days}}"
    f" WHERE active = 1 AND {OF_FACTS} AND {ON_DAYS}"
    f" UNION ALL SELECT user, {DAY} AS d, first FROM {{db}}.past_activity WHERE {OF_PAST} AND {ON_DAYS})"
)
_KEYS: Final = "environment, active, day, user, service"


def of_persons(sql: str, *, is_anybody_merged: bool) -> str:
    """Return a query that says `{person}` for whose a row `u` is, and `{join}` after the table `u`.

    Where no user is somebody else, nothing is joined.
    """
    person, join = (MERGED, JOIN) if is_anybody_merged else ("u.user", "")
    return sql.replace("{person}", person).replace("{join}", join)


def user_days(database: ClickHouseDatabase) -> str:
    """Return the days of users as a query reads them: the projection itself, which is ten times as fast.

    A query that the server answers from a projection groups its rows again, by user and day. On shards it does so all
    the same: a query of both the projections of all shards and their facts fails there.
    """
    from_facts = f"(SELECT {_KEYS}, minState(ts) AS `min(ts)` FROM {{db}}.{EVENT.name} GROUP BY {_KEYS})"
    return from_facts if database.cluster is not None else database.projection(EVENT.name, "user_day") or from_facts
