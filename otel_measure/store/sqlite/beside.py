"""What a store knows of facts that are kept elsewhere: how their series are named, what is gone, what is to leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.ids import id_keys
from otel_measure.store.sqlite import facts, outbox, totals
from otel_measure.store.sqlite.outbox import Expected
from otel_measure.store.sqlite.transaction import Writing

_TABLES: Final = {table.name: table for table in facts.TABLES}


class SqliteBeside:
    """Keeps what a store has to know of facts that are kept elsewhere.

    Args:
        writing: opens a write transaction.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def name_series(self, keys: Iterable[TotalKey]) -> None:
        """Name series, in this order: the first ones of an instrument are shown."""
        with self._writing() as transaction:
            totals.name_series(transaction.names, keys)

    def keep_totals(self, sums: Mapping[TotalKey, Sum]) -> None:
        """Keep what facts have added that are about to be removed."""
        with self._writing() as transaction:
            for into in ("total", "total_base"):
                totals.merge(transaction.connection, transaction.names, sums, into)

    def expect_to_leave(self, token: str, expected: Expected) -> None:
        """Note that facts are about to be kept that are to leave then."""
        with self._writing() as transaction:
            outbox.expect(transaction.connection, token, expected)

    def note_to_leave(self, token: str, ids: Mapping[str, Sequence[str]]) -> None:
        """Note that facts were kept and are to leave; of one token only the first counts."""
        with self._writing() as transaction:
            if outbox.was_expected(transaction.connection, token):
                for kind, some in ids.items():
                    if some:
                        outbox.note(transaction.connection, _TABLES[kind], id_keys(some))
