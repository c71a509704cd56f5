"""What calls cost by the user, the repository and the model: read from the facts, for no roll-up has users."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from otel_measure.conventions import instruments
from otel_measure.store.sqlite.models import conditions
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import Spent

_COLUMNS: Final[Mapping[str, str]] = {
    "user": "f.user_id",
    "repository": "f.repository",
    "model": "m.name",
    "version": "m.version",
}
_CACHED: Final = "json_extract(f.extra, '$.cached_input_tokens')"
_SUMS: Final = (
    "count(*), count(f.error_type), total(f.input_tokens), total(f.output_tokens),"
    f" total({_CACHED}), sum(CAST(round(ifnull(f.cost_usd, 0) * {instruments.NANO}) AS INTEGER)), count(f.cost_usd)"
)


class SqliteSpendingQuestions:
    """Satisfies `otel_measure.store.model_questions.SpendingQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter) -> None:
        self._connection = connection
        self._where = where

    def spent(self, start: int, end: int, by: Sequence[str]) -> list[Spent]:
        """Return what calls of [start, end) cost by some of the columns, the dearest first."""
        condition, parameters = conditions(None, self._where)
        columns = ", ".join(_COLUMNS[each] for each in by)
        rows = self._connection.execute(
            f"SELECT {columns}, {_SUMS}"
            " FROM inference f JOIN model m ON m.id = f.model JOIN origin o ON o.id = f.origin"
            f" WHERE (f.user_id IS NOT NULL OR f.repository IS NOT NULL) AND f.ts >= ? AND f.ts < ? {condition}"
            f" GROUP BY {columns}",
            (start, end, *parameters),
        )
        spent = [Spent(tuple(row[: len(by)]), *(int(value) for value in row[len(by) :])) for row in rows]
        return sorted(spent, key=lambda each: (-each.cost_nano_usd, [key or "" for key in each.keys]))
