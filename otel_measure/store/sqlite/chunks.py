"""Statements over many values, some hundred at a time: SQLite bounds how many one may name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

T = TypeVar("T")
VALUES_AT_ONCE: Final = 500


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
