"""Changes to cells, gathered over a batch and written with one statement per table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

Key: TypeAlias = tuple[int | str, ...]


class CellTable(NamedTuple):
    """A table of sums: its key columns and what adds up."""

    name: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]

    @property
    def upsert(self) -> str:
        """The statement that adds to a cell."""
        marks = ",".join("?" * (len(self.keys) + len(self.sums)))
        changes = ",".join(f"{column} = {column} + excluded.{column}" for column in self.sums)
        columns = ",".join((*self.keys, *self.sums))
        return (
            f"INSERT INTO {self.name} ({columns}) VALUES ({marks})"
            f" ON CONFLICT ({','.join(self.keys)}) DO UPDATE SET {changes}"
        )

    @property
    def remove_empty(self) -> str:
        """The statement that removes a cell in which nothing is left."""
        return f"DELETE FROM {self.name} WHERE " + " AND ".join(
            (*(f"{key} = ?" for key in self.keys), *(f"{column} = 0" for column in self.sums))
        )


GAPS: Final = CellTable("gap_cell", ("day", "gap"), ("n",))
COHORTS: Final = CellTable("cohort_cell", ("cohort", "day_offset"), ("n",))
SESSIONS: Final = CellTable(
    "session_cell", ("day",), ("sessions", "duration_us", "events", "viewed", "bounced", "background")
)
# The only cells that may be negative, and come back to nothing from below.
GOALS: Final = CellTable("goal_cell", ("goal", "hit_day", "day"), ("persons", "wait_us"))
GOAL_SUMS: Final = CellTable("goal_sum", ("goal", "hit_day", "day", "currency"), ("n", "valued", "amount", "nanos"))
ANSWERS: Final = CellTable("nps_cell", ("day", "survey", "until", "score"), ("n",))
CELL_TABLES: Final = (GAPS, COHORTS, SESSIONS, GOALS, GOAL_SUMS, ANSWERS)


class Tally:
    """What is to be added to the cells of every table."""

    def __init__(self) -> None:
        self._changes: dict[CellTable, dict[Key, list[int]]] = {}

    def add(self, table: CellTable, key: Key, values: Iterable[int], sign: int = 1) -> None:
        """Add to a cell, or with `sign=-1` take away."""
        found = self.cell(table, key)
        for i, value in enumerate(values):
            found[i] += sign * value

    def cell(self, table: CellTable, key: Key) -> list[int]:
        """Return what is to be added to a cell, to be changed in place."""
        cells = self._changes.setdefault(table, {})
        found = cells.get(key)
        if found is None:
            found = cells[key] = [0] * len(table.sums)
        return found

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the changes; cells that end up empty are removed, so a cell is there only for what is."""
        for table, cells in self._changes.items():
            changed = [(key, sums) for key, sums in cells.items() if any(sums)]
            connection.executemany(table.upsert, [(*key, *sums) for key, sums in changed])
            lowered: Sequence[Key] = [key for key, sums in changed if table is GOALS or min(sums) < 0]
            if lowered:
                connection.executemany(table.remove_empty, lowered)
        self._changes.clear()
