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
from otel_measure.store.sqlite.names import HIDDEN
from otel_measure.store.types.facts import OutboxBatch

_TABLES: Final = {table.name: table for table in facts.TABLES}
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], list[bytes | str]] = msgspec.msgpack.Decoder().decode


def note(connection: sqlite3.Connection, table: facts.Table, keys: Sequence[bytes | str]) -> None:
    """Note that facts are to leave."""
    connection.execute("INSERT INTO outbox (kind, n, ids) VALUES (?, ?, ?)", (table.name, len(keys), _encode(keys)))


def remove(connection: sqlite3.Connection, batch: OutboxBatch) -> None:
    """Forget that facts are to leave."""
    connection.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in batch.seqs])


def forget_facts(connection: sqlite3.Connection, table: facts.Table, keys: Sequence[bytes | str]) -> None:
    """Remove the ids of facts that were erased."""
    erased = set(keys)
    rows = connection.execute("SELECT seq, ids FROM outbox WHERE kind = ?", (table.name,)) if erased else ()
    for seq, ids in list(rows):
        noted = _decode(ids)
        left = [key for key in noted if key not in erased]
        if not left:
            connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
        elif len(left) < len(noted):
            connection.execute("UPDATE outbox SET n = ?, ids = ? WHERE seq = ?", (len(left), _encode(left), seq))


class SqliteOutboxQuestions:
    """Satisfies `otel_measure.store.questions.OutboxQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def length(self) -> int:
        """Return how many facts wait."""
        return int(self._connection.execute("SELECT coalesce(sum(n), 0) FROM outbox").fetchone()[0])

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""
        rows = self._connection.execute("SELECT seq, kind, n, ids FROM outbox ORDER BY seq LIMIT ?", (limit,))
        taken: list[int] = []
        records: list[Record] = []
        total = 0
        for seq, kind, n, ids in rows.fetchall():
            if taken and total + n > limit:
                break
            taken.append(seq)
            total += n
            records.extend(
                record
                for record in facts.read_by_id(self._connection, _TABLES[kind], _decode(ids))
                if not str(getattr(record, "user_id", "")).startswith(HIDDEN)  # whoever is being erased
            )
        return OutboxBatch(tuple(taken), records) if taken else None
