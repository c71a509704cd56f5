"""What facts that are gone have left of persons, as rows under the ids of users: taken out of a store, or put into one.

Such rows are what a rebuild keeps (`RollUp.FROZEN`). A session that facts which are still there go on with is one of
both: of it goes out what these facts do not tell, and it is put together again when they are counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from otel_measure.definitions.activity import ActivityBatch, Acts
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import Client, SessionSpan, longest_pause_us
from otel_measure.records.ids import id_text
from otel_measure.store.sqlite import activity, answers, environments, experiments
from otel_measure.store.sqlite.persons import roots
from otel_measure.store.sqlite.transaction import Frozen, RollUp, Transaction

Row: TypeAlias = tuple[Any, ...]
"""Environment, id of a user, and the columns of the table; of `BACKGROUND` the id is empty."""
DAYS: Final = "person_day"
SESSIONS: Final = "session"
CONVERSIONS: Final = "goal_hit"
ANSWERS: Final = "nps_day"
ARMS: Final = "experiment_arm"
TEST_CONVERSIONS: Final = "experiment_conversion"
BACKGROUND: Final = "session_cell"
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    DAYS: ("day", "first_ts"),
    SESSIONS: ("client", "started", "ended", "events", "views", "keys"),
    CONVERSIONS: ("goal", "ts", "currency", "n", "valued", "amount", "nanos"),
    ANSWERS: ("survey", "day", "ts", "id", "score"),
    ARMS: ("experiment", "variant", "first_ts"),
    TEST_CONVERSIONS: ("experiment", "ts", "tolerance_us"),
    BACKGROUND: ("day", "background"),
}
"""The columns of each table of which rows are left, beside the environment and whose row it is."""
_ROLL_UPS: Final[tuple[RollUp, ...]] = (activity, answers, experiments)
_FROZEN: Final = {table: kept for roll_up in _ROLL_UPS for table, kept in roll_up.FROZEN.items()}
_OTHER_SUMS: Final = ("sessions", "duration_us", "events", "viewed", "bounced")
SessionOf: TypeAlias = tuple[int, int, Client]
"""Environment, person and client's session id."""


def rows(connection: sqlite3.Connection, definitions: Definitions, table: str, frozen: Frozen) -> Iterator[Row]:
    """Yield what is left in a table.

    Args:
        connection: to a store that is up to date.
        definitions: by which it is counted.
        table: one of `COLUMNS`.
        frozen: before when facts are gone.
    """
    columns = ",".join(f"t.{column}" for column in COLUMNS[table])
    of = f"FROM {table} t JOIN environment e ON e.id = t.environment"
    if table == BACKGROUND:
        yield from connection.execute(f"SELECT e.name, '', {columns} {of} WHERE {_FROZEN[table]}", frozen._asdict())
        return
    if table == SESSIONS:
        yield from _sessions(connection, definitions, frozen)
        return
    select = f"SELECT e.name, a.distinct_id, {columns} {of} JOIN alias a ON a.uid = t.uid"
    yield from connection.execute(f"{select} WHERE {_FROZEN[table]}", frozen._asdict())


_SESSIONS: Final = (
    "SELECT e.id, t.uid, e.name, a.distinct_id, t.next, t.client, t.started, t.ended, t.events, t.views, t.keys FROM"
    " (SELECT *, lead(started) OVER (PARTITION BY uid, environment, client ORDER BY started) AS next FROM session) t"
    f" JOIN environment e ON e.id = t.environment JOIN alias a ON a.uid = t.uid WHERE {_FROZEN[SESSIONS]}"
)


def _sessions(connection: sqlite3.Connection, definitions: Definitions, frozen: Frozen) -> Iterator[Row]:
    """Yield sessions, each without what facts tell that are there.

    One that a shorter pause has ended than that of now has an id of its own, so that nobody joins it to the next one.
    """
    told = _told_by_facts(connection, definitions, frozen)
    for environment, uid, name, user, following, client, *values in connection.execute(_SESSIONS, frozen._asdict()):
        session = SessionSpan(*values)
        if following is not None and following - session.end <= longest_pause_us(client, definitions):
            client = f"{id_text(client)}@{session.start}"
        elif session.end >= frozen.ts:
            session = _without(session, told.get((environment, uid, client), ()), frozen.ts)
        yield (name, user, client, *session)


def _told_by_facts(
    connection: sqlite3.Connection, definitions: Definitions, frozen: Frozen
) -> dict[SessionOf, list[SessionSpan]]:
    """Return the parts of sessions that facts which are there tell of, as far as a session of before reaches."""
    told: dict[SessionOf, list[SessionSpan]] = {}
    crossing = "SELECT max(ended) FROM session WHERE started < :ts AND ended >= :ts"
    (last,) = connection.execute(crossing, {"ts": frozen.ts}).fetchone()
    if last is None:
        return told
    for origins, acts in activity.acts_of(connection, f"event WHERE ts >= ? AND ts <= {last:d}", frozen.ts):
        for environment, mine in environments.apart(connection, origins, acts):
            of_it = Acts._make(mine)
            merged, _ = roots(connection, environment, set(of_it.uid))
            batch = ActivityBatch(definitions)
            batch.gather(of_it, merged)
            for key, parts in batch.sessions().items():
                told.setdefault((environment, *key), []).extend(parts)
    return told


def _without(session: SessionSpan, told: Iterable[SessionSpan], ts: int) -> SessionSpan:
    """Return what a session has before `ts`: it ends there, so that what goes on with it finds no pause."""
    parts = [part for part in told if part.start <= session.end]
    events, views, keys = (max(0, session[i] - sum(part[i] for part in parts)) for i in (2, 3, 4))
    return SessionSpan(session.start, ts - 1, events, views, keys)


def clear(connection: sqlite3.Connection) -> None:
    """Remove all that is rolled up of persons."""
    for roll_up in _ROLL_UPS:
        for table in roll_up.TABLES:
            connection.execute(f"DELETE FROM {table}")


def put(transaction: Transaction, table: str, some: Sequence[Row]) -> None:
    """Put rows into a table in which nobody of them has any; a rebuild is to follow.

    Args:
        transaction: of a store that was cleared.
        table: one of `COLUMNS`.
        some: rows; of `DAYS` all of a person together, ascending.
    """
    connection, uid_of = transaction.connection, transaction.names.uid
    seen = {name: id for id, name in connection.execute("SELECT id, name FROM environment")}
    if table == BACKGROUND:
        zeros = ",".join("0" * len(_OTHER_SUMS))
        connection.executemany(
            f"INSERT INTO {table} (environment, day, background, {','.join(_OTHER_SUMS)}) VALUES (?, ?, ?, {zeros})",
            [(seen[environment], *row) for environment, _, *row in some],
        )
        return
    given = [(seen[environment], uid_of(user), *row) for environment, user, *row in some]
    columns = ("environment", "uid", *COLUMNS[table])
    if table == DAYS:
        columns = (*columns, "prev")
        before = [None, *given]
        given = [
            (*row, last[2] if last and last[:2] == row[:2] else None) for last, row in zip(before, given, strict=False)
        ]
    marks = ",".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", given)
