"""The roll-up of what persons do: active days, sessions and conversions from one look at each new event.

What events mean is told in `definitions/activity.py`; here it meets what is stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from otel_measure.definitions.activity import ActivityBatch, Acts, PersonHistory, merged_history
from otel_measure.definitions.cells import ACTIVITY_CELLS, CellChanges
from otel_measure.definitions.days import day_start
from otel_measure.definitions.sessions import SessionKey, SessionSpan, add_background, without_counted
from otel_measure.records.kinds import UserEvent
from otel_measure.store.sqlite.cells import add_cells
from otel_measure.store.sqlite.chunks import marks
from otel_measure.store.sqlite.conversions import ConversionChange, conversions_of, write_conversions
from otel_measure.store.sqlite.persons import DayChange, Person, roots, walk
from otel_measure.store.sqlite.sessions import SessionChange, sessions_of
from otel_measure.store.sqlite.transaction import Accepted, Transaction

TABLES: Final = ("person_end", "person_day", "session", "goal_hit", *(kind.name for kind in ACTIVITY_CELLS))
EVERY_DAY: Final = -(2**31)
_CHUNK: Final = 20_000


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted events."""
    if UserEvent not in new:
        return
    events = new[UserEvent]
    acts = Acts(events.stored["uid"], *(events.fields[field] for field in Acts._fields[1:]))
    merged, persons = roots(transaction.connection, set(acts.uid))
    batch = ActivityBatch(transaction.definitions)
    batch.gather(acts, merged)
    _merge(transaction, batch, persons, batch.sessions())


def _merge(
    transaction: Transaction,
    batch: ActivityBatch,
    persons: dict[int, Person],
    sessions: Mapping[SessionKey, list[SessionSpan]],
) -> None:
    connection, changes = transaction.connection, CellChanges()
    goals, days = ConversionChange(connection, transaction.definitions), DayChange(connection)
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
    SessionChange(connection, transaction.definitions).merge(sessions, changes)
    goals.write()
    days.write()
    add_cells(connection, changes)


# ---------------------------------------------------------------- a whole person


def person_history(connection: sqlite3.Connection, uid: int) -> PersonHistory:
    """Return what is rolled up of a person."""
    row = connection.execute("SELECT last_day FROM person_end WHERE uid = ?", (uid,)).fetchone()
    return PersonHistory(
        walk(connection, uid, row[0] if row else None), conversions_of(connection, uid), sessions_of(connection, uid)
    )


def write_history(connection: sqlite3.Connection, uid: int, one: PersonHistory) -> None:
    """Store what is rolled up of a person of whom nothing is stored."""
    connection.executemany(
        "INSERT INTO person_day VALUES (?, ?, ?, ?)",
        [(day, uid, one.days[i - 1].day if i else None, ts) for i, (day, ts) in enumerate(one.days)],
    )
    write_conversions(connection, [(uid, goal, *each) for goal, some in one.conversions.items() for each in some])
    connection.executemany(
        "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(uid, client, *part) for client, parts in one.sessions.items() for part in parts],
    )
    write_ends(connection, uid, one)


def write_ends(connection: sqlite3.Connection, uid: int, one: PersonHistory) -> None:
    """Store the ends of the history of a person of whom nothing is stored."""
    ends = (one.days[0].day, *one.days[-1]) if one.days else (None, None, None)
    hit_ts = max((each.ts for some in one.conversions.values() for each in some), default=None)
    if one.days or hit_ts is not None:
        connection.execute("INSERT INTO person_end VALUES (?, ?, ?, ?, ?)", (uid, *ends, hit_ts))


def remove_history(connection: sqlite3.Connection, uid: int, one: PersonHistory) -> None:
    """Remove what is rolled up of a person."""
    connection.executemany("DELETE FROM person_day WHERE day = ? AND uid = ?", [(day, uid) for day, _ in one.days])
    connection.execute("DELETE FROM goal_hit WHERE uid = ?", (uid,))
    connection.execute("DELETE FROM session WHERE uid = ?", (uid,))
    connection.execute("DELETE FROM person_end WHERE uid = ?", (uid,))


def unite(transaction: Transaction, into: int, gone: int) -> None:
    """Make what two persons did what one did."""
    connection, changes = transaction.connection, CellChanges()
    histories = {uid: person_history(connection, uid) for uid in (into, gone)}
    one = merged_history(histories.values(), transaction.definitions.session_gap_us)
    for uid, each in histories.items():
        each.add_to(changes, transaction.definitions, -1)
        remove_history(connection, uid, each)
    one.add_to(changes, transaction.definitions, 1)
    write_history(connection, into, one)
    add_cells(connection, changes)


def forget(transaction: Transaction, person: int, uids: Sequence[int]) -> None:
    """Take back what a person contributed, under the ids of all their users, while their events are still there."""
    connection, changes = transaction.connection, CellChanges()
    one = person_history(connection, person)
    one.add_to(changes, transaction.definitions, -1)
    gone = ActivityBatch(transaction.definitions)
    for acts in acts_of(connection, f"WHERE uid IN {marks(len(uids))}", uids):
        gone.gather(acts, {})
    for day, n in gone.background.items():
        add_background(changes, day, -n)
    remove_history(connection, person, one)
    add_cells(connection, changes)


# ---------------------------------------------------------------- rebuild


def clear(transaction: Transaction, frozen_before: int) -> None:
    """Forget what comes from facts that are still there; what facts that are gone left behind keeps its cells."""
    connection = transaction.connection
    horizon = day_start(frozen_before, transaction.definitions.zone) if frozen_before > EVERY_DAY else 0
    persons = {uid for (uid,) in connection.execute("SELECT DISTINCT uid FROM session WHERE started < ?", (horizon,))}
    persons.update(uid for (uid,) in connection.execute("SELECT DISTINCT uid FROM goal_hit WHERE ts < ?", (horizon,)))
    background = connection.execute(
        "SELECT day, background FROM session_cell WHERE day < ? AND background > 0", (frozen_before,)
    ).fetchall()
    connection.execute("DELETE FROM person_day WHERE day >= ?", (frozen_before,))
    connection.execute("DELETE FROM session WHERE started >= ?", (horizon,))
    connection.execute("DELETE FROM goal_hit WHERE ts >= ?", (horizon,))
    connection.execute("DELETE FROM person_end")
    for kind in ACTIVITY_CELLS:
        connection.execute(f"DELETE FROM {kind.name}")
    last = dict(connection.execute("SELECT uid, max(day) FROM person_day GROUP BY uid"))
    changes = CellChanges()
    for uid in sorted(persons | last.keys()):
        one = PersonHistory(
            walk(connection, uid, last.get(uid)), conversions_of(connection, uid), sessions_of(connection, uid)
        )
        one.add_to(changes, transaction.definitions, 1)
        write_ends(connection, uid, one)
    for day, n in background:
        add_background(changes, day, n)
    add_cells(connection, changes)


def rebuild(transaction: Transaction) -> None:
    """Replay the facts, but for what a session that began before them has counted already."""
    connection = transaction.connection
    began_earlier = {
        (uid, client): ended
        for uid, client, ended in connection.execute("SELECT uid, client, max(ended) FROM session GROUP BY 1, 2")
    }
    replay(transaction, began_earlier)


def replay(transaction: Transaction, began_earlier: Mapping[SessionKey, int] | None = None) -> None:
    """Merge every event that the connection knows as `event`."""
    connection = transaction.connection
    for acts in acts_of(connection):
        merged, persons = roots(connection, set(acts.uid))
        batch = ActivityBatch(transaction.definitions)
        batch.gather(acts, merged)
        sessions = batch.sessions()
        if began_earlier:
            sessions = dict(without_counted(sessions, began_earlier))
        _merge(transaction, batch, persons, sessions)


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
