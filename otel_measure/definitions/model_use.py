"""What calls of models add up to: everything here adds, so any window is a sum of what its minutes hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from otel_measure.conventions import instruments
from otel_measure.conventions.model_names import provider_of
from otel_measure.definitions.windows import MINUTE_US
from otel_measure.records.kinds import Inference, Origin
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram

UNSAID_SOURCE: Final = "caller"
"""Who told the cost of a call that does not say it."""


@dataclass(slots=True)
class ModelUse:
    """What one model did in a window.

    Attributes:
        input_known, output_known, cached_known, reasoning_known: calls whose token count is known.
        priced, priced_tokens: calls with a cost, and their tokens.
        hit_input_tokens, hit_cached_tokens: input tokens, and those from a cache, of calls told singly that know both.
        cache_savings_known: calls of which is known what caching saved.
        sources, sources_nano_usd: calls by the source of their cost, and these costs.
        latency, first_chunk: milliseconds; of calls that were streamed, until the first chunk.
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
    cached_input_tokens: int = 0
    cached_known: int = 0
    hit_input_tokens: int = 0
    hit_cached_tokens: int = 0
    reasoning_tokens: int = 0
    reasoning_known: int = 0
    cache_savings_nano_usd: int = 0
    cache_savings_known: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    sources_nano_usd: dict[str, int] = field(default_factory=dict)
    latency: ExponentialHistogram | None = None
    first_chunk: ExponentialHistogram | None = None
    binned: Binned | None = None

    def count(self, call: Inference) -> None:
        """Add one call, but for its times."""
        self.requests += 1
        self.errors += call.error_type is not None
        if call.input_tokens is not None:
            self.input_tokens += call.input_tokens
            self.input_known += 1
        if call.output_tokens is not None:
            self.output_tokens += call.output_tokens
            self.output_known += 1
        if call.reasoning_tokens is not None:
            self.reasoning_tokens += call.reasoning_tokens
            self.reasoning_known += 1
        self._count_cached(call)
        if call.cost_usd is not None:
            nano_usd = round(call.cost_usd * instruments.NANO)
            self.cost_nano_usd += nano_usd
            self.priced += 1
            self.priced_tokens += (call.input_tokens or 0) + (call.output_tokens or 0)
            source = call.cost_source or UNSAID_SOURCE
            self.sources[source] = self.sources.get(source, 0) + 1
            self.sources_nano_usd[source] = self.sources_nano_usd.get(source, 0) + nano_usd

    def _count_cached(self, call: Inference) -> None:
        if call.cached_input_tokens is not None:
            self.cached_input_tokens += call.cached_input_tokens
            self.cached_known += 1
            if call.input_tokens is not None:
                self.hit_input_tokens += call.input_tokens
                self.hit_cached_tokens += min(call.cached_input_tokens, call.input_tokens)
        if call.cache_savings_usd is not None:
            self.cache_savings_nano_usd += round(call.cache_savings_usd * instruments.NANO)
            self.cache_savings_known += 1
        elif call.cached_input_tokens == 0 and not call.cache_write_tokens:
            self.cache_savings_known += 1  # without a cache, nothing was saved, whatever the price

    def add(self, other: ModelUse) -> None:
        """Add what the model did in another part of the window."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        _add_by_source(self.sources, other.sources)
        _add_by_source(self.sources_nano_usd, other.sources_nano_usd)
        self.latency = _merged(self.latency, other.latency)
        self.first_chunk = _merged(self.first_chunk, other.first_chunk)
        if other.binned is not None:
            self.binned = self.binned or Binned()
            self.binned.merge(other.binned)


def _add_by_source(sums: dict[str, int], added: Mapping[str, int]) -> None:
    for source, n in added.items():
        sums[source] = sums.get(source, 0) + n
        if not sums[source]:  # taken off again
            del sums[source]


def _merged(one: ExponentialHistogram | None, other: ExponentialHistogram | None) -> ExponentialHistogram | None:
    """Return the first with the second added; it is made where there is none, so that the second stays as it is."""
    if other is None:
        return one
    whole = one or ExponentialHistogram()
    whole.merge(other)
    return whole


SUMS: Final = (
    "requests", "errors", "input_tokens", "input_known", "output_tokens", "output_known",
    "cost_nano_usd", "priced", "priced_tokens", "cached_input_tokens", "cached_known",
    "hit_input_tokens", "hit_cached_tokens",
    "reasoning_tokens", "reasoning_known", "cache_savings_nano_usd", "cache_savings_known",
)  # fmt: skip
"""The fields of `ModelUse` that are whole numbers and add, in their order."""


class UseKey(NamedTuple):
    """Whose calls of which minute add up: that of a model, from one origin, served by one provider."""

    minute: int
    model: str
    version: str
    origin: Origin
    provider: str


def provider_that_served(told: str | None, model: str) -> str:
    """Return the provider of a call: as told, else that of which the name of the model speaks."""
    return told or provider_of(model)


def use_by_minute(calls: Iterable[Inference]) -> dict[UseKey, ModelUse]:
    """Return what calls add to each minute, which begins at `minute` (microseconds)."""
    uses: dict[UseKey, ModelUse] = {}
    latencies: dict[UseKey, list[float]] = {}
    first_chunks: dict[UseKey, list[float]] = {}
    for call in calls:
        provider = provider_that_served(call.provider, call.model)
        key = UseKey(call.ts - call.ts % MINUTE_US, call.model, call.version, call.origin, provider)
        use = uses.get(key)
        if use is None:
            use = uses[key] = ModelUse(call.model, call.version)
            latencies[key] = []
        use.count(call)
        if not call.untimed:
            latencies[key].append(call.latency_ms)
        if call.time_to_first_chunk_ms is not None:
            first_chunks.setdefault(key, []).append(call.time_to_first_chunk_ms)
    for key, use in uses.items():
        use.latency = ExponentialHistogram()
        use.latency.extend(latencies[key])
        if key in first_chunks:
            use.first_chunk = ExponentialHistogram()
            use.first_chunk.extend(first_chunks[key])
    return uses
