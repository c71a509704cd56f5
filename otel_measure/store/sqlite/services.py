"""Watched services in SQLite: the register, the transitions as they were recorded, and the runs of heartbeats."""

from __future__ import annotations

import sqlite3
from typing import Final

from otel_measure.definitions.heartbeats import LONGEST_GAP_US
from otel_measure.records.ids import id_text
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.types.services import Interval, RegisteredService, ServiceHistory, StateChange

_SERVICE: Final = "SELECT name, registered, sla_target FROM service"
# An "up" that a "down" follows in the same microsecond is no recovery.
_SINCE_RECOVERY: Final = """
    SELECT ts, state, reason, id FROM service_state WHERE service = :name AND ts >= coalesce((
        SELECT max(up.ts) FROM service_state up WHERE up.service = :name AND up.state = 'up' AND up.ts <= :start
        AND NOT EXISTS (
            SELECT 1 FROM service_state d WHERE d.service = :name AND d.state = 'down' AND d.ts = up.ts
        )
    ), :earliest)
"""
_EARLIEST: Final = -(2**63)
# Of an outage that lasts at :horizon, its beginning; without it the outage would be forgotten while it lasts.
_LASTING: Final = """
    SELECT f.id FROM service_state f WHERE f.ts < :horizon AND f.state = 'down' AND NOT EXISTS (
        SELECT 1 FROM service_state up
        WHERE up.service = f.service AND up.state = 'up' AND up.ts >= f.ts AND up.ts < :horizon
    )
"""


class SqliteServices:
    """Satisfies `otel_measure.store.protocol.Services`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service, or set the target of one that is known; durable, and a heartbeat too."""
        with self._database.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO service VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET sla_target = excluded.sla_target, registered = min(registered, excluded.registered)",
                (name, now, sla_target),
            )
            _beat(connection, now)
            return _services(connection, name)[0]

    def services(self) -> list[RegisteredService]:
        """Return every service, sorted by name."""
        with self._database.read() as connection:
            return _services(connection)

    def histories(self, start: int, name: str | None = None) -> list[ServiceHistory]:
        """Return what tells the state of every service (or one) at any time from `start` on, sorted by name."""
        with self._database.read() as connection:
            found = _services(connection, name)
            if not found:
                return []
            watched = _watched(connection, start)
            return [ServiceHistory(service, _changes(connection, service.name, start), watched) for service in found]

    def beat(self, at: int) -> None:
        """Note that somebody was there to see at a time."""
        with self._database.write() as connection:
            _beat(connection, at)


def _services(connection: sqlite3.Connection, name: str | None = None) -> list[RegisteredService]:
    where, given = ("", ()) if name is None else ("WHERE name = ?", (name,))
    return [RegisteredService(*row) for row in connection.execute(f"{_SERVICE} {where} ORDER BY name", given)]


def _changes(connection: sqlite3.Connection, name: str, start: int) -> tuple[StateChange, ...]:
    rows = connection.execute(_SINCE_RECOVERY, {"name": name, "start": start, "earliest": _EARLIEST})
    found = [StateChange(ts, state, reason, id_text(key)) for ts, state, reason, key in rows]
    return tuple(sorted(found, key=lambda change: (change.at, change.event_id)))


def _watched(connection: sqlite3.Connection, start: int) -> tuple[Interval, ...]:
    rows = connection.execute("SELECT first, last FROM watched WHERE last >= ? ORDER BY first", (start,))
    return tuple((first, last) for first, last in rows)


def _beat(connection: sqlite3.Connection, at: int) -> None:
    """Join the runs that the heartbeat reaches to one that holds it: at most the one before and the one after."""
    # Registered by a clock that was ahead: nobody can watch a service for a time to come.
    connection.execute("UPDATE service SET registered = ? WHERE registered > ?", (at, at))
    latest = connection.execute(
        "SELECT first, last FROM watched WHERE first <= ? ORDER BY first DESC LIMIT 2", (at + LONGEST_GAP_US,)
    )
    reached = [(first, last) for first, last in latest if last >= at - LONGEST_GAP_US]
    joined = min([at, *(first for first, _ in reached)]), max([at, *(last for _, last in reached)])
    if reached != [joined]:
        connection.executemany("DELETE FROM watched WHERE first = ?", [(first,) for first, _ in reached])
        connection.execute("INSERT INTO watched VALUES (?, ?)", joined)


# ---------------------------------------------------------------- retention


def lasting(connection: sqlite3.Connection, horizon: int) -> set[bytes | str]:
    """Return the ids of the facts before `horizon` that retention leaves: the beginnings of outages that still last."""
    return {key for (key,) in connection.execute(_LASTING, {"horizon": horizon})}


def forget_watched(connection: sqlite3.Connection, horizon: int) -> None:
    """Cut the runs at `horizon`: where the facts are gone, nobody can tell any more whether a service was up."""
    connection.execute("DELETE FROM watched WHERE last <= ?", (horizon,))
    connection.execute("UPDATE watched SET first = ? WHERE first < ?", (horizon, horizon))
