"""An increment of the metrics of others as a row keeps it, and what two of one minute are together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from otel_measure.definitions.signals import ModelSeries
from otel_measure.stats.binned import Bin


class KeptIncrement(msgspec.Struct):
    """An increment as a row keeps it."""

    name: str
    unit: str
    kind: str
    ts: int
    value: float
    count: int
    bins: list[Bin]
    minimum: float | None
    maximum: float | None
    has_sum: bool
    series: ModelSeries


def joined(known: KeptIncrement, new: KeptIncrement) -> KeptIncrement:
    """Return what both have grown by."""
    bins: dict[tuple[float, float], int] = {}
    for low, high, n in (*known.bins, *new.bins):
        bins[low, high] = bins.get((low, high), 0) + n
    return msgspec.structs.replace(
        new,
        ts=max(known.ts, new.ts),
        value=known.value + new.value,
        has_sum=known.has_sum and new.has_sum,
        count=known.count + new.count,
        bins=[(low, high, n) for (low, high), n in bins.items()],
        minimum=_extreme(min, known.minimum, new.minimum),
        maximum=_extreme(max, known.maximum, new.maximum),
    )


def _extreme(of: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else of(one, other)
