"""Operations on the small state for removals, and for counting anew: what is gone, and by what the rest is counted."""

from __future__ import annotations

from typing import Final

from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.operation import OperationStruct
from otel_measure.store.clickhouse.part_sums import unpacked_sums
from otel_measure.store.sqlite.final_calls import FinalCalls
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.users import Erasure

_OF_ERASURE: Final = "erasure "  # begins keys of removals


class Erase(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.erase`."""

    user_id: str
    now: int

    def apply(self, replica: Replica) -> Erasure:
        """Remove what the small state knows of the person, and remember the tombstones of the ids."""
        return replica.remove(self.user_id, self.now)


class NoteMasked(OperationStruct, frozen=True):
    """Rows of erased persons are gone from the tables in use, since a time of the server."""

    receipts: tuple[int, ...]
    at_s: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.note_masked(self.receipts, self.at_s)


class NoteCleared(OperationStruct, frozen=True):
    """No byte of erased persons is left."""

    receipts: tuple[int, ...]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.note_cleared(self.receipts, self.now)


class BeginRemoval(OperationStruct, frozen=True):
    """Facts are about to be removed, and what they have added to totals is kept; see `sqlite.kept_elsewhere`."""

    key: str
    sums: bytes

    def apply(self, replica: Replica) -> bool:
        """Keep it, unless it is kept already."""
        return replica.begin_removal(self.key, unpacked_sums(self.sums))


def key_of(receipt: int) -> str:
    """Return the key of the removal of an erasure's rows."""
    return f"{_OF_ERASURE}{receipt}"


def receipt_of(key: str) -> int | None:
    """Return the receipt of the erasure whose rows a removal is of, `None` of another one."""
    return int(key.removeprefix(_OF_ERASURE)) if key.startswith(_OF_ERASURE) else None


class EndRemoval(OperationStruct, frozen=True):
    """Facts are gone."""

    key: str

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.end_removal(self.key)


class BeginFinalCalls(OperationStruct, frozen=True):
    """Calls that others told of are about to go to the facts; see `sqlite.final_calls`."""

    before: int
    limit: int

    def apply(self, replica: Replica) -> FinalCalls:
        """Say which."""
        return replica.begin_final_calls(self.before, self.limit)


class EndFinalCalls(OperationStruct, frozen=True):
    """They are there, unless facts were counted anew, or removed, more often than so many times: some may be gone."""

    number: int
    begun: int | None = None

    def apply(self, replica: Replica) -> None:
        """Take them out of the state."""
        if self.begun in (None, replica.removals_begun):
            replica.end_final_calls(self.number)


class BeginRebuild(OperationStruct, frozen=True):
    """Facts are about to be counted by other definitions; see `rebuilding`."""

    definitions: str

    def apply(self, replica: Replica) -> bool:
        """Note it, unless facts are being removed."""
        return replica.begin_recount(Definitions.from_json(self.definitions))


class EndRebuild(OperationStruct, frozen=True):
    """They are counted by these."""

    definitions: str

    def apply(self, replica: Replica) -> None:
        """Count what the small state has by them as well."""
        replica.end_recount(Definitions.from_json(self.definitions))


class SweepState(OperationStruct, frozen=True):
    """Retention, by the limits of the process whose turn it is."""

    now: int
    retention_days: int
    history_days: int

    def apply(self, replica: Replica) -> int | None:
        """Apply it to what the small state has; return how many facts of it were removed, `None` by a doubted clock."""
        return replica.sweep_by(self.now, self.retention_days, self.history_days)
