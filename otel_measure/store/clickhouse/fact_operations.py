"""Operations on the small state that facts need: how their series are named, and which of them are to leave by OTLP."""

from __future__ import annotations

from collections.abc import Mapping

from otel_measure.definitions.totals import TotalKey
from otel_measure.store.clickhouse.operation import OperationStruct
from otel_measure.store.sqlite.outbox import Expected
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.facts import OutboxBatch


class NameSeries(OperationStruct, frozen=True):
    """Series of facts that nobody has named; the first ones of an instrument are shown."""

    series: tuple[TotalKey, ...]

    def apply(self, replica: Replica) -> None:
        """Name them in this order."""
        replica.name_series(self.series)


class ExpectToLeave(OperationStruct, frozen=True):
    """Facts that are about to be stored, and are to leave then: their ids by the names of their kinds."""

    token: str
    at: int
    ids: dict[str, list[str]]

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.expect_to_leave(self.token, Expected(self.at, self.ids))


class NoteToLeave(OperationStruct, frozen=True):
    """Facts that are stored and are to leave: their ids by the names of their kinds."""

    token: str
    ids: Mapping[str, list[str]]
    if_expected: bool = False

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.note_to_leave(self.token, self.ids, if_expected=self.if_expected)


class RemoveSent(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.remove_sent`."""

    seqs: tuple[int, ...]

    def apply(self, replica: Replica) -> None:
        """Forget them."""
        replica.remove_sent(OutboxBatch(self.seqs, []))
