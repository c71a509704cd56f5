"""What calls cost by the user, the repository and the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from otel_measure.store.clickhouse.chosen_calls import CallTable, whole_sum
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.model_questions import SpendingQuestions
from otel_measure.store.types.models import Spent

_COLUMNS: Final = {"user": "user_id", "repository": "repository", "model": "model", "version": "version"}
_SUMMED: Final = ("input_tokens", "output_tokens", "cached_input_tokens", "cost_nano")
_COST: Final = whole_sum("cost_nano")
_SUMS: Final = ", ".join(("count()", "count(error_type)", *map(whole_sum, _SUMMED), "count(cost_nano)"))


class ClickHouseSpendingQuestions:
    """Satisfies `otel_measure.store.model_questions.SpendingQuestions`.

    Args:
        database: of the store.
        calls: that answers are about.
        told: the same questions of calls that others told of.
    """

    def __init__(self, database: ClickHouseDatabase, calls: CallTable, told: SpendingQuestions) -> None:
        self._database = database
        self._calls = calls
        self._told = told

    def spent(self, start: int, end: int, by: Sequence[str]) -> list[Spent]:
        """Return what calls of [start, end) cost by some of the columns, the dearest first."""
        calls = self._calls.chosen(start, end).that("(user_id IS NOT NULL OR repository IS NOT NULL)")
        columns = ", ".join(_COLUMNS[each] for each in by)
        order = ", ".join(f"ifNull({_COLUMNS[each]}, '')" for each in by)
        rows = self._database.rows(
            f"SELECT {columns}, {_SUMS} {calls.source} GROUP BY {columns} ORDER BY {_COST} DESC, {order}",
            **calls.parameters,
        )
        n, told = len(by), {each.keys: each for each in self._told.spent(start, end, by)}
        spent = [Spent(tuple(row[:n]), *row[n:]) for row in rows]
        if not told:
            return spent
        spent = [_added(each, told.pop(each.keys, None)) for each in spent] + list(told.values())
        return sorted(spent, key=lambda each: (-each.cost_nano_usd, [key or "" for key in each.keys]))


def _added(one: Spent, other: Spent | None) -> Spent:
    return one if other is None else Spent(one.keys, *(a + b for a, b in zip(one[1:], other[1:], strict=True)))
