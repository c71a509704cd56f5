"""Calls that others told of and of which nothing more can be told, moved from the small state to the facts.

The state says which go, and under which number (`sqlite/final_calls.py`). Their rows have a rank that tells this number
and that of no other row; a question leaves out those whose number had not ended at its moment, so that each call is in
one place whenever it is asked for. A process that ends in the middle leaves a batch that the next one completes.
What the calls added to totals stays in the state: their rows add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otel_measure.definitions.runs import SPANS_KEPT_US
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Inference
from otel_measure.store.clickhouse.columns import WrittenBy, columns_of, id_number
from otel_measure.store.clickhouse.connection import IDS_AT_ONCE, ClickHouseDatabase, in_ids
from otel_measure.store.clickhouse.ranks import COUNTS_IN_TOTALS, rank_of_batch
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.tables import INFERENCE
from otel_measure.store.clickhouse.upkeep_operations import BeginFinalCalls, EndFinalCalls


class FinalCallsMover:
    """Moves them.

    Args:
        database: of the store.
        state: of the store.
        written_by: returns what decides how rows are written now.
    """

    def __init__(
        self, database: ClickHouseDatabase, state: ReplicatedState, written_by: Callable[[], WrittenBy]
    ) -> None:
        self._database = database
        self._state = state
        self._written_by = written_by

    def move(self, now: int) -> None:
        """Move those that are final.

        Raises:
            StoreUnavailable: the server has not done all of it; to do it again completes it.
        """
        while self._move_batch(now - SPANS_KEPT_US):
            pass

    def _move_batch(self, before: int) -> bool:
        """Move some of those before a time; return whether there were any.

        None while facts are counted anew; what was written when that began is looked for once more (`rewriting`).
        """
        number, has_begun, calls = self._state.do(BeginFinalCalls(before, IDS_AT_ONCE))
        begun, recounted_by = self._state.ask(lambda replica: (replica.removals_begun, replica.recounted_by))
        if recounted_by is not None:
            return False
        if has_begun:
            self._write(number, calls)
            self._state.do(EndFinalCalls(number, begun))
        return has_begun

    def _write(self, number: int, calls: Sequence[Inference]) -> None:
        if not calls:
            return
        ids = [id_number(key) for key in id_keys([call.id for call in calls])]
        rows = self._database.rows(
            f"SELECT DISTINCT id FROM {{db}}.{INFERENCE.name} WHERE id IN {in_ids(ids)} AND NOT {COUNTS_IN_TOTALS}"
        )
        known = {known for (known,) in rows}
        if missing := [i for i, each in enumerate(ids) if each not in known]:
            numbers = [ids[i] for i in missing]
            columns = columns_of(INFERENCE, [calls[i] for i in missing], numbers, self._written_by())
            self._database.insert(INFERENCE.name, columns | {"rank": [rank_of_batch(number)] * len(missing)})
