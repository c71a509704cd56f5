"""Leases as rows: who may do something for all processes of a store, and until when."""

from __future__ import annotations

import sqlite3
from typing import Final

_TAKE: Final = """
    INSERT INTO lease VALUES (:key, :holder, :until)
    ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE holder = excluded.holder OR until < :now OR (until > :set_back AND excluded.until > :now)
"""


def take(connection: sqlite3.Connection, key: str, holder: str, now: int, until: int) -> bool:
    """Take or renew a lease, or give it up until a time that was; `False` while another process holds it."""
    # One that lies further ahead than two of its length was taken before the clock was set back: its holder may be
    # gone, and it would last for as long as the step.
    set_back = until + max(until - now, 0)
    given = {"key": key, "holder": holder, "until": until, "now": now, "set_back": set_back}
    connection.execute(_TAKE, given)
    (holds,) = connection.execute("SELECT holder FROM lease WHERE key = ?", (key,)).fetchone()
    return bool(holds == holder)
