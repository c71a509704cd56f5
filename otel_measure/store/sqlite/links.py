"""Who is who: several ids of one person, and how a link between them is taken back.

An id is its own person until it is identified as a user; the first link of an id stays until it is taken back. An id
that was ever identified as a user is nobody's other id: two users are never made one. Without refusals persons are the
connected components of the links, whatever their order. What a link says is state, and no fact: of one that was taken
back nothing is left.
"""

from __future__ import annotations

import sqlite3

from otel_measure.store.sqlite import journal, roll_ups
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.users import Link

# An older version keeps no links: what it merges is linked to the person.
_LINKED_TO = "coalesce(linked_to, merged_into)"


def identify(transaction: Transaction, anonymous_id: str, user_id: str) -> Link:
    """Make two ids one person."""
    connection = transaction.connection
    anonymous, user = (transaction.names.uid(each) for each in (anonymous_id, user_id))
    connection.execute("UPDATE person SET is_user = 1 WHERE uid = ? AND is_user IS NULL", (user,))
    person, own = _person(connection, user), _person(connection, anonymous)
    if own == person:
        return "known"
    if own != anonymous or _is_user(connection, anonymous):
        return "refused"
    connection.execute("UPDATE person SET linked_to = ?, merged_into = ? WHERE uid = ?", (user, person, anonymous))
    if transaction.rolls_up:
        roll_ups.unite(transaction, person, anonymous)
    else:
        journal.note_merge(connection, person, anonymous)
    return "linked"


def unlink(transaction: Transaction, anonymous_id: str) -> bool:
    """Take the link of an id back; return whether it had one."""
    connection = transaction.connection
    row = connection.execute(
        f"SELECT uid, {_LINKED_TO}, merged_into FROM alias JOIN person USING (uid) WHERE distinct_id = ?",
        (anonymous_id,),
    ).fetchone()
    if row is None or row[1] is None:
        return False
    anonymous, _, person = row
    uids = sorted(uid for (uid,) in connection.execute("SELECT uid FROM person_of WHERE person = ?", (person,)))
    connection.execute("UPDATE person SET linked_to = NULL, merged_into = NULL WHERE uid = ?", (anonymous,))
    _find_persons(connection, uids)
    if transaction.rolls_up and journal.is_empty(connection):
        journal.regroup(transaction, uids)
    else:
        journal.note_regrouping(connection, uids)
    return True


def merged(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the person of each id that is another's, as that person's own id; of nobody who is being erased."""
    rows = connection.execute(
        "SELECT a.distinct_id, p.distinct_id FROM person_of o JOIN alias a ON a.uid = o.uid"
        " JOIN alias p ON p.uid = o.person WHERE o.uid <> o.person"
        " AND a.distinct_id >= CAST(x'01' AS TEXT) AND p.distinct_id >= CAST(x'01' AS TEXT)"
    )
    return dict(rows.fetchall())


def _person(connection: sqlite3.Connection, uid: int) -> int:
    return int(connection.execute("SELECT person FROM person_of WHERE uid = ?", (uid,)).fetchone()[0])


def _is_user(connection: sqlite3.Connection, uid: int) -> bool:
    # An older version, which may be writing still, names no users: what others were merged into is one.
    others = "EXISTS (SELECT 1 FROM person WHERE merged_into = ?1)"
    select = f"SELECT is_user IS NOT NULL OR {others} FROM person WHERE uid = ?1"
    return bool(connection.execute(select, (uid,)).fetchone()[0])


def _find_persons(connection: sqlite3.Connection, uids: list[int]) -> None:
    """Let each of the ids, among which all their links are, be of the person that its links lead to."""
    linked: dict[int, int | None] = {}
    for uid in uids:
        (linked[uid],) = connection.execute(f"SELECT {_LINKED_TO} FROM person WHERE uid = ?", (uid,)).fetchone()
    for uid in uids:
        person = uid
        while (into := linked[person]) is not None:
            person = into
        connection.execute("UPDATE person SET merged_into = nullif(?1, ?2) WHERE uid = ?2", (person, uid))
