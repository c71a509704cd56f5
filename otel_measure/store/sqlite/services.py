"""Watched services as rows: the register, states and maintenance as they were recorded, and the runs of heartbeats."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Final

from otel_measure.definitions.heartbeats import LONGEST_GAP_US, joined_run
from otel_measure.errors import StoreRejected
from otel_measure.records.ids import id_text
from otel_measure.store.sqlite.clock import kept_clock
from otel_measure.store.types.services import Interval, RegisteredService, ServiceHistory, StateChange, WatchRun

MAX_SERVICES: Final = 1_000
_SERVICE: Final = "SELECT name, registered, sla_target FROM service WHERE environment = ?"
# An "up" that a "down" follows in the same microsecond is no recovery.
_SINCE_RECOVERY: Final = """
    WITH state AS NOT MATERIALIZED (
        SELECT ts, state, reason, id FROM service_state WHERE service = :name
        AND origin IN (SELECT id FROM origin WHERE environment = :environment)
    )
    SELECT ts, state, reason, id FROM state WHERE ts >= coalesce((
        SELECT max(up.ts) FROM state up WHERE up.state = 'up' AND up.ts <= :start
        AND NOT EXISTS (SELECT 1 FROM state d WHERE d.state = 'down' AND d.ts = up.ts)
    ), :earliest)
"""
_EARLIEST: Final = -(2**63)
# Of an outage that lasts at :horizon, its beginning; without it the outage would be forgotten while it lasts.
_LASTING: Final = """
    SELECT f.id FROM service_state f JOIN origin o ON o.id = f.origin
    WHERE f.ts < :horizon AND f.state = 'down' AND NOT EXISTS (
        SELECT 1 FROM service_state up
        WHERE up.service = f.service AND up.state = 'up' AND up.ts >= f.ts AND up.ts < :horizon
        AND up.origin IN (SELECT id FROM origin WHERE environment = o.environment)
    )
"""


class SqliteServiceQuestions:
    """Satisfies `otel_measure.store.questions.ServiceQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, environment: str) -> None:
        self._connection = connection
        self.environment: Final = environment

    def histories(self, start: int, name: str | None = None) -> list[ServiceHistory]:
        """Return what tells the state of every service (or one) at any time from `start` on, sorted by name."""
        services = _services(self._connection, self.environment, name)
        if not services:
            return []
        heartbeats = self._heartbeats(start)
        return [self._history(one, start, heartbeats) for one in services]

    def _history(self, service: RegisteredService, start: int, heartbeats: tuple[Interval, ...]) -> ServiceHistory:
        asking, mine, name = self._connection, (self.environment, service.name), service.name
        since = asking.execute(
            "SELECT since FROM watched_service WHERE environment = ? AND service = ?", mine
        ).fetchone()
        watches = asking.execute(
            "SELECT first, last, is_over FROM watch_run WHERE environment = ? AND service = ? AND last >= ?"
            " ORDER BY first",
            (*mine, start),
        )
        planned = asking.execute(
            "SELECT start_us, end_us FROM maintenance"
            " WHERE origin IN (SELECT id FROM origin WHERE environment = ?) AND service = ? AND end_us > ?",
            (*mine, start),
        )
        return ServiceHistory(
            service,
            self._changes(name, start),
            heartbeats,
            since[0] if since else None,
            tuple(WatchRun(first, last, bool(is_over)) for first, last, is_over in watches),
            tuple(planned),
        )

    def _changes(self, name: str, start: int) -> tuple[StateChange, ...]:
        given = {"name": name, "environment": self.environment, "start": start, "earliest": _EARLIEST}
        rows = self._connection.execute(_SINCE_RECOVERY, given)
        changes = [StateChange(ts, state, reason, id_text(key)) for ts, state, reason, key in rows]
        return tuple(sorted(changes, key=lambda change: (change.at, change.event_id)))

    def _heartbeats(self, start: int) -> tuple[Interval, ...]:
        rows = self._connection.execute(
            "SELECT first, last FROM heartbeats WHERE environment = ? AND last >= ? ORDER BY first",
            (self.environment, start),
        )
        return tuple((first, last) for first, last in rows)


def register(
    connection: sqlite3.Connection, environment: str, name: str, sla_target: float, now: int
) -> RegisteredService:
    """Add a service, or set the target of one that is known; a heartbeat too.

    Its environment is one that answers may be about from now on, before anything is recorded there.

    Raises:
        StoreRejected: there are too many; each is a line of several metrics, and of the dashboard.
    """
    known = connection.execute(
        "SELECT count(*), max(environment = ? AND name = ?) FROM service", (environment, name)
    ).fetchone()
    if known[0] >= MAX_SERVICES and not known[1]:
        raise StoreRejected(f"{MAX_SERVICES} services are registered, and no more can be: {name!r} is not watched")
    connection.execute("INSERT INTO environment (name) VALUES (?) ON CONFLICT DO NOTHING", (environment,))
    connection.execute(
        "INSERT INTO service VALUES (?, ?, ?, ?) ON CONFLICT (environment, name) DO UPDATE"
        " SET sla_target = excluded.sla_target, registered = min(registered, excluded.registered)",
        (environment, name, now, sla_target),
    )
    beat(connection, environment, now)
    return _services(connection, environment, name)[0]


def _services(connection: sqlite3.Connection, environment: str, name: str | None = None) -> list[RegisteredService]:
    one, given = ("", ()) if name is None else ("AND name = ?", (name,))
    rows = connection.execute(f"{_SERVICE} {one} ORDER BY name", (environment, *given))
    return [RegisteredService(*row) for row in rows]


def beat(connection: sqlite3.Connection, environment: str, at: int, watched: Collection[str] = ()) -> None:
    """Note a heartbeat, and that some services were watched: join the runs that it reaches to one that holds it."""
    for service in watched:
        _note_watch(connection, environment, service, at)
    # Registered by a clock that was ahead: nobody can watch a service for a time to come. A heartbeat that waited on
    # its host is past, and tells nothing of the clocks of others.
    clock = kept_clock(connection)
    now = at if clock is None else max(at, clock.last)
    connection.execute(
        "UPDATE service SET registered = ?2 WHERE environment = ?1 AND registered > ?2", (environment, now)
    )
    latest = connection.execute(
        "SELECT first, last FROM heartbeats WHERE environment = ? AND first <= ? ORDER BY first DESC LIMIT 2",
        (environment, at + LONGEST_GAP_US),
    ).fetchall()
    reached, joined = joined_run(latest, at)
    if reached != [joined]:
        connection.executemany(
            "DELETE FROM heartbeats WHERE environment = ? AND first = ?", [(environment, first) for first, _ in reached]
        )
        connection.execute("INSERT INTO heartbeats VALUES (?, ?, ?)", (environment, *joined))


def end_watch(connection: sqlite3.Connection, environment: str, service: str, at: int) -> None:
    """Note that a watch is given up; another one of the same service opens the run again."""
    _note_watch(connection, environment, service, at)
    connection.execute(
        "UPDATE watch_run SET is_over = 1 WHERE environment = ? AND service = ? AND first <= ? AND last >= ?",
        (environment, service, at, at),
    )


def _note_watch(connection: sqlite3.Connection, environment: str, service: str, at: int) -> None:
    connection.execute(
        "INSERT INTO watched_service VALUES (?, ?, ?) ON CONFLICT (environment, service) DO UPDATE"
        " SET since = min(since, excluded.since)",
        (environment, service, at),
    )
    latest = connection.execute(
        "SELECT first, last FROM watch_run WHERE environment = ? AND service = ? AND first <= ?"
        " ORDER BY first DESC LIMIT 2",
        (environment, service, at + LONGEST_GAP_US),
    ).fetchall()
    reached, joined = joined_run(latest, at)
    connection.executemany(
        "DELETE FROM watch_run WHERE environment = ? AND service = ? AND first = ?",
        [(environment, service, first) for first, _ in reached],
    )
    connection.execute("INSERT INTO watch_run VALUES (?, ?, ?, ?, 0)", (environment, service, *joined))


# ---------------------------------------------------------------- retention


def lasting(connection: sqlite3.Connection, horizon: int) -> set[bytes | str]:
    """Return the ids of the facts before `horizon` that retention leaves: the beginnings of outages that still last."""
    return {key for (key,) in connection.execute(_LASTING, {"horizon": horizon})}


def forget_heartbeats(connection: sqlite3.Connection, horizon: int) -> None:
    """Cut the runs at `horizon`: where the facts are gone, nobody can tell any more whether a service was up."""
    for runs in ("heartbeats", "watch_run"):
        connection.execute(f"DELETE FROM {runs} WHERE last <= ?", (horizon,))
        connection.execute(f"UPDATE {runs} SET first = ? WHERE first < ?", (horizon, horizon))
