"""Who converted, after their first activity in each of some steps of days, and what the conversions were worth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from otel_measure.definitions.conversions import total_value
from otel_measure.definitions.days import Days
from otel_measure.store.clickhouse.active_persons import Ask
from otel_measure.store.clickhouse.person_steps import rows_of_steps
from otel_measure.store.clickhouse.persons import DAY, OF_FACTS, OF_PAST, ON_DAYS, USER_DAYS
from otel_measure.store.types.users import ConversionTotals

_EVENT: Final = "'Tuple(at Int64, money String, nanos Nullable(Int128))'"
_OF_FACTS: Final = (
    f"FROM {{db}}.event FINAL WHERE (type = {{event:String}} OR name = {{event:String}}) AND {OF_FACTS} AND {ON_DAYS}"
)
_OF_PAST: Final = f"FROM {{db}}.past_conversion WHERE goal = {{event:String}} AND {OF_PAST} AND {ON_DAYS}"
# Events by which users may have converted.
_EVENTS: Final = (
    f"(SELECT user, {DAY} AS d, CAST((toUnixTimestamp64Micro(ts), ifNull(currency, ''), value_nano), {_EVENT}) AS event"
    f" {_OF_FACTS} UNION ALL SELECT user, {DAY} AS d, CAST((ts, currency, value_nano), {_EVENT}) AS event {_OF_PAST})"
)
_CONVERTING: Final = (
    "(SELECT {step} AS step, {person} AS person, groupArray(u.event) AS events"
    f" FROM {_EVENTS} AS u {{join}} GROUP BY step, person)"
)
# Of one step whoever was active in it is counted on the way; of more, grouping the days of those who converted alone
# is quicker, or may be one person with somebody.
_MAY_CONVERT: Final = (
    f"WHERE u.user GLOBAL IN (SELECT user {_OF_FACTS} UNION ALL SELECT user {_OF_PAST}"
    " UNION ALL SELECT user FROM merged UNION ALL SELECT person FROM merged)"
)


def _sql(whose: str, same: str) -> str:
    """Return the SQL of what persons did in steps.

    Of each step how many persons there are, how many of them converted after their first activity in it, how long that
    took, and sums by currency. The projection comes last: where a query names it before its table, the server looks for
    the table's columns in it.

    Args:
        whose: the condition of the users whose days are read.
        same: the condition that events `c` and activity `a` are of the same person and step.
    """
    entered = (
        "(SELECT {step} AS step, {person} AS person, min(u.first) AS entered"
        f" FROM {USER_DAYS} AS u {{join}} {whose} GROUP BY step, person)"
    )
    return (
        "SELECT step, count(), countIf(notEmpty(found)), sumIf(arrayMin(found.at) - entered, notEmpty(found)),"
        " sumMap(found.money, arrayMap(one -> 1, found), arrayMap(one -> toUInt8(one.nanos IS NOT NULL), found),"
        " arrayMap(one -> ifNull(one.nanos, 0), found))"
        " FROM (SELECT a.step AS step, a.entered AS entered, arrayFilter(one -> one.at >= entered, c.events) AS found"
        f" FROM {_CONVERTING} AS c RIGHT JOIN {entered} AS a ON {same}) GROUP BY step"
    )


_OF_ONE_STEP: Final = _sql("", "c.person = a.person")
_OF_STEPS: Final = _sql(_MAY_CONVERT, "c.person = a.person AND c.step = a.step")
_NOBODY: Final = (0, 0, 0, ((), (), (), ()))


class PersonConversions:
    """What conversions add up to, by the event that is one and the days.

    Args:
        ask: asks the server about the users whom answers are about.
        active: says how many persons were active on some days.
    """

    def __init__(self, ask: Ask, active: Callable[[Days], int]) -> None:
        self._ask = ask
        self._active = active
        self._known: dict[tuple[Days, str], ConversionTotals] = {}

    def totals(self, days: Days, event: str, steps: Collection[Days]) -> ConversionTotals:
        """Return what the conversions by events of a type or name add up to.

        Args:
            days: asked about.
            event: its type or name.
            steps: that are about to be asked for.
        """
        if (days, event) not in self._known:
            asked = sorted({step for step in steps if (step, event) not in self._known} | {days})
            is_one = len(asked) == 1
            rows = rows_of_steps(self._ask, _OF_ONE_STEP if is_one else _OF_STEPS, asked, event=event)
            found: dict[int, Sequence[Any]] = {step: of_step for step, *of_step in rows}
            for i, step in enumerate(asked, 1):
                persons, converted, wait_us, sums = found.get(i, _NOBODY)
                by_currency = zip(*sums, strict=True)
                conversions, value = total_value(
                    (money, n, valued, 0, nanos) for money, n, valued, nanos in by_currency
                )
                entered = persons if is_one else self._active(step)
                self._known[step, event] = ConversionTotals(entered, converted, conversions, wait_us, value)
        return self._known[days, event]
