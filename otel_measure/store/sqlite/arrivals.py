"""What came by OTLP, counted by slots of five minutes: for all processes that share the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from otel_measure.definitions.arrivals import OTHERS, Arrival, ArrivalSource
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.records.kinds import Origin

SLOT_US: Final = 5 * MINUTE_US
_KEPT_US: Final = 2 * HOUR_US
# Of a slot; whoever makes up names costs no more, and is counted with all others beyond.
MAX_ROWS: Final = 2000
_KEY: Final = "service, environment, language, scope, signal, outcome, reason"
_ADD: Final = (
    "UPDATE arrival SET items = items + ? WHERE slot = ? AND service = ? AND environment = ? AND language = ?"
    " AND scope = ? AND signal = ? AND outcome = ? AND reason = ?"
)


def note(connection: sqlite3.Connection, arrived: Mapping[Arrival, int], now: int) -> None:
    """Add what came."""
    slot = now // SLOT_US
    rows = int(connection.execute("SELECT count(*) FROM arrival WHERE slot = ?", (slot,)).fetchone()[0])
    for arrival, items in arrived.items():
        if _add(connection, slot, arrival, items):
            continue
        if rows >= MAX_ROWS:
            arrival = Arrival(OTHERS, arrival.signal, arrival.outcome, "")
            if _add(connection, slot, arrival, items):
                continue
        connection.execute(f"INSERT INTO arrival VALUES ({', '.join('?' * 9)})", (slot, *_key(arrival), items))
        rows += 1


def _add(connection: sqlite3.Connection, slot: int, arrival: Arrival, items: int) -> bool:
    return connection.execute(_ADD, (items, slot, *_key(arrival))).rowcount > 0


def _key(arrival: Arrival) -> tuple[str, ...]:
    return (*arrival.source, arrival.signal, arrival.outcome, arrival.reason)


def arrived(connection: sqlite3.Connection, since: int) -> dict[Arrival, int]:
    """Return what came since then, to the slot."""
    select = f"SELECT {_KEY}, sum(items) FROM arrival WHERE slot >= ? GROUP BY {_KEY}"
    rows = connection.execute(select, (since // SLOT_US,))
    return {
        Arrival(ArrivalSource(*source), signal, outcome, reason): items
        for *source, signal, outcome, reason, items in rows
    }


def last_arrivals(connection: sqlite3.Connection, since: int) -> dict[Origin, int]:
    """Return when the last slot begins in which anything came since then, by who sent it."""
    rows = connection.execute(
        "SELECT service, environment, max(slot) FROM arrival WHERE slot >= ? GROUP BY service, environment",
        (since // SLOT_US,),
    )
    return {Origin(service, environment): slot * SLOT_US for service, environment, slot in rows}


def sweep(connection: sqlite3.Connection, now: int) -> None:
    """Forget what came hours ago, and what a clock that is ahead said."""
    connection.execute(
        "DELETE FROM arrival WHERE slot < ? OR slot > ?", ((now - _KEPT_US) // SLOT_US, now // SLOT_US + 1)
    )
