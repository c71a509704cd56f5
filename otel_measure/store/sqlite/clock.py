"""The clock of a store: what its heartbeats have said, and what is put right when a doubt has ended."""

from __future__ import annotations

import sqlite3
import time

from otel_measure.definitions.clock import Heartbeat, KeptClock, heard
from otel_measure.definitions.days import DAY_US
from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.kept import CLOCK, HORIZON, state


def since_boot_s() -> float:
    """Return seconds by a clock that is never set, and goes on while the machine sleeps, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def kept_clock(connection: sqlite3.Connection) -> KeptClock | None:
    """Return what the store keeps of the clock, `None` before the first heartbeat."""
    return parsed(state(connection).clock)


def parsed(text: str | None) -> KeptClock | None:
    """Return what stands in `meta`."""
    return None if text is None else KeptClock(*map(int, text.split()))


def keep(connection: sqlite3.Connection, kept: KeptClock) -> None:
    """Write it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (CLOCK, " ".join(map(str, kept))))


def note(connection: sqlite3.Connection, beat: Heartbeat, before: Heartbeat | None) -> KeptClock:
    """Note a heartbeat, put right what lies ahead of a clock that is believed, and return what is kept from now on."""
    known = kept_clock(connection)
    if known is None:
        known = _of_services(connection, beat.at)
    clock = heard(known, beat, before)
    keep(connection, clock)
    if not clock.is_doubted:
        set_back(connection, clock.last, doubt_ended=known is not None and known.is_doubted)
    return clock


def confirm(connection: sqlite3.Connection, now: int) -> None:
    """Believe the clock, for somebody has looked at it."""
    keep(connection, KeptClock(now, since=now))
    set_back(connection, now, doubt_ended=True)


def _of_services(connection: sqlite3.Connection, now: int) -> KeptClock | None:
    """Return the clock of a store that an older version has kept: its last heartbeat, or one around now."""
    row = connection.execute(
        "SELECT max(last), max(first <= ?1 + ?2 AND last >= ?1 - ?2) FROM heartbeats", (now, DAY_US)
    ).fetchone()
    last, is_near = row
    return None if last is None or is_near else KeptClock(last)


def set_back(connection: sqlite3.Connection, now: int, *, doubt_ended: bool) -> None:
    """Put right what a clock that was ahead has left: it would be refused what comes until then.

    Args:
        connection: a write transaction.
        now: a time that is believed.
        doubt_ended: whether the clock was doubted until now; else there is nothing to put right in large tables.
    """
    if state(connection).horizon > now:
        oldest = facts.oldest(connection)
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", (HORIZON, str(now if oldest is None else min(oldest, now)))
        )
    if doubt_ended:
        connection.execute("UPDATE tombstone SET erased_at = ?1 WHERE erased_at > ?1", (now,))
