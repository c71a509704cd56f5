"""What is stored and not rolled up yet: written in the transaction that stores it, worked off in small ones.

Who may not roll up (a process with other definitions than the store, or everybody while the store is counted anew)
notes here what it stores and what it does to persons. Who may takes it from here, through the same roll-ups as ever;
their law (the set of facts counts, and no order) is why others may add meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec

from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import activity, facts, quality, regrouping, roll_ups
from otel_measure.store.sqlite.activity import BackgroundEvent
from otel_measure.store.sqlite.chunks import chunks, rows_in
from otel_measure.store.sqlite.quality import GroupedHour
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction

Row: TypeAlias = tuple[int, str, Any, str | None]
BATCH: Final = 2000
_PERSONS_AT_ONCE: Final = 200
ROLLED_UP_TO: Final = "rolled_up_to"  # in `meta`: entries up to this one were counted, and none of them worked off
_MERGE: Final = "merge"
_ERASURE: Final = "erasure"
_REGROUPING: Final = "regrouping"
_GROUPS: Final = "groups"
_TABLES: Final = {table.name: table for table in facts.TABLES}


class _Erasure(msgspec.Struct):
    """Whom an erasure removes, and which events that are counted by day alone."""

    uids: list[int]
    background: list[BackgroundEvent]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Erasure).decode
_decode_uids = msgspec.json.Decoder(list[int]).decode
_decode_hours = msgspec.json.Decoder(list[GroupedHour]).decode


# ---------------------------------------------------------------- writing


def note_facts(connection: sqlite3.Connection, new: Accepted) -> None:
    """Note newly accepted facts."""
    for kind, inserted in new.items():
        name = facts.TABLE_OF[kind].name
        connection.executemany(
            "INSERT INTO journal (kind, id) VALUES (?, ?)", [(name, key) for key in inserted.stored["id"]]
        )


def note_merge(connection: sqlite3.Connection, into: int, gone: int) -> None:
    """Note that a person became one with another one; the link may be taken back before this is worked off."""
    connection.execute("INSERT INTO journal (kind, id, payload) VALUES (?, ?, ?)", (_MERGE, gone, str(into)))


def note_regrouping(connection: sqlite3.Connection, uids: Sequence[int]) -> None:
    """Note that ids of one person are those of several now; whose each is the links themselves say."""
    payload = _encode(list(uids)).decode()
    connection.execute("INSERT INTO journal (kind, id, payload) VALUES (?, ?, ?)", (_REGROUPING, uids[0], payload))


def note_erasure(connection: sqlite3.Connection, uids: Sequence[int], background: Sequence[BackgroundEvent]) -> None:
    """Note that a person was erased, whose rows of `person` stay until this is worked off."""
    payload = _encode(_Erasure(list(uids), list(background))).decode()
    connection.execute("INSERT INTO journal (kind, id, payload) VALUES (?, ?, ?)", (_ERASURE, uids[0], payload))


def note_groups(connection: sqlite3.Connection, hours: Sequence[GroupedHour]) -> None:
    """Note that inferences of some hours are of no group any more."""
    connection.execute(
        "INSERT INTO journal (kind, id, payload) VALUES (?, ?, ?)", (_GROUPS, hours[0].model, _encode(hours).decode())
    )


def forget_facts(connection: sqlite3.Connection, table: facts.Table, keys: Sequence[bytes | str]) -> None:
    """Remove the entries of facts that were erased."""
    connection.executemany("DELETE FROM journal WHERE id = ? AND kind = ?", [(key, table.name) for key in keys])


def last(connection: sqlite3.Connection) -> int:
    """Return the place of the last entry, 0 for none."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])


def length(connection: sqlite3.Connection) -> int:
    """Return how many entries wait."""
    return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])


def is_empty(connection: sqlite3.Connection) -> bool:
    """Tell whether everything that is stored is rolled up."""
    return connection.execute("SELECT 1 FROM journal LIMIT 1").fetchone() is None


def has_regroupings(connection: sqlite3.Connection) -> bool:
    """Tell whether ids of several persons are still counted as those of one: until then no fact of theirs may go."""
    return connection.execute("SELECT 1 FROM journal WHERE kind = ? LIMIT 1", (_REGROUPING,)).fetchone() is not None


# ---------------------------------------------------------------- working off


def work_off(transaction: Transaction) -> bool:
    """Roll up the oldest entries; return whether there was any."""
    connection = transaction.connection
    rows: list[Row] = connection.execute(
        "SELECT seq, kind, id, payload FROM journal ORDER BY seq LIMIT ?", (BATCH,)
    ).fetchall()
    if not rows:
        return False
    # First, so that of the facts that a roll-up looks up it finds those rolled up before.
    connection.execute("DELETE FROM journal WHERE seq <= ?", (rows[-1][0],))
    roll_ups.add(transaction, _facts(transaction, rows))
    _apply(transaction, rows)
    _remove_erased(connection, rows)
    return True


def _facts(transaction: Transaction, rows: Sequence[Row]) -> Accepted:
    """Return the facts that are still there."""
    found: dict[type[Record], facts.Facts] = {}
    by_kind = sorted((row for row in rows if row[1] in _TABLES), key=itemgetter(1))
    for kind, entries in groupby(by_kind, key=itemgetter(1)):
        table = _TABLES[kind]
        records = list(facts.read_by_id(transaction.connection, table, (key for _, _, key, _ in entries)))
        if records:
            found[table.record] = facts.facts_of(table, records, transaction.names)
    return found


def _apply(transaction: Transaction, rows: Sequence[Row], before: int | None = None) -> None:
    """Have the roll-ups follow what became of persons.

    Args:
        transaction: what it changes.
        rows: of the journal.
        before: of events that no session has, only those before this time; what facts that are gone have left behind
            is regrouped by nothing.
    """
    for _, kind, key, payload in rows:
        if kind == _MERGE:
            _merge(transaction, payload, key)
        elif kind == _ERASURE and payload is not None:
            erasure = _decode(payload)
            background = [event for event in erasure.background if before is None or event.ts < before]
            roll_ups.forget(transaction, erasure.uids, rolled_up(transaction.connection, background))
        elif kind == _GROUPS and payload is not None and before is None:
            quality.recount_groups(transaction.connection, _decode_hours(payload))
        elif kind == _REGROUPING and payload is not None and before is None:
            regroup(transaction, _decode_uids(payload))


def _merge(transaction: Transaction, into: str | None, gone: int) -> None:
    if into is not None:
        roll_ups.unite(transaction, int(into), gone)
        return
    # Of a version that takes no link back: whose the person is now the link itself says.
    row = transaction.connection.execute("SELECT person FROM person_of WHERE uid = ?", (gone,)).fetchone()
    if row is not None and row[0] != gone:  # else erased meanwhile
        roll_ups.unite(transaction, row[0], gone)


def regroup(transaction: Transaction, uids: Sequence[int]) -> None:
    """Count persons anew whose ids are those of others now."""
    connection = transaction.connection
    some = rows_in(
        connection, "SELECT o.uid FROM person_of p JOIN person_of o ON o.person = p.person WHERE p.uid IN", uids
    )
    uids = sorted({*uids, *(uid for (uid,) in some)})
    background = rolled_up(connection, activity.background_of(connection, uids))
    regrouping.regroup(transaction, uids, background)


def rolled_up(connection: sqlite3.Connection, events: Sequence[BackgroundEvent]) -> list[BackgroundEvent]:
    """Return those of the events that the roll-ups have counted."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (ROLLED_UP_TO,)).fetchone()
    last_counted = int(row[0]) if row else 0
    return [event for event in events if event.seq is None or event.seq <= last_counted]


# ---------------------------------------------------------------- counting anew


def apply_to_frozen(transaction: Transaction, frozen: Frozen) -> Iterator[None]:
    """Have what facts that are gone have left behind follow what became of persons since."""
    rows: list[Row] = transaction.connection.execute(
        "SELECT seq, kind, id, payload FROM journal WHERE kind IN (?, ?) ORDER BY seq", (_MERGE, _ERASURE)
    ).fetchall()
    for part in chunks(rows, _PERSONS_AT_ONCE):
        _apply(transaction, part, before=frozen.ts)
        yield


def forget(connection: sqlite3.Connection, up_to: int) -> None:
    """Remove the entries that a count anew has counted."""
    if not up_to:
        return
    rows = connection.execute(
        "SELECT seq, kind, id, payload FROM journal WHERE kind = ? AND seq <= ?", (_ERASURE, up_to)
    ).fetchall()
    _remove_erased(connection, rows)
    connection.execute("DELETE FROM journal WHERE seq <= ?", (up_to,))
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (ROLLED_UP_TO, str(up_to)))


def _remove_erased(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Remove the persons of whom there is nothing any more: no fact, no id, no roll-up."""
    uids = [uid for _, kind, _, payload in rows if kind == _ERASURE and payload for uid in _decode(payload).uids]
    connection.executemany("DELETE FROM person WHERE uid = ?", [(uid,) for uid in uids])
