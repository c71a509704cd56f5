"""Changes to the cells of an environment, gathered over a batch and written with one statement per kind."""

from __future__ import annotations

import sqlite3
from functools import lru_cache

from otel_measure.definitions.cells import CellChanges, CellKind


@lru_cache(maxsize=64)
def upsert(kind: CellKind) -> str:
    """Return the statement that adds to a cell."""
    marks = ",".join("?" * (1 + len(kind.keys) + len(kind.sums)))
    changes = ",".join(f"{column} = {column} + excluded.{column}" for column in kind.sums)
    key = ",".join(("environment", *kind.keys))
    return (
        f"INSERT INTO {kind.name} ({key},{','.join(kind.sums)}) VALUES ({marks})"
        f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


@lru_cache(maxsize=64)
def remove_empty(kind: CellKind) -> str:
    """Return the statement that removes a cell in which nothing is left."""
    return f"DELETE FROM {kind.name} WHERE " + " AND ".join(
        ("environment = ?", *(f"{key} = ?" for key in kind.keys), *(f"{column} = 0" for column in kind.sums))
    )


def add_cells(connection: sqlite3.Connection, environment: int, changes: CellChanges) -> None:
    """Write changes; cells that end up empty are removed, so a cell is there only for what is."""
    for kind, changed in changes:
        connection.executemany(upsert(kind), [(environment, *key, *sums) for key, sums in changed])
        lowered = [(environment, *key) for key, sums in changed if kind.is_signed or min(sums) < 0]
        if lowered:
            connection.executemany(remove_empty(kind), lowered)
