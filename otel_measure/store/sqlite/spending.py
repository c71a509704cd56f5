"""What calls cost by the user, the repository and the model: read from the facts, for no roll-up has users."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from otel_measure.conventions import instruments
from otel_measure.definitions.pages import Page
from otel_measure.store.spent_sql import columns_of_spent, keys_of, spent_rows
from otel_measure.store.sqlite.models import conditions
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import SpentRows

_COLUMNS: Final[Mapping[str, str]] = {
    "user": "f.user_id",
    "repository": "f.repository",
    "model": "m.name",
    "version": "m.version",
}
_SUMS: Final[Mapping[str, str]] = {
    "requests": "count(*)",
    "errors": "count(f.error_type)",
    "input_tokens": "CAST(total(f.input_tokens) AS INTEGER)",
    "output_tokens": "CAST(total(f.output_tokens) AS INTEGER)",
    "cached_input_tokens": "CAST(total(json_extract(f.extra, '$.cached_input_tokens')) AS INTEGER)",
    "cost_nano_usd": f"sum(CAST(round(ifNull(f.cost_usd, 0) * {instruments.NANO}) AS INTEGER))",
    "priced": "count(f.cost_usd)",
}


class SqliteSpendingQuestions:
    """Satisfies `otel_measure.store.model_questions.SpendingQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter) -> None:
        self._connection = connection
        self._where = where

    def spent(self, start: int, end: int, by: Sequence[str], page: Page | None = None) -> SpentRows:
        """Return what calls of [start, end) cost by some of the columns: all, the dearest first, or a page of it."""
        condition, parameters = conditions(None, self._where)
        spent = (
            f"SELECT {columns_of_spent(by, _COLUMNS, _SUMS)}"
            " FROM inference f JOIN model m ON m.id = f.model JOIN origin o ON o.id = f.origin"
            f" WHERE (f.user_id IS NOT NULL OR f.repository IS NOT NULL) AND f.ts >= ? AND f.ts < ? {condition}"
            f" GROUP BY {', '.join(keys_of(by))}"
        )

        def asked(sql: str) -> list[Sequence[Any]]:
            return self._connection.execute(f"WITH spent AS ({spent}) {sql}", (start, end, *parameters)).fetchall()

        return spent_rows(asked, by, page)
