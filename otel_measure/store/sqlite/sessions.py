"""Sessions: stretches of one person's time, which merge and never split.

Events of one person with the same client session id are one session; the others are grouped by the gap rule. What a
session counts adds up, so that a late event needs the stored sessions beside it and no events: it extends one or
bridges two. The session belongs to the local day of its start.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from otel_measure.store.sqlite.tally import SESSIONS, Tally

Client: TypeAlias = bytes | str
BY_GAP: Final = ""
ENGAGED_US: Final = 10_000_000
ENGAGED_VIEWS: Final = 2
NO_GAP_TOO_LONG: Final = 2**62
_PAIRS: Final = 250


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
    """Return the parts joined wherever the pause between them is at most `gap_us`, ascending."""
    found: list[Stretch] = []
    for part in sorted(parts):
        if found and part.start - found[-1].end <= gap_us:
            last = found[-1]
            found[-1] = Stretch(
                last.start,
                max(last.end, part.end),
                last.events + part.events,
                last.views + part.views,
                last.keys + part.keys,
            )
        else:
            found.append(part)
    return found


def tally_sessions(tally: Tally, sessions: Iterable[Stretch], day_of: Callable[[int], int], sign: int = 1) -> None:
    """Add what sessions contribute to the cells of their days."""
    for s in sessions:
        sums = (1, s.end - s.start, s.events, int(s.views > 0), int(s.bounced), 0)
        tally.add(SESSIONS, (day_of(s.start),), sums, sign)


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
            after = folded((*before, *parts), self._gap_us if client == BY_GAP else NO_GAP_TOO_LONG)
            changed = [s for s in after if s not in before]
            replaced = [s for s in before if s not in after]
            starts = {s.start for s in changed}
            gone.extend((uid, client, s.start) for s in replaced if s.start not in starts)
            kept.extend((uid, client, *s) for s in changed)
            tally_sessions(tally, replaced, self._day_of, -1)
            tally_sessions(tally, changed, self._day_of)
        if gone:
            self._connection.executemany("DELETE FROM session WHERE uid=? AND client=? AND started=?", gone)
        self._connection.executemany("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)", kept)

    def _with_neighbours(
        self, new: Mapping[tuple[int, Client], Sequence[Stretch]]
    ) -> Iterator[tuple[tuple[int, Client], Sequence[Stretch], list[Stretch]]]:
        """Yield each group with the stored sessions that it may touch."""
        named = self._named([key for key in new if key[1] != BY_GAP])
        for key, parts in new.items():
            if key[1] == BY_GAP:
                yield key, parts, self._beside(key[0], parts)
            else:
                yield key, parts, named.get(key, [])

    def _named(self, keys: Sequence[tuple[int, Client]]) -> dict[tuple[int, Client], list[Stretch]]:
        found: dict[tuple[int, Client], list[Stretch]] = {}
        for i in range(0, len(keys), _PAIRS):
            part = keys[i : i + _PAIRS]
            rows = self._connection.execute(
                "SELECT s.* FROM session s WHERE (s.uid, s.client) IN (VALUES " + ",".join(["(?,?)"] * len(part)) + ")",
                [value for key in part for value in key],
            )
            for uid, client, *numbers in rows:
                found[uid, client] = [Stretch(*numbers)]
        return found

    def _beside(self, uid: int, parts: Sequence[Stretch]) -> list[Stretch]:
        first, last = min(p.start for p in parts), max(p.end for p in parts)
        rows = self._connection.execute(
            "SELECT started, ended, events, views, keys FROM session WHERE uid = ?1 AND client = '' AND started <= ?3"
            " AND started >= coalesce((SELECT max(started) FROM session"
            " WHERE uid = ?1 AND client = '' AND started <= ?2), ?2)",
            (uid, first, last + self._gap_us),
        )
        return [Stretch(*row) for row in rows]


def sessions_of(connection: sqlite3.Connection, uid: int) -> dict[Client, list[Stretch]]:
    """Return all sessions of a person by client id."""
    found: dict[Client, list[Stretch]] = {}
    for client, *numbers in connection.execute(
        "SELECT client, started, ended, events, views, keys FROM session WHERE uid = ? ORDER BY client, started", (uid,)
    ):
        found.setdefault(client, []).append(Stretch(*numbers))
    return found
