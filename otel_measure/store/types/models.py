"""Models as a store knows them, and what they did in a window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from otel_measure.records.kinds import Json
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram

ModelKey: TypeAlias = tuple[str, str]


class Model(NamedTuple):
    """A registered model."""

    name: str
    version: str
    type: str = "other"
    metadata: dict[str, Json] | None = None
    targets: dict[str, float] | None = None


@dataclass(slots=True)
class ModelUse:
    """What one model did in a window: everything here adds.

    Attributes:
        input_known, output_known: calls whose token count is known.
        priced, priced_tokens: calls with a cost, and their tokens.
        sources: calls by the source of their cost.
        latency: in units of `latency_unit_ms` milliseconds.
        binned: latencies of calls that only histograms of others tell of.
    """

    model: str
    version: str
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    input_known: int = 0
    output_tokens: int = 0
    output_known: int = 0
    cost_nano_usd: int = 0
    priced: int = 0
    priced_tokens: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    latency: ExponentialHistogram | None = None
    latency_unit_ms: float = 1.0
    binned: Binned | None = None
