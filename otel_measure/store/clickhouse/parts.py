"""The parts of tables of facts: rows that came together or were merged, and that never change.

What a part says can therefore be counted once and kept. An insert adds parts; a merge or a delete puts another part in
the place of some. Each shard has parts of its own, whose names those of another may have too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from otel_measure.store.clickhouse.connection import ClickHouseDatabase

_ACTIVE: Final = (
    "SELECT table, shardNum() AS shard, name, partition_id, min_block_number, max_block_number, data_version, rows,"
    " has_lightweight_delete = 1, modification_time < now() - {at_rest_s:Int32} FROM %s"
    " WHERE active AND database = {database:String} AND table IN {tables:Array(String)} ORDER BY table, shard, name"
)
# The server merges what is an hour old into one part a day; what was not merged for longer lasts.
_AT_REST_S: Final = 2 * 3600


class PartName(NamedTuple):
    """What no two parts of a table have, ever.

    Attributes:
        shard: by its place in the configuration of the cluster, from 1; 0 where the facts are on one server.
        name: on that shard.
    """

    shard: int
    name: str


PartContent: TypeAlias = tuple[str, int, str, int, int, int, str]


class DataPart(NamedTuple):
    """One part of a table.

    Attributes:
        table, name: which together no other part has.
        partition: that it lies in.
        first_block, last_block: numbers of the inserts whose rows it holds.
        version: grows with the deletes that it has seen.
        rows: that it holds, those hidden by a delete included.
        hides_rows: whether any are.
        is_at_rest: whether it has been there for hours.
    """

    table: str
    name: PartName
    partition: str
    first_block: int
    last_block: int
    version: int
    rows: int
    hides_rows: bool
    is_at_rest: bool

    @property
    def content(self) -> PartContent:
        """What is equal of parts that hold the same rows: a delete replaces also those in which it finds nothing."""
        shard, name = self.name
        hides = name if self.hides_rows else ""  # of two that hide as many rows, these may be others
        return self.table, shard, self.partition, self.first_block, self.last_block, self.rows, hides

    def covers(self, other: DataPart) -> bool:
        """Tell whether all rows of another part are in this one, but for those that a merge or a delete removed."""
        return (
            self.table == other.table
            and self.name.shard == other.name.shard
            and self.partition == other.partition
            and self.first_block <= other.first_block
            and other.last_block <= self.last_block
        )


def active_parts(database: ClickHouseDatabase, tables: Iterable[str]) -> list[DataPart]:
    """Return the parts that tables consist of now on all shards, sorted by table and name."""
    names = {database.holder(table): table for table in tables}
    rows = database.rows(
        _ACTIVE % database.on_each_shard("system.parts"),
        database=database.name,
        tables=list(names),
        at_rest_s=_AT_REST_S,
    )
    return [DataPart(names[table], PartName(shard, name), *rest) for table, shard, name, *rest in rows]


def made_of(part: DataPart, known: Iterable[DataPart]) -> list[DataPart]:
    """Return the largest known parts, none of which shares rows with another, that a part covers."""
    largest = sorted((each for each in known if part.covers(each)), key=_size, reverse=True)
    chosen: list[DataPart] = []
    for each in largest:
        if not any(other.covers(each) for other in chosen):
            chosen.append(each)
    return chosen


def _size(part: DataPart) -> tuple[int, int]:
    return part.last_block - part.first_block, part.version


class Piece(NamedTuple):
    """What is read by one query: whole parts of a table, or the rows of one from a place in it to another."""

    table: str
    parts: Sequence[PartName]
    first: int
    end: int


def pieces(parts: Iterable[DataPart], rows_at_once: int) -> list[Piece]:
    """Return what to read of parts, none of it more than so many rows."""
    cut: list[Piece] = []
    together: list[DataPart] = []
    for part in parts:
        if part.rows > rows_at_once:
            firsts = range(0, part.rows, rows_at_once)
            cut += [Piece(part.table, (part.name,), first, first + rows_at_once) for first in firsts]
            continue
        if together and (
            together[0].table != part.table or sum(each.rows for each in together) + part.rows > rows_at_once
        ):
            cut.append(_whole(together, rows_at_once))
            together = []
        together.append(part)
    return [*cut, _whole(together, rows_at_once)] if together else cut


def _whole(parts: Sequence[DataPart], rows_at_once: int) -> Piece:
    return Piece(parts[0].table, [part.name for part in parts], 0, rows_at_once)
