"""What records add to running totals: whole numbers on each instrument's grid, so that any order adds up the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Final, NamedTuple

from otel_measure.conventions.instruments import Instrument
from otel_measure.definitions.measurements import Attributes, measurements
from otel_measure.records.kinds import Origin, Record, UserEvent
from otel_measure.stats.explicit import bucket_index

_TYPE_AND_ORIGIN: Final = attrgetter("type", "origin")


class TotalKey(NamedTuple):
    """One series of a running total."""

    instrument: str
    attributes: Attributes
    origin: Origin


class Sum:
    """What is added to one series: value on the instrument's grid, count, and bucket counts of a histogram."""

    __slots__ = ("buckets", "count", "value")

    def __init__(self, bounds: int) -> None:
        self.value = 0
        self.count = 0
        self.buckets = [0] * (bounds + 1) if bounds else None

    def count_value(self, instrument: Instrument, value: float, n: int = 1) -> None:
        """Add a measured value, `n` times."""
        units = instrument.units_per_value
        self.value += n * round(value if units == 1 else value * units)
        self.count += n
        if self.buckets is not None:
            self.buckets[bucket_index(instrument.buckets, value)] += n

    def add(self, other: Sum) -> None:
        """Add what another has."""
        self.value += other.value
        self.count += other.count
        if self.buckets is not None and other.buckets is not None:
            self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]


def summed(records: Iterable[Record]) -> dict[TotalKey, Sum]:
    """Return what records add to each series."""
    sums: dict[TotalKey, Sum] = {}
    for record, n in _alike(records):
        for instrument, value, attributes in measurements(record):
            key = TotalKey(instrument.name, attributes, record.origin)
            total = sums.get(key)
            if total is None:
                total = sums[key] = Sum(len(instrument.buckets))
            total.count_value(instrument, value, n)
    return sums


def _alike(records: Iterable[Record]) -> Iterator[tuple[Record, int]]:
    """Yield records with how many measure the same: of user events one for each type and origin, there are so many."""
    events: list[UserEvent] = []
    for record in records:
        if isinstance(record, UserEvent):
            events.append(record)
        else:
            yield record, 1
    keys = list(map(_TYPE_AND_ORIGIN, events))
    one_of = dict(zip(keys, events, strict=True))
    for key, n in Counter(keys).items():
        yield one_of[key], n
