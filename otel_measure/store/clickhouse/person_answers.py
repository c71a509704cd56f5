"""The last answer of each person to each survey, in each of some steps of days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from otel_measure.definitions.days import Days
from otel_measure.store.clickhouse.active_persons import Ask
from otel_measure.store.clickhouse.person_steps import rows_of_steps
from otel_measure.store.clickhouse.persons import DAY, OF_FACTS, OF_PAST, ON_DAYS, UUID_OF_ID

_OF_SURVEY: Final = f"{ON_DAYS} AND (survey = {{survey:String}} OR {{any_survey:Bool}})"
_GIVEN: Final = (
    f"(SELECT user, survey, {DAY} AS d, toUnixTimestamp64Micro(ts) AS at, id, id_text, score"
    f" FROM {{db}}.nps_response FINAL WHERE {OF_FACTS} AND {_OF_SURVEY}"
    f" UNION ALL SELECT user, survey, {DAY} AS d, ts AS at, 0 AS id, answer_id AS id_text, score"
    f" FROM {{db}}.past_answer WHERE {OF_PAST} AND {_OF_SURVEY}) AS u"
)
# The last one is that of the largest time and text of the id. UUIDs have the order of their numbers: time, id and score
# are one number, whose maximum takes a fifth of the time that texts take. Of ids that are no UUIDs texts are compared,
# and with those of UUIDs, where both answered at one time.
_NUMBER: Final = "bitOr(bitShiftLeft(toUInt256(u.at), 136), bitOr(bitShiftLeft(toUInt256(u.id), 8), u.score))"
_LAST: Final = (
    "SELECT step, if(is_by_text, by_text.3, toUInt8(bitAnd(by_number, 255))) AS last_score, count()"
    f" FROM (SELECT {{step}} AS step, maxIf({_NUMBER}, u.id_text = '') AS by_number,"
    " maxIf((u.at, u.id_text, u.score), u.id_text != '') AS by_text,"
    " toInt64(bitShiftRight(by_number, 136)) AS at, toUInt128(bitShiftRight(by_number, 8)) AS id,"
    f" by_text.2 != '' AND (by_number = 0 OR (by_text.1, by_text.2) > (at, {UUID_OF_ID})) AS is_by_text"
    f" FROM {_GIVEN} {{join}} GROUP BY step, {{person}}, u.survey) GROUP BY step, last_score"
)


class PersonAnswers:
    """How many persons gave each score with their last answer.

    Args:
        ask: asks the server about the users whom answers are about.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[tuple[Days, str | None], Counter[int]] = {}

    def scores(self, days: Days, survey: str | None, steps: Collection[Days]) -> Counter[int]:
        """Return how many gave each score with their last answer in some days.

        Args:
            days: asked about.
            survey: that is answered; `None` pools all.
            steps: that are about to be asked for.
        """
        if (days, survey) not in self._known:
            asked = sorted({step for step in steps if (step, survey) not in self._known} | {days})
            for step in asked:
                self._known[step, survey] = Counter()
            rows = rows_of_steps(self._ask, _LAST, asked, survey=survey or "", any_survey=survey is None)
            for i, score, n in rows:
                self._known[asked[i - 1], survey][score] = n
        return self._known[days, survey]
