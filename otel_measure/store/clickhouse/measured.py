"""What rows of facts add to running totals: grouped by what `measurements` reads, and measured by it once a group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from otel_measure.definitions.measurements import MEASURED_FIELDS
from otel_measure.definitions.totals import Sum, TotalKey, summed_alike
from otel_measure.records.kinds import Origin, Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase, id_chunks, in_ids
from otel_measure.store.clickhouse.parts import PartName, Piece
from otel_measure.store.clickhouse.ranks import COUNTS_IN_TOTALS, in_batches_until
from otel_measure.store.clickhouse.tables import FACT_TABLES, INFERENCE, FactTable

MEASURED_TABLES: Final = {table.name: table for table in FACT_TABLES if table.record in MEASURED_FIELDS}
_EMPTY: Final[Mapping[str, Mapping[str, str]]] = {
    table.name: {each.name: "" for each in msgspec.structs.fields(table.record) if each.required}
    for table in MEASURED_TABLES.values()
}
_NONE: Final[frozenset[int]] = frozenset()
# A projection has parts and places of its own.
FROM_FACTS: Final = "SETTINGS optimize_use_projections = 0"
_decode: Callable[[str], Any] = msgspec.json.Decoder().decode


class LeftOut(NamedTuple):
    """Rows that do not count: another one of their id was received before, or they are counted as removed already.

    Attributes:
        places: of these rows in their parts, by the parts' names.
    """

    places: Mapping[PartName, frozenset[int]]

    def plus(self, other: LeftOut) -> LeftOut:
        """Return all rows of both."""
        parts = self.places.keys() | other.places.keys()
        return LeftOut({part: self.places.get(part, _NONE) | other.places.get(part, _NONE) for part in parts})


def left_out(database: ClickHouseDatabase, table: str, parts: Collection[PartName]) -> LeftOut:
    """Return the rows that do not count of all ids in parts of a table, wherever they are.

    Writers that wrote one id at the same moment remove all rows but the first; until they have, or where they died, a
    total must not count an id twice: it would fall afterwards, and a counter that falls has begun anew.
    """
    of_parts = f"(SELECT id FROM {{db}}.{table} WHERE {in_parts(parts)})"
    doubled = database.rows(
        f"SELECT id FROM {{db}}.{table} WHERE id IN {of_parts} GROUP BY id HAVING count() > 1 ORDER BY id"
    )
    others: dict[PartName, set[int]] = {}
    for some in id_chunks([number for (number,) in doubled]):
        rows = database.rows(
            f"SELECT id, rank, toUInt16(day), user, shardNum(), _part, _part_offset FROM {{db}}.{table}"
            f" WHERE id IN {in_ids(some)} {FROM_FACTS}"
        )
        first: int | None = None
        for number, *_, shard, part, place in sorted(map(tuple, rows), reverse=True):  # as `FactWriter` finds the first
            if number == first:
                others.setdefault(PartName(shard, part), set()).add(place)
            first = number
    return LeftOut({part: frozenset(places) for part, places in others.items()})


def rows_of_users(database: ClickHouseDatabase, table: str, users: Iterable[int]) -> LeftOut:
    """Return the rows of users, by their numbers."""
    rows = database.rows(
        f"SELECT shardNum(), _part, groupArray(_part_offset) FROM {{db}}.{table} WHERE user IN {in_ids(sorted(users))}"
        f" GROUP BY shardNum(), _part {FROM_FACTS}"
    )
    return LeftOut({PartName(shard, part): frozenset(places) for shard, part, places in rows})


def sums_of(
    database: ClickHouseDatabase, piece: Piece, doubled: LeftOut
) -> Iterator[tuple[PartName, int, dict[TotalKey, Sum]]]:
    """Yield the parts of a piece, how many rows they have that were not left out, and what they add."""
    table = MEASURED_TABLES[piece.table]
    fields = MEASURED_FIELDS[table.record]
    read = ", ".join(("service", "environment", *(_read(table, field) for field in fields)))
    rows = database.rows(
        f"SELECT shardNum() AS shard, _part, {_counts(table)} AS counts, {read}, count() FROM {{db}}.{table.name}"
        f" WHERE {in_parts(piece.parts)}"
        f" AND _part_offset >= {piece.first:d} AND _part_offset < {piece.end:d}{_without(doubled)}"
        f" GROUP BY ALL ORDER BY shard, _part {FROM_FACTS}"
    )
    for part, of_part in groupby(rows, itemgetter(0, 1)):
        some = list(of_part)
        counted = ((_record(table, fields, row[3:-1]), int(row[-1])) for row in some if row[2])
        yield PartName(*part), sum(int(row[-1]) for row in some), summed_alike(counted)


def sums_where(database: ClickHouseDatabase, table: FactTable, where: str) -> dict[TotalKey, Sum]:
    """Return what the facts of a measured table add for which a condition holds."""
    return _sums_where(database, table, f"({where}) AND {_counts(table)}")


def sums_of_final_calls(database: ClickHouseDatabase, until: int) -> dict[TotalKey, Sum]:
    """Return what calls that others told of have added, of the batches until one; it is kept in the small state."""
    return _sums_where(database, INFERENCE, f"{in_batches_until(until)} AND NOT {COUNTS_IN_TOTALS}")


def _sums_where(database: ClickHouseDatabase, table: FactTable, where: str) -> dict[TotalKey, Sum]:
    fields = MEASURED_FIELDS[table.record]
    columns = ", ".join(("service", "environment", *(_read(table, field) for field in fields)))
    rows = database.rows(f"SELECT {columns}, count() FROM {{db}}.{table.name} FINAL WHERE {where} GROUP BY ALL")
    return summed_alike((_record(table, fields, row[:-1]), int(row[-1])) for row in rows)


def _without(doubled: LeftOut) -> str:
    rows = [f"{_tuple(part)[:-1]}, {place:d})" for part, places in doubled.places.items() for place in sorted(places)]
    return f" AND (shardNum(), _part, _part_offset) NOT IN ({', '.join(rows)})" if rows else ""


def in_parts(parts: Collection[PartName]) -> str:
    """Return the condition that a row lies in one of some parts; by the first half the server opens no others."""
    names = ", ".join(sorted({f"'{part.name}'" for part in parts}))
    return f"_part IN ({names}) AND (shardNum(), _part) IN ({', '.join(map(_tuple, parts))})"


def _tuple(part: PartName) -> str:
    return f"({part.shard:d}, '{part.name}')"


def _counts(table: FactTable) -> str:
    """Return the condition that a fact adds to totals."""
    return COUNTS_IN_TOTALS if table is INFERENCE else "true"


def _read(table: FactTable, field: str) -> str:
    """Return what a field is read by: a column, or its JSON, which is empty where it is not said."""
    return field if field in table.columns else f"JSONExtractRaw(extra, '{field}')"


def _record(table: FactTable, fields: Sequence[str], row: Sequence[Any]) -> Record:
    """Return a record that measures what those of a row do; what else it has to say is empty."""
    service, environment, *values = row
    said: dict[str, Any] = dict(_EMPTY[table.name])
    for field, value in zip(fields, values, strict=True):
        if field in table.columns:
            said[field] = value
        elif value:
            said[field] = _decode(value)
    said.update(id="", ts=0, origin=Origin(service, environment))
    return table.record(**said)
