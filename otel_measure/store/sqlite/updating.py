"""How a store comes to the definitions of a newer version, and its journal to its end, whoever uses it meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Final, Protocol

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import facts, journal, kept
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.recounting import Recount, Superseded, in_place, leftovers, remove_leftovers, token
from otel_measure.store.sqlite.transaction import Writing

LEASE: Final = "definitions"
# Longer than any one step takes, a second or two whatever the size of the store: who lost it in the middle of a step
# would begin anew, and so would the next. When its holder is killed, the store goes on as it was counted for as long.
LEASE_US: Final = 120_000_000
SMALL: Final = 20_000


class TakesLease(Protocol):
    """Takes, renews or (until 0) gives up a lease."""

    def __call__(self, key: str, holder: str, now: int, until: int) -> bool:
        """Return whether the holder has it."""


class Updates:
    """What a process does so that a store is counted by its definitions, and has nothing waiting.

    Args:
        database: the store.
        writing: opens a write transaction.
        definitions: those of the process.
        take_lease: one process counts anew at a time.
    """

    def __init__(
        self,
        database: Database,
        writing: Writing,
        definitions: Callable[[], Definitions],
        take_lease: TakesLease,
    ) -> None:
        self._database = database
        self._writing = writing
        self._definitions = definitions
        self._take_lease = take_lease
        self._inherited: list[Generator[None, None, None]] = []
        self._reset()

    def _reset(self) -> None:
        self._stepping = threading.Lock()
        self._steps: Generator[None, None, None] | None = None
        self._renew_at = 0

    # ------------------------------------------------------------ at once

    def at_once(self) -> None:
        """Do all there is to do where it is little; what cannot be written now is left for later."""
        with suppress(StoreUnavailable):
            with self._database.read() as connection:
                is_behind = self._is_behind(connection)
                if (not is_behind and journal.is_empty(connection)) or not _is_small(connection):
                    return
            if is_behind:
                with self._writing(durable=True) as transaction:
                    if self._is_behind(transaction.connection):
                        in_place(transaction, self._definitions(), with_totals=False)
            self.work_off()

    def work_off(self) -> bool:
        """Roll up all that waits; return whether nothing does any more."""
        while self._work_off():
            pass
        with self._database.read() as connection:
            return journal.is_empty(connection)

    def _is_behind(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the store was counted by an older version, which this process may change."""
        found, own = kept.kept(connection), self._definitions()
        return found is not None and own.rules > found.rules and not own.refused(found)

    # ------------------------------------------------------------ step by step

    def step(self, holder: str, now: int) -> bool:
        """Do a part of what there is to do; return whether there may be more.

        Args:
            holder: this process, among those that use the store.
            now: microseconds.
        """
        with self._stepping:
            if self._steps is not None:
                return self._go_on(holder, now)
            with self._database.read() as connection:
                state, is_behind = kept.state(connection), self._is_behind(connection)
                has_leftovers = bool(leftovers(connection))
            if is_behind:
                return self._begin(
                    Recount(self._database, self._definitions(), token(holder, now)).steps(), holder, now
                )
            if state.digest != self._definitions().digest:
                return False
            if state.updating is not None:
                return self._resume(state.updating, holder, now)
            if state.has_journal:
                return self._work_off()
            return has_leftovers and self._begin(remove_leftovers(self._database), holder, now)

    def _work_off(self) -> bool:
        with self._writing() as transaction:
            return transaction.rolls_up and journal.work_off(transaction)

    def _begin(self, steps: Generator[None, None, None], holder: str, now: int) -> bool:
        if self._database.path == MEMORY or not self._takes_lease(holder, now):
            return False
        self._steps = steps
        return self._go_on(holder, now)

    def _takes_lease(self, holder: str, now: int) -> bool:
        self._renew_at = now + LEASE_US // 4
        return self._take_lease(LEASE, holder, now, now + LEASE_US)

    def _go_on(self, holder: str, now: int) -> bool:
        steps, is_over = self._steps, True
        try:
            if steps is None or (now >= self._renew_at and not self._takes_lease(holder, now)):
                return False
            is_over = next(steps, self) is self
        except Superseded:
            pass
        finally:
            if is_over:
                self._end()
        if is_over:
            self._take_lease(LEASE, holder, now, 0)
        return True

    def _end(self) -> None:
        if self._steps is not None:
            self._steps.close()
        self._steps = None

    def _resume(self, mark: str, holder: str, now: int) -> bool:
        """Go on as before when whoever was counting anew, for another version, is gone."""
        if not self._takes_lease(holder, now):
            return False
        with self._database.write(durable=True) as connection:
            if kept.state(connection).updating == mark:
                kept.unmark(connection)
        self._take_lease(LEASE, holder, now, 0)
        return True

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """Leave off; somebody else begins anew."""
        with self._stepping:
            self._end()

    def before_fork(self) -> None:
        """Leave off, and begin anew afterwards: a child has no use for the connection, see `Database.before_fork`."""
        self._parked = self._stepping.acquire(timeout=5)  # a step takes a second or two
        if self._parked:
            self._end()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._parked:
            self._stepping.release()

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone."""
        if self._steps is not None:
            self._inherited.append(self._steps)
        self._reset()


def _is_small(connection: sqlite3.Connection) -> bool:
    """Tell whether all that is stored is counted in a second."""
    counted = (
        connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {SMALL + 1})").fetchone()[0]
        for name in ("journal", *(table.name for table in facts.TABLES))
    )
    return bool(sum(counted) <= SMALL)
