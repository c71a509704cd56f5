"""What others tell of calls of models, kept right: what came is followed, what is settled is forgotten."""

from __future__ import annotations

import logging
import sqlite3
from typing import Final

from otel_measure.store.sqlite import growing, overshown, tellings
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.streams import Interpreter

_log: Final = logging.getLogger(__name__)
_TELLINGS_AT_ONCE: Final = 1000
_PROCESSES_AT_ONCE: Final = 20


def has_changed(connection: sqlite3.Connection, now: int) -> bool:
    """Tell whether something came that is not followed yet, or is due to be shown."""
    return bool(
        tellings.untold(connection, 1) or growing.changed(connection, 1) or overshown.has_overdue(connection, now)
    )


def count(transaction: Transaction, interpreter: Interpreter, now: int) -> int:
    """Follow a part of what came; return how many calls that counters show were taken back."""
    reassigned = 0
    overshown.show_overdue(transaction, now)
    if transaction.rolls_up and (waiting := tellings.untold(transaction.connection, _TELLINGS_AT_ONCE)):
        _, reassigned = tellings.follow(transaction, waiting)
    for process in growing.changed(transaction.connection, _PROCESSES_AT_ONCE):
        reassigned += _count_one(transaction, process, interpreter)
    return reassigned


def _count_one(transaction: Transaction, process: int, interpreter: Interpreter) -> int:
    """Count one process; a fault in what it told costs no other."""
    connection = transaction.connection
    connection.execute("SAVEPOINT process")
    try:
        reassigned = growing.count(transaction, process, interpreter)
    except (ArithmeticError, LookupError, TypeError, ValueError, sqlite3.IntegrityError) as fault:
        connection.execute("ROLLBACK TO process")
        transaction.names.clear()
        connection.execute("UPDATE process SET changed = 0 WHERE id = ?", (process,))
        _log.warning("what the metrics of a process tell of calls is left as it was: %r", fault)
        reassigned = 0
    connection.execute("RELEASE process")
    return reassigned


def sweep(connection: sqlite3.Connection, now: int) -> None:
    """Forget what cannot change any more."""
    growing.settle(connection, now)
    tellings.sweep(connection, now)
