"""Sessions: spans of one person's time, which merge and never split.

Events of one person with the same client session id, and those without one, are grouped by the longest pause that each
may have; an id that names nothing is none. What a session counts adds up, so that a late event needs the stored
sessions beside it and no events: it extends one or bridges two. The session belongs to the local day of its start.

A session with a view bounced when it is not engaged: neither long enough, nor of enough views, nor with a key event
(`Definitions.is_engaged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.cells import SESSIONS, CellChanges
from otel_measure.definitions.parameters import Definitions
from otel_measure.records.placeholders import is_placeholder

Client: TypeAlias = bytes | str
"""The client's session id as it is stored, or `BY_GAP`."""
SessionKey: TypeAlias = tuple[int, Client]
"""A person and a client's session id."""
BY_GAP: Final = ""


class SessionSpan(NamedTuple):
    """A session, or a part of one; microseconds, and what happened in it."""

    start: int
    end: int
    events: int
    views: int
    keys: int

    def is_bounced(self, definitions: Definitions) -> bool:
        """Tell whether it has a view and is not engaged."""
        return self.views > 0 and not definitions.is_engaged(self.end - self.start, self.views, self.keys)


def longest_pause_us(client: Client, definitions: Definitions) -> int:
    """Return how long a person may pause within a session of a client's id, or of `BY_GAP`, microseconds."""
    return definitions.session_gap_us if client == BY_GAP else definitions.client_session_gap_us


def client_of(session_id: str | None) -> str:
    """Return the client's session id that counts, `BY_GAP` for none; a placeholder is none."""
    return BY_GAP if session_id is None or is_placeholder(session_id) else session_id


def merged_spans(parts: Iterable[SessionSpan], client: Client, definitions: Definitions) -> list[SessionSpan]:
    """Return the sessions that parts of one person and client make, ascending; there is one part at least.

    Args:
        parts: of sessions, in any order.
        client: their client's session id, `BY_GAP` for none.
        definitions: say how long a pause may be.
    """
    longest_us = longest_pause_us(client, definitions)
    ordered = sorted(parts)
    merged: list[SessionSpan] = []
    start, end, events, views, keys = ordered[0]
    for part in ordered[1:]:
        if part[0] - end <= longest_us:
            end = max(end, part[1])
            events += part[2]
            views += part[3]
            keys += part[4]
        else:
            merged.append(SessionSpan(start, end, events, views, keys))
            start, end, events, views, keys = part
    merged.append(SessionSpan(start, end, events, views, keys))
    return merged


def add_sessions(
    changes: CellChanges, sessions: Iterable[SessionSpan], definitions: Definitions, sign: int = 1
) -> None:
    """Add what sessions contribute to the cells of their days; `sign=-1` takes away."""
    day_of = definitions.day_of
    for session in sessions:
        start, end, events, views, _ = session
        sums = changes.sums(SESSIONS, (day_of(start),))
        sums[0] += sign
        sums[1] += sign * (end - start)
        sums[2] += sign * events
        if views:
            sums[3] += sign
            sums[4] += sign * session.is_bounced(definitions)


def add_background(changes: CellChanges, day: int, n: int) -> None:
    """Add events that are tracked, are no activity, and belong to no session."""
    changes.add(SESSIONS, (day,), (0, 0, 0, 0, 0, n))


def without_counted(
    sessions: Mapping[SessionKey, list[SessionSpan]], counted_until: Mapping[SessionKey, int]
) -> Iterator[tuple[SessionKey, list[SessionSpan]]]:
    """Yield the parts of sessions that sessions kept from before have not counted.

    Args:
        sessions: parts, from facts that are still there.
        counted_until: the end of the last session that is kept of a person and client.
    """
    for key, parts in sessions.items():
        ended = counted_until.get(key)
        if ended is None:
            yield key, parts
        elif left := [part for part in parts if part.start > ended]:
            yield key, left
