"""The removal of a person, and what keeps a replay of it out.

To search all facts for those of one person takes milliseconds per megabyte, which no writer is made to wait. So there
are two transactions. The first one hides the ids of the person: whatever comes under them from then on is somebody
new, and no fact of the person can come any more. Between the two the facts are searched, a part at a time. The second
one removes what was found. A process that ends in between leaves hidden ids, and another one goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.days import moment
from otel_measure.definitions.tellings import Telling
from otel_measure.definitions.totals import summed
from otel_measure.errors import StoreError
from otel_measure.records.anonymous import without_user
from otel_measure.records.kinds import Inference, Record
from otel_measure.records.tombstones import fact_tombstone, user_tombstone
from otel_measure.store.sqlite import (
    activity,
    agents,
    erasures,
    facts,
    journal,
    outbox,
    quality,
    roll_ups,
    senders,
    streams,
    tellings,
    totals,
)
from otel_measure.store.sqlite.chunks import change_in, chunks, rows_in
from otel_measure.store.sqlite.kept import ERASURES
from otel_measure.store.sqlite.names import HIDDEN
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.users import Erasure

Keys: TypeAlias = Mapping[str, Sequence[bytes | str]]  # of facts, by their table
Reading: TypeAlias = Callable[[], AbstractContextManager[sqlite3.Connection]]
_GIVEN_UP_AFTER_US: Final = 600_000_000  # nobody searches so long
_IS_SHOWN: Final = "distinct_id >= CAST(x'01' AS TEXT)"
_IS_HIDDEN: Final = "distinct_id < CAST(x'01' AS TEXT)"
_OF_PERSONS: Final = tuple(table for table in facts.TABLES if "uid" in table.columns)


class ErasedPerson(NamedTuple):
    """Whose facts are removed: all ids that are of the person, as they were given and as they are stored."""

    ids: tuple[str, ...]
    uids: tuple[int, ...]


def begin(transaction: Transaction, user_id: str, now: int) -> tuple[int, ErasedPerson]:
    """Hide the ids of a person, and return the number of the receipt and whom to search for."""
    connection = transaction.connection
    person = person_of(connection, user_id)
    key = erasures.key(connection)
    users = [user_tombstone(key, each) for each in person.ids]
    _add_tombstones(connection, users, now)
    receipt = erasures.note(connection, now, users)
    shown = rows_in(connection, f"SELECT distinct_id, uid FROM alias WHERE {_IS_SHOWN} AND uid IN", person.uids)
    connection.executemany(
        "UPDATE alias SET distinct_id = ? WHERE distinct_id = ?",
        [(f"{HIDDEN}{uid}:{stored}", stored) for stored, uid in list(shown)],
    )
    _count_erasure(connection)
    transaction.names.clear()
    return receipt, person


def search(reading: Reading, person: ErasedPerson) -> Keys:
    """Return the ids of the facts of a person, by their table, a part of all facts in a transaction of its own."""
    keys: dict[str, list[bytes | str]] = {}
    for table in (*_OF_PERSONS, facts.INFERENCE):
        column, values = ("uid", person.uids) if "uid" in table.columns else ("user_id", person.ids)
        keys[table.name], last = [], None
        while True:
            with reading() as connection:
                mine, last = facts.whose(connection, table, column, values, last)
            if last is None:
                break
            keys[table.name] += mine
    return keys


def finish(transaction: Transaction, user_id: str, receipt: int, person: ErasedPerson, keys: Keys, now: int) -> Erasure:
    """Remove a person whose ids are hidden: facts, ids, answers, exposures, roll-ups; totals keep what they counted."""
    removed = _remove_person(transaction, person, keys, now)
    return Erasure(
        user_id, receipt, moment(now), len(person.uids),
        events=removed[facts.EVENT.name],
        nps_responses=removed[facts.NPS_RESPONSE.name],
        exposures=removed[facts.EXPOSURE.name],
        ab_conversions=removed[facts.AB_CONVERSION.name],
        agent_runs=removed[agents.RUNS],
        inferences=removed[facts.INFERENCE.name],
    )  # fmt: skip


def is_unfinished(connection: sqlite3.Connection) -> bool:
    """Tell whether somebody is being erased."""
    return bool(_hidden(connection))


def left_over(connection: sqlite3.Connection, now: int) -> list[str]:
    """Return who is being erased, and not by anybody any more."""
    (last,) = connection.execute("SELECT max(erased_at) FROM erasure WHERE cleared_at IS NULL").fetchone()
    if last is None or last > now - _GIVEN_UP_AFTER_US:
        return []
    return sorted({_shown(hidden) for hidden, _ in _hidden(connection)})


def finish_left_over(transaction: Transaction, person: ErasedPerson, keys: Keys, now: int) -> None:
    """Remove a person whom another process has begun to remove."""
    _remove_person(transaction, person, keys, now)


def erase_again(transaction: Transaction, known: erasures.ErasuresFile) -> int:
    """Remove whoever was erased since this store was copied; return how many persons that were.

    Raises:
        StoreError: those erasures are of another store.
    """
    connection = transaction.connection
    erasures.keep_key(connection, known.key)
    key = erasures.key(connection)
    if key.hex() != known.key:
        raise StoreError("the erasures beside the store are of another store than the backup: move them away")
    last = {digest: one.erased_at for one in known.erasures for digest in one.users}
    there = _erased_at(connection, last)
    missing = {digest: at for digest, at in last.items() if at > there.get(digest, -1)}
    connection.executemany("INSERT OR REPLACE INTO tombstone VALUES (?, ?)", list(missing.items()))
    persons = 0
    for user in _users(connection):
        digest = user_tombstone(key, user)
        if digest in missing:
            person = person_of(connection, user)
            keys = search(lambda: nullcontext(connection), person)
            persons += any(_remove_person(transaction, person, keys, missing[digest]).values()) or bool(person.uids)
    _count_erasure(connection)
    erasures.note_again(connection, known.erasures)
    return persons


def _users(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of everybody who stands in the store."""
    rows = connection.execute(
        "SELECT distinct_id FROM alias UNION SELECT user_id FROM inference WHERE user_id IS NOT NULL"
    )
    return [*(_shown(user) for (user,) in rows), *tellings.users(connection), *agents.users(connection)]


def _remove_person(transaction: Transaction, person: ErasedPerson, keys: Keys, now: int) -> dict[str, int]:
    """Remove all of a person but the tombstones of the ids; return how many facts and runs, by their table."""
    connection = transaction.connection
    if person.uids:
        _take_back(transaction, person.uids, keys[facts.EVENT.name])
    removed = {table.name: _remove(transaction, table, keys[table.name], now) for table in _OF_PERSONS}
    removed[facts.INFERENCE.name] = _make_anonymous(transaction, keys[facts.INFERENCE.name])
    removed[agents.RUNS] = agents.forget_users(connection, person.ids)
    tellings.forget_users(connection, person.ids)
    senders.forget_users(connection, person.ids)
    streams.forget_users(connection, person.ids)
    connection.executemany("DELETE FROM alias WHERE uid = ?", [(uid,) for uid in person.uids])
    transaction.names.clear()
    return removed


def _take_back(transaction: Transaction, uids: Sequence[int], events: Sequence[bytes | str]) -> None:
    """Have the roll-ups forget a person whose facts are still there."""
    connection = transaction.connection
    background = activity.background_among(connection, events)
    if transaction.rolls_up:
        roll_ups.forget(transaction, uids, journal.rolled_up(connection, background))
        connection.executemany("DELETE FROM person WHERE uid = ?", [(uid,) for uid in uids])
    else:
        journal.note_erasure(connection, uids, background)


# ---------------------------------------------------------------- who it is


def person_of(connection: sqlite3.Connection, user_id: str) -> ErasedPerson:
    """Return every id of the person who has this one, those as well that are hidden while they are erased."""
    hidden = [stored for stored, _ in _hidden(connection) if _shown(stored) == user_id]
    rows = set(
        rows_in(
            connection,
            "SELECT o.distinct_id, o.uid FROM alias a JOIN person_of p ON p.uid = a.uid"
            " JOIN person_of q ON q.person = p.person JOIN alias o ON o.uid = q.uid WHERE a.distinct_id IN",
            [user_id, *hidden],
        )
    )
    ids = {user_id, *(_shown(stored) for stored, _ in rows)}
    return ErasedPerson(tuple(sorted(ids)), tuple(sorted(uid for _, uid in rows)))


def _hidden(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    return connection.execute(f"SELECT distinct_id, uid FROM alias WHERE {_IS_HIDDEN}").fetchall()


def _shown(stored: str) -> str:
    """Return an id as it was given: hidden ones have their number before it, so that somebody new may have the same."""
    return stored.partition(":")[2] if stored.startswith(HIDDEN) else stored


# ---------------------------------------------------------------- their facts


def _remove(transaction: Transaction, table: facts.Table, keys: Sequence[bytes | str], now: int) -> int:
    """Remove facts; what they added to the totals stays, as when retention removes them."""
    connection, removed = transaction.connection, 0
    key = erasures.key(connection)
    for part in chunks(keys):
        records = list(facts.read_by_id(connection, table, part))
        totals.merge(connection, transaction.names, summed(records), into="total_base")
        _add_tombstones(connection, [_fact(key, record) for record in records], now)
        removed += change_in(connection, f"DELETE FROM {table.name} WHERE id IN", part)
        journal.forget_facts(connection, table, part)
    outbox.forget_facts(connection, table, keys)
    return removed


def _make_anonymous(transaction: Transaction, keys: Sequence[bytes | str]) -> int:
    """Have the calls of models stay without their user; return how many there are."""
    connection, table = transaction.connection, facts.INFERENCE
    hours = quality.grouped_hours(connection, keys)
    anonymous = 0
    for part in chunks(keys):
        calls = [
            without_user(call) for call in facts.read_by_id(connection, table, part) if isinstance(call, Inference)
        ]
        if not calls:  # retention has been faster
            continue
        stored = facts.facts_of(table, calls, transaction.names).stored
        connection.executemany(
            "UPDATE inference SET user_id = NULL, session_id = NULL, extra = ? WHERE id = ?",
            list(zip(stored["extra"], stored["id"], strict=True)),
        )
        anonymous += len(calls)
    if hours and transaction.rolls_up:
        quality.recount_groups(connection, hours)
    elif hours:
        journal.note_groups(connection, hours)
    return anonymous


# ---------------------------------------------------------------- tombstones


def _count_erasure(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (?, '1') ON CONFLICT (key) DO UPDATE SET value = value + 1", (ERASURES,)
    )


def _fact(key: bytes, record: Record) -> bytes:
    return fact_tombstone(key, facts.TABLE_OF[type(record)].name, record.id)


def _add_tombstones(connection: sqlite3.Connection, tombstones: Iterable[bytes], now: int) -> None:
    # An erasure that waited on its host may come after a later one of the same person, and takes nothing of it back.
    connection.executemany(
        "INSERT INTO tombstone VALUES (?, ?) ON CONFLICT DO UPDATE SET erased_at = max(erased_at, excluded.erased_at)",
        [(digest, now) for digest in tombstones],
    )


def without_erased(connection: sqlite3.Connection, records: Sequence[Record]) -> tuple[list[Record], set[int]]:
    """Return records as they may be kept, and the indexes of those that are a replay of something erased.

    A replay is a fact of an erased user from before the erasure, or one that was itself erased; what the same id does
    afterwards is somebody new. An inference is the model's fact as well: it is kept without its user.
    """
    key = erasures.key(connection)
    users = {i: user_tombstone(key, user) for i, record in enumerate(records) if (user := _user_of(record))}
    erased_at = _erased_at(connection, set(users.values()))
    kept, refused = list(records), set[int]()
    for i in [i for i, digest in users.items() if digest in erased_at]:
        record = records[i]
        before = record.ts <= erased_at[users[i]]
        if not isinstance(record, Inference):
            if before or _erased_at(connection, [_fact(key, record)]):
                refused.add(i)
        elif before:
            kept[i] = without_user(record)
    return kept, refused


def without_erased_steps(connection: sqlite3.Connection, told: Sequence[Telling]) -> list[Telling]:
    """Return tellings of which none tells of a run or use from before its user was erased."""
    key = erasures.key(connection)
    user_of = {each.id: user_tombstone(key, step.user_id) for each in told if (step := each.step) and step.user_id}
    erased_at = _erased_at(connection, set(user_of.values()))
    return [
        each._replace(step=None) if each.ended_us <= erased_at.get(user_of.get(each.id, b""), -1) else each
        for each in told
    ]


def _user_of(record: Record) -> str | None:
    return getattr(record, "user_id", None)


def _erased_at(connection: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    return dict(rows_in(connection, "SELECT digest, erased_at FROM tombstone WHERE digest IN", digests))
