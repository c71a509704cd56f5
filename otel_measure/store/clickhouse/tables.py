"""The tables of a store in ClickHouse, as data: a table for each kind of fact, and what is kept beside facts.

Facts are what everything else can be made of anew. One accepted record is one row; its fields that questions select by
have columns, the others share the JSON of `extra` and `payload`. Rows lie by day and user, for most questions read the
days of a window and group by user. What finds a row by its id, and the days on which users were active, are
projections: a part of the table is written with them or not at all, so that no insert that died half-way leaves one
without the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from otel_measure.records.kinds import (
    AbConversion,
    EvaluationResult,
    Exposure,
    GroundTruth,
    Inference,
    NpsResponse,
    Record,
    UserEvent,
)
from otel_measure.store.clickhouse.ranks import BATCH

# How columns are packed: what questions read of every row by what unpacks quickly (times by T64 in a third of the time
# that Delta with ZSTD takes, in less room), the rest by what is small.
_LABEL: Final = "LowCardinality(String)"
_LABEL_OR_NONE: Final = "LowCardinality(Nullable(String))"
_TEXT: Final = "String CODEC(ZSTD(1))"
_TEXT_OR_NONE: Final = "Nullable(String) CODEC(ZSTD(1))"
_NUMBER_OR_NONE: Final = "Nullable(UInt64) CODEC(T64, LZ4)"
_REAL_OR_NONE: Final = "Nullable(Float64) CODEC(ZSTD(1))"
_TIME_US: Final = "Int64 CODEC(T64, LZ4)"

_OF_ANY_VALUE: Final = frozenset({"features", "metadata", "prediction", "properties", "value"})


class FactTable(NamedTuple):
    """One kind of fact.

    Attributes:
        record: its struct.
        name: of the table.
        columns: fields of the record that have a column of their own, and its type.
        computed: columns that hold what a definition says of the record, and their types.
        partition: an expression; what is removed by age is a partition, of measured facts that of one day.
        order: the sorting key. Of rows that are equal in it, the first received stays.
        projections: what is kept in another order or grouped, by name; each table has `by_id` as well.
        derived: columns that the server makes of others when a row is written, and their types.
    """

    record: type[Record]
    name: str
    columns: Mapping[str, str]
    computed: Mapping[str, str] = {}
    partition: str = "toYYYYMM(day)"
    order: tuple[str, ...] = ("day", "user", "id")
    projections: Mapping[str, str] = {}
    derived: Mapping[str, str] = {}

    @property
    def all_columns(self) -> dict[str, str]:
        """Every column that is written and its type, in the order of the table."""
        return {**_BEFORE, **self.columns, **self.computed, **_AFTER}

    @property
    def whole_numbers(self) -> list[str]:
        """The columns that hold a whole number, which may be larger than fits."""
        return [name for name, kind in self.columns.items() if kind == _NUMBER_OR_NONE]

    @property
    def extra(self) -> tuple[str, ...]:
        """The fields that have no column and whose rules bound them: the server can read their JSON."""
        return tuple(name for name in self._others if name not in _OF_ANY_VALUE)

    @property
    def payload(self) -> tuple[str, ...]:
        """The fields whose values are the caller's own; the server reads no JSON with numbers of over 64 bits."""
        return tuple(name for name in self._others if name in _OF_ANY_VALUE)

    @property
    def _others(self) -> tuple[str, ...]:
        return tuple(f for f in self.record.__struct_fields__ if f not in {*self.columns, "id", "ts", "origin"})


# Of every kind. `user` is a number made of the user id, or of the record's own id where it names none: by it rows lie
# on shards. `id_text` is "" where the id is a UUID, which its number tells. `rank` falls with the time of receipt, so
# that the first received is the largest of equal rows and stays.
_BEFORE: Final = {
    "id": "UInt128 CODEC(ZSTD(1))",
    "id_text": _TEXT,
    "ts": "DateTime64(6, 'UTC') CODEC(T64, LZ4)",
    "day": "Date",
    "user": "UInt128 CODEC(ZSTD(1))",
    "service": _LABEL,
    "environment": _LABEL,
}
_AFTER: Final = {"extra": _TEXT, "payload": _TEXT, "rank": "UInt64 CODEC(LZ4)"}

EVENT: Final = FactTable(
    UserEvent,
    "event",
    {
        "user_id": _TEXT,
        "type": _LABEL,
        "name": _LABEL,
        "page_url": _TEXT_OR_NONE,
        "session_id": _TEXT_OR_NONE,
        "device_type": _LABEL_OR_NONE,
        "value": _REAL_OR_NONE,
        "currency": _LABEL_OR_NONE,
        "background": "UInt8",
    },
    {
        "active": "UInt8",
        "session": "UInt64 CODEC(ZSTD(1))",
        "value_nano": "Nullable(Int128) CODEC(ZSTD(1))",
        "experiment": _LABEL,
    },
    partition="day",
    projections={
        "user_day": (
            "SELECT environment, active, day, user, service, min(ts), max(ts), count()"
            " GROUP BY environment, active, day, user, service"
        ),
    },
)
INFERENCE: Final = FactTable(
    Inference,
    "inference",
    {
        "model": _LABEL,
        "version": _LABEL,
        "latency_ms": "Float64 CODEC(LZ4)",
        "input_tokens": _NUMBER_OR_NONE,
        "output_tokens": _NUMBER_OR_NONE,
        "cached_input_tokens": _NUMBER_OR_NONE,
        "cache_write_tokens": _NUMBER_OR_NONE,
        "reasoning_tokens": _NUMBER_OR_NONE,
        "cost_usd": _REAL_OR_NONE,
        "cost_source": _LABEL_OR_NONE,
        "error_type": _LABEL_OR_NONE,
        "user_id": _TEXT_OR_NONE,
        "repository": _LABEL_OR_NONE,
        "untimed": "UInt8",
    },
    {
        "labels": _LABEL,
        "latency_us": "UInt64 CODEC(T64, LZ4)",
        "latency_index": "Int32 CODEC(T64, LZ4)",
        "first_chunk_us": "Nullable(UInt64) CODEC(T64, LZ4)",
        "first_chunk_index": "Nullable(Int32) CODEC(T64, LZ4)",
        "first_chunk_ms": _REAL_OR_NONE,
        "cost_nano": "Nullable(Int64) CODEC(T64, LZ4)",
        "saved_nano": "Nullable(Int64) CODEC(T64, LZ4)",
        "predicted": _TEXT_OR_NONE,
        "grouped": _TEXT_OR_NONE,
        "judged": "UInt8",
    },
    partition="day",
    order=("day", "model", "version", "ts", "id"),
    derived={"batch": f"UInt32 DEFAULT {BATCH}"},
)
GROUND_TRUTH: Final = FactTable(
    GroundTruth,
    "ground_truth",
    {"inference_id": _TEXT},
    {"inference": "UInt128 CODEC(ZSTD(1))", "truth": _TEXT},
    order=("inference", "id"),
)
NPS_RESPONSE: Final = FactTable(
    NpsResponse, "nps_response", {"user_id": _TEXT, "survey": _LABEL, "score": "UInt8", "comment": _TEXT}
)
EXPOSURE: Final = FactTable(
    Exposure,
    "exposure",
    {"user_id": _TEXT, "experiment": _LABEL, "variant": _LABEL, "reason": _LABEL},
    order=("experiment", "user", "id"),
)
AB_CONVERSION: Final = FactTable(
    AbConversion,
    "ab_conversion",
    {"user_id": _TEXT, "experiment": _LABEL, "client_clock": "UInt8"},
    order=("experiment", "user", "id"),
)
EVALUATION: Final = FactTable(
    EvaluationResult,
    "evaluation",
    {"name": _LABEL, "score": _REAL_OR_NONE, "label": _LABEL_OR_NONE, "model": _LABEL, "version": _LABEL},
    partition="day",
)
FACT_TABLES: Final = (
    EVENT, INFERENCE, GROUND_TRUTH, NPS_RESPONSE, EXPOSURE, AB_CONVERSION, EVALUATION,
)  # fmt: skip


class StateTable(NamedTuple):
    """What is kept beside facts: rows that are added and never changed, read in the order in which they came.

    Attributes:
        is_synced: what was acknowledged is on the disk, also when the power goes.
        partition: an expression; what is removed together.
    """

    name: str
    columns: Mapping[str, str]
    order: str
    is_synced: bool = False
    partition: str = "tuple()"


# What was done to the small state (`log_entries.py`), and in that order; `said_by` tells a row from those of others.
LOG: Final = StateTable(
    "log",
    {"name": _LABEL, "operation": _TEXT, "said_by": "UInt128", "received": "DateTime64(6, 'UTC') DEFAULT now64(6)"},
    "tuple()",
    is_synced=True,
)
# What that came to up to an entry (`snapshots.py`), which `said_by` names too, in chunks; one is there when its last
# chunk is.
SNAPSHOT: Final = StateTable(
    "snapshot",
    {
        "id": "UInt128", "block": "UInt64", "place": "UInt64", "number": "UInt32", "is_last": "UInt8",
        "contents": "String CODEC(ZSTD(3))", "said_by": "UInt128",
    },
    "(block, place, id, number)",
    is_synced=True,
)  # fmt: skip
# What each part of a table of facts adds to the running totals (`part_sums.py`).
SETTLED_TOTAL: Final = StateTable(
    "settled_total",
    {
        "of_table": "String", "shard": "UInt32", "part": "String", "measured_by": "UInt64", "counted": "UInt64",
        "sums": _TEXT,
    },
    "(of_table, shard, part)",
)  # fmt: skip
# What users did on a day that is over, as stretches without a pause that ends a session (`settling.py`); times are
# microseconds. What is `background` belongs to no session: such a row has nothing else. What is `alone` is a session,
# as long as the days beside it are as they were: nothing else of its user is near enough.
STRETCH: Final = StateTable(
    "stretch",
    {
        "day": "Date", "version": "UInt64", "environment": _LABEL, "service": _LABEL,
        "user": "UInt128 CODEC(ZSTD(1))", "session": "UInt64 CODEC(ZSTD(1))", "lo": _TIME_US,
        "hi": _TIME_US, "events": "UInt32 CODEC(ZSTD(1))", "views": "UInt32 CODEC(ZSTD(1))",
        "keys": "UInt32 CODEC(ZSTD(1))", "background": "UInt32 CODEC(ZSTD(1))", "alone": "UInt8",
    },
    "(environment, user, session, lo)",
    is_synced=True,
    partition="(day, version)",
)  # fmt: skip
# Of which inserts the stretches of a day are made, and which of their versions counts (`settled_days.py`). A row with
# the version 0 says that rows of the day are about to be removed, which no insert shows.
SETTLED_DAY: Final = StateTable(
    "settled_day",
    {
        "day": "Date", "version": "UInt64", "block": "UInt64", "around": "UInt64", "removals": "UInt64",
        "received": "DateTime DEFAULT now()",
    },
    "day",
    is_synced=True,
)  # fmt: skip


def _past(name: str, columns: Mapping[str, str], order: str) -> StateTable:
    of_person = {
        "day": "Date", "version": "UInt64 CODEC(ZSTD(1))", "environment": _LABEL, "user": "UInt128 CODEC(ZSTD(1))",
    }  # fmt: skip
    return StateTable(name, {**of_person, **columns}, order, is_synced=True, partition="toYYYYMM(day)")


# What facts said of persons that retention removed (`past.py`), by the number that the person had; times are
# microseconds. Days of activity and its beginning, parts of sessions, events in no session, conversions by goal, the
# last answers of days; of tests what was met first, and when persons converted. No question asks for the ids of users,
# which are there once: another engine knows users by them, so whoever moves the store needs them.
PAST_NAME: Final = _past("past_name", {"user_id": _TEXT}, "user")
PAST_TABLES: Final = (
    _past("past_activity", {"first": _TIME_US}, "(environment, user, day)"),
    _past(
        "past_stretch",
        {
            "session": "UInt64 CODEC(ZSTD(1))", "lo": _TIME_US, "hi": _TIME_US, "events": "UInt32 CODEC(ZSTD(1))",
            "views": "UInt32 CODEC(ZSTD(1))", "keys": "UInt32 CODEC(ZSTD(1))",
        },
        "(environment, user, session, lo)",
    ),
    _past("past_background", {"events": "UInt32"}, "(environment, user, day)"),
    _past(
        "past_conversion",
        {"goal": _LABEL, "ts": _TIME_US, "currency": _LABEL, "value_nano": "Nullable(Int128) CODEC(ZSTD(1))"},
        "(environment, goal, user, ts)",
    ),
    _past(
        "past_answer",
        {"survey": _LABEL, "ts": _TIME_US, "answer_id": _TEXT, "score": "UInt8"},
        "(environment, survey, user, ts)",
    ),
    _past(
        "past_exposure",
        {"experiment": _LABEL, "variant": _LABEL, "first": _TIME_US},
        "(environment, experiment, user)",
    ),
    _past(
        "past_test_conversion",
        {"experiment": _LABEL, "ts": _TIME_US, "tolerance": _TIME_US},
        "(environment, experiment, user)",
    ),
    PAST_NAME,
)  # fmt: skip
# Which days that is said of, and which version of them counts: of a day the first one that is there.
PAST_DAY: Final = StateTable("past_day", {"day": "Date", "version": "UInt64"}, "day", is_synced=True)
# How far the tables of a Collector are read (`collector_reading.py`): the last row of a table counts.
COLLECTED: Final = StateTable(
    "collected",
    {"collector": "String", "name": "String", "received_us": "Int64", "looked_at": "UInt64"},
    "(collector, name)",
)
# The key of user numbers, the definitions, and which table is the log (`restored.py`): of a name the first value
# counts, or the last.
KEPT: Final = StateTable("kept", {"name": "String", "value": "String"}, "name")
STATE_TABLES: Final = (
    LOG,
    SNAPSHOT,
    STRETCH,
    SETTLED_DAY,
    *PAST_TABLES,
    PAST_DAY,
    # Facts that were erased, as keyed hashes: what comes again of them is a replay.
    StateTable("erased_fact", {"tombstone": "UInt128"}, "tombstone"),
    SETTLED_TOTAL,
    COLLECTED,
    KEPT,
)
