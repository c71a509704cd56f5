"""A store in memory that keeps the small state of a store whose facts lie elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from otel_measure.definitions.clock import believes
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.ids import id_keys, id_text
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import (
    SqliteStore,
    erasures,
    facts,
    final_calls,
    kept,
    kept_elsewhere,
    outbox,
    roll_ups,
    totals,
)
from otel_measure.store.sqlite.chunks import rows_in
from otel_measure.store.sqlite.clock import kept_clock
from otel_measure.store.sqlite.copies import Copies
from otel_measure.store.sqlite.erasures import ErasedUsers
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.final_calls import FinalCalls
from otel_measure.store.sqlite.kept_elsewhere import WaitingErasure
from otel_measure.store.sqlite.migrations import migrate
from otel_measure.store.sqlite.outbox import Expected
from otel_measure.store.sqlite.recounting import in_place
from otel_measure.store.sqlite.retention import Limits
from otel_measure.store.sqlite.serialized import give_back_room, load, serialized, write_to
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.facts import Receipt

_ANY_NUMBER_OF_BYTES: Final = 2**60
_TABLES: Final = {table.name: table for table in facts.TABLES}


class _Undone(Exception):  # noqa: N818 - reads as what has happened
    """That what was tried is as if it had not been."""


class Replica(SqliteStore):
    """The small state of a store, as one process has it.

    What it becomes depends on what it is told and in which order, and on nothing else.

    Args:
        definitions: by which the store was counted in its beginning.
        key: the secret of the keyed hashes of the store.
    """

    _is_rehearsal = False

    def __init__(self, definitions: Definitions, key: bytes) -> None:
        super().__init__(MEMORY, definitions=definitions, max_bytes=_ANY_NUMBER_OF_BYTES)
        self._copies = Copies(self._database)
        with self._transaction() as transaction:
            erasures.keep_key(transaction.connection, key.hex())

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return what yields a copy: nobody waits until the questions are answered."""
        return self._copies.taken()

    def close(self) -> None:
        """Let go of it, and of the copies."""
        self._copies.forget()
        super().close()

    def contents(self) -> bytes:
        """Return all of it as a database of SQLite."""
        return serialized(self._database)

    def load(self, contents: bytes) -> None:
        """Become what another one was, of this version or an earlier one.

        Raises:
            StoreUnavailable: it is of a newer version.
        """
        load(self._database, contents)
        self._copies.forget()
        migrate(self._database)
        self._definitions = kept.claim(self._database, None)
        self._names.clear()

    def write_to(self, target: Path) -> None:
        """Write all of it to a new file."""
        write_to(self._database, target)

    def rehearse(self, write: Callable[[Replica], object]) -> bool:
        """Have a write do all that it does, and undo it; return whether it would do anything.

        What it raises is raised. One thread at a time writes.
        """
        self._is_rehearsal = True
        try:
            write(self)
        except _Undone:
            return True
        finally:
            self._is_rehearsal = False
        return False

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[Transaction]:
        with super()._transaction(durable=durable) as transaction:
            yield transaction
            if self._is_rehearsal:
                raise _Undone

    def told_calls(self, ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are calls which others told of."""
        with self._database.read() as connection:
            rows = rows_in(connection, "SELECT id FROM inference WHERE id IN", id_keys(ids))
            return {id_text(key) for (key,) in rows}

    def admitted(self, records: Sequence[Record]) -> tuple[Sequence[Record], list[Receipt]]:
        """Return records as they may be kept, and what is to be said of each: too old, erased, or accepted."""
        with self._transaction():
            return self._admitted(records)

    @property
    def horizon(self) -> int:
        """Time before which facts are gone, microseconds; 0 when none are."""
        with self._database.read() as connection:
            return kept.state(connection).horizon

    def sweep_by(self, now: int, retention_days: int, history_days: int) -> int | None:
        """Apply retention; return how many of the facts that are here were removed, `None` where `now` is doubted."""
        with self._database.read() as connection:
            if not believes(kept_clock(connection), now):
                return None
        removed = self._sweeper.sweep(now, Limits(retention_days, _ANY_NUMBER_OF_BYTES, history_days))
        with self._database.read() as connection:
            give_back_room(connection)
        return removed

    # ------------------------------------------------------------ calls that go elsewhere

    @property
    def final_calls(self) -> int:
        """The last batch of calls that others told of which lies among the facts elsewhere; 0 for none."""
        with self._database.read() as connection:
            return final_calls.last_batch(connection)

    def all_told_calls(self) -> list[str]:
        """Return the ids of the calls that others told of."""
        with self._database.read() as connection:
            return [id_text(key) for (key,) in connection.execute("SELECT id FROM inference ORDER BY id")]

    def begin_final_calls(self, before: int, limit: int) -> FinalCalls:
        """Return the calls that others told of which are to go to the facts elsewhere; see `final_calls`."""
        with self._transaction() as transaction:
            return final_calls.begin(transaction, before, limit)

    def end_final_calls(self, number: int) -> None:
        """Take the calls of a batch out of the state: they lie among the facts elsewhere."""
        with self._transaction() as transaction:
            final_calls.end(transaction, number)

    # ------------------------------------------------------------ facts elsewhere

    def unnamed(self, keys: Iterable[TotalKey]) -> list[TotalKey]:
        """Return those of some series of facts that nobody has named, in the order given."""
        with self._database.read() as connection:
            return totals.unnamed(connection, keys)

    def name_series(self, keys: Iterable[TotalKey]) -> None:
        """Name series of facts that lie elsewhere, in this order: the first ones of an instrument are shown."""
        with self._transaction() as transaction:
            totals.name_series(transaction.names, keys)

    def expect_to_leave(self, token: str, expected: Expected) -> None:
        """Note that facts are about to be kept that are to leave by OTLP then."""
        with self._transaction() as transaction:
            outbox.expect(transaction.connection, token, expected)

    def note_to_leave(self, token: str, ids: Mapping[str, Sequence[str]], *, if_expected: bool = False) -> None:
        """Note that facts were kept and are to leave.

        Args:
            token: by which they were expected, and are not any more.
            ids: of the facts, by the names of their kinds.
            if_expected: do nothing where they were not expected any more.
        """
        with self._transaction() as transaction:
            was_expected = outbox.was_expected(transaction.connection, token)
            for kind, some in ids.items():
                if some and (was_expected or not if_expected):
                    outbox.note(transaction.connection, _TABLES[kind], id_keys(some))

    # ------------------------------------------------------------ removals elsewhere

    def begin_removal(self, key: str, sums: Mapping[TotalKey, Sum]) -> bool:
        """Keep what facts elsewhere have added to totals before they are removed; see `kept_elsewhere`."""
        with self._transaction() as transaction:
            return kept_elsewhere.begin_removal(transaction, key, sums)

    def end_removal(self, key: str) -> None:
        """Note that facts elsewhere are gone."""
        with self._transaction() as transaction:
            kept_elsewhere.end_removal(transaction.connection, key)

    def removals(self) -> list[str]:
        """Return the keys of the removals that have begun and not ended."""
        with self._database.read() as connection:
            return kept_elsewhere.removals(connection)

    @property
    def removals_begun(self) -> int:
        """How many removals have ever begun."""
        with self._database.read() as connection:
            return kept_elsewhere.begun(connection)

    # ------------------------------------------------------------ counting anew

    def begin_recount(self, definitions: Definitions) -> bool:
        """Note by which definitions facts elsewhere are being counted anew; return `False` while any are removed.

        Raises:
            StoreError: they are by others.
        """
        with self._transaction() as transaction:
            return kept_elsewhere.begin_recount(transaction.connection, definitions.to_json())

    def end_recount(self, definitions: Definitions) -> None:
        """Count by other definitions from now on, as the facts elsewhere are; does nothing where that has ended."""
        with self._transaction() as transaction:
            if kept_elsewhere.recounted_by(transaction.connection) != definitions.to_json():
                return
            in_place(transaction, definitions, with_totals=False)
            kept_elsewhere.end_recount(transaction.connection)
        self._definitions = definitions

    @property
    def recounted_by(self) -> Definitions | None:
        """By which definitions facts elsewhere are being counted anew, `None` where they are not."""
        with self._database.read() as connection:
            by = kept_elsewhere.recounted_by(connection)
        return None if by is None else Definitions.from_json(by)

    def frozen_before(self, definitions: Definitions) -> int:
        """Return the first day of which all facts are there, by some definitions; 0 where no fact is gone."""
        with self._database.read() as connection:
            return roll_ups.frozen_before(connection, definitions).day

    # ------------------------------------------------------------ erasures

    @property
    def erased_times(self) -> str | None:
        """How often somebody was erased, `None` for never."""
        with self._database.read() as connection:
            return kept.state(connection).erasures

    def erasures(self) -> tuple[ErasedUsers, ...]:
        """Return whom erasures were of, as tombstones, the first one first."""
        with self._database.read() as connection:
            return erasures.all_of(connection)

    def waiting_erasures(self) -> list[WaitingErasure]:
        """Return the erasures of which bytes are left, the first one first."""
        with self._database.read() as connection:
            return kept_elsewhere.waiting(connection)

    def note_masked(self, receipts: Sequence[int], at_s: int) -> None:
        """Note when the rows of erasures were gone from the tables in use, seconds by the server."""
        with self._transaction() as transaction:
            kept_elsewhere.note_masked(transaction.connection, receipts, at_s)

    def note_cleared(self, receipts: Sequence[int], now: int) -> None:
        """Note that no byte of the persons is left anywhere."""
        with self._transaction() as transaction:
            kept_elsewhere.note_cleared(transaction.connection, receipts, now)
