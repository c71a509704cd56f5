"""What a store knows of facts that another one keeps: whose were removed, what they had added, what counts anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.errors import StoreError
from otel_measure.store.sqlite import kept, totals
from otel_measure.store.sqlite.transaction import Transaction

_BEING_REMOVED: Final = "being removed:"
_REMOVALS: Final = "removals"
_RECOUNTED_BY: Final = "recounted by"


class WaitingErasure(NamedTuple):
    """An erasure of which bytes are left.

    Attributes:
        receipt: of it.
        erased_at: microseconds.
        masked_at: when all its rows were gone from the tables in use, seconds by the server; 0 while some are not.
    """

    receipt: int
    erased_at: int
    masked_at: int


def begin_removal(transaction: Transaction, key: str, sums: Mapping[TotalKey, Sum]) -> bool:
    """Keep what facts have added to totals that are about to be removed; return whether that was not kept already.

    Args:
        transaction: of the store.
        key: says which facts; it is known until `end_removal`.
        sums: what they add.

    Raises:
        StoreError: facts are being counted anew: they would be copied and removed at once.
    """
    connection = transaction.connection
    if recounted_by(connection) is not None:
        raise StoreError("facts are being counted anew: none is removed meanwhile")
    name = _BEING_REMOVED + key
    is_new = connection.execute("INSERT OR IGNORE INTO meta VALUES (?, '')", (name,)).rowcount > 0
    if is_new:
        _note_beginning(connection)
        for table in ("total", "total_base"):
            totals.merge(connection, transaction.names, sums, into=table)
    return is_new


def _note_beginning(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO meta VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET value = value + 1", (_REMOVALS,))


def end_removal(connection: sqlite3.Connection, key: str) -> None:
    """Note that facts are gone."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_BEING_REMOVED + key,))


def removals(connection: sqlite3.Connection) -> list[str]:
    """Return the keys of the removals that have begun and not ended."""
    rows = connection.execute(
        "SELECT substr(key, ?) FROM meta WHERE key LIKE ? ORDER BY key", (len(_BEING_REMOVED) + 1, _BEING_REMOVED + "%")
    )
    return [key for (key,) in rows]


def begun(connection: sqlite3.Connection) -> int:
    """Return how many removals have ever begun, and how often facts were counted anew."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_REMOVALS,)).fetchone()
    return int(row[0]) if row else 0


def begin_recount(connection: sqlite3.Connection, definitions: str) -> bool:
    """Note by which definitions facts are being counted anew; return `False` while any are being removed.

    Raises:
        StoreError: they are by others.
    """
    by = recounted_by(connection)
    if by is not None and by != definitions:
        raise StoreError("the store is being counted anew by other definitions")
    if by is None and not removals(connection):
        _note_beginning(connection)
        connection.execute("INSERT INTO meta VALUES (?, ?)", (_RECOUNTED_BY, definitions))
    return recounted_by(connection) is not None


def end_recount(connection: sqlite3.Connection) -> None:
    """Note that all facts are counted anew."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_RECOUNTED_BY,))


def recounted_by(connection: sqlite3.Connection) -> str | None:
    """Return by which definitions facts are being counted anew, `None` where they are not."""
    return kept.value(connection, _RECOUNTED_BY)


def waiting(connection: sqlite3.Connection) -> list[WaitingErasure]:
    """Return the erasures of which bytes are left, the first one first."""
    rows = connection.execute(
        "SELECT receipt, erased_at, in_pass FROM erasure WHERE cleared_at IS NULL ORDER BY receipt"
    )
    return [WaitingErasure(*row) for row in rows]


def note_masked(connection: sqlite3.Connection, receipts: Sequence[int], at_s: int) -> None:
    """Note when the rows of erasures were gone from the tables in use."""
    connection.executemany("UPDATE erasure SET in_pass = ? WHERE receipt = ?", [(at_s, each) for each in receipts])


def note_cleared(connection: sqlite3.Connection, receipts: Iterable[int], now: int) -> None:
    """Note that no byte of the persons is left, microseconds."""
    connection.executemany(
        "UPDATE erasure SET cleared_at = ?, in_pass = 0 WHERE receipt = ? AND cleared_at IS NULL",
        [(now, each) for each in receipts],
    )
