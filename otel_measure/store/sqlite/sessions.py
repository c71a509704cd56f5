"""Sessions: stretches of one person's time, which merge and never split.

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


class Stretch(NamedTuple):
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


def folded(parts: Iterable[Stretch], gap_us: int) -> list[Stretch]:
    """Return the parts, of which there is one at least, joined wherever the pause is at most `gap_us`; ascending."""
    ordered = sorted(parts)
    found: list[Stretch] = []
    start, end, events, views, keys = ordered[0]
    for part in ordered[1:]:
        if part[0] - end <= gap_us:
            end = max(end, part[1])
            events += part[2]
            views += part[3]
            keys += part[4]
        else:
            found.append(Stretch(start, end, events, views, keys))
            start, end, events, views, keys = part
    found.append(Stretch(start, end, events, views, keys))
    return found


def tally_sessions(tally: Tally, sessions: Iterable[Stretch], day_of: Callable[[int], int], sign: int = 1) -> None:
    """Add what sessions contribute to the cells of their days."""
    for s in sessions:
        cell = tally.cell(SESSIONS, (day_of(s.start),))
        cell[0] += sign
        cell[1] += sign * (s.end - s.start)
        cell[2] += sign * s.events
        cell[3] += sign * (s.views > 0)
        cell[4] += sign * s.bounced


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

    def merge(self, new: Mapping[tuple[int, Client], Sequence[Stretch]], tally: Tally) -> None:
        """Merge new parts, by person and client id, into the stored sessions."""
        gone: list[tuple[int, Client, int]] = []
        kept: list[tuple[int, Client, int, int, int, int, int]] = []
        for (uid, client), parts, before in self._with_neighbours(new):
            after = parts
            if before or len(parts) > 1:
                after = folded((*before, *parts), self._gap_us if client == BY_GAP else NO_GAP_TOO_LONG)
                tally_sessions(tally, before, self._day_of, -1)
                gone += [(uid, client, s.start) for s in before if s.start not in {a.start for a in after}]
            tally_sessions(tally, after, self._day_of)
            kept += [(uid, client, *s) for s in after]
        if gone:
            self._connection.executemany("DELETE FROM session WHERE uid=? AND client=? AND started=?", gone)
        self._connection.executemany("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", kept)

    def _with_neighbours(
        self, new: Mapping[tuple[int, Client], Sequence[Stretch]]
    ) -> Iterator[tuple[tuple[int, Client], Sequence[Stretch], list[Stretch]]]:
        """Yield each group with the stored sessions that it may touch."""
        named = [key for key in new if key[1] != BY_GAP]
        unnamed = [
            (uid, min(part.start for part in parts), max(part.end for part in parts) + self._gap_us)
            for (uid, client), parts in new.items()
            if client == BY_GAP
        ]
        found: dict[tuple[int, Client], list[Stretch]] = {}
        for statement, width, asked in ((_NAMED, 2, named), (_UNNAMED, 3, unnamed)):
            for uid, client, *numbers in self._rows(statement, width, asked):
                found.setdefault((uid, client), []).append(Stretch(*numbers))
        for key, parts in new.items():
            yield key, parts, found.get(key, [])

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
# The sessions of a person do not overlap: what begins last before a stretch is the only one that may reach it.
_UNNAMED: Final = (
    "WITH k (uid, first, last) AS (VALUES {}) SELECT s.* FROM k CROSS JOIN session s"
    " ON s.uid = k.uid AND s.client = '' AND s.started <= k.last AND s.started >= coalesce("
    "(SELECT max(b.started) FROM session b WHERE b.uid = k.uid AND b.client = '' AND b.started <= k.first), k.first)"
)


def sessions_of(connection: sqlite3.Connection, uid: int) -> dict[Client, list[Stretch]]:
    """Return all sessions of a person by client id."""
    found: dict[Client, list[Stretch]] = {}
    for client, *numbers in connection.execute(
        "SELECT client, started, ended, events, views, keys FROM session WHERE uid = ? ORDER BY client, started", (uid,)
    ):
        found.setdefault(client, []).append(Stretch(*numbers))
    return found
