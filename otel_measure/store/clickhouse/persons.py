"""What is said of persons, in SQL: of facts that are there, and of those that retention removed (`past.py`).

Users that are one person become it while the question is asked: their numbers travel with it, as the table `merged`.
"""

from __future__ import annotations

from typing import Final

# user → person; users that are nobody else's have no row
MERGED: Final = "if(m.person = 0, u.user, m.person)"
JOIN: Final = "LEFT ANY JOIN merged AS m ON m.user = u.user"
# Facts of days before `kept_from` are being removed or gone, whatever is still there: what they said is past.
KEPT: Final = "day >= toDate({kept_from:UInt32})"
PAST: Final = (
    "day < toDate({kept_from:UInt32}) AND version IN"
    " (SELECT argMin(version, (_block_number, _block_offset)) FROM {db}.past_day GROUP BY day)"
)
_OF_SERVICE: Final = "environment = {environment:String} AND (service = {service:String} OR {every:Bool})"
ON_DAYS: Final = "day BETWEEN toDate({first:UInt32}) AND toDate({last:UInt32})"
OF_FACTS: Final = f"{_OF_SERVICE} AND {KEPT}"
OF_PAST: Final = f"environment = {{environment:String}} AND {PAST}"


def days_sql(*, has_past: bool) -> str:
    """Return (person, d, first): the days of persons and their first activity on each."""
    of_users = (
        "SELECT user, toInt32(toUInt16(day)) AS d, toUnixTimestamp64Micro(min(ts)) AS first FROM {db}.event"
        f" WHERE active = 1 AND {OF_FACTS} AND {ON_DAYS} GROUP BY user, day"
    )
    past = f"SELECT user, toInt32(toUInt16(day)) AS d, first FROM {{db}}.past_activity WHERE {OF_PAST} AND {ON_DAYS}"
    rows = _with_past(of_users, past, has_past=has_past)
    return f"(SELECT {MERGED} AS person, d, min(u.first) AS first FROM ({rows}) AS u {JOIN} GROUP BY person, d)"


def conversions_sql(*, has_past: bool) -> str:
    """Return what is selected from: conversions `c` of persons after `e.entered`, by events of a type or name."""
    of_users = (
        "SELECT user, toUnixTimestamp64Micro(ts) AS ts, ifNull(currency, '') AS currency, value_nano FROM {db}.event"
        f" FINAL WHERE (type = {{event:String}} OR name = {{event:String}}) AND {OF_FACTS} AND {ON_DAYS}"
    )
    past = (
        "SELECT user, ts, currency, value_nano FROM {db}.past_conversion"
        f" WHERE goal = {{event:String}} AND {OF_PAST} AND {ON_DAYS}"
    )
    rows = _with_past(of_users, past, has_past=has_past)
    entered = f"SELECT person, min(first) AS entered FROM {days_sql(has_past=has_past)} GROUP BY person"
    return (
        f"(SELECT {MERGED} AS person, u.ts AS ts, u.currency AS currency, u.value_nano AS value_nano"
        f" FROM ({rows}) AS u {JOIN}) AS c INNER JOIN ({entered}) AS e ON e.person = c.person WHERE c.ts >= e.entered"
    )


# As `records.ids.id_text` says it: of answers at one time the last one by its id counts.
ANSWER_ID: Final = "if(id_text != '', id_text, toString(toUUID(lower(leftPad(hex(id), 32, '0')))))"


def answers_sql(*, has_past: bool) -> str:
    """Return the query of how many gave each score with their last answer."""
    of_survey = f"{ON_DAYS} AND (survey = {{survey:String}} OR {{any_survey:Bool}})"
    of_users = (
        f"SELECT user, survey, score, toUnixTimestamp64Micro(ts) AS ts, {ANSWER_ID} AS answer_id"
        f" FROM {{db}}.nps_response FINAL WHERE {OF_FACTS} AND {of_survey}"
    )
    past = f"SELECT user, survey, score, ts, answer_id FROM {{db}}.past_answer WHERE {OF_PAST} AND {of_survey}"
    rows = _with_past(of_users, past, has_past=has_past)
    return (
        f"SELECT score, count() FROM (SELECT argMax(u.score, (u.ts, u.answer_id)) AS score FROM ({rows}) AS u {JOIN}"
        f" GROUP BY {MERGED}, u.survey) GROUP BY score"
    )


def _with_past(of_facts: str, past: str, *, has_past: bool) -> str:
    return f"{of_facts} UNION ALL {past}" if has_past else of_facts
