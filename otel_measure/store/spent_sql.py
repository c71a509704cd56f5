"""Which rows of spending are asked for, and how they are sorted, as SQL that SQLite and ClickHouse read alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from otel_measure.definitions.pages import Page
from otel_measure.store.types.models import Spent, SpentRows

SUMS: Final = Spent._fields[1:]
"""The columns of the table `spent` behind its keys: what the calls of a row add up to."""
RANKS: Final[Mapping[str, str]] = {
    "requests": "requests",
    "errors": "errors",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cached_input_tokens",
    "cost_usd": "CASE WHEN priced > 0 THEN cost_nano_usd END",
    "priced_ratio": "priced * 1.0 / requests",
}
"""A column of a report's rows that may be sorted by → what that is in the table `spent`; NULL where it is unknown."""
_OF_ALL: Final = ("requests", "cost_nano_usd", "priced")
_WITH_SUMS: Final = ", ".join(("count(*) OVER ()", *(f"sum({name}) OVER ()" for name in _OF_ALL)))
_N: Final = len(_OF_ALL) + 1


def keys_of(by: Sequence[str]) -> list[str]:
    """Return the names that the table `spent` has for what its rows are about."""
    return [f"key_{each}" for each in by]


def columns_of_spent(by: Sequence[str], columns: Mapping[str, str], sums: Mapping[str, str]) -> str:
    """Return the columns of the table `spent`, after SELECT.

    Args:
        by: what its rows are about.
        columns: what that is in the calls of an engine.
        sums: what the calls of a row add up to, of each of `SUMS`.
    """
    keys = (f"{columns[each]} AS {key}" for each, key in zip(by, keys_of(by), strict=True))
    return ", ".join((*keys, *(f"{sums[name]} AS {name}" for name in SUMS)))


def spent_rows(asked: Callable[[str], Sequence[Sequence[Any]]], by: Sequence[str], page: Page | None) -> SpentRows:
    """Return what `SpendingQuestions.spent` does.

    Args:
        asked: returns the rows of a query of the table `spent`, in which all calls are grouped.
        by: what rows are about.
        page: which of them; all when not given.
    """
    n, order = len(by), ", ".join(("cost_nano_usd DESC", *(f"ifNull({key}, '')" for key in keys_of(by))))
    if page is None:
        spent = [Spent(tuple(row[:n]), *row[n:]) for row in asked(f"SELECT * FROM spent ORDER BY {order}")]
        return SpentRows(spent, len(spent), *(sum(getattr(each, name) for each in spent) for name in _OF_ALL))
    if page.sort:
        rank, direction = RANKS[page.column], "DESC" if page.sort.startswith("-") else "ASC"
        order = f"{rank} IS NULL, {rank} {direction}, {order}"
    rows = asked(f"SELECT *, {_WITH_SUMS} FROM spent ORDER BY {order} LIMIT {page.limit} OFFSET {page.offset}")
    if not rows and (page.offset or not page.limit):  # no row is there that could tell of all
        return spent_rows(asked, by, replace(page, limit=1, offset=0))._replace(rows=[])
    of_all = rows[0][-_N:] if rows else [0] * _N
    return SpentRows([Spent(tuple(row[:n]), *row[n:-_N]) for row in rows], *of_all)
