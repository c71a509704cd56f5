"""A page of a list: which of its rows somebody asks for, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeVar

from otel_measure.definitions.columns import Column

MAX_PAGE: Final = 1000
"""Rows of a page, and of a list where nobody asks for a page."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked of a list.

    Attributes:
        limit: at most so many rows.
        offset: how many rows come before.
        sort: the name of a column, "-" before it for the largest first; "" for the order of the list.
        q: words that a row has to hold, each somewhere in the columns that are searched, in any case.
        of: the list that is asked for, where an answer has several; "" for all.
    """

    limit: int = MAX_PAGE
    offset: int = 0
    sort: str = ""
    q: str = ""
    of: str = ""

    @property
    def column(self) -> str:
        """The column to sort by; "" for none."""
        return self.sort.removeprefix("-")


FIRST_PAGE: Final = Page()


class Rows(NamedTuple, Generic[R]):
    """The rows of a page.

    Attributes:
        total: how many the list has.
        matched: how many of them hold the words that were sought.
    """

    rows: Sequence[R]
    total: int
    matched: int


def rows_of(
    rows: Sequence[R],
    page: Page,
    columns: Iterable[Column],
    searched: Iterable[str],
    first: Callable[[Sequence[R], int, int], Sequence[R]] | None = None,
) -> Rows[R]:
    """Return the page of a list.

    Args:
        rows: of the list, in its own order.
        page: what is asked for.
        columns: of the rows.
        searched: the names of those that `page.q` is sought in.
        first: chooses the rows of a page by `limit` and `offset` where nobody says how to sort.
    """
    by_name = {column.name: column for column in columns}
    matching = matches(rows, page.q, [by_name[name] for name in searched])
    if not page.sort:
        if first is not None:
            return Rows(first(matching, page.limit, page.offset), len(rows), len(matching))
        chosen = matching
    else:
        chosen = ordered(matching, by_name[page.column].rank, page.sort.startswith("-"))
    return Rows(chosen[page.offset : page.offset + page.limit], len(rows), len(matching))


def matches(rows: Sequence[R], q: str, searched: Sequence[Column]) -> Sequence[R]:
    """Return the rows that hold each word, in any of the columns that are searched and in any case."""
    words = q.casefold().split()
    if not words:
        return rows

    def text(row: R) -> str:
        return "\n".join(str(value) for column in searched if (value := column.of(row)) is not None).casefold()

    return [row for row in rows if _holds(text(row), words)]


def _holds(text: str, words: Iterable[str]) -> bool:
    return all(word in text for word in words)


def ordered(rows: Sequence[R], rank: Callable[[R], object], is_descending: bool) -> Sequence[R]:
    """Return rows by what they are ranked by; those of which it is unknown (`None`) come last, whichever way."""
    ranked = [(rank(row), row) for row in rows]
    known = [pair for pair in ranked if pair[0] is not None]
    known.sort(key=itemgetter(0), reverse=is_descending)
    return [row for _, row in known] + [row for value, row in ranked if value is None]
