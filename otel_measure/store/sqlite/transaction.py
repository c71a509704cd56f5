"""What a roll-up gets to see: the transaction that accepts facts, and the facts that were new in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite.facts import Facts
from otel_measure.store.sqlite.names import Names

Accepted: TypeAlias = Mapping[type[Record], Facts]  # what is new, of each kind of which there is any


@dataclass(frozen=True, slots=True)
class Transaction:
    """One write transaction.

    Attributes:
        day_of: the local day of a time.
        zone: the zone of those days.
        session_gap_us: how long a person may pause within one session.
    """

    connection: sqlite3.Connection
    names: Names
    day_of: Callable[[int], int]
    zone: ZoneInfo
    session_gap_us: int


class RollUp(Protocol):
    """A module that keeps something about facts; each stands in the list `ROLL_UPS`."""

    def add(self, transaction: Transaction, new: Accepted) -> None:
        """Merge newly accepted facts; the result depends on the facts only, never on order or batches."""

    def clear(self, transaction: Transaction, frozen_before: int) -> None:
        """Before a rebuild: forget what comes from facts of local days from `frozen_before` on."""

    def rebuild(self, transaction: Transaction) -> None:
        """After `clear`: compute it anew, by SQL over the facts; what is replayed through `add` does nothing here."""
