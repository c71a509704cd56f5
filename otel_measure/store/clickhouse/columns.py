"""Records as the columns of their table, and rows as the records they were.

What a definition says of a record (its day, whether it is activity, its session, money and times as whole numbers) is
written beside it: no SQL computes a logarithm, knows a time zone or adds up fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from otel_measure.conventions import instruments
from otel_measure.definitions.contributions import experiment_of
from otel_measure.definitions.conversions import conversion
from otel_measure.definitions.model_use import UNSAID_SOURCE
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.sessions import BY_GAP, client_of
from otel_measure.errors import StoreRejected
from otel_measure.records.ids import id_keys, id_text
from otel_measure.records.kinds import Origin, Record
from otel_measure.records.tombstones import user_tombstone
from otel_measure.stats.histograms import latency_index
from otel_measure.store.clickhouse.tables import EVENT, FACT_TABLES, GROUND_TRUTH, INFERENCE, FactTable

Fields: TypeAlias = Mapping[str, Sequence[Any]]
_NANO: Final = 10**9
_LARGEST_NUMBER: Final = 2**64 - 1
_LAST_DAY: Final = 2**16 - 1  # of ClickHouse's type Date: in the year 2149
_encode = msgspec.json.Encoder().encode
_decode: Callable[[str], Any] = msgspec.json.Decoder().decode


NOBODY_ERASED: Final[Mapping[bytes, int]] = MappingProxyType({})


BY_ID: Final = "id_text = '', id_text, id"
"""The order of ids in SQL, as `records.ids.id_key` has it: texts, then UUIDs."""
KeyOrder: TypeAlias = tuple[bool, bytes]


def key_order(key: bytes | str) -> KeyOrder:
    """Return what sorts keys of ids as `BY_ID` sorts the ids."""
    return (True, key) if isinstance(key, bytes) else (False, key.encode("utf-8", "surrogatepass"))


class WrittenBy(NamedTuple):
    """What decides how a record is written.

    Attributes:
        definitions: by which it is counted.
        key: of the store; without it nobody can tell by a user's number whose it is.
        epochs: by the tombstones of ids that were erased, how often that was: who comes back is somebody new.
    """

    definitions: Definitions
    key: bytes
    epochs: Mapping[bytes, int] = NOBODY_ERASED


def id_number(key: bytes | str) -> int:
    """Return the number of an id as `records.ids.id_key` keeps it: a UUID as itself, another text by its hash."""
    if isinstance(key, str):
        key = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"id").digest()
    return int.from_bytes(key)


def id_key_of(number: int, text: str) -> bytes | str:
    """Return the key of an id, by its number and by the text that stands beside it where that is no UUID."""
    return text or int(number).to_bytes(16)


def user_number(by: WrittenBy, user_id: str) -> int:
    """Return the number by which the rows of a user lie together."""
    tombstone = user_tombstone(by.key, user_id)
    return erasable_number(tombstone, by.epochs.get(tombstone, 0))


def person_numbers(by: WrittenBy, merged_users: Mapping[str, str]) -> dict[int, int]:
    """Return the number of the person of each user that is another's, as `SqliteMoment.merged_users` has them."""
    return {user_number(by, user): user_number(by, person) for user, person in merged_users.items()}


def erasable_number(tombstone: bytes, epoch: int) -> int:
    """Return the number of a user from the tombstone of the id, so that an erasure can be finished without the id.

    Args:
        tombstone: of the id.
        epoch: how often it was erased before.
    """
    if not epoch:
        return int.from_bytes(tombstone)
    return int.from_bytes(blake2b(tombstone + epoch.to_bytes(8), digest_size=16, person=b"epoch").digest())


def session_number(session_id: str | None) -> int:
    """Return what tells sessions of one user apart: 0 where the client gives no id that counts."""
    client = client_of(session_id)
    if client == BY_GAP:
        return 0
    return int.from_bytes(blake2b(client.encode("utf-8", "surrogatepass"), digest_size=8, person=b"session").digest())


def columns_of(table: FactTable, records: Sequence[Record], ids: Sequence[int], by: WrittenBy) -> dict[str, list[Any]]:
    """Return records of one kind, one or more, as the columns of their table, but for `rank`.

    Args:
        table: of their kind.
        records: that are written.
        ids: their numbers.
        by: what decides how.

    Raises:
        StoreRejected: a record is of a time that a store has no day for, or has a number that no column holds.
    """
    fields: Fields = dict(
        zip(table.record.__struct_fields__, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True)
    )
    columns: dict[str, list[Any]] = {name: list(fields[name]) for name in table.columns}
    for name in table.whole_numbers:
        _refuse_what_does_not_fit(name, columns[name])
    columns["id"] = list(ids)
    columns["id_text"] = [key if isinstance(key, str) else "" for key in id_keys(fields["id"])]
    columns["ts"] = list(fields["ts"])
    columns["day"] = _days(fields["ts"], by.definitions)
    columns["user"] = _users(fields, ids, by)
    columns["service"] = [origin.service for origin in fields["origin"]]
    columns["environment"] = [origin.environment for origin in fields["origin"]]
    columns["extra"] = _as_json(table, table.extra, fields)
    columns["payload"] = _as_json(table, table.payload, fields)
    for name in table.computed:
        columns[name] = _COMPUTED[table.name, name](fields, by.definitions)
    return columns


def _refuse_what_does_not_fit(name: str, values: Sequence[int | None]) -> None:
    largest = max((value for value in values if value is not None), default=0)
    if largest > _LARGEST_NUMBER:
        raise StoreRejected(f"cannot be kept: {name}={largest} is more than {_LARGEST_NUMBER}")


def _days(times: Sequence[int], definitions: Definitions) -> list[int]:
    days = list(map(definitions.day_of, times))
    refuse_days(days)
    return days


def refuse_days(days: Collection[int]) -> None:
    """Refuse days, of which there are some, that no column holds.

    Raises:
        StoreRejected: one of them is such a day.
    """
    if min(days) < 0 or max(days) > _LAST_DAY:
        raise StoreRejected("a store in ClickHouse has days from 1970 to 2149 alone")


def _users(fields: Fields, ids: Sequence[int], by: WrittenBy) -> list[int]:
    if "user_id" not in fields:
        return list(ids)
    return [
        number if user_id is None else user_number(by, user_id)
        for user_id, number in zip(fields["user_id"], ids, strict=True)
    ]


def _as_json(table: FactTable, names: Sequence[str], fields: Fields) -> list[str]:
    """Return the JSON of some fields of each record, as far as they say anything."""
    texts = []
    defaults = dict(
        zip(reversed(table.record.__struct_fields__), reversed(table.record.__struct_defaults__), strict=False)
    )
    rare = [name for name in names if not _is_default(fields[name], defaults, name)]
    for i in range(len(fields["id"])):
        said = {name: fields[name][i] for name in rare if name not in defaults or fields[name][i] != defaults[name]}
        texts.append(_encode(said).decode() if said else "")
    return texts


def _is_default(values: Sequence[Any], defaults: Mapping[str, Any], name: str) -> bool:
    return name in defaults and all(value is defaults[name] for value in values)


def _nano(usd: float | None) -> int | None:
    return None if usd is None else round(usd * instruments.NANO)


def _value_nano(fields: Fields, _: Definitions) -> list[int | None]:
    found = [conversion(0, value, None) for value in fields["value"]]
    return [one.amount * _NANO + one.nanos if one.valued else None for one in found]


def _active(fields: Fields, definitions: Definitions) -> list[int]:
    pairs = zip(fields["type"], fields["background"], strict=True)
    return [int(not background and definitions.is_activity(kind)) for kind, background in pairs]


def _json(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else _encode(value).decode() for value in values]


def _labels(fields: Fields, _: Definitions) -> list[str]:
    """Return the model, its version and who told the cost of each call: one column, for questions that group by all."""
    sources = (source or UNSAID_SOURCE for source in fields["cost_source"])
    return [_encode(each).decode() for each in zip(fields["model"], fields["version"], sources, strict=True)]


def _judged(fields: Fields, _: Definitions) -> list[int]:
    given = zip(fields["prediction"], fields["features"], strict=True)
    return [int(prediction is not None or features is not None) for prediction, features in given]


# (table, column) → what a definition says of each record
_COMPUTED: Final[Mapping[tuple[str, str], Callable[[Fields, Definitions], list[Any]]]] = {
    (EVENT.name, "active"): _active,
    (EVENT.name, "session"): lambda fields, _: list(map(session_number, fields["session_id"])),
    (EVENT.name, "value_nano"): _value_nano,
    (EVENT.name, "experiment"): lambda fields, _: [experiment_of(each) or "" for each in fields["properties"]],
    (INFERENCE.name, "labels"): _labels,
    (INFERENCE.name, "latency_us"): lambda fields, _: [round(ms * 1000) for ms in fields["latency_ms"]],
    (INFERENCE.name, "latency_index"): lambda fields, _: list(map(latency_index, fields["latency_ms"])),
    (INFERENCE.name, "first_chunk_us"): lambda fields, _: [
        None if ms is None else round(ms * 1000) for ms in fields["time_to_first_chunk_ms"]
    ],
    (INFERENCE.name, "first_chunk_index"): lambda fields, _: [
        None if ms is None else latency_index(ms) for ms in fields["time_to_first_chunk_ms"]
    ],
    (INFERENCE.name, "first_chunk_ms"): lambda fields, _: list(fields["time_to_first_chunk_ms"]),
    (INFERENCE.name, "cost_nano"): lambda fields, _: list(map(_nano, fields["cost_usd"])),
    (INFERENCE.name, "saved_nano"): lambda fields, _: list(map(_nano, fields["cache_savings_usd"])),
    (INFERENCE.name, "predicted"): lambda fields, _: _json(fields["prediction"]),
    (INFERENCE.name, "grouped"): lambda fields, _: _json([groups or None for groups in fields["groups"]]),
    (INFERENCE.name, "judged"): _judged,
    (GROUND_TRUTH.name, "inference"): lambda fields, _: list(map(id_number, id_keys(fields["inference_id"]))),
    (GROUND_TRUTH.name, "truth"): lambda fields, _: _json(fields["value"]),
}


# ---------------------------------------------------------------- the way back

COLUMNS_BACK: Final[Mapping[str, tuple[str, ...]]] = {
    table.name: ("id", "id_text", "ts", "service", "environment", *table.columns, "extra", "payload")
    for table in FACT_TABLES
}
"""The columns of each table that a record is made of, in the order in which `record_of` takes them."""


def record_of(table: FactTable, row: Sequence[Any]) -> Record:
    """Return the record of a row of `COLUMNS_BACK`."""
    number, text, ts, service, environment, *values, extra, payload = row
    fields: dict[str, Any] = {"id": id_text(id_key_of(number, text)), "ts": ts, "origin": Origin(service, environment)}
    fields.update(zip(table.columns, values, strict=True))
    for flag in ("background", "untimed", "client_clock"):
        if flag in fields:
            fields[flag] = bool(fields[flag])
    for text in (extra, payload):
        if text:
            fields.update(_decode(text))
    return table.record(**fields)
