"""What a Collector writes beside a store is read on, from where the store notes that it was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from otel_measure.store.clickhouse.collected import CollectorTables, ReadUntil
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.collected import CollectedRow

_MOST_NOTES: Final = 1_000
_OF_TABLE: Final = "collector = {collector:String} AND name = {name:String}"


class CollectorReading:
    """Satisfies `otel_measure.store.types.collected.ReadsCollector`.

    It connects when it first reads: a process begins while the server is away. Who reads it is one process at a time;
    were it two, both would take the same rows in, which count once.

    Args:
        connect: returns the database of the store, which is there.
        collector: the name of the database in which the Collector writes, on the same server.

    Attributes:
        collector: that name.
    """

    def __init__(self, connect: Callable[[], ClickHouseDatabase], collector: str) -> None:
        self._connect = connect
        self.collector: Final = collector
        self._opened: tuple[ClickHouseDatabase, ClickHouseDatabase] | None = None

    def take(self, receive: Callable[[Sequence[CollectedRow]], object]) -> bool:
        """Give the next rows of each table to `receive`, and note that they are read; return whether there were any."""
        store, collector = self._databases()
        tables = CollectorTables(collector)
        has_more = False
        for table in tables.prepare():
            rows, until = tables.next(table, self._read_until(store, table.name))
            if rows:
                receive(rows)
                self._note(store, table.name, until)
                has_more = True
        return has_more

    def _databases(self) -> tuple[ClickHouseDatabase, ClickHouseDatabase]:
        if self._opened is None:
            store = self._connect()
            self._opened = store, store.beside(self.collector)
        return self._opened

    def _read_until(self, store: ClickHouseDatabase, name: str) -> ReadUntil:
        rows = store.rows(
            f"SELECT received_us, looked_at FROM {{db}}.collected WHERE {_OF_TABLE}"
            " ORDER BY _block_number DESC, _block_offset DESC LIMIT 1",
            collector=self.collector,
            name=name,
        )
        return ReadUntil(*rows[0]) if rows else ReadUntil()

    def _note(self, store: ClickHouseDatabase, name: str, until: ReadUntil) -> None:
        store.insert(
            "collected",
            {
                "collector": [self.collector],
                "name": [name],
                "received_us": [until.received_us],
                "looked_at": [until.looked_at],
            },
        )
        ((notes, newest),) = store.rows(
            f"SELECT count(), max(_block_number) FROM {{db}}.collected WHERE {_OF_TABLE}",
            collector=self.collector,
            name=name,
        )
        if notes > _MOST_NOTES:
            store.run(
                f"DELETE FROM {{db}}.collected WHERE name = '{name}' AND collector = '{self.collector}'"
                f" AND _block_number < {newest:d}"
            )

    def after_fork_in_child(self) -> None:
        """Take connections of one's own: those of the parent process are left to it."""
        for database in self._opened or ():
            database.after_fork_in_child()

    def close(self) -> None:
        """Close the connections."""
        for database in self._opened or ():
            database.close()
