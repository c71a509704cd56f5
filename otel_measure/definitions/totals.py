"""What records add to running totals: whole numbers on each instrument's grid, so that any order adds up the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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

    def count_values(self, instrument: Instrument, values: Sequence[float]) -> None:
        """Add measured values."""
        units = instrument.units_per_value
        self.value += sum(map(round, values)) if units == 1 else sum([round(value * units) for value in values])
        self.count += len(values)
        if self.buckets is not None:
            for value in values:
                self.buckets[bucket_index(instrument.buckets, value)] += 1

    def add(self, other: Sum) -> None:
        """Add what another has."""
        self.value += other.value
        self.count += other.count
        if self.buckets is not None and other.buckets is not None:
            self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]

    def negate(self) -> None:
        """Become what takes out what it would add."""
        self.value, self.count = -self.value, -self.count
        if self.buckets is not None:
            self.buckets = [-n for n in self.buckets]

    def remove(self, other: Sum) -> None:
        """Take out what another has, which was added before."""
        self.value -= other.value
        self.count -= other.count
        if self.buckets is not None and other.buckets is not None:
            self.buckets = [a - b for a, b in zip(self.buckets, other.buckets, strict=True)]


def summed(records: Iterable[Record]) -> dict[TotalKey, Sum]:
    """Return what records add to each series."""
    sums: dict[TotalKey, Sum] = {}
    events: list[UserEvent] = []
    # By attribute set as an object: there are few, each made once, and to hash one takes longer than to add a value.
    measured: dict[Origin, dict[tuple[str, int], _SeriesValues]] = {}
    for record in records:
        if isinstance(record, UserEvent):
            events.append(record)
            continue
        of_origin = measured.setdefault(record.origin, {})
        for instrument, value, attributes in measurements(record):
            series = of_origin.get((instrument.name, id(attributes)))
            if series is None:
                of_origin[instrument.name, id(attributes)] = _SeriesValues(instrument, attributes, [value])
            else:
                series.values.append(value)
    for origin, of_origin in measured.items():
        for instrument, attributes, values in of_origin.values():
            _sum_of(sums, instrument, attributes, origin).count_values(instrument, values)
    for event, n in _alike(events):
        _add_alike(sums, event, n)
    return sums


def summed_alike(counted: Iterable[tuple[Record, int]]) -> dict[TotalKey, Sum]:
    """Return what records add to each series that are given once for all that measure the same, with their number."""
    sums: dict[TotalKey, Sum] = {}
    single: list[Record] = []
    for record, n in counted:
        if n == 1:
            single.append(record)
        else:
            _add_alike(sums, record, n)
    for key, added in summed(single).items():
        if (known := sums.setdefault(key, added)) is not added:
            known.add(added)
    return sums


def _add_alike(sums: dict[TotalKey, Sum], record: Record, n: int) -> None:
    for instrument, value, attributes in measurements(record):
        _sum_of(sums, instrument, attributes, record.origin).count_value(instrument, value, n)


class _SeriesValues(NamedTuple):
    """What is measured of one series; it holds the attributes, so that no other object has their identity."""

    instrument: Instrument
    attributes: Attributes
    values: list[float]


def _sum_of(sums: dict[TotalKey, Sum], instrument: Instrument, attributes: Attributes, origin: Origin) -> Sum:
    key = TotalKey(instrument.name, attributes, origin)
    if key not in sums:
        sums[key] = Sum(len(instrument.buckets))
    return sums[key]


def _alike(events: Sequence[UserEvent]) -> Iterator[tuple[UserEvent, int]]:
    """Yield one user event for each type and origin, with how many there are: they measure the same."""
    keys = list(map(_TYPE_AND_ORIGIN, events))
    one_of = dict(zip(keys, events, strict=True))
    for key, n in Counter(keys).items():
        yield one_of[key], n
