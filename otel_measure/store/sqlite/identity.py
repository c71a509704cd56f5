"""The removal of a person, and what keeps a replay of it out."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from otel_measure.definitions.days import moment
from otel_measure.definitions.same_calls import Telling
from otel_measure.definitions.totals import summed
from otel_measure.errors import StoreError
from otel_measure.records.anonymous import without_user
from otel_measure.records.kinds import Inference, Record
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
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.users import Erasure


def erase(transaction: Transaction, user_id: str, now: int) -> Erasure:
    """Remove a person: facts, ids, answers, exposures, roll-ups; running totals keep what they counted."""
    connection = transaction.connection
    ids = ids_of(connection, user_id)
    users = _add_tombstones(connection, [_user(each) for each in sorted({user_id, *ids})], now)
    receipt = erasures.note(connection, now, users)
    _count_erasure(connection)
    removed = _remove_person(transaction, user_id, ids, now)
    return Erasure(
        user_id, receipt, moment(now), len(ids),
        events=removed[facts.EVENT.name],
        nps_responses=removed[facts.NPS_RESPONSE.name],
        exposures=removed[facts.EXPOSURE.name],
        ab_conversions=removed[facts.AB_CONVERSION.name],
        inferences=removed[facts.INFERENCE.name],
    )  # fmt: skip


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
        digest = _digest(key, _user(user))
        if digest in missing:
            ids = ids_of(connection, user)
            persons += any(_remove_person(transaction, user, ids, missing[digest]).values()) or bool(ids)
    _count_erasure(connection)
    erasures.note_again(connection, known.erasures)
    return persons


def _users(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of everybody who stands in the store."""
    rows = connection.execute(
        "SELECT distinct_id FROM alias UNION SELECT user_id FROM inference WHERE user_id IS NOT NULL"
    )
    return [*(user for (user,) in rows), *tellings.users(connection), *agents.users(connection)]


def _remove_person(transaction: Transaction, user_id: str, ids: Mapping[str, int], now: int) -> dict[str, int]:
    """Remove all of a person but the tombstones of the ids; return how many facts, by their table."""
    connection, uids, erased_ids = transaction.connection, sorted(ids.values()), sorted({user_id, *ids})
    if uids:
        _take_back(transaction, uids)
    removed = {table.name: _remove(transaction, table, uids, now) for table in facts.TABLES if "uid" in table.columns}
    removed[facts.INFERENCE.name] = _make_anonymous(transaction, erased_ids)
    agents.forget_users(connection, erased_ids)
    tellings.forget_users(connection, erased_ids)
    senders.forget_users(connection, erased_ids)
    streams.forget_users(connection, erased_ids)
    connection.executemany("DELETE FROM alias WHERE distinct_id = ?", [(each,) for each in ids])
    transaction.names.clear()
    return removed


def _take_back(transaction: Transaction, uids: Sequence[int]) -> None:
    """Have the roll-ups forget a person whose facts are still there."""
    connection = transaction.connection
    background = activity.background_of(connection, uids)
    if transaction.rolls_up:
        roll_ups.forget(transaction, uids, journal.rolled_up(connection, background))
        connection.executemany("DELETE FROM person WHERE uid = ?", [(uid,) for uid in uids])
    else:
        journal.note_erasure(connection, uids, background)


def ids_of(connection: sqlite3.Connection, user_id: str) -> dict[str, int]:
    """Return every distinct id of the person with its uid."""
    return dict(
        connection.execute(
            "SELECT a.distinct_id, a.uid FROM alias a JOIN person_of p ON p.uid = a.uid WHERE p.person ="
            " (SELECT p.person FROM alias a JOIN person_of p ON p.uid = a.uid WHERE a.distinct_id = ?)",
            (user_id,),
        )
    )


def _remove(transaction: Transaction, table: facts.Table, uids: Sequence[int], now: int) -> int:
    """Remove facts; what they added to the totals stays, as when retention removes them."""
    connection, removed = transaction.connection, 0
    if not uids:
        return removed
    keys = [key for (key,) in rows_in(connection, f"SELECT id FROM {table.name} WHERE uid IN", uids)]
    for part in chunks(keys):
        records = list(facts.read_by_id(connection, table, part))
        totals.merge(connection, transaction.names, summed(records), into="total_base")
        _add_tombstones(connection, [_fact(record) for record in records], now)
        removed += change_in(connection, f"DELETE FROM {table.name} WHERE id IN", part)
        journal.forget_facts(connection, table, part)
    outbox.forget_facts(connection, table, keys)
    return removed


def _make_anonymous(transaction: Transaction, ids: Sequence[str]) -> int:
    """Have the calls of models stay without their user; return how many there are."""
    connection, table = transaction.connection, facts.INFERENCE
    found = [key for (key,) in rows_in(connection, "SELECT id FROM inference WHERE user_id IN", ids)]
    hours = quality.grouped_hours(connection, ids)
    for part in chunks(found):
        calls = [
            without_user(call) for call in facts.read_by_id(connection, table, part) if isinstance(call, Inference)
        ]
        stored = facts.facts_of(table, calls, transaction.names).stored
        connection.executemany(
            "UPDATE inference SET user_id = NULL, session_id = NULL, extra = ? WHERE id = ?",
            list(zip(stored["extra"], stored["id"], strict=True)),
        )
    if hours and transaction.rolls_up:
        quality.recount_groups(connection, hours)
    elif hours:
        journal.note_groups(connection, hours)
    return len(found)


# ---------------------------------------------------------------- tombstones


def _count_erasure(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (?, '1') ON CONFLICT (key) DO UPDATE SET value = value + 1", (ERASURES,)
    )


def _user(user_id: str) -> bytes:
    return b"user:" + user_id.encode()


def _fact(record: Record) -> bytes:
    return f"{facts.TABLE_OF[type(record)].name}:{record.id}".encode()


@lru_cache(maxsize=50_000)
def _digest(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256)[: erasures.DIGEST_BYTES]


def _add_tombstones(connection: sqlite3.Connection, texts: Iterable[bytes], now: int) -> list[bytes]:
    """Remember what was erased, and return the hashes."""
    key = erasures.key(connection)
    digests = [_digest(key, text) for text in texts]
    connection.executemany("INSERT OR REPLACE INTO tombstone VALUES (?, ?)", [(digest, now) for digest in digests])
    return digests


def without_erased(connection: sqlite3.Connection, records: Sequence[Record]) -> tuple[list[Record], set[int]]:
    """Return records as they may be kept, and the indexes of those that are a replay of something erased.

    A replay is a fact of an erased user from before the erasure, or one that was itself erased; what the same id does
    afterwards is somebody new. An inference is the model's fact as well: it is kept without its user.
    """
    key = erasures.key(connection)
    users = {i: _digest(key, _user(user)) for i, record in enumerate(records) if (user := _user_of(record))}
    erased_at = _erased_at(connection, set(users.values()))
    kept, refused = list(records), set[int]()
    for i in [i for i, digest in users.items() if digest in erased_at]:
        record = records[i]
        before = record.ts <= erased_at[users[i]]
        if not isinstance(record, Inference):
            if before or _erased_at(connection, [_digest(key, _fact(record))]):
                refused.add(i)
        elif before:
            kept[i] = without_user(record)
    return kept, refused


def without_erased_steps(connection: sqlite3.Connection, told: Sequence[Telling]) -> list[Telling]:
    """Return tellings of which none tells of a run or use from before its user was erased."""
    key = erasures.key(connection)
    user_of = {each.id: _digest(key, _user(step.user_id)) for each in told if (step := each.step) and step.user_id}
    erased_at = _erased_at(connection, set(user_of.values()))
    return [
        each._replace(step=None) if each.ended_us <= erased_at.get(user_of.get(each.id, b""), -1) else each
        for each in told
    ]


def _user_of(record: Record) -> str | None:
    return getattr(record, "user_id", None)


def _erased_at(connection: sqlite3.Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    return dict(rows_in(connection, "SELECT digest, erased_at FROM tombstone WHERE digest IN", digests))
