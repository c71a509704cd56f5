"""Copies of a store in memory: who asks has one of his own, and keeps nobody from writing meanwhile.

A store in memory has one connection. A question that also waits for a server would hold it for as long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.opening import connected


class Copies:
    """Copies of one store; those of its last state are used again.

    Args:
        database: in memory.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: list[tuple[int, sqlite3.Connection]] = []
        self._generation = 0

    @contextmanager
    def taken(self) -> Iterator[sqlite3.Connection]:
        """Yield a copy of the store as it is now."""
        generation, (version, copy) = self._generation, self._take()
        try:
            yield copy
        finally:
            if generation == self._generation:
                self._idle.append((version, copy))
            else:
                copy.close()

    def _take(self) -> tuple[int, sqlite3.Connection]:
        with self._database.read() as original:  # one thread at a time
            version = original.total_changes
            while self._idle:
                known, copy = self._idle.pop()
                if known == version:
                    return version, copy
                copy.close()
            copy = connected(MEMORY, 0)
            copy.execute("PRAGMA temp_store=MEMORY")
            original.backup(copy)
            return version, copy

    def forget(self) -> None:
        """Use none of them again: the store has become another one, or is closed."""
        self._generation += 1
        while self._idle:
            self._idle.pop()[1].close()
