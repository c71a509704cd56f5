"""What is to leave by OTLP: the store is the spool, and keeps of each accepted fact that it still has to go.

A row holds the ids of one transaction, so that noting a fact costs a few bytes and no statement of its own. What is
sent is read from the facts: those that retention or an erasure has removed meanwhile are not there any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.names import HIDDEN
from otel_measure.store.types.facts import OutboxBatch

_TABLES: Final = {table.name: table for table in facts.TABLES}
_EXPECTED: Final = "outbox_expected:"  # begins keys of `meta`
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], list[bytes | str]] = msgspec.msgpack.Decoder().decode


def note(connection: sqlite3.Connection, table: facts.Table, keys: Sequence[bytes | str]) -> None:
    """Note that facts are to leave."""
    connection.execute("INSERT INTO outbox (kind, n, ids) VALUES (?, ?, ?)", (table.name, len(keys), _encode(keys)))


def expect(connection: sqlite3.Connection, token: str, expected: Expected) -> None:
    """Note that facts are about to be kept elsewhere, and are to leave then."""
    text = msgspec.json.encode(expected).decode()
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_EXPECTED + token, text))


def was_expected(connection: sqlite3.Connection, token: str) -> bool:
    """Forget that facts were about to be kept; return whether it was known."""
    return bool(connection.execute("DELETE FROM meta WHERE key = ?", (_EXPECTED + token,)).rowcount)


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


class Expected(NamedTuple):
    """Facts that somebody was about to keep, and that are to leave by OTLP then.

    Attributes:
        at: when, microseconds.
        ids: of the facts, by the name of their kind.
    """

    at: int
    ids: dict[str, list[str]]


class NotedFacts(NamedTuple):
    """A row of the outbox: facts of one kind that were accepted together, by the keys of their ids."""

    seq: int
    kind: str
    keys: list[bytes | str]


class SqliteOutboxQuestions:
    """Satisfies `otel_measure.store.questions.OutboxQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def length(self) -> int:
        """Return how many facts wait."""
        return int(self._connection.execute("SELECT coalesce(sum(n), 0) FROM outbox").fetchone()[0])

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""
        noted = self.noted(limit)
        records: list[Record] = []
        for each in noted:
            records.extend(self.read(each.kind, each.keys))
        return OutboxBatch(tuple(each.seq for each in noted), records) if noted else None

    def noted(self, limit: int) -> list[NotedFacts]:
        """Return the oldest that was noted, as `next` does, facts that are kept elsewhere included."""
        rows = self._connection.execute("SELECT seq, kind, n, ids FROM outbox ORDER BY seq LIMIT ?", (limit,))
        taken: list[NotedFacts] = []
        total = 0
        for seq, kind, n, ids in rows.fetchall():
            if taken and total + n > limit:
                break
            taken.append(NotedFacts(seq, kind, _decode(ids)))
            total += n
        return taken

    def read(self, kind: str, keys: Sequence[bytes | str]) -> list[Record]:
        """Return those of some facts that are here, but for whoever is being erased."""
        return [
            record
            for record in facts.read_by_id(self._connection, _TABLES[kind], keys)
            if not str(getattr(record, "user_id", "")).startswith(HIDDEN)
        ]

    def expected(self, until: int) -> dict[str, Expected]:
        """Return what was expected before a time, microseconds, and not noted yet, by its token."""
        rows = self._connection.execute(
            "SELECT substr(key, ?), value FROM meta WHERE key >= ? AND key < ? ORDER BY key",
            (len(_EXPECTED) + 1, _EXPECTED, _EXPECTED[:-1] + chr(ord(_EXPECTED[-1]) + 1)),
        )
        every = {token: msgspec.json.decode(text, type=Expected) for token, text in rows}
        return {token: expected for token, expected in every.items() if expected.at < until}
