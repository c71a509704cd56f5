"""What facts add to running totals, summed by the parts of their tables: each part is read once.

A part that was merged of known ones adds what they did, unless it lost a row: then it has fewer, and is read. So the
sums are at every moment those of the facts that are there, whoever wrote them, and asking again costs what is new.
What parts add that have not changed for hours is kept in the table `settled_total` for whoever starts later. It follows
from the part alone, so that it does not matter who wrote it, or how often.

Facts on shards are in parts of each shard. A shard that does not answer is no part of an answer: without one of them
there is none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

import msgspec

from otel_measure.conventions import instruments
from otel_measure.definitions.measurements import MEASURED_FIELDS, Attributes
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Origin
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.measured import MEASURED_TABLES, LeftOut, left_out, rows_of_users, sums_of
from otel_measure.store.clickhouse.parts import DataPart, PartName, active_parts, made_of, pieces
from otel_measure.store.clickhouse.tables import SETTLED_TOTAL
from otel_measure.store.sqlite.chunks import chunks

ROWS_AT_ONCE: Final = 100_000
_PARTS_AT_ONCE: Final = 2_000
_ATTEMPTS: Final = 50
_NONE: Final[frozenset[int]] = frozenset()
# What a version that measures otherwise kept is no answer of this one.
_MEASURING: Final = repr((instruments.INSTRUMENTS, sorted(map(repr, MEASURED_FIELDS.items()))))
_MEASURED_BY: Final = int.from_bytes(blake2b(_MEASURING.encode(), digest_size=8).digest())
_PartKey: TypeAlias = tuple[str, PartName]
_KeptSum: TypeAlias = tuple[str, Attributes, str, str, int, int, list[int] | None]
_encode = msgspec.json.Encoder().encode
_decode: Callable[[str | bytes], list[_KeptSum]] = msgspec.json.Decoder(list[_KeptSum]).decode


class _CountedPart(NamedTuple):
    """What a part adds.

    Attributes:
        part: that it is.
        rows: that were counted.
        left_out: places of rows that were not.
        sums: as `packed_sums` returns them.
    """

    part: DataPart
    rows: int
    left_out: frozenset[int]
    sums: bytes


class Removed(NamedTuple):
    """Facts that count no more, whether they are there or not: what they have added is kept elsewhere.

    Attributes:
        partitions: tables and what of them.
        users: numbers of persons of whom all goes.
    """

    partitions: frozenset[tuple[str, str]] = frozenset()
    users: frozenset[int] = frozenset()


NOTHING: Final = Removed()


@dataclass(slots=True)
class _BeingRead:
    """What was read of a part so far."""

    rows: int = 0
    left_out: set[int] = field(default_factory=set)
    sums: dict[TotalKey, Sum] = field(default_factory=dict)


class PartSums:
    """The sums of all facts of a store, as this process knows them; any thread may ask.

    Args:
        database: of the store.
        is_written: keep in the store what others need not read again.
    """

    def __init__(self, database: ClickHouseDatabase, *, is_written: bool = True) -> None:
        self._database = database
        self._is_written = is_written
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[_PartKey, _CountedPart] = {}
        self._settled: set[_PartKey] = set()
        self._has_begun = False
        # Of the parts of `_summed`.
        self._sums: dict[TotalKey, Sum] = {}
        self._summed: dict[_PartKey, bytes] = {}

    def after_fork_in_child(self) -> None:
        """Begin anew: the parent may have been half-way."""
        self._reset()

    def sums(self, removed: Removed = NOTHING) -> dict[TotalKey, Sum]:
        """Return what the facts of now add to each series.

        Args:
            removed: facts that add nothing.

        Raises:
            StoreUnavailable: a server does not answer, or merges faster than anybody reads.
        """
        with self._lock:
            if not self._has_begun:
                self._take_settled()
                self._has_begun = True
            active = self._read(removed)
            self._add_up(active)
            if self._is_written:
                self._settle(active)
            sums: dict[TotalKey, Sum] = {}
            _merge(sums, self._sums)
            return sums

    # ------------------------------------------------------------ reading what is new

    def _read(self, removed: Removed) -> dict[_PartKey, DataPart]:
        """Count what is not yet, and return the parts of now, all of which are counted."""
        for _ in range(_ATTEMPTS):
            active = self._active()
            for key in [key for key, part in active.items() if (part.table, part.partition) in removed.partitions]:
                del active[key]
            gone = self._rows_of(removed.users)
            unread = [part for key, part in active.items() if key not in self._counted and not self._was_merged(part)]
            if not unread:
                return active
            self._count(unread, gone)
        raise StoreUnavailable("clickhouse", f"{self._database.name}: parts are merged faster than read", "try again")

    def _active(self) -> dict[_PartKey, DataPart]:
        return {(part.table, part.name): part for part in active_parts(self._database, MEASURED_TABLES)}

    def _was_merged(self, part: DataPart) -> bool:
        """Tell whether a part has the rows of known ones, and note what it adds if so."""
        if part.hides_rows:
            return False
        of = made_of(part, [each.part for each in self._counted.values()])
        counted = [self._counted[each.table, each.name] for each in of]
        if not of or any(each.left_out for each in counted) or sum(each.rows for each in counted) != part.rows:
            return False
        if len(counted) == 1:
            packed = counted[0].sums
        else:
            sums: dict[TotalKey, Sum] = {}
            for each in counted:
                _merge(sums, unpacked_sums(each.sums))
            packed = packed_sums(sums)
        self._counted[part.table, part.name] = _CountedPart(part, part.rows, _NONE, packed)
        return True

    def _rows_of(self, users: Collection[int]) -> dict[str, LeftOut]:
        """Return the rows of users, by the table, and forget what parts add that were counted with any of them."""
        if not users:
            return {}
        gone = {table: rows_of_users(self._database, table, users) for table in MEASURED_TABLES}
        for table, rows in gone.items():
            for name, places in rows.places.items():
                self._leave_out({}, (table, name), places)
        return gone

    def _count(self, parts: Sequence[DataPart], gone: Mapping[str, LeftOut]) -> None:
        """Count parts, but for those that are gone meanwhile."""
        reading = {(part.table, part.name): _BeingRead() for part in parts}
        doubled = {}
        for table, of_table in groupby(parts, attrgetter("table")):
            doubled[table] = left_out(self._database, table, [part.name for part in of_table])
            if table in gone:
                doubled[table] = doubled[table].plus(gone[table])
            for name, places in doubled[table].places.items():
                self._leave_out(reading, (table, name), places)
        for piece in pieces(parts, ROWS_AT_ONCE):
            for name, n, added in sums_of(self._database, piece, doubled[piece.table]):
                reading[piece.table, name].rows += n
                _merge(reading[piece.table, name].sums, added)
        # What is there before and after was there meanwhile; of the others perhaps not all was read. Nor was it where
        # another replica was asked, which has the rows in other parts: it is tried again.
        still = self._active()
        for part in parts:
            key = (part.table, part.name)
            read = reading[key]
            if key in still and (part.hides_rows or read.rows + len(read.left_out) == part.rows):
                self._counted[key] = _CountedPart(part, read.rows, frozenset(read.left_out), packed_sums(read.sums))

    def _leave_out(self, reading: Mapping[_PartKey, _BeingRead], key: _PartKey, places: frozenset[int]) -> None:
        """Note rows that do not count, and have a part counted anew that was counted with one of them."""
        if key in reading:
            reading[key].left_out |= places
        elif key in self._counted and not places <= self._counted[key].left_out:
            del self._counted[key]

    # ------------------------------------------------------------ all together

    def _add_up(self, active: Mapping[_PartKey, DataPart]) -> None:
        """Bring the sums to the parts of now, and forget the others."""
        self._counted = {key: self._counted[key] for key in active}
        now = {key: counted.sums for key, counted in self._counted.items()}
        for key, packed in self._summed.items():
            if now.get(key) != packed:
                for series, gone in unpacked_sums(packed).items():
                    self._sums[series].remove(gone)
        for key, packed in now.items():
            if self._summed.get(key) != packed:
                _merge(self._sums, unpacked_sums(packed))
        self._summed = now

    # ------------------------------------------------------------ what is kept for others

    def _take_settled(self) -> None:
        rows = self._database.rows(
            f"SELECT of_table, shard, part, counted, sums FROM {{db}}.{SETTLED_TOTAL.name}"
            " WHERE measured_by = {by:UInt64}",
            by=_MEASURED_BY,
        )
        active = self._active()
        for table, shard, name, counted, sums in rows:
            key = (table, PartName(shard, name))
            if (part := active.get(key)) is not None:
                self._counted[key] = _CountedPart(part, counted, _NONE, sums.encode())
                self._settled.add(key)

    def _settle(self, active: Mapping[_PartKey, DataPart]) -> None:
        new = [
            key
            for key, part in active.items()
            if part.is_at_rest and key not in self._settled and not self._counted[key].left_out
        ]
        if not new:
            return
        self._unsettle()
        self._database.insert(
            SETTLED_TOTAL.name,
            {
                "of_table": [table for table, _ in new],
                "shard": [name.shard for _, name in new],
                "part": [name.name for _, name in new],
                "measured_by": [_MEASURED_BY] * len(new),
                "counted": [self._counted[key].rows for key in new],
                "sums": [self._counted[key].sums.decode() for key in new],
            },
        )
        self._settled = {*(self._settled & active.keys()), *new}

    def _unsettle(self) -> None:
        """Remove what is kept of parts that are gone."""
        rows = self._database.rows(f"SELECT DISTINCT of_table, shard, part FROM {{db}}.{SETTLED_TOTAL.name}")
        active = self._active()  # after the rows: what others settle meanwhile stays
        gone = [
            f"('{table}', {shard:d}, '{part}')" for table, shard, part in rows if (table, (shard, part)) not in active
        ]
        for some in chunks(gone, _PARTS_AT_ONCE):
            self._database.run(
                f"DELETE FROM {{db}}.{SETTLED_TOTAL.name} WHERE (of_table, shard, part) IN ({', '.join(some)})"
            )


def _merge(into: dict[TotalKey, Sum], sums: Mapping[TotalKey, Sum]) -> None:
    for key, added in sums.items():
        if key not in into:
            into[key] = Sum(len(instruments.BY_NAME[key.instrument].buckets))
        into[key].add(added)


def packed_sums(sums: Mapping[TotalKey, Sum]) -> bytes:
    """Return sums as bytes."""
    return _encode(
        [
            (key.instrument, key.attributes, key.origin.service, key.origin.environment, s.value, s.count, s.buckets)
            for key, s in sums.items()
        ]
    )


def unpacked_sums(packed: bytes) -> dict[TotalKey, Sum]:
    """Return the sums that `packed_sums` was given."""
    sums: dict[TotalKey, Sum] = {}
    for instrument, attributes, service, environment, value, count, buckets in _decode(packed):
        total = Sum(0)
        total.value, total.count, total.buckets = value, count, buckets
        sums[TotalKey(instrument, attributes, Origin(service, environment))] = total
    return sums
