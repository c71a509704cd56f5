"""Counting some persons anew, when a link between their ids was taken back.

It is a rebuild of these persons alone: the roll-ups are made of their facts, and of what facts that are gone have left
behind, in tables that live as long as this takes, by the same code as every rebuild. What facts that are gone have left
behind stays with the person whom it was counted for: nothing is left that tells whose it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from otel_measure.definitions.cells import USER_CELLS, CellChanges
from otel_measure.definitions.contributions import ARM_HOURS
from otel_measure.store.sqlite import activity, answers, experiments, facts, roll_ups
from otel_measure.store.sqlite.activity import BackgroundEvent
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.transaction import Frozen, RollUp, Transaction

_OF_PERSONS: Final[tuple[RollUp, ...]] = (activity, answers, experiments)
_CELLS: Final = {kind.name: kind for kind in (*USER_CELLS, ARM_HOURS)}
_FACTS: Final = tuple(table.name for table in facts.TABLES if "uid" in table.columns)


def regroup(transaction: Transaction, uids: Sequence[int], background: Iterable[BackgroundEvent]) -> None:
    """Count persons anew, by whom their ids belong to now.

    Args:
        transaction: one that rolls up.
        uids: all ids of the persons as they were counted, and as they are now.
        background: their events that are counted by day alone, as far as they are counted.
    """
    rows, cells = _counted(transaction, uids)
    roll_ups.forget(transaction, uids, background)
    for table, some in rows.items():
        marks = ",".join("?" * len(some[0]))
        transaction.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", some)
    for environment, changes in cells.items():
        add_cells(transaction.connection, changes, environment)


def _counted(
    transaction: Transaction, uids: Sequence[int]
) -> tuple[dict[str, list[tuple[Any, ...]]], dict[int, CellChanges]]:
    """Return the rows of persons, by table, and what they add to the cells of each environment."""
    connection, frozen = transaction.connection, roll_ups.frozen_before(transaction.connection, transaction.definitions)
    connection.execute("SAVEPOINT regrouping")
    try:
        _hide_others(connection, uids, frozen)
        _count(transaction, frozen)
        rows: dict[str, list[tuple[Any, ...]]] = {}
        cells: dict[int, CellChanges] = {}
        for roll_up in _OF_PERSONS:
            for table in roll_up.TABLES:
                kind = _CELLS.get(table)
                columns = "*" if kind is None else ",".join(("environment", *kind.keys, *kind.sums))
                counted = connection.execute(f"SELECT {columns} FROM temp.{table}").fetchall()
                if kind is None and counted:
                    rows[table] = counted
                elif kind is not None:
                    for environment, *row in counted:
                        changes = cells.setdefault(environment, CellChanges())
                        changes.add(kind, tuple(row[: len(kind.keys)]), row[len(kind.keys) :])
        return rows, cells
    finally:
        connection.execute("ROLLBACK TO regrouping")
        connection.execute("RELEASE regrouping")


def _hide_others(connection: sqlite3.Connection, uids: Sequence[int], frozen: Frozen) -> None:
    """Put before the stored tables views of the facts of these ids, and tables of what is left of older ones."""
    connection.execute("CREATE TEMP TABLE regrouped AS SELECT uid FROM person WHERE uid = 0")
    connection.executemany("INSERT INTO regrouped VALUES (?)", [(uid,) for uid in uids])
    for table in _FACTS:
        # What the journal has is rolled up when it is worked off.
        connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT f.* FROM main.{table} f"
            " WHERE f.uid IN (SELECT uid FROM temp.regrouped)"
            f" AND NOT EXISTS (SELECT 1 FROM main.journal j WHERE j.id = f.id AND j.kind = '{table}')"
        )
    for roll_up in _OF_PERSONS:
        for table in roll_up.TABLES:
            (made,) = connection.execute("SELECT sql FROM main.sqlite_master WHERE name = ?", (table,)).fetchone()
            connection.execute(made.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
            if table not in _CELLS and (kept := roll_up.FROZEN.get(table)):
                connection.execute(
                    f"INSERT INTO temp.{table} SELECT * FROM main.{table}"
                    f" WHERE uid IN (SELECT uid FROM temp.regrouped) AND ({kept})",
                    frozen._asdict(),
                )


def _count(transaction: Transaction, frozen: Frozen) -> None:
    for roll_up in _OF_PERSONS:
        for _ in roll_up.restore(transaction, frozen):
            pass
    merged = "SELECT person, uid FROM person_of JOIN regrouped USING (uid) WHERE person <> uid ORDER BY uid"
    for person, uid in transaction.connection.execute(merged).fetchall():
        roll_ups.unite(transaction, person, uid)
    for roll_up in _OF_PERSONS:
        for _ in roll_up.recount(transaction, frozen):
            pass
