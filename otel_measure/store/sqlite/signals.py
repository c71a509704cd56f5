"""What others tell of calls of models and runs of agents, kept right: what came is followed, what settled forgotten."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

from otel_measure.definitions.tellings import Telling
from otel_measure.store.sqlite import agents, following, growing, overshown, tellings
from otel_measure.store.sqlite.following import Followed
from otel_measure.store.sqlite.tellings import TellingRow
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.calls import TakenTellings, TellingOutcome
from otel_measure.store.types.streams import Interpreter, NotInterpreted

_log: Final = logging.getLogger(__name__)
_TELLINGS_AT_ONCE: Final = 1000
_PROCESSES_AT_ONCE: Final = 20


def take(transaction: Transaction, told: Sequence[Telling]) -> TakenTellings:
    """Store what tells of calls and runs, and have these follow; while nothing may be rolled up, calls follow later."""
    rows, known_traces = tellings.new_rows(transaction, told)
    new = {row.telling.id: row for row in rows if row is not None}
    followed = following.follow_new(transaction, new, known_traces) if transaction.rolls_up else following.NOTHING
    tellings.insert(transaction.connection, new, followed.call_of)
    agents.follow(transaction, followed.traces | tellings.traces_of(row.telling for row in new.values()))
    if not transaction.rolls_up:
        return TakenTellings(
            ["span" if each.record is None and each.step is None else "accepted" if row is not None else "duplicate"
             for each, row in zip(told, rows, strict=True)], [], 0,
        )  # fmt: skip
    outcomes = _outcomes(told, rows, followed)
    return TakenTellings(outcomes, sorted(followed.new_calls), followed.reassigned)


def _outcomes(told: Sequence[Telling], rows: Sequence[TellingRow | None], followed: Followed) -> list[TellingOutcome]:
    """Return what became of tellings: the first one of a new call is the call, the others tell of the same."""
    outcomes: list[TellingOutcome] = []
    not_said = set(followed.new_calls)
    for telling, row in zip(told, rows, strict=True):
        if telling.record is None and telling.step is None:
            outcomes.append("span")
        elif row is None:
            outcomes.append("duplicate")
        elif telling.record is None:
            outcomes.append("accepted")
        elif (call := followed.call_of.get(telling.id)) in not_said:
            not_said.discard(call)
            outcomes.append("accepted")
        else:
            outcomes.append("same_call")
    return outcomes


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
        followed = following.follow_stored(transaction, waiting)
        agents.follow(transaction, followed.traces)
        reassigned = followed.reassigned
    for process in growing.changed(transaction.connection, _PROCESSES_AT_ONCE):
        reassigned += _count_one(transaction, process, interpreter)
    return reassigned


def _count_one(transaction: Transaction, process: int, interpreter: Interpreter) -> int:
    """Count one process; a fault in what it told costs no other."""
    connection = transaction.connection
    connection.execute("SAVEPOINT process")
    try:
        reassigned = growing.count(transaction, process, interpreter)
    except NotInterpreted:  # it is asked again
        connection.execute("ROLLBACK TO process")
        transaction.names.clear()
        reassigned = 0
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
    agents.sweep(connection)
