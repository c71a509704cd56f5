"""What is to leave by OTLP: the store is the spool, and keeps of each accepted fact that it still has to go.

A row holds the ids of one transaction, so that noting a fact costs a few bytes and no statement of its own. What is
sent is read from the facts: those that retention or an erasure has removed meanwhile are not there any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.types.facts import OutboxBatch

_KEYS_AT_ONCE: Final = 500
_TABLES: Final = {table.name: table for table in facts.TABLES}
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], list[bytes | str]] = msgspec.msgpack.Decoder().decode


def note(connection: sqlite3.Connection, table: facts.Table, keys: Sequence[bytes | str]) -> None:
    """Note that facts are to leave."""
    connection.execute("INSERT INTO outbox (kind, n, ids) VALUES (?, ?, ?)", (table.name, len(keys), _encode(keys)))


class SqliteOutbox:
    """See `store.base.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def length(self) -> int:
        """Return how many facts wait."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT coalesce(sum(n), 0) FROM outbox").fetchone()[0])

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT seq, kind, n, ids FROM outbox ORDER BY seq LIMIT ?", (limit,)).fetchall()
            taken: list[int] = []
            records: list[Record] = []
            total = 0
            for seq, kind, n, ids in rows:
                if taken and total + n > limit:
                    break
                taken.append(seq)
                total += n
                records.extend(_read(connection, _TABLES[kind], _decode(ids)))
        return OutboxBatch(tuple(taken), records) if taken else None

    def done(self, batch: OutboxBatch) -> None:
        """Forget that facts are to leave."""
        with self._database.write() as connection:
            connection.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in batch.seqs])


def _read(connection: sqlite3.Connection, table: facts.Table, keys: list[bytes | str]) -> list[Record]:
    found: list[Record] = []
    for i in range(0, len(keys), _KEYS_AT_ONCE):
        part = keys[i : i + _KEYS_AT_ONCE]
        marks = ",".join("?" * len(part))
        found.extend(facts.read(connection, table, f"WHERE f.id IN ({marks})", tuple(part)))
    return found
