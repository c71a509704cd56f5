"""The roll-ups of a store as one: what they add, what becomes of persons in them, and counting them anew.

Running totals are none of them: a fact adds to a counter once, when it is accepted, by whichever version accepts it,
and nothing takes that back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from otel_measure.definitions.days import day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.sqlite import activity, answers, experiments, models, quality
from otel_measure.store.sqlite.activity import BackgroundEvent
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.transaction import NOTHING_FROZEN, Accepted, Frozen, RollUp, Transaction, horizon_of

_ROWS_AT_ONCE: Final = 20_000
ROLL_UPS: Final[tuple[RollUp, ...]] = (models, activity, answers, experiments, quality)
TABLES: Final = tuple(table for roll_up in ROLL_UPS for table in roll_up.TABLES)


def personal_rows(connection: sqlite3.Connection) -> int:
    """Return how many rows there are of single persons, which stay when their facts go."""
    personal = "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE c.name = 'uid'"
    tables = {name for (name,) in connection.execute(personal)} & {*TABLES}
    return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in sorted(tables))


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted facts."""
    for roll_up in ROLL_UPS:
        roll_up.add(transaction, new)


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make what two persons did what one did."""
    activity.unite(transaction, into, gone)
    answers.unite(transaction, into, gone)
    experiments.unite(transaction, into, gone)


def forget(transaction: Transaction, uids: Sequence[int], background: Iterable[BackgroundEvent]) -> None:
    """Take back what a person contributed under any id; `background` are the events that are counted by day alone."""
    for uid in uids:
        activity.forget(transaction, uid)
        answers.forget(transaction, uid)
    activity.forget_background(transaction, background)
    experiments.forget(transaction.connection, uids)


# ---------------------------------------------------------------- counting anew


def frozen_before(connection: sqlite3.Connection, definitions: Definitions) -> Frozen:
    """Return before when facts are gone: what was rolled up from them stays as it is, whatever counts the rest.

    A day whose facts are partly gone cannot be counted from the others, and stays like those before it.
    """
    horizon = horizon_of(connection)
    if not horizon:
        return NOTHING_FROZEN
    day = definitions.day_of(horizon)
    if day_start(day, definitions.zone) < horizon:
        day += 1
    return Frozen(day, day_start(day, definitions.zone))


def keep_frozen(connection: sqlite3.Connection, frozen: Frozen) -> None:
    """Remove what facts that are still there have added."""
    for roll_up in ROLL_UPS:
        for table in roll_up.TABLES:
            kept = roll_up.FROZEN.get(table) if frozen != NOTHING_FROZEN else None
            if kept:
                connection.execute(f"DELETE FROM {table} WHERE NOT ({kept})", frozen._asdict())
            else:
                connection.execute(f"DELETE FROM {table}")


def copy_frozen(connection: sqlite3.Connection, frozen: Frozen, source: str) -> Iterator[None]:
    """Copy from the tables of an attached database what facts that are gone have left behind."""
    if frozen == NOTHING_FROZEN:
        return
    for roll_up in ROLL_UPS:
        for table, kept in roll_up.FROZEN.items():
            rows = connection.execute(f"SELECT {kept}, * FROM {source}.{table}", frozen._asdict())
            marks = ",".join("?" * (len(rows.description) - 1))
            for part in chunks(rows, _ROWS_AT_ONCE):  # all of them, so that none takes long to find
                copied = [row for is_kept, *row in part if is_kept]
                connection.executemany(f"INSERT INTO main.{table} VALUES ({marks})", copied)
                yield


def restore(transaction: Transaction, frozen: Frozen) -> Iterator[None]:
    """Count what facts that are gone have left behind; between two steps its caller may do something else."""
    for roll_up in ROLL_UPS:
        yield from roll_up.restore(transaction, frozen)


def recount(transaction: Transaction, frozen: Frozen) -> Iterator[None]:
    """Count the facts that are still there, after `restore`; between two steps its caller may do something else."""
    for roll_up in ROLL_UPS:
        yield from roll_up.recount(transaction, frozen)
