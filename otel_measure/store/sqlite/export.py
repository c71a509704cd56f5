"""All that is stored of one person: every table that can have something of one is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias

from otel_measure.definitions.days import moment
from otel_measure.records.events import to_event
from otel_measure.records.ids import id_text
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import agents, facts, identity, roll_ups, streams, tellings
from otel_measure.store.sqlite.chunks import chunks, marks, rows_in
from otel_measure.store.types.exports import ExportedFact, PersonalId, UserExport

# Of the tables of facts that name no person themselves: by which column they are of one, and its values from the
# person's ids and the calls made for them. `None` is of nobody.
_Of: TypeAlias = tuple[str, Callable[[Sequence[str], Sequence[bytes | str]], Iterable[bytes | str]]] | None
OF_A_PERSON: Final[Mapping[str, _Of]] = {
    facts.INFERENCE.name: ("f.user_id", lambda ids, _: ids),
    facts.GROUND_TRUTH.name: ("f.inference_id", lambda _, calls: calls),
    facts.EVALUATION.name: ("json_extract(f.extra, '$.inference_id')", lambda _, calls: map(id_text, calls)),
    facts.SERVICE_STATE.name: None,
    facts.MAINTENANCE.name: None,
}


def export(connection: sqlite3.Connection, user_id: str) -> UserExport:
    """Return all that is stored of a person, within one read transaction."""
    person = identity.person_of(connection, user_id)
    ids, uids = person.ids, person.uids
    found = [(record, False) for record in _facts(connection, ids, uids)]
    found += [(call, True) for call in tellings.of_users(connection, ids)]
    found.sort(key=lambda one: (one[0].ts, one[0].id))
    return UserExport(
        user_id,
        tuple(_ids(connection, uids)),
        tuple(exported_fact(record, is_telling=is_telling) for record, is_telling in found),
        _rows_of(connection, ids, uids),
        tuple(streams.of_users(connection, ids)),
    )


def _ids(connection: sqlite3.Connection, uids: Sequence[int]) -> list[PersonalId]:
    rows = rows_in(
        connection,
        "SELECT a.distinct_id, l.distinct_id FROM alias a JOIN person p ON p.uid = a.uid"
        " LEFT JOIN alias l ON l.uid = p.linked_to WHERE a.uid IN",
        uids,
    )
    return sorted((PersonalId(*row) for row in rows), key=attrgetter("id"))


def _facts(connection: sqlite3.Connection, ids: Sequence[str], uids: Sequence[int]) -> Iterator[Record]:
    calls = [
        key for part in chunks(ids) for (key,) in _rows_in(connection, "SELECT id FROM inference WHERE user_id", part)
    ]
    for table in facts.TABLES:
        if "uid" in table.columns:
            yield from _read(connection, table, "f.uid", uids)
        elif (of := OF_A_PERSON[table.name]) is not None:
            column, values = of
            yield from _read(connection, table, column, values(ids, calls))


def _read(connection: sqlite3.Connection, table: facts.Table, column: str, values: Iterable[Any]) -> Iterator[Record]:
    for part in chunks(values):
        yield from facts.read(connection, table, f"WHERE {column} IN {marks(len(part))}", tuple(part))


def _rows_in(connection: sqlite3.Connection, select: str, values: Sequence[Any]) -> sqlite3.Cursor:
    return connection.execute(f"{select} IN {marks(len(values))}", values)


def exported_fact(record: Record, *, is_telling: bool = False) -> ExportedFact:
    """Return a fact as an export has it."""
    event = to_event(record)
    return ExportedFact(
        event.name, moment(event.ts), event.origin.service, event.origin.environment, event.attributes,
        event.trace_id, event.span_id, is_telling,
    )  # fmt: skip


def _rows_of(
    connection: sqlite3.Connection, ids: Sequence[str], uids: Iterable[int]
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """Return the rows of a person beside the facts, by table."""
    rows = {table: _rolled_up(connection, table, uids) for table in roll_ups.TABLES}
    rows[agents.RUNS] = agents.of_users(connection, ids)
    return {table: of_person for table, of_person in rows.items() if of_person}


def _rolled_up(connection: sqlite3.Connection, table: str, uids: Iterable[int]) -> tuple[Mapping[str, Any], ...]:
    """Return the rows of a roll-up that are of a person, without its number; most roll-ups are of nobody."""
    columns = [str(name) for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    if "uid" not in columns:
        return ()
    rows = [row for part in chunks(uids) for row in _rows_in(connection, f"SELECT * FROM {table} WHERE uid", part)]
    return tuple(
        {name: id_text(value) if isinstance(value, bytes) else value
         for name, value in zip(columns, row, strict=True) if name != "uid"}
        for row in rows
    )  # fmt: skip
