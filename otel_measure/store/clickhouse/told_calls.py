"""Calls that others tell of, beside those that are recorded: each is in one of the two places, whatever comes first.

What others tell (spans, metrics) may be corrected by a later word, so it is small state (`state.py`); what an
application records is a fact that stays. A call of one id may come both ways. Whoever brings it looks in the other
place before and after: where both brought it at the same moment, the row among the facts is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference, Record
from otel_measure.store.clickhouse import operations
from otel_measure.store.clickhouse.columns import id_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, id_chunks, in_ids
from otel_measure.store.clickhouse.interpreting import Interpretation
from otel_measure.store.clickhouse.ranks import COUNTS_IN_TOTALS
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.tables import INFERENCE
from otel_measure.store.types.calls import TakenTellings, TellingOutcome
from otel_measure.store.types.facts import DUPLICATE, Receipt
from otel_measure.store.types.streams import Ingested, Interpreter


class ToldCalls:
    """What others tell of calls of models.

    Args:
        database: of the store.
        state: of the store.
    """

    def __init__(self, database: ClickHouseDatabase, state: ReplicatedState) -> None:
        self._database = database
        self._state = state

    def accept(self, records: Sequence[Record], write: Callable[[Sequence[Record]], list[Receipt]]) -> list[Receipt]:
        """Have records written, but for calls that others told of, which are duplicates."""
        calls = [record.id for record in records if isinstance(record, Inference)]
        if not calls:
            return write(records)
        known = self._state.told_calls(calls)
        new = [not (isinstance(record, Inference) and record.id in known) for record in records]
        written = iter(write([record for record, is_new in zip(records, new, strict=True) if is_new]))
        receipts = [next(written) if is_new else DUPLICATE for is_new in new]
        if meanwhile := self._state.ask(lambda replica: replica.told_calls(calls)) - known:
            self._remove(meanwhile)
            receipts = [
                DUPLICATE if isinstance(record, Inference) and record.id in meanwhile else receipt
                for record, receipt in zip(records, receipts, strict=True)
            ]
        return receipts

    def take(self, told: Sequence[Telling]) -> TakenTellings:
        """Take in what tells of single calls; see `otel_measure.store.protocol.Writer.take_tellings`."""
        calls = [each.id for each in told if each.record is not None]
        taken = None
        while taken is None:
            final_calls = self._state.final_calls
            recorded: dict[str, TellingOutcome] = dict.fromkeys(self._recorded(calls), "duplicate")
            new = tuple(each for each in told if each.id not in recorded)
            taken = self._state.do(operations.TakeTellings(new, final_calls))
        taken = taken.with_refused(told, recorded)
        if meanwhile := self._recorded(taken.new_calls):
            self._remove(meanwhile)
        return taken

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None) -> Ingested:
        """Take in stream values; what tells of models is interpreted here, for everybody."""
        given = tuple(points)
        if interpret is None or all(point.model_series is None for point in given):
            return self._state.do(operations.Ingest(given))
        interpretation = Interpretation(interpret)
        self._state.rehearse(lambda replica: replica.ingest(given, interpretation))
        return self._state.do(operations.Ingest(given, interpretation.meanings))

    def count(self, interpret: Interpreter, now: int) -> int:
        """Count what metrics tell beyond the single calls; see `otel_measure.store.protocol.Writer.count_signals`."""
        interpretation = Interpretation(interpret)
        if not self._state.rehearse(lambda replica: replica.count_signals(interpretation, now)):
            return 0
        return self._state.do(operations.CountSignals(now, interpretation.meanings))

    def remove_recorded(self) -> None:
        """Remove what was recorded of any call that others told of as well."""
        self._remove(self._recorded(self._state.ask(lambda replica: replica.all_told_calls())))

    def _recorded(self, ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are calls among the facts."""
        by_number = {id_number(key): each for key, each in zip(id_keys(ids), ids, strict=True)} if ids else {}
        recorded: set[str] = set()
        for some in id_chunks(list(by_number)):
            rows = self._database.rows(f"SELECT DISTINCT id FROM {{db}}.{INFERENCE.name} WHERE id IN {in_ids(some)}")
            recorded.update(by_number[number] for (number,) in rows)
        return recorded

    def _remove(self, ids: Collection[str]) -> None:
        """Remove what was recorded of these ids; what goes from the small state to the facts meanwhile stays."""
        for some in id_chunks([id_number(key) for key in id_keys(sorted(ids))]):
            self._database.delete(INFERENCE.name, f"id IN {in_ids(some)} AND {COUNTS_IN_TOTALS}")
