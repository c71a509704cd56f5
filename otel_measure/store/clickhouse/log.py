"""The log of a store: what was done to its small state, in the one order that all who read it see.

The order is that of the server, by number of block and place in it, which it gives when a row becomes visible: whoever
has read up to a row misses none before it. That holds for a table on one node. A replicated table gives numbers before
rows are visible, so the log of a cluster is no replicated one: it is on one server, which all processes ask.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from otel_measure.errors import StoreError
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.tables import LOG

_ENGINE: Final = "MergeTree"
_AFTER: Final = "(_block_number, _block_offset) > ({block:UInt64}, {offset:UInt64})"
_SINCE: Final = (
    "SELECT _block_number, _block_offset, said_by, base64Encode(operation) FROM {db}.log"
    f" WHERE {_AFTER} ORDER BY _block_number, _block_offset"
)
_HAS_SINCE: Final = f"SELECT 1 FROM {{db}}.log WHERE {_AFTER} AND name = {{name:String}} LIMIT 1"


class LogPosition(NamedTuple):
    """Where an entry stands in the log."""

    block: int
    offset: int


BEGINNING: Final = LogPosition(0, 0)
"""Before every entry: blocks are numbered from 1."""


class LogEntry(NamedTuple):
    """One operation.

    Attributes:
        position: where it stands.
        said_by: a random number, by which whoever said it knows it again.
        operation: in base64, as `log_entries.decoded` takes it.
    """

    position: LogPosition
    said_by: int
    operation: str


def refuse_shared_log(database: ClickHouseDatabase) -> None:
    """Refuse a server that has not made the log a table on one node, whatever it was told, as ClickHouse Cloud does.

    Raises:
        StoreError: it is such a server.
    """
    engine = _of_log(database, "engine")
    if engine != _ENGINE:
        raise StoreError(
            f"the server keeps {database.name}.{LOG.name} as {engine}, in which nobody knows in which order rows become"
            " visible, as ClickHouse Cloud does: use a server of your own, or a file"
        )


def log_id(database: ClickHouseDatabase) -> str:
    """Return what the server knows the log by: another table of the same name, as a restored one, has another.

    It is empty where there is no such table.
    """
    return _of_log(database, "toString(uuid)")


def _of_log(database: ClickHouseDatabase, what: str) -> str:
    sql = f"SELECT {what} FROM system.tables WHERE database = {{of:String}} AND name = {{log:String}}"
    rows = database.rows(sql, of=database.name, log=LOG.name)
    return str(rows[0][0]) if rows else ""


class OperationLog:
    """The log of one store.

    Args:
        database: of the store.
    """

    def __init__(self, database: ClickHouseDatabase) -> None:
        self._database = database

    def append(self, name: str, operation: bytes, said_by: int) -> None:
        """Add an operation; when it returns it is on the server's disk.

        Raises:
            StoreUnavailable: the server did not say that it has it; it may have it all the same.
        """
        self._database.insert("log", {"name": [name], "operation": [operation], "said_by": [said_by]})

    def has_since(self, position: LogPosition, name: str) -> bool:
        """Tell whether an operation of a name was said after a position."""
        return bool(self._database.rows(_HAS_SINCE, block=position.block, offset=position.offset, name=name))

    def since(self, position: LogPosition) -> list[LogEntry]:
        """Return what was said after a position, in order."""
        rows = self._database.rows(_SINCE, block=position.block, offset=position.offset)
        return [LogEntry(LogPosition(block, offset), said_by, text) for block, offset, said_by, text in rows]
