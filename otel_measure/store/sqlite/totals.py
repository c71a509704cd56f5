"""Running totals of fact series, to which each accepted fact adds what `definitions/totals.py` says.

The exposition shows the first attribute sets of an instrument; what the later ones add is also added to one
overflow series, so a scrape reads a bounded number of rows however many models there are.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Mapping
from itertools import chain

from otel_measure.conventions import instruments
from otel_measure.conventions.instruments import Instrument
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.exposition import Family, Sample, overflow_family
from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.facts import READ_AT_ONCE, TABLES, read
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.transaction import Accepted, Transaction


def add(transaction: Transaction, new: Accepted) -> None:
    """Add newly accepted facts to the totals."""
    records = chain.from_iterable(facts.records for facts in new.values())
    merge(transaction.connection, transaction.names, summed(records))


def recount(transaction: Transaction) -> None:
    """Count the facts anew, from what those that are gone have left."""
    connection = transaction.connection
    connection.execute("DELETE FROM total")
    connection.execute("INSERT INTO total SELECT * FROM total_base")
    for table in TABLES:
        for records in chunks(read(connection, table), READ_AT_ONCE):
            merge(connection, transaction.names, summed(records))


def merge(connection: sqlite3.Connection, names: Names, sums: Mapping[TotalKey, Sum], into: str = "total") -> None:
    """Merge a batch into the totals, or into what removed facts leave behind (`into="total_base"`)."""
    by_id: dict[int, Sum] = {}
    for (name, attributes, origin), added in sums.items():
        bounds = len(instruments.BY_NAME[name].buckets)
        series, rank = names.series(name, attributes, origin)
        by_id.setdefault(series, Sum(bounds)).add(added)
        if rank > instruments.EXPOSED_ATTRIBUTE_SETS:
            by_id.setdefault(names.overflow(name), Sum(bounds)).add(added)
    connection.executemany(
        f"INSERT INTO {into} VALUES (?, ?, ?, NULL) ON CONFLICT (series)"
        f" DO UPDATE SET value = max(min(value + excluded.value, {LARGEST}), -{LARGEST}),"
        " count = count + excluded.count",
        [(series, max(min(s.value, LARGEST), -LARGEST), s.count) for series, s in by_id.items() if s.buckets is None],
    )
    for series, s in by_id.items():
        if s.buckets is not None:
            _add_histogram(connection, into, series, s, s.buckets)


def _add_histogram(connection: sqlite3.Connection, into: str, series: int, added: Sum, buckets: list[int]) -> None:
    row = connection.execute(f"SELECT value, count, buckets FROM {into} WHERE series=?", (series,)).fetchone()
    value, count = added.value, added.count
    if row is not None:
        value, count = row[0] + value, row[1] + count
        buckets = [a + b for a, b in zip(unpacked(row[2]), buckets, strict=True)]
    value = max(min(value, LARGEST), -LARGEST)
    connection.execute(f"INSERT OR REPLACE INTO {into} VALUES (?, ?, ?, ?)", (series, value, count, packed(buckets)))


def packed(counts: Iterable[int]) -> bytes:
    """Return bucket counts as 8-byte little-endian integers."""
    found = tuple(counts)
    return struct.pack(f"<{len(found)}q", *found)


def unpacked(blob: bytes) -> tuple[int, ...]:
    """Return the bucket counts that `packed` was given."""
    return struct.unpack(f"<{len(blob) // 8}q", blob)


def families(connection: sqlite3.Connection) -> list[Family]:
    """Return the totals as exposed: capped, the rest summed as overflow, sorted by name and labels."""
    rows = connection.execute(
        "SELECT s.name, s.labels, t.value, t.count, t.buckets FROM series s JOIN total t ON t.series = s.id"
        " WHERE s.rank <= ? ORDER BY s.name, s.labels",
        (instruments.EXPOSED_ATTRIBUTE_SETS,),
    )
    found: dict[str, Family] = {}
    for name, labels, value, count, buckets in rows:
        instrument = instruments.BY_NAME[name]
        family = found.get(name) or found.setdefault(name, _family(instrument))
        family.samples.append(_sample(instrument, labels, value, count, buckets))
    overflowing = overflowing_sets(connection)
    if overflowing:
        family = overflow_family(overflowing)
        found[family.name] = family
    return list(found.values())


def overflowing_sets(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return how many attribute sets of each instrument are not shown by themselves."""
    rows = connection.execute(
        "SELECT name, max(rank) - ? FROM series GROUP BY name HAVING max(rank) > ? ORDER BY name",
        (instruments.EXPOSED_ATTRIBUTE_SETS, instruments.EXPOSED_ATTRIBUTE_SETS),
    )
    return [(name, n) for name, n in rows]


def _family(instrument: Instrument) -> Family:
    return Family(instrument.name, instrument.kind, instrument.unit, instrument.description, instrument.buckets, [])


def _sample(instrument: Instrument, labels: str, value: int, count: int, buckets: bytes | None) -> Sample:
    real = value / instrument.units_per_value
    return Sample(labels, real, count, unpacked(buckets)) if buckets is not None else Sample(labels, real)
