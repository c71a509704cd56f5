"""What a store does beside what it counts: erasures, exports, backups, alerts, the history of the machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreError
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite import erasures, identity, machine
from otel_measure.store.sqlite.alerts import SqliteAlertWriter
from otel_measure.store.sqlite.backups import back_up
from otel_measure.store.sqlite.clearing import Clearing
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.export import export
from otel_measure.store.sqlite.transaction import Writing
from otel_measure.store.types.backups import Backup, Progress
from otel_measure.store.types.exports import UserExport
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.users import Erasure, ErasureState

_CLEARING_AT_ONCE_S: Final = 1.0  # enough for a store of some megabytes


class SqliteUpkeep:
    """A part of `SqliteStore`.

    Args:
        database: the store.
        writing: opens a write transaction of it.
        believed_us: returns what is believed of a time, within a transaction.

    Attributes:
        alerts: keeps what comes of evaluating alerts.
    """

    def __init__(self, database: Database, writing: Writing, believed_us: Callable[[int], int]) -> None:
        self._database = database
        self._writing = writing
        self._believed_at = believed_us
        self._clearing = Clearing(database)
        self.alerts: Final = SqliteAlertWriter(writing, believed_us)

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return what yields a connection to all of the store at one moment, for questions."""
        return self._database.read()

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped; then clear bytes for a moment."""
        erasure = self.remove(user_id, now)
        with suppress(StoreError):  # the person is gone; the background goes on
            self._clearing.run(now, _CLEARING_AT_ONCE_S)
            state = self.erasure(erasure.receipt)
            return replace(erasure, bytes_cleared=state is not None and state.bytes_cleared)
        return erasure

    def remove(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped; no byte is cleared yet."""
        with self._writing(durable=True) as transaction:
            # Later than what is believed, where the clock says so: what was recorded by this clock is erased as well.
            at = max(now, self._believed_at(now))
            receipt, person = identity.begin(transaction, user_id, at)
        keys = identity.search(self._database.read, person)
        with self._writing(durable=True) as transaction:
            return identity.finish(transaction, user_id, receipt, person, keys, at)

    def is_busy(self) -> bool:
        """Tell whether a write would wait long for another thread of this process."""
        return self._database.is_busy()

    def watch(self) -> None:
        """Raise `StoreUnavailable` when the file or its log was taken away, or when damage was met."""
        self._database.watch()

    def note_machine(self, readings: Mapping[str, float], now: int) -> None:
        """Add readings of the machine by their names, taken at one moment."""
        with self._writing() as transaction:
            machine.note(transaction.connection, readings, self._believed_at(now))

    def see(self, origins: Iterable[Origin], models: Iterable[ModelKey]) -> None:
        """Know services, environments and models of facts that are kept elsewhere, in the order in which they came."""
        with self._writing() as transaction:
            for origin in origins:
                transaction.names.origin(origin)
            for name, version in models:
                transaction.names.model(name, version)

    def export(self, user_id: str) -> UserExport:
        """Return all that is stored of a person."""
        with self._database.read() as connection:
            return export(connection, user_id)

    def erase_again(self, known: erasures.ErasuresFile) -> int:
        """Remove whoever was erased since this store was copied; return how many persons that were."""
        with self._writing(durable=True) as transaction:
            return identity.erase_again(transaction, known)

    def backup(self, target: Path, progress: Progress) -> Backup:
        """Copy the store as of now, whoever writes meanwhile; see `otel_measure.store.protocol.Admin`."""
        return back_up(self._database, target, progress)

    def clear_erased(self, now: int) -> bool:
        """Clear a part of the bytes of the erased where any are left; return whether more can be done at once.

        Whoever is being erased by a process that has ended is erased first.
        """
        with self._database.read() as connection:
            persons = [identity.person_of(connection, user) for user in identity.left_over(connection, now)]
        for person in persons:
            keys = identity.search(self._database.read, person)
            with self._writing(durable=True) as transaction:
                identity.finish_left_over(transaction, person, keys, now)
        return self._clearing.step(now)

    def erasure(self, receipt: int) -> ErasureState | None:
        """Return what became of an erasure, `None` where there was none with this receipt."""
        with self._database.read() as connection:
            return erasures.state(connection, receipt)
