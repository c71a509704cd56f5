"""What the operations of the log add up to, written down now and then, so that the log may be short.

A process that starts loads the newest one and applies what was said since. Entries that are in it are removed some
minutes later: whoever reads the log more often than that misses none, and whoever does not begins at a snapshot.
"""

from __future__ import annotations

import secrets
from binascii import a2b_base64
from typing import Final, NamedTuple

from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.log import BEGINNING, LogPosition

STALE_S: Final = 300.0
"""Whoever has not read the log for so long, in seconds, asks for a snapshot first."""
KEPT_S = 600
"""How long an entry stays at least, in seconds."""
_CHUNK_BYTES: Final = 2**24


class StateSnapshot(NamedTuple):
    """The small state after an entry of the log.

    Attributes:
        position: of that entry.
        said_by: of that entry, 0 where it is the beginning.
        contents: a database of SQLite.
    """

    position: LogPosition
    said_by: int
    contents: bytes


class Snapshots:
    """The snapshots of one store.

    Args:
        database: of the store.
    """

    def __init__(self, database: ClickHouseDatabase) -> None:
        self._database = database

    def newest(self, after: LogPosition = BEGINNING) -> StateSnapshot | None:
        """Return the newest one, of an entry after this one; `None` for none."""
        position = self.position()
        if position <= after:
            return None
        rows = self._database.rows(
            "SELECT said_by, base64Encode(contents) FROM {db}.snapshot"
            " WHERE id = (SELECT min(id) FROM {db}.snapshot WHERE"
            " block = {block:UInt64} AND place = {place:UInt64} AND is_last) ORDER BY number",
            block=position.block,
            place=position.offset,
        )
        return StateSnapshot(position, int(rows[0][0]), b"".join(a2b_base64(text) for _, text in rows))

    def position(self) -> LogPosition:
        """Return of which entry the newest snapshot is; that before every entry where there is none."""
        rows = self._database.rows(
            "SELECT block, place FROM {db}.snapshot WHERE is_last ORDER BY block DESC, place DESC LIMIT 1"
        )
        return LogPosition(*rows[0]) if rows else BEGINNING

    def write(self, snapshot: StateSnapshot) -> None:
        """Write one, and remove those before it."""
        this, contents = secrets.randbits(128), snapshot.contents
        firsts = range(0, len(contents), _CHUNK_BYTES)
        for number, first in enumerate(firsts):
            self._database.insert(
                "snapshot",
                {
                    "id": [this],
                    "block": [snapshot.position.block],
                    "place": [snapshot.position.offset],
                    "number": [number],
                    "is_last": [int(number == len(firsts) - 1)],
                    "contents": [contents[first : first + _CHUNK_BYTES]],
                    "said_by": [snapshot.said_by],
                },
            )
        self._database.run(
            f"DELETE FROM {{db}}.snapshot WHERE (block, place) < ({snapshot.position.block:d},"
            f" {snapshot.position.offset:d})"
        )

    def trim(self) -> None:
        """Remove the entries of the log that are in the newest snapshot, but for those of the last minutes."""
        position = self.position()
        old = (
            f"(_block_number, _block_offset) < ({position.block:d}, {position.offset:d})"
            f" AND received < now64(6) - INTERVAL {KEPT_S:d} SECOND"
        )
        if self._database.rows(f"SELECT 1 FROM {{db}}.log WHERE {old} LIMIT 1"):
            self._database.run(f"DELETE FROM {{db}}.log WHERE {old}")

    def are_before(self, name: str) -> bool:
        """Tell whether operations of a name stand in the log that no snapshot has."""
        newest = "SELECT _block_number, _block_offset FROM {db}.log WHERE name = {name:String} ORDER BY 1 DESC, 2 DESC"
        rows = self._database.rows(f"{newest} LIMIT 1", name=name)
        return bool(rows) and LogPosition(*rows[0]) >= self.position()

    def entries(self, name: str) -> int:
        """Return how many operations of a name stand in the log."""
        return int(self._database.rows("SELECT count() FROM {db}.log WHERE name = {name:String}", name=name)[0][0])
