"""Running totals of a store: what facts add, beside what the small state has, under names that all processes share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import numbers_of
from otel_measure.store.clickhouse.fact_operations import NameSeries
from otel_measure.store.clickhouse.part_sums import PartSums, Removed
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.streams import ClickHouseStreamQuestions
from otel_measure.store.clickhouse.sweeping import partition_of
from otel_measure.store.clickhouse.upkeep_operations import BeginRemoval, receipt_of
from otel_measure.store.sqlite.facts import TABLES
from otel_measure.store.sqlite.moment import SqliteMoment

_ORDER: Final = {table.record: i for i, table in enumerate(TABLES)}


class FactTotals:
    """The totals of one store, as this process knows them.

    Args:
        database: of the store.
        state: which names their series.
    """

    def __init__(self, database: ClickHouseDatabase, state: ReplicatedState) -> None:
        self._sums = PartSums(database)
        self._state = state
        self._named: set[TotalKey] = set()
        self._unnamed: Sequence[TotalKey] = ()

    def after_fork_in_child(self) -> None:
        """Let go of what the parent was adding up."""
        self._sums.after_fork_in_child()

    def name(self, records: Sequence[Record]) -> None:
        """Name the series of facts that are about to be stored, in the order in which they would be counted."""
        in_order = sorted(records, key=lambda record: _ORDER[type(record)])
        self._name([key for key in summed(in_order) if key not in self._named])

    def name_missing(self) -> None:
        """Name series that nobody has: those that an older version did not measure."""
        unnamed, self._unnamed = self._unnamed, ()
        self._name(unnamed)

    def _name(self, keys: Collection[TotalKey]) -> None:
        if not keys:
            return
        if unnamed := self._state.ask(lambda replica: replica.unnamed(keys)):
            self._state.do(NameSeries(tuple(unnamed)))
        self._named.update(keys)

    def questions(self, moment: SqliteMoment) -> ClickHouseStreamQuestions:
        """Return the questions about streams at a moment of the small state."""
        return ClickHouseStreamQuestions(moment.streams, partial(self._sums_at, moment), self._note_unnamed)

    def _note_unnamed(self, keys: Sequence[TotalKey]) -> None:
        self._unnamed = keys

    def _sums_at(self, moment: SqliteMoment) -> Mapping[TotalKey, Sum]:
        """Return what facts add that count at a moment.

        Raises:
            StoreUnavailable: what is being removed since that moment may have gone meanwhile. A total without it would
                fall, and a counter that falls has begun anew.
        """
        sums = self._sums.sums(_removed_at(moment))
        if self._state.was_said_since(BeginRemoval.__name__):
            raise StoreUnavailable("clickhouse", "facts are being removed just now", "ask again")
        return sums


def _removed_at(moment: SqliteMoment) -> Removed:
    """Return what is being removed at a moment: what it has added is kept already."""
    removals = moment.removals
    partitions = frozenset(of for key in removals if (of := partition_of(key)) is not None)
    receipts = {receipt for key in removals if (receipt := receipt_of(key)) is not None}
    erasures = ((each.receipt, each.users) for each in moment.erasures()) if receipts else ()
    return Removed(partitions, frozenset(numbers_of(erasures, receipts)))
