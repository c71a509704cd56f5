"""Sessions as rows: a batch reads the stored ones that its parts may touch, and no events.

What a session is, and what it contributes to cells, is told in `definitions/sessions.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import BY_GAP, Client, SessionKey, SessionSpan, add_sessions, merged_spans

_CHUNK: Final = 250


class SessionChange:
    """The sessions a batch changes.

    Args:
        connection: within the transaction.
        environment: in which they are.
        definitions: of sessions, and of the days they belong to.
    """

    def __init__(self, connection: sqlite3.Connection, environment: int, definitions: Definitions) -> None:
        self._connection = connection
        self._environment = environment
        self._definitions = definitions

    def merge(self, new: Mapping[SessionKey, Sequence[SessionSpan]], changes: CellChanges) -> None:
        """Merge new parts, by person and client id, into the stored sessions."""
        gone: list[tuple[int, int, Client, int]] = []
        kept: list[tuple[int, int, Client, int, int, int, int, int]] = []
        neighbours = self._neighbours(new)
        definitions = self._definitions
        for key, parts in new.items():
            after, before = parts, neighbours.get(key, [])
            if before or len(parts) > 1:
                after = merged_spans((*before, *parts), key[1], definitions)
            if before:
                add_sessions(changes, before, definitions, -1)
                starts = {each[0] for each in after}
                gone += [(self._environment, *key, each[0]) for each in before if each[0] not in starts]
            add_sessions(changes, after, definitions)
            kept += [(self._environment, *key, *s) for s in after]
        if gone:
            self._connection.executemany(
                "DELETE FROM session WHERE environment=? AND uid=? AND client=? AND started=?", gone
            )
        self._connection.executemany("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)", kept)

    def _neighbours(self, new: Mapping[SessionKey, Sequence[SessionSpan]]) -> dict[SessionKey, list[SessionSpan]]:
        """Return the stored sessions that each group may touch."""
        named = [key for key in new if key[1] != BY_GAP]
        unnamed = [
            (uid, min(part.start for part in parts), max(part.end for part in parts) + self._definitions.session_gap_us)
            for (uid, client), parts in new.items()
            if client == BY_GAP
        ]
        neighbours: dict[SessionKey, list[SessionSpan]] = {}
        for statement, width, asked in ((_NAMED, 2, named), (_UNNAMED, 3, unnamed)):
            for uid, client, *numbers in self._rows(statement, width, asked):
                neighbours.setdefault((uid, client), []).append(SessionSpan(*numbers))
        return neighbours

    def _rows(self, statement: str, width: int, asked: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        marks = f"({','.join('?' * width)})"
        for i in range(0, len(asked), _CHUNK):
            part = asked[i : i + _CHUNK]
            values = ",".join([marks] * len(part))
            yield from self._connection.execute(
                statement.format(values), [*(value for key in part for value in key), self._environment]
            )


# CROSS JOIN keeps SQLite from reading the table in search of the keys.
_NAMED: Final = (
    "WITH k (uid, client) AS (VALUES {}) SELECT s.uid, s.client, s.started, s.ended, s.events, s.views, s.keys"
    " FROM k CROSS JOIN session s ON s.uid = k.uid AND s.environment = ? AND s.client = k.client"
)
# The sessions of a person do not overlap: what begins last before a span is the only one that may reach it.
_UNNAMED: Final = (
    "WITH k (uid, first, last) AS (VALUES {}) SELECT s.uid, s.client, s.started, s.ended, s.events, s.views, s.keys"
    " FROM k CROSS JOIN session s ON s.uid = k.uid AND s.environment = ? AND s.client = ''"
    " AND s.started <= k.last AND s.started >= coalesce((SELECT max(b.started) FROM session b WHERE b.uid = k.uid"
    " AND b.environment = s.environment AND b.client = '' AND b.started <= k.first), k.first)"
)


def sessions_of(connection: sqlite3.Connection, environment: int, uid: int) -> dict[Client, list[SessionSpan]]:
    """Return all sessions of a person in an environment, by client id."""
    sessions: dict[Client, list[SessionSpan]] = {}
    for client, *numbers in connection.execute(
        "SELECT client, started, ended, events, views, keys FROM session WHERE environment = ? AND uid = ?"
        " ORDER BY client, started",
        (environment, uid),
    ):
        sessions.setdefault(client, []).append(SessionSpan(*numbers))
    return sessions
