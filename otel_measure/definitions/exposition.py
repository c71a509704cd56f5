"""What `/metrics` shows: families of samples, each instrument's first attribute sets, and the sum of the rest.

A series that adds (of a counter or histogram, over processes and their starts) is the sum of its streams; of any other
the last one counts. What has not been heard of for `STALE_US` is shown no more, unless it adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.labels import escaped

STALE_US: Final = 5 * 60 * 1_000_000  # after so long without a word a reading is not shown any more
MONOTONIC: Final = frozenset({"counter", "histogram"})
OVERFLOW_LABELS: Final = escaped(semconv.OVERFLOW)


@dataclass(frozen=True, slots=True)
class Sample:
    """One exposed series: escaped labels without braces, and a value or (histograms) sum, count and bucket counts."""

    labels: str
    value: float
    count: int = 0
    buckets: tuple[int, ...] = ()

    def plus(self, other: Sample) -> Sample:
        """Return the sum of two series under the labels of this one."""
        buckets = added_buckets(self.buckets, other.buckets)
        return Sample(self.labels, self.value + other.value, self.count + other.count, buckets)


class Family(NamedTuple):
    """All exposed series of one instrument; names and units are OpenTelemetry's."""

    name: str
    kind: str
    unit: str
    description: str
    bounds: tuple[float, ...]
    samples: list[Sample]


def added_buckets(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sums of bucket counts; either may have none."""
    return tuple(a + b for a, b in zip(one, other, strict=True)) if one and other else one or other


class ShownInstrument:
    """One instrument being exposed: its series by their first appearance, and the sum of those beyond the cap."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._samples: dict[str, Sample] = {}
        self._first: dict[str, int] = {}
        self._fresh: set[str] = set()

    def take(self, new: Sample, age: int, *, scope: str, is_fresh: bool) -> None:
        """Add a stream to its series, or put it in the place of an earlier one; `age` orders streams by appearance."""
        adds = scope != "host" and (scope == "add" or self._family.kind in MONOTONIC)
        known = self._samples.get(new.labels)
        self._samples[new.labels] = known.plus(new) if adds and known is not None else new
        self._first[new.labels] = min(age, self._first.get(new.labels, age))
        if is_fresh or scope == "add":
            self._fresh.add(new.labels)

    def family(self) -> tuple[Family, int]:
        """Return the family, and how many of its series are beyond the cap."""
        by_age = sorted(self._fresh, key=lambda labels: self._first[labels])
        shown = [self._samples[labels] for labels in sorted(by_age[: instruments.EXPOSED_ATTRIBUTE_SETS])]
        rest = [self._samples[labels] for labels in by_age[instruments.EXPOSED_ATTRIBUTE_SETS :]]
        if rest and self._family.kind in MONOTONIC:
            total = replace(rest[0], labels=OVERFLOW_LABELS)
            for sample in rest[1:]:
                total = total.plus(sample)
            shown.append(total)
        return self._family._replace(samples=shown), len(rest)


def families_of(shown: Iterable[ShownInstrument]) -> Iterator[Family]:
    """Yield the families of instruments that have anything to show, and how many of their series are beyond the cap."""
    overflowing: list[tuple[str, int]] = []
    for instrument in shown:
        family, beyond = instrument.family()
        if family.samples:
            yield family
        if beyond:
            overflowing.append((family.name, beyond))
    if overflowing:
        yield overflow_family(overflowing)


def overflow_family(beyond: Iterable[tuple[str, int]]) -> Family:
    """Return the family that says how many attribute sets of which instruments are beyond the cap."""
    own = instruments.OTEL_MEASURE_SELF_OVERFLOW_ATTRIBUTE_SETS
    samples = [Sample(escaped(((semconv.ATTR_INSTRUMENT, name),)), float(n)) for name, n in beyond]
    return Family(own.name, own.kind, own.unit, own.description, (), samples)
