"""What is to leave by OTLP: noted in the small state, and read from the facts when it leaves.

Facts are stored at once and noted afterwards, and a process may end in between. So they are expected first; what stays
expected is looked for among the facts, and noted if it is there.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from otel_measure.definitions.windows import MINUTE_US
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import id_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.fact_operations import ExpectToLeave, NoteToLeave
from otel_measure.store.clickhouse.reading import facts
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.tables import FACT_TABLES
from otel_measure.store.sqlite.facts import TABLE_OF
from otel_measure.store.sqlite.outbox import SqliteOutboxQuestions
from otel_measure.store.types.facts import ACCEPTED, EVERYTHING, OutboxBatch, Receipt

_ELSEWHERE: Final = {table.name: table for table in FACT_TABLES}
# An insert that has not ended by then never will: the server gives it up after a minute.
_EXPECTED_US: Final = 5 * MINUTE_US


class ClickHouseOutboxQuestions:
    """Satisfies `otel_measure.store.questions.OutboxQuestions`.

    Args:
        database: of the facts.
        state: what the small state has noted.
    """

    def __init__(self, database: ClickHouseDatabase, state: SqliteOutboxQuestions) -> None:
        self._database = database
        self._state = state

    def length(self) -> int:
        """Return how many facts wait."""
        return self._state.length()

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""
        noted = self._state.noted(limit)
        records: list[Record] = []
        for each in noted:
            there = {id_keys([record.id])[0]: record for record in self.read(each.kind, each.keys)}
            records.extend(there[key] for key in each.keys if key in there)
        return OutboxBatch(tuple(each.seq for each in noted), records) if noted else None

    def read(self, kind: str, keys: Sequence[bytes | str]) -> list[Record]:
        """Return facts of some ids, wherever they are: what is told of by others is in the small state."""
        of_state = self._state.read(kind, keys)
        if kind not in _ELSEWHERE:
            return of_state
        return [*of_state, *facts(self._database, _ELSEWHERE[kind], map(id_number, keys))]


class LeavingFacts:
    """Notes what is to leave.

    Args:
        database: of the facts.
        state: where it is noted.
    """

    def __init__(self, database: ClickHouseDatabase, state: ReplicatedState) -> None:
        self._database = database
        self._state = state

    def expect(self, records: Sequence[Record], now: int) -> str:
        """Note that facts are about to be stored; return the token by which that is known."""
        token = secrets.token_hex(16)
        self._state.do(ExpectToLeave(token, now, _by_kind(records)))
        return token

    def note(self, token: str, records: Sequence[Record], receipts: Sequence[Receipt]) -> None:
        """Note which of them were new: those are to leave."""
        new = [record for record, receipt in zip(records, receipts, strict=True) if receipt is ACCEPTED]
        self._state.do(NoteToLeave(token, _by_kind(new)))

    def note_calls(self, ids: Sequence[str]) -> None:
        """Note that calls are to leave that the small state has."""
        if ids:
            self._state.do(NoteToLeave("", {"inference": list(ids)}))

    def recover(self, now: int) -> None:
        """Note what is stored of what processes were about to store that have ended."""
        with self._state.asking(EVERYTHING) as moment:
            expected = moment.outbox.expected(now - _EXPECTED_US)
        for token, facts_expected in expected.items():
            with self._state.asking(EVERYTHING) as moment:
                outbox = ClickHouseOutboxQuestions(self._database, moment.outbox)
                there = {
                    kind: [fact.id for fact in outbox.read(kind, id_keys(ids))]
                    for kind, ids in facts_expected.ids.items()
                }
            self._state.do(NoteToLeave(token, there, if_expected=True))


def _by_kind(records: Sequence[Record]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for record in records:
        ids.setdefault(TABLE_OF[type(record)].name, []).append(record.id)
    return ids
