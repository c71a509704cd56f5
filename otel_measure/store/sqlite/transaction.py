"""What a roll-up gets to see: the transaction that accepts facts, and the facts that were new in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from otel_measure.definitions.parameters import Definitions
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite.facts import Facts
from otel_measure.store.sqlite.names import Names

Accepted: TypeAlias = Mapping[type[Record], Facts]  # what is new, of each kind of which there is any


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction, and the definitions by which the roll-ups that it sees were counted."""

    connection: sqlite3.Connection
    names: Names
    definitions: Definitions

    @property
    def day_of(self) -> Callable[[int], int]:
        """The local day of a time."""
        return self.definitions.day_of


def horizon_of(connection: sqlite3.Connection) -> int:
    """Return the time before which facts may have been removed, microseconds; 0 when none were."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'horizon'").fetchone()
    return int(row[0]) if row else 0


class RollUp(Protocol):
    """A module that keeps something about facts; each stands in the list `ROLL_UPS`."""

    def add(self, transaction: Transaction, new: Accepted) -> None:
        """Merge newly accepted facts; the result depends on the facts only, never on order or batches."""

    def clear(self, transaction: Transaction, frozen_before: int) -> None:
        """Before a rebuild: forget what comes from facts of local days from `frozen_before` on."""

    def rebuild(self, transaction: Transaction) -> None:
        """After `clear`: compute it anew, by SQL over the facts; what is replayed through `add` does nothing here."""
