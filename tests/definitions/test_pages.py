from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import pytest

from otel_measure.definitions.columns import Column
from otel_measure.definitions.pages import FIRST_PAGE, Page, Rows, rows_of


class NamedRow(NamedTuple):
    """A row."""

    name: str
    kind: str
    n: float


ROWS = (
    NamedRow("beta", "chat", 2),
    NamedRow("Alpha", "chat", nan),
    NamedRow("gamma", "embed", 7),
    NamedRow("delta", "CHAT", 2),
)
COLUMNS = (Column("name"), Column("kind"), Column("n"))


def page(**asked: int | str) -> Rows[NamedRow]:
    """Return a page of the rows above."""
    return rows_of(ROWS, Page(**asked), COLUMNS, ("name", "kind"))  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("asked", "names", "matched"),
    [
        ({}, ["beta", "Alpha", "gamma", "delta"], 4),
        ({"limit": 2}, ["beta", "Alpha"], 4),
        ({"limit": 2, "offset": 3}, ["delta"], 4),
        ({"offset": 9}, [], 4),
        ({"sort": "name"}, ["Alpha", "beta", "delta", "gamma"], 4),
        ({"sort": "-name", "limit": 1}, ["gamma"], 4),
        ({"sort": "n"}, ["beta", "delta", "gamma", "Alpha"], 4),
        ({"sort": "-n"}, ["gamma", "beta", "delta", "Alpha"], 4),
        ({"q": "chat"}, ["beta", "Alpha", "delta"], 3),
        ({"q": "CHAT  a l"}, ["Alpha", "delta"], 2),
        ({"q": "7"}, [], 0),
        ({"q": "chat", "sort": "-n", "limit": 1, "offset": 1}, ["delta"], 3),
    ],
)
def test_a_page(asked: dict[str, int | str], names: list[str], matched: int) -> None:
    """Words are sought, then rows sorted, then counted off; unknown values come last either way, ties as they stood."""
    told = page(**asked)
    assert ([row.name for row in told.rows], told.total, told.matched) == (names, 4, matched)


def test_a_list_with_pages_of_its_own() -> None:
    """A list may choose the rows of a page itself, as long as nobody says how to sort."""

    def last(rows: Sequence[NamedRow], limit: int, offset: int) -> Sequence[NamedRow]:
        return rows[-limit:]

    first = rows_of(ROWS, Page(limit=1), COLUMNS, (), last)
    assert [row.name for row in first.rows] == ["delta"]
    assert [row.name for row in rows_of(ROWS, Page(limit=1, sort="name"), COLUMNS, (), last).rows] == ["Alpha"]


def test_without_being_asked() -> None:
    """The first page is a thousand rows, in the order of the list."""
    assert (FIRST_PAGE.limit, FIRST_PAGE.offset, FIRST_PAGE.sort, FIRST_PAGE.q) == (1000, 0, "", "")
    assert len(rows_of(range(1001), FIRST_PAGE, (), ()).rows) == 1000
