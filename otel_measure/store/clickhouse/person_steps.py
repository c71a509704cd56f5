"""How a question about persons is asked of several steps of days at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from otel_measure.definitions.days import Days
from otel_measure.store.clickhouse.active_persons import Ask
from otel_measure.store.clickhouse.persons import of_persons

# The numbers of the steps that the day of a row lies in.
_IN_STEPS: Final = (
    "arrayJoin(arrayFilter((i, begin, end) -> u.d BETWEEN begin AND end, arrayEnumerate({firsts:Array(Int32)}),"
    " {firsts:Array(Int32)}, {lasts:Array(Int32)}))"
)


class StepQuestions:
    """Asks for rows of steps: of users, of days, or of what these did on them.

    In the SQL `{step}` is the number of the step, from 1, that a row `u` lies in by its day `d`; `{person}` and
    `{join}` are those of `persons.of_persons()`.

    Args:
        ask: the server.
        is_anybody_merged: whether there are users that are somebody else.
    """

    def __init__(self, ask: Ask, *, is_anybody_merged: bool) -> None:
        self._ask = ask
        self._is_anybody_merged = is_anybody_merged

    def rows(self, sql: str, steps: Sequence[Days], **parameters: Any) -> Sequence[Sequence[Any]]:
        """Return the rows; of one step, all days that are read lie in it."""
        firsts, lasts = [step.first for step in steps], [step.last for step in steps]
        step = _IN_STEPS if len(steps) > 1 else "1"
        sql = of_persons(sql.replace("{step}", step), is_anybody_merged=self._is_anybody_merged)
        return self._ask(sql, Days(min(firsts), max(lasts)), firsts=firsts, lasts=lasts, **parameters)
