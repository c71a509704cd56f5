"""Retention by age: partitions of days that are over are dropped, and what their facts added to totals is kept.

What is to be removed of measured facts is first noted, with what it has added to totals, and that is a whole partition.
Whoever finds such a note removes what it names and takes it away, so that a process that ends in the middle leaves
nothing counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.measured import MEASURED_TABLES, sums_where
from otel_measure.store.clickhouse.tables import FACT_TABLES, FactTable

_BY_AGE: Final = "by age:"


class Removals(Protocol):
    """The notes of what is being removed."""

    def begin_removal(self, key: str, sums: Mapping[TotalKey, Sum]) -> None:
        """Note what is about to be removed, and keep what it has added to totals, unless it is noted already."""

    def end_removal(self, key: str) -> None:
        """Take a note away."""

    def removals(self) -> list[str]:
        """Return the notes that are there."""


def partition_of(key: str) -> tuple[str, str] | None:
    """Return the table and the partition that a note names, `None` where it names something else."""
    if not key.startswith(_BY_AGE):
        return None
    table, _, partition = key.removeprefix(_BY_AGE).partition("|")
    return table, partition


class AgeSweeper:
    """Removes facts by their age.

    Args:
        database: of the store.
        notes: of what is being removed.
    """

    def __init__(self, database: ClickHouseDatabase, notes: Removals) -> None:
        self._database = database
        self._notes = notes

    def remove_before(self, day: int) -> int:
        """Remove the facts of all days before one; return how many there were.

        Args:
            day: days since 1970.

        Raises:
            StoreUnavailable: the server has not done all of it; to do it again completes it.
        """
        self.remove_noted()
        return sum(self._remove(table, day) for table in FACT_TABLES)

    def remove_noted(self) -> None:
        """Complete what somebody has begun to remove.

        Raises:
            StoreUnavailable: the server has not done all of it; to do it again completes it.
        """
        for key in self._notes.removals():
            if (of := partition_of(key)) is not None:
                self._drop(*of)
                self._notes.end_removal(key)

    def _remove(self, table: FactTable, day: int) -> int:
        rows = self._database.rows(
            f"SELECT _partition_id AS of, count() FROM {{db}}.{table.name} FINAL"
            f" WHERE day < toDate({day:d}) GROUP BY of ORDER BY of"
        )
        for partition, _ in rows:
            if table.name in MEASURED_TABLES:
                self._drop_measured(table, partition)
            elif self._last_day(table, partition) < day:
                self._drop(table.name, partition)
        if rows and table.name not in MEASURED_TABLES and self._is_left(table, day):
            self._database.delete(table.name, f"day < toDate({day:d})")
        return sum(n for _, n in rows)

    def _drop_measured(self, table: FactTable, partition: str) -> None:
        key = f"{_BY_AGE}{table.name}|{partition}"
        self._notes.begin_removal(key, sums_where(self._database, table, f"_partition_id = '{partition}'"))
        self._drop(table.name, partition)
        self._notes.end_removal(key)

    def _drop(self, table: str, partition: str) -> None:
        self._database.alter(table, f"DROP PARTITION ID '{partition}'")

    def _last_day(self, table: FactTable, partition: str) -> int:
        sql = f"SELECT max(toUInt16(day)) FROM {{db}}.{table.name} WHERE _partition_id = '{partition}'"
        return int(self._database.rows(sql)[0][0])

    def _is_left(self, table: FactTable, day: int) -> bool:
        return bool(self._database.rows(f"SELECT 1 FROM {{db}}.{table.name} WHERE day < toDate({day:d}) LIMIT 1"))
