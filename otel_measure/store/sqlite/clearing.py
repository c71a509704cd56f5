"""Clearing the bytes of the erased: out of the pages of the file, the free ones too, and out of the log.

A row that is removed is overwritten at once (`secure_delete`), and the copies are not that SQLite has left where it
once put a page in order. So a pass goes over all pages of the file and overwrites what nobody reads. It writes to the
file itself, which is safe while nothing can be at odds with it:

- the log is empty and stays so, because the pass has the turn of the writers: what is in the file is all there is;
- whoever reads meanwhile sees the same rows before and after, since no byte changes that belongs to one; for the same
  reason a crash half-way through a page does no harm;
- the commit at the end of each portion has every other connection, of any process, forget the pages that it has in
  memory: none of them can write an old copy back.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import erasures, identity, journal, kept, pages
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.faults import RECOVER
from otel_measure.store.sqlite.file import MEMORY

_PORTION_S: Final = 0.05  # writers wait for it
_PAUSE_S: Final = 0.02  # writers of other threads have their turn
_PAGES_AT_ONCE: Final = 16
_NEXT_PAGE: Final = "clearing"


class Clearing:
    """Goes over the file after an erasure, a portion at a time; any process may do the next one.

    Args:
        database: the store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, now: int, for_s: float) -> None:
        """Do as much as there is time for.

        Args:
            now: microseconds.
            for_s: no portion begins later, in seconds from now.
        """
        until_s = time.monotonic() + for_s
        while self.step(now) and time.monotonic() < until_s:
            time.sleep(_PAUSE_S)

    def step(self, now: int) -> bool:
        """Do a portion; return whether there is another one that can be done at once."""
        with self._database.read() as connection:
            waiting, passing = connection.execute(
                "SELECT count(*), coalesce(sum(in_pass), 0) FROM erasure WHERE cleared_at IS NULL"
            ).fetchone()
            # Until all is counted there are roll-ups, or a file beside the store, that still know the person.
            is_behind = (
                kept.state(connection).updating is not None
                or not journal.is_empty(connection)
                or identity.is_unfinished(connection)
            )
            next_page = self._next_page(connection)
        if not waiting or (is_behind and not passing):
            return False
        if not passing:
            self._begin(now)
            return self._database.path != MEMORY
        return self._portion(next_page, now)

    def _begin(self, now: int) -> None:
        with self._database.write(durable=True) as connection:
            if self._database.path == MEMORY:
                connection.execute("UPDATE erasure SET cleared_at = ? WHERE cleared_at IS NULL", (now,))
                return
            erasures.write_file(connection, self._database.path)
            connection.execute("UPDATE erasure SET in_pass = 1 WHERE cleared_at IS NULL")
            self._note(connection, 1)

    def _portion(self, first: int, now: int) -> bool:
        with self._database.with_empty_log() as alone:
            if alone is None:
                return False
            connection, file = alone
            try:
                after, is_over = _clear_from(first, file.descriptor())
            except pages.Malformed as fault:
                problem = f"{self._database.path}: {fault}"
                self._database.damage.note(str(fault))
                raise StoreUnavailable("corrupt", problem, RECOVER) from fault
            # The first statement that reads a page, which is one that is cleared by now.
            self._note(connection, after)
            if is_over:
                connection.execute(
                    "UPDATE erasure SET cleared_at = ?, in_pass = 0 WHERE in_pass = 1 AND cleared_at IS NULL", (now,)
                )
        return True

    def _next_page(self, connection: sqlite3.Connection) -> int:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_NEXT_PAGE,)).fetchone()
        return int(row[0]) if row else 1

    def _note(self, connection: sqlite3.Connection, page: int) -> None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_NEXT_PAGE, str(page)))


def _clear_from(first: int, descriptor: int) -> tuple[int, bool]:
    """Overwrite what nobody reads in the next pages; return which one is next, and whether there is none."""
    until_s = time.monotonic() + _PORTION_S
    header = pages.header_of(os.pread(descriptor, 100, 0))
    if header.pages >= pages.MOST_PAGES:
        raise pages.Malformed(f"{header.pages} pages are more than can be told apart")
    clearer = _Clearer(descriptor, header)
    number = first
    for number in range(first, header.pages + 1, _PAGES_AT_ONCE):
        clearer.clear(range(number, min(number + _PAGES_AT_ONCE, header.pages + 1)))
        if time.monotonic() >= until_s:
            break
    number += _PAGES_AT_ONCE
    if clearer.has_written:
        os.fsync(descriptor)
    return number, number > header.pages


class _Clearer:
    """Overwrites in pages of a file what nobody reads."""

    def __init__(self, descriptor: int, header: pages.FileHeader) -> None:
        self._descriptor = descriptor
        self._header = header
        self._trunks, self._free = pages.free_pages(header, self._read)
        self.has_written = False

    def clear(self, numbers: range) -> None:
        """Clear some pages, and what is after the ends of their rows on others."""
        size = self._header.page_bytes
        text = os.pread(self._descriptor, size * len(numbers), (numbers[0] - 1) * size)
        for i, number in enumerate(numbers):
            page = text[i * size : (i + 1) * size]
            for at, old, new in self._cleared(number, page):
                if new != old:
                    os.pwrite(self._descriptor, new, (at - 1) * size)
                    self.has_written = True

    def _cleared(self, number: int, page: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        if number in self._free:
            yield number, page, bytes(len(page))
        elif number in self._trunks:
            yield number, page, pages.without_rest_of_list(page, self._header)
        else:
            cleared, overflows = pages.without_rests(number, page, self._header)
            yield number, page, cleared
            for overflow in overflows:
                at, old, new = pages.last_of(overflow, self._header, self._read)
                yield at, old, new

    def _read(self, number: int) -> bytes:
        return os.pread(self._descriptor, self._header.page_bytes, (number - 1) * self._header.page_bytes)
