"""Calls that others tell of, corrected: what becomes of a stored call when a later word tells more of it.

A call is a fact like any other, and its roll-ups add. So the row is replaced, and the cells of models that held it are
counted anew from the facts of their minute.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

from otel_measure.conventions import semconv
from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference
from otel_measure.store.sqlite import facts, models, overshown, roll_ups
from otel_measure.store.sqlite.chunks import change_in
from otel_measure.store.sqlite.models import CellPlace
from otel_measure.store.sqlite.transaction import Transaction

SHOWN_AFTER_US: Final = 150 * 1_000_000
"""When metrics of the process had time to come, two exports of a minute: until then what they show is not shown."""


class Correction:
    """What is to become of stored calls, all in one transaction.

    Args:
        process_of: the process that tells of a call, by the id of the call.
        measured: the processes whose metrics tell of calls as well: what counters show of them is decided with these.
        told_by_spans: the ids of tellings that are spans: metrics of the conventions may come of their process.
    """

    def __init__(
        self, process_of: Mapping[str, int], measured: Container[int], told_by_spans: Container[str] = ()
    ) -> None:
        self._told_by_spans = told_by_spans
        self._process_of = process_of
        self._measured = measured
        self.added: list[Inference] = []
        self.removed: list[Inference] = []
        self.replaced: list[tuple[Inference, Inference]] = []

    def apply(self, transaction: Transaction) -> int:
        """Make it so; return how many calls counters show that are not so any more."""
        gone = [*self.removed, *(old for old, _ in self.replaced)]
        came = [*self.added, *(new for _, new in self.replaced)]
        reassigned = 0
        if gone:
            change_in(transaction.connection, "DELETE FROM inference WHERE id IN", id_keys([each.id for each in gone]))
        for process, records in self._by_process(gone).items():
            reassigned += self._take_back(transaction, process, records)
        inserted = facts.facts_of(facts.INFERENCE, came, transaction.names) if came else None
        if inserted is not None:
            facts.insert_new(transaction.connection, facts.INFERENCE, inserted)
        for process, records in self._by_process(came).items():
            self._show(transaction, process, records)
        if inserted is not None and self.added:  # those replaced come after them, and are counted below
            replaced = range(len(self.added), len(came))
            roll_ups.add(transaction, {Inference: inserted.without(replaced) if replaced else inserted})
        models.recount_minutes(transaction, cells_of(transaction, [*gone, *(new for _, new in self.replaced)]))
        return max(reassigned - len(came), 0)

    def _take_back(self, transaction: Transaction, process: int, records: Sequence[Inference]) -> int:
        """Take calls off the counters; what was not shown yet, or is shown by the process itself, is not owed."""
        sums, of_conventions = self._sums(records)
        for key, whole in of_conventions.items():
            if overshown.withdraw(transaction, process, key, whole):
                continue
            if process in self._measured:
                overshown.leave_out(transaction, {key: whole})
            else:
                _add(sums, key, whole)
        return overshown.take_back(transaction, process, sums, of_facts=True)

    def _show(self, transaction: Transaction, process: int, records: Sequence[Inference]) -> None:
        """Add calls to the counters: what a process with spans alone has, when its metrics had time to come."""
        sums, of_conventions = self._sums(records)
        if of_conventions:
            last = max(record.ts for record in records if record.id in self._told_by_spans)
            overshown.defer(transaction, process, of_conventions, due=last + SHOWN_AFTER_US)
        if process in self._measured:
            overshown.defer(transaction, process, sums)
        else:
            overshown.show(transaction, process, sums, of_facts=True)

    def _sums(self, records: Sequence[Inference]) -> tuple[dict[TotalKey, Sum], dict[TotalKey, Sum]]:
        """Return what calls add to counters, and apart what metrics of the conventions may show of those by spans."""
        sums = summed(record for record in records if record.id not in self._told_by_spans)
        of_conventions: dict[TotalKey, Sum] = {}
        for key, whole in summed(record for record in records if record.id in self._told_by_spans).items():
            _add(of_conventions if key.instrument.startswith(semconv.GEN_AI_PREFIX) else sums, key, whole)
        return sums, of_conventions

    def _by_process(self, records: Sequence[Inference]) -> dict[int, list[Inference]]:
        by_process: dict[int, list[Inference]] = {}
        for record in records:
            by_process.setdefault(self._process_of[record.id], []).append(record)
        return by_process


def _add(sums: dict[TotalKey, Sum], key: TotalKey, whole: Sum) -> None:
    if key in sums:
        sums[key].add(whole)
    else:
        sums[key] = whole


def cells_of(transaction: Transaction, records: Iterable[Inference]) -> set[CellPlace]:
    """Return the minutes that calls are counted in."""
    names = transaction.names
    return {
        (60, each.ts - each.ts % MINUTE_US, names.model(each.model, each.version), names.origin(each.origin))
        for each in records
    }
