"""Statements over many values, some hundred at a time: SQLite bounds how many one may name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any, Final, TypeVar

T = TypeVar("T")
VALUES_AT_ONCE: Final = 500
_ROWS_AT_ONCE: Final = 50  # 18 columns of them are below any SQLite's limit


def chunks(items: Iterable[T], size: int = VALUES_AT_ONCE) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def marks(n: int) -> str:
    """Return the list of `n` marks that stand for values after IN."""
    return f"({','.join('?' * n)})"


def rows_in(connection: sqlite3.Connection, select: str, values: Iterable[Any]) -> Iterator[Any]:
    """Yield the rows of a statement that ends with IN, for all values."""
    for part in chunks(values):
        yield from connection.execute(f"{select} {marks(len(part))}", part)


def change_in(connection: sqlite3.Connection, statement: str, values: Iterable[Any]) -> int:
    """Run a statement that ends with IN, for all values, and return how many rows it changed."""
    return sum(connection.execute(f"{statement} {marks(len(part))}", part).rowcount for part in chunks(values))


def insert(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, most of them many by one statement, which costs a fifth less than one for each."""
    end = len(rows) - len(rows) % _ROWS_AT_ONCE
    for i in range(0, end, _ROWS_AT_ONCE):
        values = list(chain.from_iterable(rows[i : i + _ROWS_AT_ONCE]))
        connection.execute(_insertion(table, columns, _ROWS_AT_ONCE), values)
    connection.executemany(_insertion(table, columns, 1), rows[end:])


@cache
def _insertion(table: str, columns: tuple[str, ...], n: int) -> str:
    """Return the plain insert of `n` rows."""
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES {','.join([marks(len(columns))] * n)}"
