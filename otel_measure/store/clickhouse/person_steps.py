"""How a question about persons is asked of several steps of days at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from otel_measure.definitions.days import Days
from otel_measure.store.clickhouse.active_persons import Ask

# The numbers of the steps that the day of a row lies in.
_IN_STEPS: Final = (
    "arrayJoin(arrayFilter((i, begin, end) -> u.d BETWEEN begin AND end, arrayEnumerate({firsts:Array(Int32)}),"
    " {firsts:Array(Int32)}, {lasts:Array(Int32)}))"
)


def rows_of_steps(ask: Ask, sql: str, steps: Sequence[Days], **parameters: Any) -> Sequence[Sequence[Any]]:
    """Return what the server says of steps; of one step, all days that are read lie in it.

    Args:
        ask: the server.
        sql: in which `{step}` is the number of the step, from 1, that a row `u` lies in by its day `d`.
        steps: that are asked about.
        parameters: of the query, by their names.
    """
    firsts, lasts = [step.first for step in steps], [step.last for step in steps]
    sql = sql.replace("{step}", _IN_STEPS if len(steps) > 1 else "1")
    return ask(sql, Days(min(firsts), max(lasts)), firsts=firsts, lasts=lasts, **parameters)
