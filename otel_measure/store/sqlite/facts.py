"""Facts as rows and back: which column holds which field, and the insert that keeps only what is new."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from otel_measure import semconv
from otel_measure.ids import id_key, id_text
from otel_measure.records import Inference, Origin, Record, UserEvent
from otel_measure.store.sqlite.names import Names

Row: TypeAlias = tuple[Any, ...]
_encode = msgspec.json.Encoder().encode
_decode: Callable[[str], Any] = msgspec.json.Decoder().decode


class Table(NamedTuple):
    """One kind of fact: its table, its columns in order, the fields that travel in the JSON of `extra`."""

    record: type[Record]
    name: str
    columns: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def insert(self) -> str:
        """The plain insert of one row."""
        marks = ",".join("?" * len(self.columns))
        return f"INSERT INTO {self.name} ({','.join(self.columns)}) VALUES ({marks})"

    @property
    def select(self) -> str:
        """All columns of all rows, in the order of their ids."""
        return f"SELECT {','.join(self.columns)} FROM {self.name}"


INFERENCE: Final = Table(
    Inference,
    "inference",
    (
        "id", "ts", "model", "origin", "latency_ms", "input_tokens", "output_tokens", "cost_usd", "cost_source",
        "error_type", "provider", "operation", "response_model", "user_id", "session_id", "prediction", "extra",
    ),
    ("time_to_first_chunk_ms", "output_chunks", "features", "metadata", "clamped", "trace_id", "span_id"),
)  # fmt: skip
EVENT: Final = Table(
    UserEvent,
    "event",
    (
        "id", "ts", "uid", "type", "name", "origin", "active", "page_url", "session_id", "device_type", "extra",
    ),
    ("referrer", "value", "currency", "background", "properties", "clamped", "trace_id", "span_id"),
)  # fmt: skip
TABLES: Final = (INFERENCE, EVENT)


def is_active(event: UserEvent) -> bool:
    """Tell whether an event counts as activity: passive and background events do not."""
    return not event.background and event.type not in semconv.PASSIVE_EVENT_TYPES


def inference_row(record: Inference, names: Names) -> Row:
    """Return the row of an inference, columns as in `INFERENCE`."""
    return (
        id_key(record.id),
        record.ts,
        names.model(record.model, record.version),
        names.origin(record.origin),
        record.latency_ms,
        record.input_tokens,
        record.output_tokens,
        record.cost_usd,
        record.cost_source,
        record.error_type,
        record.provider,
        record.operation,
        record.response_model,
        record.user_id,
        record.session_id,
        None if record.prediction is None else _encode(record.prediction).decode(),
        _extra(record, INFERENCE),
    )


def event_row(record: UserEvent, names: Names) -> Row:
    """Return the row of a user event, columns as in `EVENT`."""
    return (
        id_key(record.id),
        record.ts,
        names.uid(record.user_id),
        record.type,
        record.name,
        names.origin(record.origin),
        is_active(record),
        record.page_url,
        record.session_id,
        record.device_type,
        _extra(record, EVENT),
    )


def _extra(record: Record, table: Table) -> str | None:
    found = {}
    for field in table.extra:
        value = getattr(record, field)
        if value is not None and value is not False:
            found[field] = value
    return _encode(found).decode() if found else None


def insert_new(connection: sqlite3.Connection, table: Table, rows: Sequence[Row]) -> set[int]:
    """Insert the rows whose id is new and return the indexes of those that were not.

    The common case, nothing known, is one plain `executemany`; only a refusal asks which ids are known.
    """
    connection.execute("SAVEPOINT new")
    try:
        connection.executemany(table.insert, rows)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO new")
        duplicates = _known(connection, table, rows)
        connection.executemany(table.insert, (row for i, row in enumerate(rows) if i not in duplicates))
    else:
        duplicates = set()
    connection.execute("RELEASE new")
    return duplicates


def _known(connection: sqlite3.Connection, table: Table, rows: Sequence[Row]) -> set[int]:
    """Return the indexes of rows whose id is stored already or stands earlier in `rows`."""
    seen: set[bytes | str] = set()
    keys = [row[0] for row in rows]
    for i in range(0, len(keys), 500):
        part = keys[i : i + 500]
        marks = ",".join("?" * len(part))
        seen.update(key for (key,) in connection.execute(f"SELECT id FROM {table.name} WHERE id IN ({marks})", part))
    found = set()
    for i, key in enumerate(keys):
        if key in seen:
            found.add(i)
        seen.add(key)
    return found


def read_inferences(connection: sqlite3.Connection, where: str = "", parameters: Row = ()) -> Iterator[Inference]:
    """Yield stored inferences as the records they were."""
    models = {i: (name, version) for i, name, version in connection.execute("SELECT id, name, version FROM model")}
    origins = _origins(connection)
    for row in connection.execute(f"{INFERENCE.select} {where}", parameters):
        fields = dict(zip(INFERENCE.columns, row, strict=True))
        model, version = models[fields.pop("model")]
        yield Inference(
            **_common(fields, origins),
            model=model,
            version=version,
            prediction=None if (prediction := fields.pop("prediction")) is None else _decode(prediction),
            **fields,
        )


def read_events(connection: sqlite3.Connection, where: str = "", parameters: Row = ()) -> Iterator[UserEvent]:
    """Yield stored user events as the records they were."""
    origins = _origins(connection)
    columns = (*EVENT.columns, "user_id")
    sql = f"SELECT e.{', e.'.join(EVENT.columns)}, a.distinct_id FROM event e JOIN alias a USING (uid) {where}"
    for row in connection.execute(sql, parameters):
        fields = dict(zip(columns, row, strict=True))
        del fields["uid"], fields["active"]
        yield UserEvent(**_common(fields, origins), **fields)


def _origins(connection: sqlite3.Connection) -> dict[int, Origin]:
    return {i: Origin(s, e) for i, s, e in connection.execute("SELECT id, service, environment FROM origin")}


def _common(fields: dict[str, Any], origins: dict[int, Origin]) -> dict[str, Any]:
    extra = fields.pop("extra")
    return {
        "id": id_text(fields.pop("id")),
        "origin": origins[fields.pop("origin")],
        **(_decode(extra) if extra else {}),
    }
