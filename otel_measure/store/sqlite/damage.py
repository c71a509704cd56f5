"""Damage of a file: what a statement met is remembered, and the rest is looked for at a small part of the time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.sqlite.faults import RECOVER, store_error

_SLICE_S: Final = 0.05
_SHARE: Final = 0.01  # of the time; a large table is looked at as a whole, and is followed by as long a rest
_BETWEEN_PASSES_S: Final = 60.0


class Damage:
    """The first damage of a file that this process met: whoever asks later need not meet it.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._what = ""

    def noted(self, error: sqlite3.Error) -> StoreError:
        """Return what an error means, and remember one that tells of damage."""
        meaning = store_error(self._path, error)
        if isinstance(meaning, StoreUnavailable) and meaning.cause_name == "corrupt":
            self._what = self._what or meaning.what
        return meaning

    def note(self, problem: str) -> None:
        """Remember what was found."""
        self._what = self._what or f"{self._path}: {problem}"

    def refuse(self) -> None:
        """Raise when there is any."""
        if self._what:
            raise StoreUnavailable("corrupt", self._what, RECOVER)


class DamageScan:
    """Looks at a few tables at a time, and begins anew when it has seen all.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._tables: list[str] = []
        self._due_s = 0.0

    def is_due(self) -> bool:
        """Whether it has rested for long enough."""
        return self._monotonic() >= self._due_s

    def look(self, connection: sqlite3.Connection) -> str:
        """Return what is wrong with the next tables and their indexes, "" for nothing.

        Args:
            connection: a new one, which has no page of the file in memory.

        Raises:
            sqlite3.DatabaseError: so much is wrong that it cannot be looked at.
        """
        began_s = self._monotonic()
        self._tables = self._tables or _tables_of(connection)
        problem = ""
        while self._tables and not problem and self._monotonic() - began_s < _SLICE_S:
            table = self._tables.pop()
            problem = _problem_of(connection, table)
        rest_s = (self._monotonic() - began_s) / _SHARE
        self._due_s = self._monotonic() + (rest_s if self._tables else max(rest_s, _BETWEEN_PASSES_S))
        return problem


def _tables_of(connection: sqlite3.Connection) -> list[str]:
    return [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _problem_of(connection: sqlite3.Connection, table: str) -> str:
    told = str(connection.execute(f"PRAGMA quick_check('{table}')").fetchone()[0])
    return "" if told == "ok" else f"{table}: {told.strip().splitlines()[-1]}"
