"""What calls of models add up to: everything here adds, so any window is a sum of what its minutes hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from otel_measure.conventions import instruments
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.records.kinds import Inference, Origin
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram


@dataclass(slots=True)
class ModelUse:
    """What one model did in a window.

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

    def count(self, call: Inference) -> None:
        """Add one call, but for its latency."""
        self.requests += 1
        self.errors += call.error_type is not None
        if call.input_tokens is not None:
            self.input_tokens += call.input_tokens
            self.input_known += 1
        if call.output_tokens is not None:
            self.output_tokens += call.output_tokens
            self.output_known += 1
        if call.cost_usd is not None:
            self.cost_nano_usd += round(call.cost_usd * instruments.NANO)
            self.priced += 1
            self.priced_tokens += (call.input_tokens or 0) + (call.output_tokens or 0)
            source = call.cost_source or "caller"
            self.sources[source] = self.sources.get(source, 0) + 1

    def add(self, other: ModelUse) -> None:
        """Add what the model did in another part of the window."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for source, n in other.sources.items():
            self.sources[source] = self.sources.get(source, 0) + n
            if not self.sources[source]:  # taken off again
                del self.sources[source]
        if other.latency is not None:
            self.latency = self.latency or ExponentialHistogram()
            self.latency.merge(other.latency)
        if other.binned is not None:
            self.binned = self.binned or Binned()
            self.binned.merge(other.binned)


SUMS: Final = (
    "requests", "errors", "input_tokens", "input_known", "output_tokens", "output_known",
    "cost_nano_usd", "priced", "priced_tokens",
)  # fmt: skip
"""The fields of `ModelUse` that are whole numbers and add."""


class UseKey(NamedTuple):
    """Whose calls of which minute add up: that of a model, from one origin."""

    minute: int
    model: str
    version: str
    origin: Origin


def use_by_minute(calls: Iterable[Inference]) -> dict[UseKey, ModelUse]:
    """Return what calls add to each minute, which begins at `minute` (microseconds)."""
    uses: dict[UseKey, ModelUse] = {}
    latencies: dict[UseKey, list[float]] = {}
    for call in calls:
        key = UseKey(call.ts - call.ts % MINUTE_US, call.model, call.version, call.origin)
        use = uses.get(key)
        if use is None:
            use = uses[key] = ModelUse(call.model, call.version)
            latencies[key] = []
        use.count(call)
        if not call.untimed:
            latencies[key].append(call.latency_ms)
    for key, use in uses.items():
        use.latency = ExponentialHistogram()
        use.latency.extend(latencies[key])
    return uses
