"""The bound of a store's bytes: when it is looked at, when facts have to go for it, and when nothing is taken in.

What decides is the pages that hold something. A deletion lowers them at once; the size of the file it never lowers, and
that of the log it raises, so whoever looked at those would delete everything.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.checkpoints import LARGEST_LOG_PAGES
from otel_measure.store.sqlite.one_at_a_time import OneAtATime
from otel_measure.store.sqlite.opening import PAGE_BYTES
from otel_measure.store.waiting import wait_s

LOOK_EVERY: Final = 10_000
ROOM_FROM: Final = 0.90
ROOM_UNTIL: Final = 0.85
# A page becomes free when little is left in it and in its neighbours. Where facts that lay together do not go together,
# many have to go before the first page does, and what comes meanwhile takes their place: so from here on, and below
# only where the pages have grown since facts went last.
_AT_ANY_RATE_FROM: Final = 0.95
# From here on whoever adds something lets facts go first: they go more slowly than many writers fill the store.
_WAITS_FROM: Final = 0.97
_WAITS_S: Final = 1.0
_GROWN: Final = 0.005
_LARGEST_FACT_BYTES: Final = 64 * 1024
_LEAST_LOG_PAGES: Final = 64
_IN_VAIN_PAUSE_S: Final = 60.0
LOG_SHARE: Final = 10  # of the bound, the log may have one part in so many


def log_pages(max_bytes: int) -> int:
    """Return how many pages the write-ahead log may have."""
    return min(max(max_bytes // LOG_SHARE // PAGE_BYTES, _LEAST_LOG_PAGES), LARGEST_LOG_PAGES)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of the pages that hold something; free ones are used again before the file grows."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return file_bytes(connection) - int(free) * PAGE_BYTES


def file_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of all pages: what the file has when the log is moved into it."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages) * PAGE_BYTES


class Bound:
    """What a process knows of how full the store is.

    Args:
        path: of the store.
        max_bytes: the bound.
        make_room: has the oldest facts go; runs in a thread of its own, and raises nothing.
        monotonic: seconds.
    """

    def __init__(
        self, path: str, max_bytes: int, make_room: Callable[[], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._make_room = make_room
        self._monotonic = monotonic
        self.reset()

    def reset(self) -> None:
        """Begin anew, in a process of its own."""
        self.is_ended = False
        self._making_room = OneAtATime("otel-measure-bound", self._make_room)
        self._left = 0  # facts that may come before it is looked at
        self._refused = False  # the last write that adds something
        self._is_tight = False
        self._used_after = 0  # when facts went last
        self._not_before_s = 0.0
        self._filled_by = ""

    def look(self, connection: sqlite3.Connection, n: int = 0) -> None:
        """Look at the bound where it is time to, inside a write transaction, before and after `n` facts are inserted.

        Raises:
            StoreUnavailable: "full"; the transaction is to be rolled back.
        """
        self._left -= n
        if self._left > 0:
            return
        used = used_bytes(connection)
        self._is_tight = used >= _WAITS_FROM * self._max_bytes
        room = int(ROOM_FROM * self._max_bytes) - used
        if room <= 0 and self._monotonic() >= self._not_before_s:
            self._making_room.start()
        if used > self._max_bytes or (used == self._max_bytes and not n):
            self._left, self._refused = 0, True
            raise self._full(used)
        # As few as may fill what is left, so that no batch goes far beyond.
        self._left = min(max(room // _LARGEST_FACT_BYTES, 1), LOOK_EVERY)
        self._refused = self._refused and not n

    def let_go_first(self) -> None:
        """Wait for a moment where facts are going and little room is left; outside of a transaction."""
        if self._is_tight:
            self._making_room.wait(wait_s(_WAITS_S))

    def refuse_full(self, connection: sqlite3.Connection) -> None:
        """Raise when a write would be refused, or the last one was and nothing has gone since."""
        used = used_bytes(connection)
        if used >= self._max_bytes or (self._refused and used >= ROOM_FROM * self._max_bytes):
            raise self._full(used)

    def _full(self, used: int) -> StoreUnavailable:
        what = f"{self._path} uses {used:,} bytes, store_max_bytes allows {self._max_bytes:,}{self._filled_by}"
        return StoreUnavailable("full", what, "raise store_max_bytes; the oldest facts go, but none of the last hour")

    def excess(self, connection: sqlite3.Connection) -> float:
        """Return which part of the facts is to go now."""
        used = used_bytes(connection)
        if used < ROOM_FROM * self._max_bytes:
            self._used_after = 0
            return 0.0
        if used < _AT_ANY_RATE_FROM * self._max_bytes and used < self._used_after + _GROWN * self._max_bytes:
            return 0.0
        return 1 - ROOM_UNTIL * self._max_bytes / used

    def went(self, connection: sqlite3.Connection, n: int, filled_by: str = "") -> None:
        """Note that so many facts went, or what else fills the store or keeps them, as a part of a sentence."""
        self._used_after = used_bytes(connection)
        self._filled_by = f"; {filled_by}" if filled_by else ""
        self._not_before_s = 0.0 if n else self._monotonic() + _IN_VAIN_PAUSE_S

    def end(self, timeout_s: float) -> None:
        """Have the thread end."""
        self.is_ended = True
        self._making_room.wait(timeout_s)
