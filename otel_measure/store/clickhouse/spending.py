"""What calls cost by the user, the repository and the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_measure.definitions.pages import Page
from otel_measure.store.clickhouse.chosen_calls import CallTable, whole_sum
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, SentTable
from otel_measure.store.model_questions import SpendingQuestions
from otel_measure.store.spent_sql import SUMS, columns_of_spent, keys_of, spent_rows
from otel_measure.store.types.models import Spent, SpentRows

_COLUMNS: Final = {"user": "user_id", "repository": "repository", "model": "model", "version": "version"}
_SUMS: Final[Mapping[str, str]] = {
    "requests": "count()",
    "errors": "count(error_type)",
    "input_tokens": whole_sum("input_tokens"),
    "output_tokens": whole_sum("output_tokens"),
    "cached_input_tokens": whole_sum("cached_input_tokens"),
    "cost_nano_usd": whole_sum("cost_nano"),
    "priced": "count(cost_nano)",
}
_ADDED: Final = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_COUNTS: Final = ("requests", "errors", "priced")


class ClickHouseSpendingQuestions:
    """Satisfies `otel_measure.store.model_questions.SpendingQuestions`.

    Args:
        database: of the store.
        calls: that answers are about.
        told: the same questions of calls that others told of; their rows travel with the query.
    """

    def __init__(self, database: ClickHouseDatabase, calls: CallTable, told: SpendingQuestions) -> None:
        self._database = database
        self._calls = calls
        self._told = told

    def spent(self, start: int, end: int, by: Sequence[str], page: Page | None = None) -> SpentRows:
        """Return what calls of [start, end) cost by some of the columns: all, the dearest first, or a page of it."""
        calls = self._calls.chosen(start, end).that("(user_id IS NOT NULL OR repository IS NOT NULL)")
        keys, told = ", ".join(keys_of(by)), self._told.spent(start, end, by).rows
        spent = f"SELECT {columns_of_spent(by, _COLUMNS, _SUMS)} {calls.source} GROUP BY {keys}"
        if told:
            spent = f"SELECT {keys}, {_ADDED} FROM ({spent} UNION ALL SELECT * FROM told) GROUP BY {keys}"
        sent = _told_table(told, by) if told else None

        def asked(sql: str) -> Sequence[Sequence[Any]]:
            return self._database.rows(f"WITH spent AS ({spent}) {sql}", sent=sent, **calls.parameters)

        return spent_rows(asked, by, page)


def _told_table(told: Sequence[Spent], by: Sequence[str]) -> SentTable:
    types = {name: "UInt64" if name in _COUNTS else "Int128" for name in SUMS}
    keys = dict.fromkeys(keys_of(by), "Nullable(String)")
    return SentTable("told", {**keys, **types}, [(*each.keys, *each[1:]) for each in told])
