"""What a store in ClickHouse does beside what it counts: erasures, exports, retention, snapshots of its small state."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.alert_operations import TakeLease
from otel_measure.store.clickhouse.columns import NOBODY_ERASED, WrittenBy, person_numbers
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import Mutations, PersonRemover, epochs_of, numbers_of
from otel_measure.store.clickhouse.exporting import export
from otel_measure.store.clickhouse.final_calls import FinalCallsMover
from otel_measure.store.clickhouse.part_sums import packed_sums
from otel_measure.store.clickhouse.past import PastKeeper
from otel_measure.store.clickhouse.rebuilding import half_rebuilt, rebuild
from otel_measure.store.clickhouse.rewriting import rewrite
from otel_measure.store.clickhouse.settling import BeingErased, DaySettler
from otel_measure.store.clickhouse.snapshots import Snapshots
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.sweeping import AgeSweeper
from otel_measure.store.clickhouse.tables import AB_CONVERSION, EVENT, EXPOSURE, FACT_TABLES, INFERENCE, NPS_RESPONSE
from otel_measure.store.clickhouse.upkeep_operations import (
    BeginRemoval,
    EndRemoval,
    Erase,
    NoteCleared,
    NoteMasked,
    SweepState,
    key_of,
    receipt_of,
)
from otel_measure.store.clickhouse.writing import FactWriter, is_half_rebuilt, refuse_half_moved, was_rebuilt
from otel_measure.store.sqlite.kept_elsewhere import WaitingErasure
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.exports import UserExport
from otel_measure.store.types.facts import ACCEPTED, ERASED, EVERYTHING, Receipt
from otel_measure.store.types.users import Erasure, ErasureState

_GIVEN_UP_AFTER_US: Final = 600_000_000  # nobody removes rows so long
_DOUBLES_DAYS: Final = 2
_SETTLING_US: Final = 60_000_000  # a day takes seconds
_TRIED_AGAIN_US: Final = 3_600_000_000  # a day that the server failed at


class KeptDays(NamedTuple):
    """How long facts, and the minutes of streams, are kept, in days."""

    retention_days: int
    history_days: int


DEFAULT_DAYS: Final = KeptDays(400, 30)


class Admitted(NamedTuple):
    """Which records may be kept.

    Attributes:
        records: as they may be.
        receipts: `ACCEPTED` of those that may.
        epochs: by which they are written.
    """

    records: Sequence[Record]
    receipts: list[Receipt]
    epochs: Mapping[bytes, int]

    @property
    def accepted(self) -> list[int]:
        """Which of them may be kept."""
        return [i for i, receipt in enumerate(self.receipts) if receipt is ACCEPTED]


class _Masking(NamedTuple):
    """Erasures whose masks the server applies.

    Attributes:
        receipts: of them; all their rows were masked before.
        mutations: what is to end until their bytes are in no part in use.
    """

    receipts: tuple[int, ...]
    mutations: Mutations


_NO_MASKING: Final = _Masking((), set())


class RemovalNotes:
    """The notes of removals in the small state."""

    def __init__(self, state: ReplicatedState) -> None:
        self._state = state

    def begin_removal(self, key: str, sums: Mapping[TotalKey, Sum]) -> None:
        """Note what is about to be removed, and keep what it has added to totals, unless it is noted already."""
        self._state.do(BeginRemoval(key, packed_sums(sums)))

    def end_removal(self, key: str) -> None:
        """Take a note away."""
        self._state.do(EndRemoval(key))

    def removals(self) -> list[str]:
        """Return the notes that are there."""
        return self._state.ask(lambda replica: replica.removals())


class ClickHouseUpkeep:
    """A part of `ClickHouseStore`.

    Args:
        database: of the store.
        state: the small one.
        by: what decides how rows are written, where nobody was erased.
        writer: of facts.
        snapshots: of the small state.
        limits: of this process.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        state: ReplicatedState,
        by: WrittenBy,
        writer: FactWriter,
        snapshots: Snapshots,
        limits: KeptDays,
    ) -> None:
        self._database = database
        self._state = state
        self._by = by
        self._writer = writer
        self._limits = limits
        self._notes = RemovalNotes(state)
        self._snapshots = snapshots
        self._mover = FinalCallsMover(database, state, lambda: state.ask(self.written_by))
        self._masking = _NO_MASKING
        self._failed_at: dict[int, int] = {}
        self._known_epochs: tuple[str | None, Mapping[bytes, int]] = (None, NOBODY_ERASED)
        self._count_by(by.definitions)

    # ------------------------------------------------------------ definitions

    def rebuild(self, definitions: Definitions | None = None) -> None:
        """Count by the definitions given, as all who use the store do from then on.

        By those of the store nothing is to be counted anew: settled days say what their facts say.

        Raises:
            StoreError: see `rebuilding.rebuild`.
        """
        self._state.sync()
        wanted = definitions or self._state.definitions
        is_well = self._state.recounted_by is None and not is_half_rebuilt(self._database)
        if wanted == self._state.definitions and is_well:
            return
        refuse_half_moved(self._database)
        for key in self._notes.removals():
            if (receipt := receipt_of(key)) is not None:
                self._remove_rows(receipt)
        AgeSweeper(self._database, self._notes).remove_noted()
        rebuild(self._database, self._state, wanted, self._merged)
        self._follow()

    def _follow(self) -> bool:
        """Count by the definitions of the store, as far as this process has heard; return whether they were others.

        Raises:
            StoreUnavailable: it is being counted anew by others.
        """
        if (by := self._state.recounted_by) is not None:
            raise half_rebuilt(self._database, self._state, by)
        if self._state.definitions == self._by.definitions:
            return False
        self._count_by(self._state.definitions)
        return True

    def _count_by(self, definitions: Definitions) -> None:
        self._by = self._by._replace(definitions=definitions)
        self._writer.count_by(definitions)
        self._remover = PersonRemover(self._database, self._by)
        self._settler = DaySettler(self._database, definitions, self._being_erased)
        self._past = PastKeeper(self._database, definitions, self._being_erased, self._merged)

    # ------------------------------------------------------------ erasure

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped; bytes are cleared later.

        When it returns no question sees the person any more; in a large store the server goes on for minutes.
        """
        self._state.sync()
        self._follow()
        erasure = self._state.do(Erase(user_id, now))
        receipts, counts = self._of_the_same_ids(erasure.receipt), Counter[str]()
        is_remembered = self._remover.are_remembered(self._numbers(receipts))
        for receipt in receipts:
            counts.update(self._remove_rows(receipt))
        return replace(
            erasure,
            ids=erasure.ids or int(is_remembered or any(n for table, n in counts.items() if table != INFERENCE.name)),
            events=counts[EVENT.name],
            nps_responses=counts[NPS_RESPONSE.name],
            exposures=counts[EXPOSURE.name],
            ab_conversions=counts[AB_CONVERSION.name],
            inferences=erasure.inferences + counts[INFERENCE.name],
        )

    def _of_the_same_ids(self, receipt: int) -> list[int]:
        """Return the erasures of any id that this one was of: whoever was at one of them may have ended half-way."""
        erasures = self._state.ask(lambda replica: replica.erasures())
        users = {user for each in erasures if each.receipt == receipt for user in each.users}
        return [each.receipt for each in erasures if not users.isdisjoint(each.users)]

    def _remove_rows(self, receipt: int) -> dict[str, int]:
        """Remove the rows of those whom an erasure was of; return how many there were, by the table."""
        numbers = self._numbers([receipt])
        counts = self._remover.counts(numbers)
        if any(counts.values()) or self._remover.are_remembered(numbers):
            key = key_of(receipt)
            self._notes.begin_removal(key, self._remover.totals(numbers))
            self._remover.remove(numbers)
            if self._remover.are_ended(self._remover.under_way()):
                self._notes.end_removal(key)
        return counts

    def _numbers(self, receipts: Collection[int]) -> set[int]:
        erasures = self._state.ask(lambda replica: replica.erasures())
        return numbers_of(((each.receipt, each.users) for each in erasures), receipts)

    def erasure(self, receipt: int) -> ErasureState | None:
        """Return what became of an erasure, `None` where there was none with this receipt."""
        return self._state.ask(lambda replica: replica.erasure(receipt))

    def clear_erased(self, now: int) -> bool:
        """Have the server let go of the bytes of the erased, a step at a time.

        Rows are masked first. What was said of a person in the log goes with its entries, some minutes after a snapshot
        has what they came to. Old parts of tables are removed by the server when it likes. Nobody waits for the server
        here for long: what it is at is looked at again.
        """
        waiting = self._state.ask(lambda replica: replica.waiting_erasures())
        self._follow()
        removed = {each.receipt for each in waiting if self._remover.are_removed(self._numbers([each.receipt]))}
        self._end_removals(removed)
        masked = [each for each in waiting if each.masked_at and each.receipt in removed]
        self._mask([each for each in waiting if each not in masked], removed, now)
        gone = [each.receipt for each in masked if self._remover.are_bytes_gone(each.masked_at)]
        if gone:
            self._state.do(NoteCleared(tuple(gone), now))
        return False

    def _end_removals(self, removed: Collection[int]) -> None:
        for key in self._notes.removals():
            if receipt_of(key) in removed:
                self._notes.end_removal(key)

    def _mask(self, waiting: Sequence[WaitingErasure], removed: Collection[int], now: int) -> None:
        """Have rows go from the tables in use, and note of which persons none is left."""
        ready = [each.receipt for each in waiting if each.receipt in removed]
        for each in waiting:
            is_given_up = each.masked_at or each.erased_at <= now - _GIVEN_UP_AFTER_US  # else whoever erases is at it
            if each.receipt not in removed and is_given_up:
                self._remove_rows(each.receipt)
        if not self._masking.receipts and ready:
            in_log = self._in_log()
            done = tuple(receipt for receipt in ready if receipt not in in_log)
            if done:
                self._masking = _Masking(done, self._remover.apply_masks())
        if self._masking.receipts and self._remover.are_ended(self._masking.mutations):
            self._state.do(NoteMasked(self._masking.receipts, self._remover.now_s()))
            self._masking = _NO_MASKING

    def _in_log(self) -> set[int]:
        """Return the erasures that stand in the log, the last ones, after a try to have it without them."""
        if self._snapshots.are_before(Erase.__name__):
            self.take_snapshot()
        else:
            self._snapshots.trim()
        n = self._snapshots.entries(Erase.__name__)
        erasures = self._state.ask(lambda replica: replica.erasures())
        return {each.receipt for each in erasures[len(erasures) - n :]}

    # ------------------------------------------------------------ persons

    def export(self, user_id: str) -> UserExport:
        """Return all that is stored of a person."""
        known, by = self._state.ask(lambda replica: (replica.export(user_id), self.written_by(replica)))
        self._follow()
        return export(self._database, by, known)

    def admitted(self, records: Sequence[Record]) -> Admitted:
        """Return which records may be kept."""
        (kept, receipts), epochs = self._state.ask(lambda replica: (replica.admitted(records), self._epochs(replica)))
        self._follow()
        for i in self._remover.refused(kept, epochs.keys()) if epochs else ():
            receipts[i] = ERASED
        return Admitted(kept, receipts, epochs)

    def written_by(self, state: Replica | SqliteMoment) -> WrittenBy:
        """Return by what rows are written now."""
        return self._by._replace(definitions=self._state.definitions, epochs=self._epochs(state))

    def _epochs(self, state: Replica | SqliteMoment) -> Mapping[bytes, int]:
        known, epochs = self._known_epochs
        if known != state.erased_times:
            epochs = epochs_of(each.users for each in state.erasures())
            self._known_epochs = state.erased_times, epochs
        return epochs

    def _merged(self) -> Mapping[int, int]:
        with self._state.asking(EVERYTHING) as moment:
            return person_numbers(self.written_by(moment), moment.merged_users)

    # ------------------------------------------------------------ settled days

    def bring_up_to_date(self, holder: str, now: int) -> bool:
        """Settle one of the days that are over; return whether there may be more of them.

        One that the server failed at keeps no other one waiting.
        """
        self._state.sync()
        self._follow()
        tried_since = now - _TRIED_AGAIN_US
        days = [each for each in self._settler.unsettled(now) if self._failed_at.get(each.day, 0) <= tried_since]
        if not days or not self._state.do(TakeLease("settling", holder, now, now + _SETTLING_US)):
            return False
        self._failed_at[days[0].day] = now
        is_settled = self._settler.settle(days[0])
        del self._failed_at[days[0].day]
        if len(days) == 1:
            self._settler.remove_superseded()
        return is_settled and len(days) > 1

    def _being_erased(self) -> BeingErased:
        begun, keys, erasures = self._state.ask(
            lambda replica: (replica.removals_begun, replica.removals(), replica.erasures())
        )
        if self._follow():
            raise StoreUnavailable("rebuilding", f"{self._database.name} was counted anew meanwhile", "try again")
        receipts = {receipt for key in keys if (receipt := receipt_of(key)) is not None}
        return BeingErased(begun, numbers_of(((each.receipt, each.users) for each in erasures), receipts))

    # ------------------------------------------------------------ retention

    def sweep(self, now: int) -> int:
        """Apply retention where `now` is believed; return the facts removed."""
        self._state.sync()
        self._follow()
        removed = self._state.do(SweepState(now, *self._limits))
        if removed is None:
            return 0
        horizon = self._state.ask(lambda replica: replica.horizon)
        if horizon:
            first = self._by.definitions.day_of(horizon)
            self._past.keep_before(first)
            removed += AgeSweeper(self._database, self._notes).remove_before(first)
        self._remove_doubles(now)
        self._mover.move(now)
        self.take_snapshot()
        return removed

    def _remove_doubles(self, now: int) -> None:
        """Remove, once a day, what writers that died left double lately, or as it was before the store was rebuilt."""
        if self._state.do(TakeLease("doubles", secrets.token_hex(8), now, now + DAY_US)):
            today = self._by.definitions.day_of(now)
            self._writer.remove_doubles(today - _DOUBLES_DAYS + 1, today)
            if was_rebuilt(self._database):
                for table in FACT_TABLES:
                    rewrite(self._database, table, self._by.definitions)

    def take_snapshot(self) -> None:
        """Write down what the log has come to, and have the log without the entries of before."""
        snapshot = self._state.snapshot()
        if snapshot.position > self._snapshots.position():
            self._snapshots.write(snapshot)
        self._snapshots.trim()
