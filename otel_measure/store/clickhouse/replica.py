"""The small state of a store as one process has it in memory: a store in SQLite, which can try what a write would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from otel_measure.records.ids import id_keys, id_text
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.chunks import rows_in
from otel_measure.store.sqlite.transaction import Transaction


class _Undone(Exception):  # noqa: N818 - reads as what has happened
    """That what was tried is as if it had not been."""


class Replica(SqliteStore):
    """A store in SQLite, in which one thread at a time writes."""

    _is_rehearsal = False

    def rehearse(self, write: Callable[[SqliteStore], object]) -> None:
        """Have a write do all that it does, and undo it; what it raises is raised."""
        self._is_rehearsal = True
        try:
            write(self)
        except _Undone:
            pass
        finally:
            self._is_rehearsal = False

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
