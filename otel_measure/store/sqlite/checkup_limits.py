"""Checks of what a store may grow to, and of the clock by which anything is removed from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from otel_measure.definitions.clock import TRUSTED_AFTER_US, believes
from otel_measure.definitions.days import moment
from otel_measure.store.sqlite import clock as clock_of_store
from otel_measure.store.sqlite.bound import LOG_SHARE, ROOM_FROM, used_bytes
from otel_measure.store.sqlite.checked_file import MIB, StoreFile, mib, opened, size_of
from otel_measure.store.sqlite.file import LET_GO, has_lost_log, log_of
from otel_measure.store.sqlite.kept import CLOCK, HORIZON, value
from otel_measure.store.types.findings import Finding, ok, warning, wrong

_LARGEST_LOG_BYTES: Final = 256 * MIB
_WRITE_VERSION_AT: Final = 18  # of the header, as SQLite's format of files has it
_WITH_LOG: Final = b"\2"
_HOUR_US: Final = 3_600_000_000


def bound(s: StoreFile) -> Finding:
    """Whether there is room for what comes."""
    with opened(s) as connection:
        used = used_bytes(connection)
    may_use = s.settings.store_max_bytes
    what = f"{mib(used)} of {mib(may_use)} are used, the file has {mib(size_of(s.path))}"
    if used >= may_use:
        return wrong(f"{what}: writes are refused", "raise store_max_bytes; no fact of the last hour goes for it")
    if used >= ROOM_FROM * may_use:
        return warning(f"{what}: the oldest facts go", "raise store_max_bytes to keep them")
    return ok(what)


def log(s: StoreFile) -> Finding:
    """Whether the write-ahead log is there, is on, and is emptied from time to time."""
    if has_lost_log(str(s.path)):
        return wrong(f"{log_of(str(s.path))} was removed while in use by {_held_by(s)}", LET_GO)
    if not _has_log(s.path):
        return warning(
            "there is no write-ahead log: readers and writers wait for each other",
            "start otel-measure once; it switches to the write-ahead log",
        )
    size = size_of(Path(log_of(str(s.path))))
    may_have = min(s.settings.store_max_bytes // LOG_SHARE, _LARGEST_LOG_BYTES)
    if size <= may_have:
        return ok(f"write-ahead log, {mib(size)}")
    readers = s.log_readers(Path(f"{s.path}-shm"))
    who = " and ".join(f"pid {pid} ({command or 'not to be seen'})" for pid, command in readers)
    return warning(
        f"the write-ahead log has {mib(size)} and should have {mib(may_have)}: it is kept from being emptied by"
        f" {who or f'a reader, one of {_held_by(s)}'}; nothing is removed for it",
        "end the long-running query, or the sqlite3 shell that was left in a transaction",
    )


def _has_log(path: Path) -> bool:
    """Tell whether a database is one with a write-ahead log, by its header."""
    if os.path.exists(log_of(str(path))):
        return True
    with path.open("rb") as file:
        return file.read(_WRITE_VERSION_AT + 1)[_WRITE_VERSION_AT:] == _WITH_LOG


def _held_by(s: StoreFile) -> str:
    return ", ".join(s.holders(s.path)) or "a process that this user may not see"


def clock(s: StoreFile) -> Finding:
    """Whether the clock of this machine is believed by the store: else nothing is removed from it."""
    with opened(s) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            return ok("there was no heartbeat yet")
        kept = clock_of_store.parsed(value(connection, CLOCK))
        horizon = int(value(connection, HORIZON) or 0)
    now = s.now_us()
    if kept is None:
        return ok("there was no heartbeat yet")
    if not believes(kept, now):
        left_h = (TRUSTED_AFTER_US - kept.agreed) / _HOUR_US
        return warning(
            f"it says {moment(now):%Y-%m-%d %H:%M}, the store's time is {moment(kept.last):%Y-%m-%d %H:%M} (UTC):"
            " nothing is removed and nothing runs out",
            f"set the clock right; if it is, `otel-measure doctor --fix` or {left_h:.1f} h of running have it believed",
        )
    if horizon > now:
        return warning(
            f"what comes before {moment(horizon):%Y-%m-%d %H:%M} UTC is refused, and that is still to come",
            "the next heartbeat puts it right, or `otel-measure doctor --fix`",
        )
    return ok(f"believed; the last heartbeat was {moment(kept.last):%Y-%m-%d %H:%M} UTC")


def confirm_clock(s: StoreFile) -> None:
    """Have the store believe the clock of this machine, which somebody has looked at."""
    with opened(s, "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        clock_of_store.confirm(connection, s.now_us())
        connection.execute("COMMIT")
