"""What `/metrics` shows: families of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Sample:
    """One exposed series: escaped labels without braces, and a value or (histograms) sum, count and bucket counts."""

    labels: str
    value: float
    count: int = 0
    buckets: tuple[int, ...] = ()


class Family(NamedTuple):
    """All exposed series of one instrument; names and units are OpenTelemetry's."""

    name: str
    kind: str
    unit: str
    description: str
    bounds: tuple[float, ...]
    samples: list[Sample]
