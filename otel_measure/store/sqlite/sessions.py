"""Sessions: spans of one person's time, which merge and never split.

Events of one person with the same client session id are one session; the others are grouped by the gap rule. What a
session counts adds up, so that a late event needs the stored sessions beside it and no events: it extends one or
bridges two. The session belongs to the local day of its start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from otel_measure.store.sqlite.tally import SESSIONS, Tally

Client: TypeAlias = bytes | str
BY_GAP: Final = ""
ENGAGED_US: Final = 10_000_000
ENGAGED_VIEWS: Final = 2
NO_GAP_TOO_LONG: Final = 2**62
_CHUNK: Final = 250


class SessionSpan(NamedTuple):
    """A session, or a part of one; microseconds, and what happened in it."""

    start: int
    end: int
    events: int
    views: int
    keys: int

    @property
    def bounced(self) -> bool:
        """Whether it has a view and is not engaged: shorter than 10 s, one view, no key event."""
        return self.views == 1 and self.keys == 0 and self.end - self.start < ENGAGED_US


def folded(parts: Iterable[SessionSpan], gap_us: int) -> list[SessionSpan]:
    """Return the parts, of which there is one at least, joined wherever the pause is at most `gap_us`; ascending."""
    ordered = sorted(parts)
    found: list[SessionSpan] = []
    start, end, events, views, keys = ordered[0]
    for part in ordered[1:]:
        if part[0] - end <= gap_us:
            end = max(end, part[1])
            events += part[2]
            views += part[3]
            keys += part[4]
        else:
            found.append(SessionSpan(start, end, events, views, keys))
            start, end, events, views, keys = part
    found.append(SessionSpan(start, end, events, views, keys))
    return found


def tally_sessions(tally: Tally, sessions: Iterable[SessionSpan], day_of: Callable[[int], int], sign: int = 1) -> None:
    """Add what sessions contribute to the cells of their days."""
    for session in sessions:
        start, end, events, views, _ = session
        cell = tally.cell(SESSIONS, (day_of(start),))
        cell[0] += sign
        cell[1] += sign * (end - start)
        cell[2] += sign * events
        if views:
            cell[3] += sign
            cell[4] += sign * session.bounced


class SessionChange:
    """The sessions a batch changes.

    Args:
        connection: within the transaction.
        gap_us: the longest pause within one session without a client's id.
        day_of: the local day of a time.
    """

    def __init__(self, connection: sqlite3.Connection, gap_us: int, day_of: Callable[[int], int]) -> None:
        self._connection = connection
        self._gap_us = gap_us
        self._day_of = day_of

    def merge(self, new: Mapping[tuple[int, Client], Sequence[SessionSpan]], tally: Tally) -> None:
        """Merge new parts, by person and client id, into the stored sessions."""
        gone: list[tuple[int, Client, int]] = []
        kept: list[tuple[int, Client, int, int, int, int, int]] = []
        neighbours = self._neighbours(new)
        for key, parts in new.items():
            after, before = parts, neighbours.get(key, [])
            if before or len(parts) > 1:
                after = folded((*before, *parts), self._gap_us if key[1] == BY_GAP else NO_GAP_TOO_LONG)
            if before:
                tally_sessions(tally, before, self._day_of, -1)
                starts = {each[0] for each in after}
                gone += [(*key, each[0]) for each in before if each[0] not in starts]
            tally_sessions(tally, after, self._day_of)
            kept += [(*key, *s) for s in after]
        if gone:
            self._connection.executemany("DELETE FROM session WHERE uid=? AND client=? AND started=?", gone)
        self._connection.executemany("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", kept)

    def _neighbours(
        self, new: Mapping[tuple[int, Client], Sequence[SessionSpan]]
    ) -> dict[tuple[int, Client], list[SessionSpan]]:
        """Return the stored sessions that each group may touch."""
        named = [key for key in new if key[1] != BY_GAP]
        unnamed = [
            (uid, min(part.start for part in parts), max(part.end for part in parts) + self._gap_us)
            for (uid, client), parts in new.items()
            if client == BY_GAP
        ]
        found: dict[tuple[int, Client], list[SessionSpan]] = {}
        for statement, width, asked in ((_NAMED, 2, named), (_UNNAMED, 3, unnamed)):
            for uid, client, *numbers in self._rows(statement, width, asked):
                found.setdefault((uid, client), []).append(SessionSpan(*numbers))
        return found

    def _rows(self, statement: str, width: int, asked: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        marks = f"({','.join('?' * width)})"
        for i in range(0, len(asked), _CHUNK):
            part = asked[i : i + _CHUNK]
            values = ",".join([marks] * len(part))
            yield from self._connection.execute(statement.format(values), [value for key in part for value in key])


# CROSS JOIN keeps SQLite from reading the table in search of the keys.
_NAMED: Final = (
    "WITH k (uid, client) AS (VALUES {}) SELECT s.* FROM k CROSS JOIN session s"
    " ON s.uid = k.uid AND s.client = k.client"
)
# The sessions of a person do not overlap: what begins last before a span is the only one that may reach it.
_UNNAMED: Final = (
    "WITH k (uid, first, last) AS (VALUES {}) SELECT s.* FROM k CROSS JOIN session s"
    " ON s.uid = k.uid AND s.client = '' AND s.started <= k.last AND s.started >= coalesce("
    "(SELECT max(b.started) FROM session b WHERE b.uid = k.uid AND b.client = '' AND b.started <= k.first), k.first)"
)


def sessions_of(connection: sqlite3.Connection, uid: int) -> dict[Client, list[SessionSpan]]:
    """Return all sessions of a person by client id."""
    found: dict[Client, list[SessionSpan]] = {}
    for client, *numbers in connection.execute(
        "SELECT client, started, ended, events, views, keys FROM session WHERE uid = ? ORDER BY client, started", (uid,)
    ):
        found.setdefault(client, []).append(SessionSpan(*numbers))
    return found
