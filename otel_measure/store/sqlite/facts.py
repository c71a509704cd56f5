"""Facts as rows and back: which column holds which field, and the insert that keeps only what is new.

A table is data: its columns name the fields of the record, three of them in another form (`id` as 16 bytes where it
can be, `origin` and users as numbers), and the rare fields share the JSON of `extra`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from otel_measure import semconv
from otel_measure.ids import id_key, id_text
from otel_measure.records import (
    Evaluation,
    Exposure,
    GroundTruth,
    Inference,
    NpsResponse,
    Origin,
    Record,
    ServiceState,
    UserEvent,
)
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
    to_row: Callable[[Any, Names], Row]

    @property
    def insert(self) -> str:
        """The plain insert of one row."""
        marks = ",".join("?" * len(self.columns))
        return f"INSERT INTO {self.name} ({','.join(self.columns)}) VALUES ({marks})"


def is_active(event: UserEvent) -> bool:
    """Tell whether an event counts as activity: passive and background events do not."""
    return not event.background and event.type not in semconv.PASSIVE_EVENT_TYPES


def _extra(record: Record, fields: Sequence[str]) -> str | None:
    found = {}
    for field in fields:
        value = getattr(record, field)
        if value is not None and value is not False:
            found[field] = value
    return _encode(found).decode() if found else None


def _json(value: object) -> str | None:
    return None if value is None else _encode(value).decode()


_TRACE: Final = ("trace_id", "span_id")
_INFERENCE_EXTRA: Final = (
    *("time_to_first_chunk_ms", "output_chunks", "features", "metadata", "clamped"),
    *_TRACE,
)
_EVENT_EXTRA: Final = ("referrer", "value", "currency", "background", "properties", "clamped", *_TRACE)
_NPS_EXTRA: Final = ("clamped", *_TRACE)


def _inference_row(record: Inference, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        names.model(record.model, record.version),
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
        _json(record.prediction),
        _extra(record, _INFERENCE_EXTRA),
    )


def _event_extra(record: UserEvent) -> str | None:
    """Return as `_extra` does; most events have none of these, and there are many events."""
    if (
        record.properties is None
        and record.value is None
        and record.trace_id is None
        and record.referrer is None
        and record.currency is None
        and not record.background
        and not record.clamped
        and record.span_id is None
    ):
        return None
    return _extra(record, _EVENT_EXTRA)


def _event_row(record: UserEvent, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        names.uids.get(record.user_id) or names.uid(record.user_id),
        record.type,
        record.name,
        not record.background and record.type not in semconv.PASSIVE_EVENT_TYPES,
        record.page_url,
        record.session_id,
        record.device_type,
        _event_extra(record),
    )


def _ground_truth_row(record: GroundTruth, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        id_key(record.inference_id),
        _json(record.value),
        _extra(record, _TRACE),
    )


def _nps_row(record: NpsResponse, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        names.uid(record.user_id),
        record.survey,
        record.score,
        record.comment,
        _extra(record, _NPS_EXTRA),
    )


def _exposure_row(record: Exposure, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        names.uid(record.user_id),
        record.experiment,
        record.variant,
        record.reason,
        _extra(record, _TRACE),
    )


def _service_state_row(record: ServiceState, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        record.service,
        record.state,
        record.reason,
        _extra(record, _TRACE),
    )


_EVALUATION_EXTRA: Final = ("inference_id", "response_id", *_TRACE)


def _evaluation_row(record: Evaluation, names: Names) -> Row:
    return (
        id_key(record.id),
        record.ts,
        names.origin(record.origin),
        names.model(record.model, record.version) if record.model else None,
        record.name,
        record.score,
        record.label,
        _extra(record, _EVALUATION_EXTRA),
    )


INFERENCE: Final = Table(
    Inference,
    "inference",
    (
        "id", "ts", "origin", "model", "latency_ms", "input_tokens", "output_tokens", "cost_usd", "cost_source",
        "error_type", "provider", "operation", "response_model", "user_id", "session_id", "prediction", "extra",
    ),
    _INFERENCE_EXTRA,
    _inference_row,
)  # fmt: skip
EVENT: Final = Table(
    UserEvent,
    "event",
    ("id", "ts", "origin", "uid", "type", "name", "active", "page_url", "session_id", "device_type", "extra"),
    _EVENT_EXTRA,
    _event_row,
)
GROUND_TRUTH: Final = Table(
    GroundTruth,
    "ground_truth",
    ("id", "ts", "origin", "inference_id", "value", "extra"),
    _TRACE,
    _ground_truth_row,
)
NPS_RESPONSE: Final = Table(
    NpsResponse,
    "nps_response",
    ("id", "ts", "origin", "uid", "survey", "score", "comment", "extra"),
    _NPS_EXTRA,
    _nps_row,
)
EXPOSURE: Final = Table(
    Exposure,
    "exposure",
    ("id", "ts", "origin", "uid", "experiment", "variant", "reason", "extra"),
    _TRACE,
    _exposure_row,
)
SERVICE_STATE: Final = Table(
    ServiceState,
    "service_state",
    ("id", "ts", "origin", "service", "state", "reason", "extra"),
    _TRACE,
    _service_state_row,
)
EVALUATION: Final = Table(
    Evaluation,
    "evaluation",
    ("id", "ts", "origin", "model", "name", "score", "label", "extra"),
    _EVALUATION_EXTRA,
    _evaluation_row,
)
TABLES: Final = (INFERENCE, EVENT, GROUND_TRUTH, NPS_RESPONSE, EXPOSURE, SERVICE_STATE, EVALUATION)
TABLE_OF: Final[Mapping[type[Record], Table]] = {table.record: table for table in TABLES}


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


class _Read:
    """The names behind numbers, read once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.models = {i: (n, v) for i, n, v in connection.execute("SELECT id, name, version FROM model")}
        self.origins = {
            i: Origin(s, e) for i, s, e in connection.execute("SELECT id, service, environment FROM origin")
        }


# (table, or "" for any, column) → what it means in fields
_WAYS_BACK: Final[Mapping[tuple[str, str], Callable[[_Read, Any], dict[str, Any]]]] = {
    ("", "id"): lambda _, key: {"id": id_text(key)},
    ("", "origin"): lambda names, i: {"origin": names.origins[i]},
    ("", "uid"): lambda *_: {},
    ("", "active"): lambda *_: {},
    ("", "extra"): lambda _, text: _decode(text) if text else {},
    ("inference", "model"): lambda names, i: dict(zip(("model", "version"), names.models[i], strict=True)),
    ("evaluation", "model"): lambda names, i: (
        {} if i is None else dict(zip(("model", "version"), names.models[i], strict=True))
    ),
    ("inference", "prediction"): lambda _, text: {"prediction": _decode(text)} if text else {},
    ("ground_truth", "value"): lambda _, text: {"value": _decode(text)},
    ("ground_truth", "inference_id"): lambda _, key: {"inference_id": id_text(key)},
}
