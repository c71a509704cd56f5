"""What a roll-up gets to see: the transaction that accepts facts, and the facts that were new in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from otel_measure.definitions.parameters import Definitions
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite.facts import Facts
from otel_measure.store.sqlite.names import Names

Accepted: TypeAlias = Mapping[type[Record], Facts]  # what is new, of each kind of which there is any


class Frozen(NamedTuple):
    """What lies before this local day, which begins at this time, was counted from facts that are gone."""

    day: int
    ts: int


NOTHING_FROZEN: Final = Frozen(-(2**31), 0)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction, and the definitions by which the roll-ups that it sees were counted.

    Attributes:
        rolls_up: whether this process may add to them; else it notes in the journal what it stores.
    """

    connection: sqlite3.Connection
    names: Names
    definitions: Definitions
    rolls_up: bool = True

    @property
    def day_of(self) -> Callable[[int], int]:
        """The local day of a time."""
        return self.definitions.day_of


class Writing(Protocol):
    """Opens a write transaction of the store."""

    def __call__(self, *, durable: bool = False) -> AbstractContextManager[Transaction]:
        """Open it."""


def horizon_of(connection: sqlite3.Connection) -> int:
    """Return the time before which facts may have been removed, microseconds; 0 when none were."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'horizon'").fetchone()
    return int(row[0]) if row else 0


class RollUp(Protocol):
    """A module that keeps something about facts; each stands in the list `ROLL_UPS`."""

    @property
    def TABLES(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """The tables it keeps, and nobody else."""

    @property
    def FROZEN(self) -> Mapping[str, str]:  # noqa: N802 - a constant of the module
        """Of a table, which rows were counted from facts that are gone: a condition over `:day` and `:ts`."""

    def add(self, transaction: Transaction, new: Accepted) -> None:
        """Merge newly accepted facts; the result depends on the facts only, never on order or batches."""

    def restore(self, transaction: Transaction, frozen: Frozen) -> Iterator[None]:
        """Count anew what facts that are gone have left behind; its tables hold nothing but that."""

    def recount(self, transaction: Transaction, frozen: Frozen) -> Iterator[None]:
        """Count the facts that are still there, after `restore`."""
