"""Stored facts as the records that they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import COLUMNS_BACK, record_of
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, id_chunks, in_ids
from otel_measure.store.clickhouse.tables import FactTable


def facts(database: ClickHouseDatabase, table: FactTable, ids: Iterable[int]) -> Iterator[Record]:
    """Yield the stored facts of these ids."""
    for some in id_chunks(list(ids)):
        yield from facts_where(database, table, f"id IN {in_ids(some)}")


def facts_where(database: ClickHouseDatabase, table: FactTable, where: str, **parameters: Any) -> Iterator[Record]:
    """Yield the stored facts of one kind for which a condition holds; all of them are read at once.

    Args:
        database: of the store.
        table: of the kind.
        where: in the words of the table; what may follow a condition may follow this one.
        parameters: of the condition, by their names.
    """
    sql = f"SELECT {record_columns(table)} FROM {{db}}.{table.name} FINAL WHERE {where}"
    return (record_of(table, row) for row in database.rows(sql, **parameters))


def record_columns(table: FactTable) -> str:
    """Return the columns that a record is made of, as a query selects them."""
    return ", ".join("toUnixTimestamp64Micro(ts)" if name == "ts" else name for name in COLUMNS_BACK[table.name])
