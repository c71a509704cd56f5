"""The roll-up of what persons do: active days, sessions and conversions from one look at each new event."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import compress, count, islice
from operator import gt, not_, or_
from typing import Final, NamedTuple, TypeAlias

import msgspec

from otel_measure.conventions import semconv
from otel_measure.definitions.days import day_start
from otel_measure.records.events import USER_EVENT_TYPES
from otel_measure.records.ids import id_key
from otel_measure.records.kinds import UserEvent
from otel_measure.store.sqlite.goals import (
    TRACKED,
    Conversion,
    Day,
    Goal,
    GoalChange,
    added,
    conversion,
    conversions_of,
    tally_goal,
    walk,
    write_hits,
)
from otel_measure.store.sqlite.persons import DayChange, Person, roots, tally_days
from otel_measure.store.sqlite.sessions import (
    BY_GAP,
    NO_GAP_TOO_LONG,
    Client,
    SessionChange,
    SessionSpan,
    folded,
    sessions_of,
    tally_sessions,
)
from otel_measure.store.sqlite.tally import CELL_TABLES, SESSIONS, Tally
from otel_measure.store.sqlite.transaction import Accepted, Transaction

Counts: TypeAlias = tuple[int, int, int]
Alike: TypeAlias = tuple[int, str, str]  # person, client's session id, type
PAGE_VIEW: Final = "page_view"
KEY_EVENTS: Final = TRACKED
EVERY_DAY: Final = -(2**31)
_CHUNK: Final = 20_000
# What an event counts in a session: activity, views, key events. Markers count nothing, and span it.
_COUNTS: Final[dict[str, Counts]] = {
    kind: (int(kind not in semconv.PASSIVE_EVENT_TYPES), int(kind == PAGE_VIEW), int(kind in KEY_EVENTS))
    for kind in USER_EVENT_TYPES
}


class Acts(NamedTuple):
    """What the roll-up needs of events, column by column."""

    uid: Sequence[int]
    ts: Sequence[int]
    type: Sequence[str]
    name: Sequence[str]
    session_id: Sequence[str | None]
    background: Sequence[bool]
    value: Sequence[float | None]
    currency: Sequence[str | None]


class Batch:
    """New events, gathered by person.

    Events alike (of one person, session and type) are counted together: what they add depends on the first and the last
    of them alone, unless a day or a session ends between these.
    """

    __slots__ = ("_day_of", "_gap_us", "_parts", "background", "conversions", "days")

    def __init__(self, day_of: Callable[[int], int], gap_us: int) -> None:
        """`gap_us` says what pause ends a session."""
        self._day_of = day_of
        self._gap_us = gap_us
        self.days: dict[int, dict[int, int]] = {}  # person → local day → first activity on it
        self.conversions: dict[int, dict[Goal, list[Conversion]]] = {}
        self._parts: dict[tuple[int, str], list[SessionSpan]] = {}  # by person and client's session id
        self.background: dict[int, int] = {}

    def gather(self, acts: Acts, persons: Mapping[int, int]) -> None:
        """Sort events by person; `persons` says who a merged user is."""
        if persons:
            acts = acts._replace(uid=[persons.get(uid, uid) for uid in acts.uid])
        is_tracked = TRACKED.__contains__
        for i in compress(count(), map(or_, map(is_tracked, acts.type), map(is_tracked, acts.name))):
            goals = {acts.type[i], acts.name[i]} & TRACKED
            self._gather_hit(acts.uid[i], goals, acts.ts[i], acts.value[i], acts.currency[i])
        if any(acts.background):
            self._gather_background(acts)
            acts = Acts._make(list(compress(column, map(not_, acts.background))) for column in acts)
        clients = [session_id or BY_GAP for session_id in acts.session_id]
        self._gather_alike(list(zip(acts.uid, clients, acts.type, strict=True)), acts.ts)

    def _gather_hit(self, uid: int, goals: Set[Goal], ts: int, value: float | None, currency: str | None) -> None:
        one = conversion(ts, value, currency)
        mine = self.conversions.setdefault(uid, {})
        for goal in goals:
            mine.setdefault(goal, []).append(one)

    def _gather_background(self, acts: Acts) -> None:
        for ts, kind, background in zip(acts.ts, acts.type, acts.background, strict=True):
            if background and _COUNTS[kind][0]:
                day = self._day_of(ts)
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
        return self._day_of(start) != self._day_of(end) or (key[1] == BY_GAP and end - start > self._gap_us)

    def _add(self, key: Alike, start: int, end: int, n: int) -> None:
        uid, client, kind = key
        events, views, keys = _COUNTS[kind]
        part = SessionSpan(start, end, n * events, n * views, n * keys)
        self._parts.setdefault((uid, client), []).append(part)
        if events:
            day, mine = self._day_of(start), self.days.setdefault(uid, {})
            mine[day] = min(start, mine.get(day, start))

    def sessions(self) -> dict[tuple[int, Client], list[SessionSpan]]:
        """Return the parts of sessions by person and stored client id."""
        return {(uid, id_key(client)): parts for (uid, client), parts in self._parts.items()}


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted events."""
    if UserEvent not in new:
        return
    events = new[UserEvent]
    acts = Acts(events.stored["uid"], *(events.fields[field] for field in Acts._fields[1:]))
    merged, persons = roots(transaction.connection, set(acts.uid))
    batch = Batch(transaction.day_of, transaction.session_gap_us)
    batch.gather(acts, merged)
    _merge(transaction, batch, persons, batch.sessions())


def _merge(
    transaction: Transaction,
    batch: Batch,
    persons: dict[int, Person],
    sessions: dict[tuple[int, Client], list[SessionSpan]],
) -> None:
    connection, tally = transaction.connection, Tally()
    goals, days = GoalChange(connection, transaction.day_of), DayChange(connection)
    for uid in batch.days.keys() | batch.conversions.keys():
        person, conversions = persons[uid], batch.conversions.get(uid)
        changed = days.changed(person, batch.days[uid]) if uid in batch.days else {}
        if conversions is None:
            if changed:
                goals.merge(uid, person.last, person.hit_ts, changed, {}, tally)
                days.merge(person, changed, person.hit_ts, tally)
            continue
        goals.merge(uid, person.last, person.hit_ts, changed, conversions, tally)
        latest = [h.ts for some in conversions.values() for h in some] + (
            [] if person.hit_ts is None else [person.hit_ts]
        )
        days.merge(person, changed, max(latest, default=None), tally)
    for day, n in batch.background.items():
        tally.add(SESSIONS, (day,), (0, 0, 0, 0, 0, n))
    SessionChange(connection, transaction.session_gap_us, transaction.day_of).merge(sessions, tally)
    goals.write()
    days.write()
    tally.write(connection)


# ---------------------------------------------------------------- a whole person


class PersonHistory(NamedTuple):
    """All that is rolled up of one person."""

    days: list[Day]
    conversions: dict[Goal, list[Conversion]]
    sessions: dict[Client, list[SessionSpan]]

    def tally(self, tally: Tally, day_of: Callable[[int], int], sign: int) -> None:
        """Add what the person contributes, or take it away."""
        if self.days:
            tally_days(tally, [day for day, _ in self.days], self.days[0].day, sign)
        for goal, conversions in self.conversions.items():
            tally_goal(tally, goal, self.days, conversions, day_of, sign=sign)
        for sessions in self.sessions.values():
            tally_sessions(tally, sessions, day_of, sign)


def person_history(connection: sqlite3.Connection, uid: int) -> PersonHistory:
    """Return what is rolled up of a person."""
    row = connection.execute("SELECT last_day FROM person WHERE uid = ?", (uid,)).fetchone()
    return PersonHistory(
        walk(connection, uid, row[0] if row else None), conversions_of(connection, uid), sessions_of(connection, uid)
    )


def merged(histories: Iterable[PersonHistory], gap_us: int) -> PersonHistory:
    """Return several histories as one: what a person did under several ids."""
    days: dict[int, int] = {}
    conversions: dict[Goal, list[Conversion]] = {}
    sessions: dict[Client, list[SessionSpan]] = {}
    for one in histories:
        for day, ts in one.days:
            days[day] = min(ts, days.get(day, ts))
        for goal, some in one.conversions.items():
            conversions.setdefault(goal, []).extend(some)
        for client, parts in one.sessions.items():
            sessions.setdefault(client, []).extend(parts)
    return PersonHistory(
        [Day(day, days[day]) for day in sorted(days)],
        {goal: added(some) for goal, some in conversions.items()},
        {client: folded(parts, gap_us if client == BY_GAP else NO_GAP_TOO_LONG) for client, parts in sessions.items()},
    )


def write_history(connection: sqlite3.Connection, uid: int, one: PersonHistory) -> None:
    """Store what is rolled up of a person of whom nothing is stored."""
    connection.executemany(
        "INSERT INTO person_day VALUES (?, ?, ?, ?)",
        [(day, uid, one.days[i - 1].day if i else None, ts) for i, (day, ts) in enumerate(one.days)],
    )
    write_hits(connection, [(uid, goal, *each) for goal, some in one.conversions.items() for each in some])
    connection.executemany(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(uid, client, *part) for client, parts in one.sessions.items() for part in parts],
    )
    write_ends(connection, uid, one)


def write_ends(connection: sqlite3.Connection, uid: int, one: PersonHistory) -> None:
    """Store the ends of a person's history."""
    ends = (one.days[0].day, *one.days[-1]) if one.days else (None, None, None)
    hit_ts = max((each.ts for some in one.conversions.values() for each in some), default=None)
    connection.execute(
        "UPDATE person SET first_day=?, last_day=?, day_ts=?, hit_ts=? WHERE uid=?", (*ends, hit_ts, uid)
    )


def remove_history(connection: sqlite3.Connection, uid: int, one: PersonHistory) -> None:
    """Remove what is rolled up of a person."""
    connection.executemany("DELETE FROM person_day WHERE day = ? AND uid = ?", [(day, uid) for day, _ in one.days])
    connection.execute("DELETE FROM goal_hit WHERE uid = ?", (uid,))
    connection.execute("DELETE FROM session WHERE uid = ?", (uid,))
    write_ends(connection, uid, PersonHistory([], {}, {}))


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make what two persons did what one did."""
    connection, tally = transaction.connection, Tally()
    histories = {uid: person_history(connection, uid) for uid in (into, gone)}
    one = merged(histories.values(), transaction.session_gap_us)
    for uid, each in histories.items():
        each.tally(tally, transaction.day_of, -1)
        remove_history(connection, uid, each)
    one.tally(tally, transaction.day_of, 1)
    write_history(connection, into, one)
    tally.write(connection)


def forget(transaction: Transaction, uid: int, background: Iterable[int]) -> None:
    """Take back what a person contributed; `background` are the times of the events that are no activity."""
    tally = Tally()
    one = person_history(transaction.connection, uid)
    one.tally(tally, transaction.day_of, -1)
    for ts in background:
        tally.add(SESSIONS, (transaction.day_of(ts),), (0, 0, 0, 0, 0, -1))
    remove_history(transaction.connection, uid, one)
    tally.write(transaction.connection)


# ---------------------------------------------------------------- rebuild


def clear(transaction: Transaction, frozen_before: int) -> None:
    """Forget what comes from facts that are still there; what facts that are gone left behind keeps its cells."""
    connection = transaction.connection
    horizon = day_start(frozen_before, transaction.zone) if frozen_before > EVERY_DAY else 0
    persons = {uid for (uid,) in connection.execute("SELECT DISTINCT uid FROM session WHERE started < ?", (horizon,))}
    persons.update(uid for (uid,) in connection.execute("SELECT DISTINCT uid FROM goal_hit WHERE ts < ?", (horizon,)))
    background = connection.execute(
        "SELECT day, background FROM session_cell WHERE day < ? AND background > 0", (frozen_before,)
    ).fetchall()
    connection.execute("DELETE FROM person_day WHERE day >= ?", (frozen_before,))
    connection.execute("DELETE FROM session WHERE started >= ?", (horizon,))
    connection.execute("DELETE FROM goal_hit WHERE ts >= ?", (horizon,))
    connection.execute(
        "UPDATE person SET first_day = NULL, last_day = NULL, day_ts = NULL, hit_ts = NULL"
        " WHERE first_day IS NOT NULL OR hit_ts IS NOT NULL"
    )
    for table in CELL_TABLES[:-1]:
        connection.execute(f"DELETE FROM {table.name}")
    last = dict(connection.execute("SELECT uid, max(day) FROM person_day GROUP BY uid"))
    tally = Tally()
    for uid in sorted(persons | last.keys()):
        one = PersonHistory(
            walk(connection, uid, last.get(uid)), conversions_of(connection, uid), sessions_of(connection, uid)
        )
        one.tally(tally, transaction.day_of, 1)
        write_ends(connection, uid, one)
    for day, n in background:
        tally.add(SESSIONS, (day,), (0, 0, 0, 0, 0, n))
    tally.write(connection)


def rebuild(transaction: Transaction) -> None:
    """Replay the facts, but for what a session that began before them has counted already."""
    connection = transaction.connection
    began_earlier = {
        (uid, client): ended
        for uid, client, ended in connection.execute("SELECT uid, client, max(ended) FROM session GROUP BY 1, 2")
    }
    replay(transaction, began_earlier)


def replay(transaction: Transaction, began_earlier: dict[tuple[int, Client], int] | None = None) -> None:
    """Merge every event that the connection knows as `event`."""
    connection = transaction.connection
    for acts in acts_of(connection):
        merged, persons = roots(connection, set(acts.uid))
        batch = Batch(transaction.day_of, transaction.session_gap_us)
        batch.gather(acts, merged)
        sessions = batch.sessions()
        if began_earlier:
            sessions = dict(_uncounted(sessions, began_earlier))
        _merge(transaction, batch, persons, sessions)


def _uncounted(
    sessions: dict[tuple[int, Client], list[SessionSpan]], began_earlier: dict[tuple[int, Client], int]
) -> Iterator[tuple[tuple[int, Client], list[SessionSpan]]]:
    for group, parts in sessions.items():
        ended = began_earlier.get(group)
        if ended is None:
            yield group, parts
        elif group[1] == BY_GAP and (left := [part for part in parts if part.start > ended]):
            yield group, left


def acts_of(connection: sqlite3.Connection, where: str = "", parameters: Sequence[int] = ()) -> Iterator[Acts]:
    """Yield what the roll-up needs of events, some thousands at a time."""
    rows = connection.execute(f"SELECT uid, ts, type, name, session_id, extra FROM event {where}", parameters)
    while chunk := rows.fetchmany(_CHUNK):
        *columns, extra = zip(*chunk, strict=True)
        rare = [rare_fields(each) for each in extra]
        yield Acts(*columns, *([getattr(each, field) for each in rare] for field in RareFields.__struct_fields__))


class RareFields(msgspec.Struct):
    """What a roll-up needs of the rare fields of an event."""

    background: bool = False
    value: float | None = None
    currency: str | None = None


_decode = msgspec.json.Decoder(RareFields).decode
_NONE: Final = RareFields()


def rare_fields(extra: str | None) -> RareFields:
    """Return what a roll-up needs of the column `extra`."""
    return _decode(extra) if extra else _NONE
