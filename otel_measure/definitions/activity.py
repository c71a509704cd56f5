"""What events say of persons: active days, sessions and conversions, from one look at each event.

Every event of a user is activity but the passive ones and those marked `background`. Views and key events are counted
in their session; a key event converts. Markers of sessions count nothing, and span them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import compress, count, islice
from operator import gt, not_, or_
from typing import NamedTuple, TypeAlias

from otel_measure.definitions.active_days import ActiveDay, add_days
from otel_measure.definitions.cells import CellChanges
from otel_measure.definitions.conversions import (
    ConversionEvent,
    Goal,
    add_conversions,
    conversion,
    merged_conversions,
)
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import (
    BY_GAP,
    Client,
    SessionKey,
    SessionSpan,
    add_sessions,
    client_of,
    longest_pause_us,
    merged_spans,
)
from otel_measure.records.ids import id_key

Alike: TypeAlias = tuple[int, str, str]  # person, client's session id, type


class Acts(NamedTuple):
    """What the rules look at in events, column by column."""

    uid: Sequence[int]
    ts: Sequence[int]
    type: Sequence[str]
    name: Sequence[str]
    session_id: Sequence[str | None]
    background: Sequence[bool]
    value: Sequence[float | None]
    currency: Sequence[str | None]


class ActivityBatch:
    """New events, gathered by person.

    Events alike (of one person, session and type) are counted together: what they add depends on the first and the last
    of them alone, unless a day or a session ends between these.

    Attributes:
        days: person → local day → first activity on it.
        conversions: person → goal → conversions.
        background: local day → events that are tracked and belong to no session.
    """

    __slots__ = ("_definitions", "_parts", "background", "conversions", "days")

    def __init__(self, definitions: Definitions) -> None:
        """Say by which definitions to sort."""
        self._definitions = definitions
        self.days: dict[int, dict[int, int]] = {}
        self.conversions: dict[int, dict[Goal, list[ConversionEvent]]] = {}
        self._parts: dict[tuple[int, str], list[SessionSpan]] = {}  # by person and client's session id
        self.background: dict[int, int] = {}

    def gather(self, acts: Acts, persons: Mapping[int, int]) -> None:
        """Sort events by person; `persons` says who a merged user is."""
        if persons:
            acts = acts._replace(uid=[persons.get(uid, uid) for uid in acts.uid])
        is_key = self._definitions.key_event_types.__contains__
        for i in compress(count(), map(or_, map(is_key, acts.type), map(is_key, acts.name))):
            goals = self._definitions.goals_of(acts.type[i], acts.name[i])
            self._gather_conversion(acts.uid[i], goals, acts.ts[i], acts.value[i], acts.currency[i])
        if any(acts.background):
            self._gather_background(acts)
            acts = Acts._make(list(compress(column, map(not_, acts.background))) for column in acts)
        clients = {session_id: client_of(session_id) for session_id in set(acts.session_id)}
        keys = zip(acts.uid, map(clients.__getitem__, acts.session_id), acts.type, strict=True)
        self._gather_alike(list(keys), acts.ts)

    def _gather_conversion(
        self, uid: int, goals: Set[Goal], ts: int, value: float | None, currency: str | None
    ) -> None:
        one = conversion(ts, value, currency)
        mine = self.conversions.setdefault(uid, {})
        for goal in goals:
            mine.setdefault(goal, []).append(one)

    def _gather_background(self, acts: Acts) -> None:
        day_of = self._definitions.day_of
        for ts, kind, background in zip(acts.ts, acts.type, acts.background, strict=True):
            if background and self._definitions.is_activity(kind):
                day = day_of(ts)
                self.background[day] = self.background.get(day, 0) + 1

    def _gather_alike(self, keys: Sequence[Alike], times: Sequence[int]) -> None:
        if any(map(gt, times, islice(times, 1, None))):
            order = sorted(range(len(times)), key=times.__getitem__)
            keys, times = [keys[i] for i in order], [times[i] for i in order]
        first, last = dict(zip(reversed(keys), reversed(times), strict=True)), dict(zip(keys, times, strict=True))
        apart: set[Alike] = set()
        for key, n in Counter(keys).items():
            start, end = first[key], last[key]
            if n > 1 and self._must_be_told_apart(key, start, end):
                apart.add(key)
            else:
                self._add(key, start, end, n)
        if apart:
            for key, ts in zip(keys, times, strict=True):
                if key in apart:
                    self._add(key, ts, ts, 1)

    def _must_be_told_apart(self, key: Alike, start: int, end: int) -> bool:
        day_of = self._definitions.day_of
        return day_of(start) != day_of(end) or end - start > longest_pause_us(key[1], self._definitions)

    def _add(self, key: Alike, start: int, end: int, n: int) -> None:
        uid, client, kind = key
        events = n * self._definitions.is_activity(kind)
        if not events and client == BY_GAP:
            return  # a marker opens and stretches the session whose id it carries
        views = n * (kind in self._definitions.view_event_types)
        keys = n * (kind in self._definitions.key_event_types)
        part = SessionSpan(start, end, events, views, keys)
        self._parts.setdefault((uid, client), []).append(part)
        if events:
            day, mine = self._definitions.day_of(start), self.days.setdefault(uid, {})
            mine[day] = min(start, mine.get(day, start))

    def sessions(self) -> dict[SessionKey, list[SessionSpan]]:
        """Return the parts of sessions by person and stored client id."""
        return {(uid, id_key(client)): parts for (uid, client), parts in self._parts.items()}


class PersonHistory(NamedTuple):
    """All that is rolled up of one person."""

    days: list[ActiveDay]
    conversions: dict[Goal, list[ConversionEvent]]
    sessions: dict[Client, list[SessionSpan]]

    def add_to(self, changes: CellChanges, definitions: Definitions, sign: int) -> None:
        """Add what the person contributes to cells, or take it away."""
        if self.days:
            add_days(changes, [day for day, _ in self.days], self.days[0].day, sign)
        for goal, conversions in self.conversions.items():
            add_conversions(changes, goal, self.days, conversions, definitions.day_of, sign=sign)
        for sessions in self.sessions.values():
            add_sessions(changes, sessions, definitions, sign)


def merged_history(histories: Iterable[PersonHistory], definitions: Definitions) -> PersonHistory:
    """Return several histories as one: what a person did under several ids."""
    days: dict[int, int] = {}
    conversions: dict[Goal, list[ConversionEvent]] = {}
    sessions: dict[Client, list[SessionSpan]] = {}
    for one in histories:
        for day, ts in one.days:
            days[day] = min(ts, days.get(day, ts))
        for goal, some in one.conversions.items():
            conversions.setdefault(goal, []).extend(some)
        for client, parts in one.sessions.items():
            sessions.setdefault(client, []).extend(parts)
    return PersonHistory(
        [ActiveDay(day, days[day]) for day in sorted(days)],
        {goal: merged_conversions(some) for goal, some in conversions.items()},
        {client: merged_spans(parts, client, definitions) for client, parts in sessions.items()},
    )
