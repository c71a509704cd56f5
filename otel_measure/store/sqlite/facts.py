"""Facts as rows and back: which column holds which field, and the insert that keeps only what is new.

A table is data: its columns name the fields of the record, some of them in another form (`id` as 16 bytes where it
can be, `origin`, model and users as numbers), and the rare fields share the JSON of `extra`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from otel_measure.records.ids import id_keys, id_text
from otel_measure.records.kinds import (
    AbConversion,
    EvaluationResult,
    Exposure,
    GroundTruth,
    Inference,
    Maintenance,
    NpsResponse,
    Origin,
    Record,
    ServiceState,
    UserEvent,
)
from otel_measure.store.sqlite.chunks import chunks, insert, marks, rows_in
from otel_measure.store.sqlite.names import Names
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, Receipt

Row: TypeAlias = tuple[Any, ...]
Columns: TypeAlias = Mapping[str, Sequence[Any]]
_Name = TypeVar("_Name")
_encode = msgspec.json.Encoder().encode
_decode: Callable[[str], Any] = msgspec.json.Decoder().decode
READ_AT_ONCE: Final = 5000
HOUR_US: Final = 3_600_000_000


class Table(NamedTuple):
    """One kind of fact.

    Attributes:
        columns: in the order of the table.
        extra: the fields that have no column and travel in the JSON of `extra`.
        flags: the fields that are false where nothing is said.
    """

    record: type[Record]
    name: str
    columns: tuple[str, ...]
    extra: tuple[str, ...]
    flags: frozenset[str]


# Columns that hold fields in another form; every other column but `extra` is the field of its name.
_FIELDS_OF_COLUMN: Final[Mapping[str, tuple[str, ...]]] = {"uid": ("user_id",), "model": ("model", "version")}


def _table(record: type[Record], name: str, *columns: str) -> Table:
    """Return the table of a kind of fact; a field that has no column here travels in `extra`."""
    fields, defaults = record.__struct_fields__, record.__struct_defaults__
    in_columns = {field for column in columns for field in _FIELDS_OF_COLUMN.get(column, (column,))}
    by_default = zip(reversed(fields), reversed(defaults), strict=False)
    return Table(
        record,
        name,
        (*columns, "extra"),
        tuple(field for field in fields if field not in in_columns),
        frozenset(field for field, default in by_default if default is False),
    )


INFERENCE: Final = _table(
    Inference, "inference",
    "id", "ts", "origin", "model", "latency_ms", "input_tokens", "output_tokens", "cost_usd", "cost_source",
    "error_type", "provider", "operation", "response_model", "user_id", "session_id", "prediction", "repository",
)  # fmt: skip
EVENT: Final = _table(
    UserEvent, "event",
    "id", "ts", "origin", "uid", "type", "name", "page_url", "session_id", "device_type",
)  # fmt: skip
GROUND_TRUTH: Final = _table(GroundTruth, "ground_truth", "id", "ts", "origin", "inference_id", "value")
NPS_RESPONSE: Final = _table(NpsResponse, "nps_response", "id", "ts", "origin", "uid", "survey", "score", "comment")
EXPOSURE: Final = _table(Exposure, "exposure", "id", "ts", "origin", "uid", "experiment", "variant", "reason")
AB_CONVERSION: Final = _table(AbConversion, "ab_conversion", "id", "ts", "origin", "uid", "experiment")
SERVICE_STATE: Final = _table(ServiceState, "service_state", "id", "ts", "origin", "service", "state", "reason")
MAINTENANCE: Final = _table(Maintenance, "maintenance", "id", "ts", "origin", "service", "start_us", "end_us", "reason")
EVALUATION: Final = _table(EvaluationResult, "evaluation", "id", "ts", "origin", "model", "name", "score", "label")
TABLES: Final = (
    INFERENCE, EVENT, GROUND_TRUTH, NPS_RESPONSE, EXPOSURE, AB_CONVERSION, SERVICE_STATE, MAINTENANCE, EVALUATION,
)  # fmt: skip
TABLE_OF: Final[Mapping[type[Record], Table]] = {table.record: table for table in TABLES}


# ---------------------------------------------------------------- the way in


class Facts(NamedTuple):
    """Facts of one kind, column by column: what is done for a whole column costs a fraction of as many rows.

    Attributes:
        records: one or more.
        fields: the records' fields, by name.
        stored: the table's columns, in order.
    """

    records: Sequence[Record]
    fields: Columns
    stored: Columns

    def without(self, gone: Container[int]) -> Facts:
        """Return the facts but for those at some indexes."""
        kept = [i not in gone for i in range(len(self.records))]
        fields, stored = (
            {name: list(compress(column, kept)) for name, column in columns.items()}
            for columns in (self.fields, self.stored)
        )
        return Facts(list(compress(self.records, kept)), fields, stored)


def facts_of(table: Table, records: Sequence[Record], names: Names) -> Facts:
    """Return records of one kind, one or more, as the columns of their table."""
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    fields: Columns = dict(zip(table.record.__struct_fields__, columns, strict=True))
    stored: dict[str, Sequence[Any]] = {}
    for column in table.columns:
        way_in = _WAYS_IN.get((table.name, column)) or _WAYS_IN.get(("", column))
        stored[column] = way_in(names, fields, table) if way_in else fields[column]
    return Facts(records, fields, stored)


def _evaluated(names: Names, fields: Columns) -> list[int | None]:
    pairs = zip(fields["model"], fields["version"], strict=True)
    return [names.model(model, version) if model else None for model, version in pairs]


def _json(values: Sequence[object]) -> list[str | None]:
    return [None if value is None else _encode(value).decode() for value in values]


def _extra(fields: Columns, table: Table) -> Sequence[str | None]:
    """Return the JSON of the rare fields; what is unknown or a flag not set is left out: most facts have none."""
    n, flags = len(fields["id"]), table.flags
    given = [f for f in table.extra if (any(fields[f]) if f in flags else fields[f].count(None) < n)]
    if not given:
        return [None] * n
    left_out = [False if f in flags else None for f in given]
    extras = []
    for values in zip(*(fields[field] for field in given), strict=True):
        known = {f: v for f, v, out in zip(given, values, left_out, strict=True) if v is not None and v is not out}
        extras.append(_encode(known).decode() if known else None)
    return extras


# (table, or "" for any, column) → its values from the fields; every other column is the field of its name
_WAYS_IN: Final[Mapping[tuple[str, str], Callable[[Names, Columns, Table], Sequence[Any]]]] = {
    ("", "id"): lambda _, fields, __: id_keys(fields["id"]),
    ("", "origin"): lambda names, fields, _: names.origins(fields["origin"]),
    ("", "uid"): lambda names, fields, _: names.uids(fields["user_id"]),
    ("", "extra"): lambda _, fields, table: _extra(fields, table),
    ("inference", "model"): lambda names, fields, _: list(map(names.model, fields["model"], fields["version"])),
    ("inference", "prediction"): lambda _, fields, __: _json(fields["prediction"]),
    ("ground_truth", "inference_id"): lambda _, fields, __: id_keys(fields["inference_id"]),
    ("ground_truth", "value"): lambda _, fields, __: _json(fields["value"]),
    ("evaluation", "model"): lambda names, fields, _: _evaluated(names, fields),
}


def take(names: Names, table: Table, records: Sequence[Record], receipts: list[Receipt]) -> Facts | None:
    """Insert the accepted records of one table and return the new ones, `None` for none; the others are duplicates."""
    kind = table.record
    places = [i for i, record in enumerate(records) if type(record) is kind and receipts[i] is ACCEPTED]
    if not places:
        return None
    given = facts_of(table, [records[i] for i in places], names)
    duplicates = insert_new(names.connection, table, given)
    for j in duplicates:
        receipts[places[j]] = DUPLICATE
    if len(duplicates) == len(places):
        return None
    return given.without(duplicates) if duplicates else given


def insert_new(connection: sqlite3.Connection, table: Table, facts: Facts) -> set[int]:
    """Insert the facts whose id is new and return the indexes of those that were not.

    The common case, nothing known, takes a few plain inserts; only a refusal asks which ids are known.
    """
    rows = list(zip(*facts.stored.values(), strict=True))
    connection.execute("SAVEPOINT new")
    try:
        insert(connection, table.name, table.columns, rows)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO new")
        duplicates = _known(connection, table, facts.stored["id"])
        insert(connection, table.name, table.columns, [row for i, row in enumerate(rows) if i not in duplicates])
    else:
        duplicates = set()
    connection.execute("RELEASE new")
    return duplicates


def _known(connection: sqlite3.Connection, table: Table, keys: Sequence[bytes | str]) -> set[int]:
    """Return the indexes of ids that are stored already or stand earlier in `keys`."""
    seen: set[bytes | str] = {key for (key,) in rows_in(connection, f"SELECT id FROM {table.name} WHERE id IN", keys)}
    found = set()
    for i, key in enumerate(keys):
        if key in seen:
            found.add(i)
        seen.add(key)
    return found


# ---------------------------------------------------------------- the way back


def read(connection: sqlite3.Connection, table: Table, where: str = "", parameters: Row = ()) -> Iterator[Record]:
    """Yield stored facts as the records they were; `f` is the table in `where`."""
    names = _Read(connection)
    users = "uid" in table.columns
    columns = (*table.columns, "user_id") if users else table.columns
    select = ",".join(f"f.{column}" for column in table.columns) + (",a.distinct_id" if users else "")
    join = "JOIN alias a ON a.uid = f.uid" if users else ""
    for row in connection.execute(f"SELECT {select} FROM {table.name} f {join} {where}", parameters):
        fields: dict[str, Any] = {}
        for column, value in zip(columns, row, strict=True):
            if (way_back := _WAYS_BACK.get((table.name, column)) or _WAYS_BACK.get(("", column))) is not None:
                fields.update(way_back(names, value))
            else:
                fields[column] = value
        yield table.record(**fields)


def id_ranges(connection: sqlite3.Connection, table: str) -> Iterator[tuple[bytes | str, bytes | str]]:
    """Yield the first and the last id of each part of a table of facts: what is done to a part takes little time.

    A statement over a whole table would keep whoever runs it, and its process, from everything else for as long.
    """
    part = f"SELECT min(id), max(id) FROM (SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT {READ_AT_ONCE})"
    ids = connection.execute(part, (-1,)).fetchone()  # ids are text or bytes, which SQLite sorts after any number
    while ids[0] is not None:
        yield ids
        ids = connection.execute(part, (ids[1],)).fetchone()


def read_by_id(connection: sqlite3.Connection, table: Table, keys: Iterable[bytes | str]) -> Iterator[Record]:
    """Yield the stored facts of these ids."""
    for part in chunks(keys):
        yield from read(connection, table, f"WHERE f.id IN {marks(len(part))}", tuple(part))


def oldest(connection: sqlite3.Connection) -> int | None:
    """Return the time of the oldest fact; states of services do not count, for those of a lasting outage stay."""
    tables = [table for table in TABLES if table is not SERVICE_STATE]
    times = [connection.execute(f"SELECT min(ts) FROM {table.name}").fetchone()[0] for table in tables]
    return min((ts for ts in times if ts is not None), default=None)


def whose(
    connection: sqlite3.Connection,
    table: Table,
    column: str,
    values: Sequence[int | str],
    after: bytes | str | None,
) -> tuple[list[bytes | str], bytes | str | None]:
    """Return the ids of those of some facts that have one of the values, and the last id of all; `None` for no facts.

    Args:
        connection: to the store.
        table: of the facts.
        column: of the values.
        values: any number of them.
        after: the ids come after it; `None` for the first ones.
    """
    some, given = _some(f"id, {column}", table, after)
    wanted = f"SELECT id FROM ({some}) WHERE {column} IN (SELECT value FROM json_each(?))"
    keys = [key for (key,) in connection.execute(wanted, (*given, _encode(values).decode()))]
    (last,) = connection.execute(f"SELECT max(id) FROM ({some})", given).fetchone()
    return keys, last


def _some(columns: str, table: Table, after: bytes | str | None) -> tuple[str, Row]:
    """Return the query for columns of the next facts by their ids, and its parameters."""
    where, given = ("", ()) if after is None else ("WHERE id > ?", (after,))
    return f"SELECT {columns} FROM {table.name} {where} ORDER BY id LIMIT {READ_AT_ONCE}", given


def by_hour(
    connection: sqlite3.Connection, table: Table, after: bytes | str | None
) -> tuple[dict[int, int], bytes | str | None]:
    """Return how many of some facts there are by hour since 1970, and the last id of them, `None` for no facts.

    Args:
        connection: to the store.
        table: of the facts.
        after: their ids come after it; `None` for the first ones.
    """
    some, given = _some("ts, id", table, after)
    hours = dict(connection.execute(f"SELECT ts / {HOUR_US}, count(*) FROM ({some}) GROUP BY 1", given))
    (last,) = connection.execute(f"SELECT max(id) FROM ({some})", given).fetchone()
    return hours, last


def before(connection: sqlite3.Connection, table: Table, ts: int, after: bytes | str | None) -> list[bytes | str]:
    """Return the ids of some facts before a time, ascending, the first of them after an id."""
    # One statement for all would be held in memory, which a day of many facts has not.
    where, given = ("", ()) if after is None else ("AND id > ?", (after,))
    rows = connection.execute(
        f"SELECT id FROM {table.name} WHERE ts < ? {where} ORDER BY id LIMIT {READ_AT_ONCE}", (ts, *given)
    )
    return [key for (key,) in rows]


class _NamesByNumber(dict[int, _Name]):
    """Names, each read when it is asked for first: there may be ten thousand models, and one fact.

    Args:
        connection: within the transaction.
        select: the columns of one.
        made: makes a name of them.
    """

    def __init__(self, connection: sqlite3.Connection, select: str, made: Callable[[Row], _Name]) -> None:
        super().__init__()
        self._connection = connection
        self._select = select
        self._made = made

    def __missing__(self, number: int) -> _Name:
        """Read one."""
        name = self[number] = self._made(self._connection.execute(self._select, (number,)).fetchone())
        return name


class _Read:
    """The names behind numbers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.models = _NamesByNumber(connection, "SELECT name, version FROM model WHERE id = ?", tuple)
        self.origins = _NamesByNumber(
            connection, "SELECT service, environment FROM origin WHERE id = ?", lambda row: Origin(*row)
        )


# (table, or "" for any, column) → what it means in fields
_WAYS_BACK: Final[Mapping[tuple[str, str], Callable[[_Read, Any], dict[str, Any]]]] = {
    ("", "id"): lambda _, key: {"id": id_text(key)},
    ("", "origin"): lambda names, i: {"origin": names.origins[i]},
    ("", "uid"): lambda *_: {},
    ("", "extra"): lambda _, text: _decode(text) if text else {},
    ("inference", "model"): lambda names, i: dict(zip(("model", "version"), names.models[i], strict=True)),
    ("evaluation", "model"): lambda names, i: (
        {} if i is None else dict(zip(("model", "version"), names.models[i], strict=True))
    ),
    ("inference", "prediction"): lambda _, text: {"prediction": _decode(text)} if text else {},
    ("ground_truth", "value"): lambda _, text: {"value": _decode(text)},
    ("ground_truth", "inference_id"): lambda _, key: {"inference_id": id_text(key)},
}
