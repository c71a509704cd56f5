"""Calls that others told of and of which nothing more can be told: they go to where facts lie, some at a time.

A batch is begun here, written there under its number, and ended here, which takes its calls out of what is here. Who
asks at a moment leaves out what lies there under a number that had not ended then: so each call is in one place.
What the calls added to totals stays here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.records.ids import id_keys, id_text
from otel_measure.records.kinds import Inference
from otel_measure.store.sqlite import following, kept, models, totals
from otel_measure.store.sqlite.amending import cells_of
from otel_measure.store.sqlite.chunks import change_in
from otel_measure.store.sqlite.transaction import Transaction

# Keys of `meta`.
_ENDED: Final = "final calls"
_BEGUN: Final = "final calls that go"
_encode = msgspec.json.Encoder().encode
_decode: Callable[[str], list[str]] = msgspec.json.Decoder(list[str]).decode


class FinalCalls(NamedTuple):
    """Calls that go.

    Attributes:
        number: of their batch.
        has_begun: whether there are any; what has begun has to end, also where retention left none of them.
        calls: those.
    """

    number: int
    has_begun: bool
    calls: list[Inference]


def still_told_of(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the ids of the calls of which something tells that may tell more of them."""
    rows = connection.execute("SELECT call FROM telling WHERE call IS NOT NULL UNION SELECT call FROM single")
    return frozenset(call for (call,) in rows)


def last_batch(connection: sqlite3.Connection) -> int:
    """Return the number of the last batch that has ended; 0 before the first."""
    return int(kept.value(connection, _ENDED) or 0)


def begin(transaction: Transaction, before: int, limit: int) -> FinalCalls:
    """Return the batch that has begun and not ended, or a new one.

    Args:
        transaction: of the store.
        before: new ones are of calls before it, microseconds.
        limit: of how many at most, the earliest.
    """
    connection = transaction.connection
    begun = kept.value(connection, _BEGUN)
    ids = [] if begun is None else _decode(begun)
    if begun is None and transaction.rolls_up:
        ids = list(islice(_final(connection, before), limit))
        if ids:
            connection.execute("INSERT INTO meta VALUES (?, ?)", (_BEGUN, _encode(ids).decode()))
    has_begun = begun is not None or bool(ids)
    return FinalCalls(last_batch(connection) + 1, has_begun, list(following.stored_calls(connection, ids).values()))


def _final(connection: sqlite3.Connection, before: int) -> Iterator[str]:
    """Yield the ids of calls before a time of which nothing more can be told, the earliest first."""
    told = still_told_of(connection)
    # The first days of 1970, by whatever calendar, have no place elsewhere.
    rows = connection.execute("SELECT id FROM inference WHERE ts > ? AND ts < ? ORDER BY ts, id", (2 * DAY_US, before))
    return (record_id for (key,) in rows if (record_id := id_text(key)) not in told)


def end(transaction: Transaction, number: int) -> None:
    """Take the calls of a batch out, which lie elsewhere now; does nothing where it has ended already."""
    connection = transaction.connection
    begun = kept.value(connection, _BEGUN)
    if begun is None or number != last_batch(connection) + 1:
        return
    calls = list(following.stored_calls(connection, _decode(begun)).values())
    totals.merge(connection, transaction.names, summed(calls), into="total_base")
    change_in(connection, "DELETE FROM inference WHERE id IN", id_keys([call.id for call in calls]))
    models.recount_minutes(transaction, cells_of(transaction, calls))
    connection.execute("DELETE FROM meta WHERE key = ?", (_BEGUN,))
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_ENDED, str(number)))


def take_back(transaction: Transaction, sums: Mapping[TotalKey, Sum]) -> None:
    """Forget that calls were elsewhere which are facts here now: what they add to totals was kept for them.

    Args:
        transaction: of the store.
        sums: what they add.
    """
    connection = transaction.connection
    has_any = last_batch(connection) > 0
    connection.execute("DELETE FROM meta WHERE key IN (?, ?)", (_ENDED, _BEGUN))
    if not has_any:
        return
    for whole in sums.values():
        whole.negate()
    for table in ("total", "total_base"):
        totals.merge(connection, transaction.names, sums, into=table)
        # What spans alone told is shown later than it is stored: it has added nothing to what is shown of it yet.
        connection.execute(f"DELETE FROM {table} WHERE value = 0 AND count = 0")
