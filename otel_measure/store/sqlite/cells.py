"""Changes to cells, gathered over a batch and written with one statement per kind."""

from __future__ import annotations

import sqlite3
from functools import lru_cache

from otel_measure.definitions.cells import CellChanges, CellKind


@lru_cache(maxsize=64)
def upsert(kind: CellKind, keys: tuple[str, ...]) -> str:
    """Return the statement that adds to a cell, by the columns of its key."""
    marks = ",".join("?" * (len(keys) + len(kind.sums)))
    changes = ",".join(f"{column} = {column} + excluded.{column}" for column in kind.sums)
    columns = ",".join((*keys, *kind.sums))
    return (
        f"INSERT INTO {kind.name} ({columns}) VALUES ({marks}) ON CONFLICT ({','.join(keys)}) DO UPDATE SET {changes}"
    )


@lru_cache(maxsize=64)
def remove_empty(kind: CellKind, keys: tuple[str, ...]) -> str:
    """Return the statement that removes a cell in which nothing is left, by the columns of its key."""
    return f"DELETE FROM {kind.name} WHERE " + " AND ".join(
        (*(f"{key} = ?" for key in keys), *(f"{column} = 0" for column in kind.sums))
    )


def add_cells(connection: sqlite3.Connection, changes: CellChanges, environment: int | None = None) -> None:
    """Write changes; cells that end up empty are removed, so a cell is there only for what is.

    Args:
        connection: within the transaction.
        changes: to cells.
        environment: whose cells they are; `None` for those that the origin tells apart.
    """
    column, value = ((), ()) if environment is None else (("environment",), (environment,))
    for kind, changed in changes:
        keys = (*column, *kind.keys)
        connection.executemany(upsert(kind, keys), [(*value, *key, *sums) for key, sums in changed])
        lowered = [(*value, *key) for key, sums in changed if kind.is_signed or min(sums) < 0]
        if lowered:
            connection.executemany(remove_empty(kind, keys), lowered)
