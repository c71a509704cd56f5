"""Retention by age: partitions of days that are over are dropped, and what their facts added to totals is kept.

What is to be removed is first noted, with what it has added to totals. Whoever finds such a note removes what it names
and takes it away, so that a process that ends in the middle leaves nothing counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.records.kinds import EvaluationResult, Inference, UserEvent
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.reading import facts_where
from otel_measure.store.clickhouse.tables import FACT_TABLES, FactTable

_BY_AGE: Final = "age"
_TABLES: Final = {table.name: table for table in FACT_TABLES}


class Removals(Protocol):
    """The notes of what is being removed."""

    def begin_removal(self, key: str, sums: Mapping[TotalKey, Sum]) -> None:
        """Note what is about to be removed, and keep what it has added to totals, unless it is noted already."""

    def end_removal(self, key: str) -> None:
        """Take a note away."""

    def removals(self) -> list[str]:
        """Return the notes that are there."""


class _Old(NamedTuple):
    """What is too old of one partition: all rows of days before one."""

    table: str
    partition: str
    before: int

    @property
    def key(self) -> str:
        """As it is noted."""
        return f"{_BY_AGE}:{self.table}:{self.partition}:{self.before}"

    @classmethod
    def of_key(cls, key: str) -> _Old:
        """Return what a note names."""
        _, table, partition, before = key.split(":")
        return cls(table, partition, int(before))


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
        for key in self._notes.removals():
            if key.startswith(f"{_BY_AGE}:"):
                self._remove(_Old.of_key(key))
        removed = 0
        for table in FACT_TABLES:
            for partition, n in self._partitions(table, day):
                old = _Old(table.name, partition, day)
                self._notes.begin_removal(old.key, self._totals(old))
                self._remove(old)
                removed += n
        return removed

    def _partitions(self, table: FactTable, day: int) -> list[tuple[str, int]]:
        """Return the partitions that have older rows, and how many, the oldest one first."""
        rows = self._database.rows(
            f"SELECT _partition_id AS of, count() FROM {{db}}.{table.name} FINAL WHERE day < toDate({day:d})"
            " GROUP BY of ORDER BY of"
        )
        return [(partition, n) for partition, n in rows]

    def _totals(self, old: _Old) -> dict[TotalKey, Sum]:
        table = _TABLES[old.table]
        if table.record not in (UserEvent, Inference, EvaluationResult):
            return {}
        where = f"_partition_id = {{partition:String}} AND day < toDate({old.before:d})"
        return summed(facts_where(self._database, table, where, partition=old.partition))

    def _remove(self, old: _Old) -> None:
        last_day = self._database.rows(
            f"SELECT max(toUInt16(day)) FROM {{db}}.{old.table} WHERE _partition_id = {{partition:String}}",
            partition=old.partition,
        )[0][0]
        if last_day < old.before:
            self._database.run(f"ALTER TABLE {{db}}.{old.table} DROP PARTITION ID '{old.partition}'")
        else:
            self._database.run(f"DELETE FROM {{db}}.{old.table} WHERE day < toDate({old.before:d})")
        self._notes.end_removal(old.key)
