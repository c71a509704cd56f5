"""The roll-up of what persons do: active days, sessions and conversions from one look at each new event.

What events mean is told in `definitions/activity.py`; here it meets what is stored. A person is one everywhere, and
what was done in each environment is rolled up by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from otel_measure.definitions.activity import ActivityBatch, Acts, PersonHistory, merged_history
from otel_measure.definitions.cells import ACTIVITY_CELLS, CellChanges
from otel_measure.definitions.sessions import SessionKey, SessionSpan, add_background, without_counted
from otel_measure.records.kinds import UserEvent
from otel_measure.store.sqlite import environments
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.chunks import chunks, rows_in
from otel_measure.store.sqlite.conversions import ConversionChange, conversions_of, write_conversions
from otel_measure.store.sqlite.persons import DayChange, Person, roots, walk
from otel_measure.store.sqlite.sessions import SessionChange, sessions_of
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction

TABLES: Final = ("person_end", "person_day", "session", "goal_hit", *(kind.name for kind in ACTIVITY_CELLS))
FROZEN: Final[Mapping[str, str]] = {
    "person_day": "day < :day",
    "session": "started < :ts",
    "goal_hit": "ts < :ts",
    "session_cell": "day < :day AND background <> 0",
}
CountedUntil: TypeAlias = Mapping[SessionKey, int]
_CHUNK: Final = 1000
_ROWS_AT_ONCE: Final = 50_000
_PERSONS_AT_ONCE: Final = 1000


class BackgroundEvent(NamedTuple):
    """An event that belongs to no session, and its place in the journal while it is not rolled up."""

    environment: int
    ts: int
    type: str
    seq: int | None


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted events."""
    if UserEvent not in new:
        return
    events = new[UserEvent]
    columns = (events.stored["uid"], *(events.fields[field] for field in Acts._fields[1:]))
    for environment, mine in environments.apart(transaction.connection, events.stored["origin"], columns):
        _add(transaction, environment, Acts._make(mine))


def _add(transaction: Transaction, environment: int, acts: Acts, counted_until: CountedUntil | None = None) -> None:
    merged, persons = roots(transaction.connection, environment, set(acts.uid))
    batch = ActivityBatch(transaction.definitions)
    batch.gather(acts, merged)
    sessions = batch.sessions()
    if counted_until:
        sessions = dict(without_counted(sessions, counted_until))
    _merge(transaction, environment, batch, persons, sessions)


def _merge(
    transaction: Transaction,
    environment: int,
    batch: ActivityBatch,
    persons: dict[int, Person],
    sessions: Mapping[SessionKey, list[SessionSpan]],
) -> None:
    connection, definitions, changes = transaction.connection, transaction.definitions, CellChanges()
    goals, days = ConversionChange(connection, environment, definitions), DayChange(connection, environment)
    for uid in batch.days.keys() | batch.conversions.keys():
        person, conversions = persons[uid], batch.conversions.get(uid)
        changed = days.changed(person, batch.days[uid]) if uid in batch.days else {}
        if conversions is None:
            if changed:
                goals.merge(uid, person.last, person.hit_ts, changed, {}, changes)
                days.merge(person, changed, person.hit_ts, changes)
            continue
        goals.merge(uid, person.last, person.hit_ts, changed, conversions, changes)
        latest = [h.ts for some in conversions.values() for h in some] + (
            [] if person.hit_ts is None else [person.hit_ts]
        )
        days.merge(person, changed, max(latest, default=None), changes)
    for day, n in batch.background.items():
        add_background(changes, day, n)
    SessionChange(connection, environment, definitions).merge(sessions, changes)
    goals.write()
    days.write()
    add_cells(connection, changes, environment)


# ---------------------------------------------------------------- a whole person


def environments_of(connection: sqlite3.Connection, uid: int) -> list[int]:
    """Return the environments in which something is rolled up of a person."""
    rows = connection.execute(
        "SELECT environment FROM person_end WHERE uid = ?1 UNION SELECT environment FROM session WHERE uid = ?1", (uid,)
    )
    return [environment for (environment,) in rows]


def person_history(
    connection: sqlite3.Connection, environment: int, uid: int, last_day: int | None = None
) -> PersonHistory:
    """Return what is rolled up of a person in an environment; `last_day` is the last active one."""
    return PersonHistory(
        walk(connection, environment, uid, last_day),
        conversions_of(connection, environment, uid),
        sessions_of(connection, environment, uid),
    )


def _stored_history(connection: sqlite3.Connection, environment: int, uid: int) -> PersonHistory:
    row = connection.execute(
        "SELECT last_day FROM person_end WHERE uid = ? AND environment = ?", (uid, environment)
    ).fetchone()
    return person_history(connection, environment, uid, row[0] if row else None)


def write_history(connection: sqlite3.Connection, environment: int, uid: int, one: PersonHistory) -> None:
    """Store what is rolled up of a person of whom nothing is stored in the environment."""
    connection.executemany(
        "INSERT INTO person_day VALUES (?, ?, ?, ?, ?)",
        [(environment, day, uid, one.days[i - 1].day if i else None, ts) for i, (day, ts) in enumerate(one.days)],
    )
    write_conversions(
        connection, [(environment, uid, goal, *each) for goal, some in one.conversions.items() for each in some]
    )
    connection.executemany(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(environment, uid, client, *part) for client, parts in one.sessions.items() for part in parts],
    )
    write_ends(connection, environment, uid, one)


def write_ends(connection: sqlite3.Connection, environment: int, uid: int, one: PersonHistory) -> None:
    """Store the ends of the history of a person of whom nothing is stored in the environment."""
    ends = (one.days[0].day, *one.days[-1]) if one.days else (None, None, None)
    hit_ts = max((each.ts for some in one.conversions.values() for each in some), default=None)
    if one.days or hit_ts is not None:
        connection.execute("INSERT INTO person_end VALUES (?, ?, ?, ?, ?, ?)", (environment, uid, *ends, hit_ts))


def remove_history(connection: sqlite3.Connection, environment: int, uid: int, one: PersonHistory) -> None:
    """Remove what is rolled up of a person in an environment."""
    connection.executemany(
        "DELETE FROM person_day WHERE environment = ? AND day = ? AND uid = ?",
        [(environment, day, uid) for day, _ in one.days],
    )
    for table in ("goal_hit", "session", "person_end"):
        connection.execute(f"DELETE FROM {table} WHERE uid = ? AND environment = ?", (uid, environment))


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make what two persons did what one did."""
    connection, definitions = transaction.connection, transaction.definitions
    for environment in environments_of(connection, gone):
        changes = CellChanges()
        histories = {uid: _stored_history(connection, environment, uid) for uid in (into, gone)}
        one = merged_history(histories.values(), definitions)
        for uid, each in histories.items():
            each.add_to(changes, definitions, -1)
            remove_history(connection, environment, uid, each)
        one.add_to(changes, definitions, 1)
        write_history(connection, environment, into, one)
        add_cells(connection, changes, environment)


def forget(transaction: Transaction, uid: int) -> None:
    """Take back what a person contributed."""
    connection = transaction.connection
    for environment in environments_of(connection, uid):
        changes = CellChanges()
        one = _stored_history(connection, environment, uid)
        one.add_to(changes, transaction.definitions, -1)
        remove_history(connection, environment, uid, one)
        add_cells(connection, changes, environment)


def forget_background(transaction: Transaction, events: Iterable[BackgroundEvent]) -> None:
    """Take back events that belong to no session."""
    changes: dict[int, CellChanges] = {}
    for event in events:
        if transaction.definitions.is_activity(event.type):
            mine = changes.setdefault(event.environment, CellChanges())
            add_background(mine, transaction.day_of(event.ts), -1)
    for environment, mine in changes.items():
        add_cells(transaction.connection, mine, environment)


def background_of(connection: sqlite3.Connection, uids: Sequence[int]) -> list[BackgroundEvent]:
    """Return the events of users that belong to no session."""
    return _background(connection, "uid", uids)


def background_among(connection: sqlite3.Connection, events: Sequence[bytes | str]) -> list[BackgroundEvent]:
    """Return those of some events, by their ids, that belong to no session."""
    return _background(connection, "id", events)


def _background(connection: sqlite3.Connection, column: str, values: Sequence[Any]) -> list[BackgroundEvent]:
    rows = rows_in(
        connection,
        "SELECT o.environment, e.ts, e.type, j.seq, e.extra FROM event e JOIN environment_of o ON o.origin = e.origin"
        " LEFT JOIN journal j ON j.id = e.id AND j.kind = 'event'"
        f" WHERE e.extra IS NOT NULL AND e.{column} IN",
        values,
    )
    return [BackgroundEvent(*row) for *row, extra in rows if rare_fields(extra).background]


# ---------------------------------------------------------------- rebuild


def restore(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Count the persons of whom something is left; of the cells of days, what events in no session have added stays."""
    connection = transaction.connection
    connection.execute("UPDATE session_cell SET sessions = 0, duration_us = 0, events = 0, viewed = 0, bounced = 0")
    for environment in environments.seen(connection):
        yield from _restore(transaction, environment)


def _restore(transaction: Transaction, environment: int) -> Iterator[None]:
    connection, last = transaction.connection, dict[int, int]()
    active = connection.execute("SELECT uid, day FROM person_day WHERE environment = ? ORDER BY day", (environment,))
    for days in chunks(active, _ROWS_AT_ONCE):
        last.update(days)
        yield
    persons = set(last)
    for table in ("session", "goal_hit"):
        some = connection.execute(f"SELECT uid FROM {table} WHERE environment = ?", (environment,))
        for rows in chunks(some, _ROWS_AT_ONCE):
            persons.update(uid for (uid,) in rows)
            yield
    for uids in chunks(sorted(persons), _PERSONS_AT_ONCE):
        changes = CellChanges()
        for uid in uids:
            one = person_history(connection, environment, uid, last.get(uid))
            one.add_to(changes, transaction.definitions, 1)
            write_ends(connection, environment, uid, one)
        add_cells(connection, changes, environment)
        yield


_SINCE: Final = "event WHERE ts >= ?"
# Of a day whose facts are partly gone, what came since the roll-ups were written last, and waits: there are few, in any
# number of events.
_WAITING_BEFORE: Final = "journal j CROSS JOIN event USING (id) WHERE j.kind = 'event' AND ts < ?"


def recount(transaction: Transaction, frozen: Frozen) -> Iterator[None]:
    """Replay the facts, but for what a session that began before them has counted already."""
    counted_until: dict[int, dict[SessionKey, int]] = {}
    ends = transaction.connection.execute("SELECT environment, uid, client, max(ended) FROM session GROUP BY 1, 2, 3")
    for rows in chunks(ends, _ROWS_AT_ONCE):
        for environment, uid, client, ended in rows:
            counted_until.setdefault(environment, {})[uid, client] = ended
        yield
    yield from _replay(transaction, _SINCE, frozen.ts, counted_until)
    yield from _replay(transaction, _WAITING_BEFORE, frozen.ts, {})


def _replay(transaction: Transaction, some: str, ts: int, counted_until: Mapping[int, CountedUntil]) -> Iterator[None]:
    """Merge some of the events that the connection knows as `event`, a part at each step."""
    connection = transaction.connection
    for origins, acts in acts_of(connection, some, ts):
        for environment, mine in environments.apart(connection, origins, acts):
            _add(transaction, environment, Acts._make(mine), counted_until.get(environment))
        yield


def acts_of(connection: sqlite3.Connection, some: str, ts: int) -> Iterator[tuple[Sequence[int], Acts]]:
    """Yield origins and what the roll-up needs of events, some thousands at a time."""
    rows = connection.execute(f"SELECT origin, uid, ts, type, name, session_id, extra FROM {some}", (ts,))
    while chunk := rows.fetchmany(_CHUNK):
        origins, *columns, extra = zip(*chunk, strict=True)
        rare = [rare_fields(each) for each in extra]
        fields = ([getattr(each, field) for each in rare] for field in RareFields.__struct_fields__)
        yield origins, Acts(*columns, *fields)


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
