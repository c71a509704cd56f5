"""Running totals of fact series, to which each accepted fact adds what `definitions/totals.py` says.

The exposition shows the first attribute sets of an instrument; what the later ones add is also added to one
overflow series, so a scrape reads a bounded number of rows however many models there are.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from otel_measure.conventions import instruments
from otel_measure.conventions.instruments import Instrument
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.exposition import OVERFLOW_LABELS, Family, Sample, added_buckets, overflow_family
from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.facts import READ_AT_ONCE, TABLES, read
from otel_measure.store.sqlite.names import Names, series_labels
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
    connection.execute("DELETE FROM total WHERE value = 0 AND count = 0")  # what is kept for later, and was never shown


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


class _Shown(NamedTuple):
    """A series as it is exposed."""

    name: str
    labels: str
    value: int
    n: int
    buckets: tuple[int, ...] | None


def families(connection: sqlite3.Connection, beside: Mapping[TotalKey, Sum] | None = None) -> list[Family]:
    """Return the totals as exposed: capped, the rest summed as overflow, sorted by name and labels.

    Args:
        connection: to the store.
        beside: what facts that are kept elsewhere add; their series have been named, those that have not are left out.
    """
    families: dict[str, Family] = {}
    for shown in _shown(connection) if beside is None else _shown_with(connection, beside):
        instrument = instruments.BY_NAME[shown.name]
        family = families.get(shown.name) or families.setdefault(shown.name, _family(instrument))
        family.samples.append(_sample(instrument, shown))
    overflowing = overflowing_sets(connection)
    if overflowing:
        family = overflow_family(overflowing)
        families[family.name] = family
    return list(families.values())


def _shown(connection: sqlite3.Connection) -> Iterator[_Shown]:
    rows = connection.execute(
        "SELECT s.name, s.labels, t.value, t.count, t.buckets FROM series s JOIN total t ON t.series = s.id"
        " WHERE s.rank <= ? ORDER BY s.name, s.labels",
        (instruments.EXPOSED_ATTRIBUTE_SETS,),
    )
    for name, labels, value, count, buckets in rows:
        yield _Shown(name, labels, value, count, None if buckets is None else unpacked(buckets))


def _shown_with(connection: sqlite3.Connection, beside: Mapping[TotalKey, Sum]) -> list[_Shown]:
    """Return the series as they are with what is added to each, and to the overflow by those beyond the cap."""
    totals = {(shown.name, shown.labels): shown for shown in _shown(connection)}
    by_labels: dict[tuple[str, str], Sum] = {}
    for key, total in beside.items():
        bounds = len(instruments.BY_NAME[key.instrument].buckets)
        by_labels.setdefault(_series(key), Sum(bounds)).add(total)
    for name, labels, rank in connection.execute("SELECT name, labels, rank FROM series"):
        added = by_labels.get((name, labels))
        if added is None:
            continue
        series = (name, labels if rank <= instruments.EXPOSED_ATTRIBUTE_SETS else OVERFLOW_LABELS)
        totals[series] = _plus(totals.get(series) or _Shown(*series, 0, 0, None), added)
    return [totals[series] for series in sorted(totals)]


def _plus(shown: _Shown, added: Sum) -> _Shown:
    value = max(min(shown.value + added.value, LARGEST), -LARGEST)
    buckets = None if added.buckets is None else added_buckets(shown.buckets or (), tuple(added.buckets))
    return shown._replace(value=value, n=shown.n + added.count, buckets=buckets)


def unnamed(connection: sqlite3.Connection, keys: Iterable[TotalKey]) -> list[TotalKey]:
    """Return those of some series that have no name here yet, in the order given."""
    named = set(connection.execute("SELECT name, labels FROM series"))
    return [key for key in keys if _series(key) not in named]


def _series(key: TotalKey) -> tuple[str, str]:
    return key.instrument, series_labels(key.attributes, key.origin)


def name_series(names: Names, keys: Iterable[TotalKey]) -> None:
    """Name series whose facts are kept elsewhere, in this order: the first ones of an instrument are shown."""
    for name, attributes, origin in keys:
        _, rank = names.series(name, attributes, origin)
        if rank > instruments.EXPOSED_ATTRIBUTE_SETS:
            names.overflow(name)


def overflowing_sets(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return how many attribute sets of each instrument are not shown by themselves."""
    rows = connection.execute(
        "SELECT name, max(rank) - ? FROM series GROUP BY name HAVING max(rank) > ? ORDER BY name",
        (instruments.EXPOSED_ATTRIBUTE_SETS, instruments.EXPOSED_ATTRIBUTE_SETS),
    )
    return [(name, n) for name, n in rows]


def _family(instrument: Instrument) -> Family:
    return Family(instrument.name, instrument.kind, instrument.unit, instrument.description, instrument.buckets, [])


def _sample(instrument: Instrument, shown: _Shown) -> Sample:
    real = shown.value / instrument.units_per_value
    return Sample(shown.labels, real, *(() if shown.buckets is None else (shown.n, shown.buckets)))
