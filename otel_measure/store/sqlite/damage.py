"""Damage of a file: what a statement met is remembered, and the rest is looked for at a small part of the time.

A scan takes hours for a large file. What one process met therefore lies beside the file, for the others and for those
that come later, with the inode that it is true of: a file that was put in its place has none.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.store.sqlite.faults import RECOVER, store_error
from otel_measure.store.sqlite.file import MEMORY

_SLICE_S: Final = 0.05
_SHARE: Final = 0.01  # of the time; a large table is looked at as a whole, and is followed by as long a rest
_BETWEEN_PASSES_S: Final = 60.0


class Damage:
    """The first damage of a file that was met: whoever asks later need not meet it, in whatever process.

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
            self._remember(meaning.what)
        return meaning

    def note(self, problem: str) -> None:
        """Remember what was found."""
        self._remember(f"{self._path}: {problem}")

    def _remember(self, what: str) -> None:
        if self._what:
            return
        self._what = what
        if self._path != MEMORY and not noted_damage(self._path):
            with suppress(OSError):  # this process knows it, and a disk that is full or broken is told of elsewhere
                _write_note(Path(self._path), what)

    def refuse(self) -> None:
        """Raise when there is any that this process, or another one, has met."""
        if self._what:
            raise StoreUnavailable("corrupt", self._what, RECOVER)
        if self._path != MEMORY and (what := noted_damage(self._path)):
            raise StoreUnavailable("corrupt", what, way_out_of_noted(self._path))


def note_of(path: str) -> str:
    """Return the path of the note beside a file."""
    return f"{path}-damage"


def way_out_of_noted(path: str) -> str:
    """Return what to do about damage that is noted beside a file."""
    return f"{RECOVER}; delete {note_of(path)} when it is mended in place"


def noted_damage(path: str) -> str:
    """Return what the note beside a file says of the damage of this very file, "" for nothing."""
    try:
        content = Path(note_of(path)).read_bytes()
    except OSError:
        return ""
    try:
        note = json.loads(content)
        return str(note["what"]) if note["inode"] == _inode_of(path) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # half-written, or not ours: whoever meets the damage says it


def _write_note(path: Path, what: str) -> None:
    descriptor = os.open(note_of(str(path)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump({"what": what, "inode": _inode_of(str(path))}, file)


def _inode_of(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_dev, status.st_ino]


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
