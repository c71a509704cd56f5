"""What an inference costs, and who says so.

In order: what the caller gives, the prices the user has set for the model, what the provider charged, what an
instrumentation has estimated, the price table (``ai.price_table``). Where none of them knows, the inference is
*unpriced*: ``None``, never 0. A provider or an instrumentation that says 0 is believed for models without a price
alone: beside tokens of a priced model it does not know the cost.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from otel_measure.ai.price_table import bundled_table
from otel_measure.ai.rates import Rates
from otel_measure.ai.usage import Usage
from otel_measure.errors import ConfigurationError
from otel_measure.records.limits import MAX_COST_USD

CostSource = Literal["caller", "override", "provider", "instrumentation", "table", "aggregate"]


@dataclass(frozen=True, slots=True)
class Price:
    """The cost of one inference (or of an aggregate of them) in USD, and where the figure is from."""

    usd: float
    source: CostSource


class CallPrice(Protocol):
    """What calls of one model are charged."""

    def cost_usd(self, usage: Usage, ts: int) -> float | None:
        """Return what a call costs, USD; ``None`` where a count that is charged is not known."""

    def sum_usd(
        self, input_tokens: int, output_tokens: int | None, *, requests: int, ts: int, cached_input_tokens: int = 0
    ) -> float | None:
        """Return what several calls cost of which only the sum is known."""


PriceTable: TypeAlias = Callable[[str | None, str], CallPrice | None]
"""(provider, model) → what it is charged, ``None`` for a model that the table does not know."""

OVERRIDE_KEYS: Final = {
    "input_per_million_usd": "input_usd",
    "output_per_million_usd": "output_usd",
    "cached_input_per_million_usd": "cached_input_usd",
    "cache_write_per_million_usd": "cache_write_usd",
}


def override_rates(prices: Mapping[str, Mapping[str, float]]) -> dict[str, Rates]:
    """Turn the setting ``price_overrides`` into rates.

    Args:
        prices: model name to USD per million tokens, by the keys of ``OVERRIDE_KEYS``.

    Raises:
        ConfigurationError: a key is unknown, or a price is not a finite number of at least 0.
    """
    return {model: _override(model, keys) for model, keys in prices.items()}


def _override(model: str, keys: Mapping[str, object]) -> Rates:
    where = f"price_overrides[{model!r}]"
    if not isinstance(keys, Mapping):
        raise ConfigurationError(f"{where} is {keys!r}; it must be a mapping with {', '.join(OVERRIDE_KEYS)}")
    unknown = [key for key in keys if key not in OVERRIDE_KEYS]
    if unknown:
        raise ConfigurationError(f"{where} has the unknown key {unknown[0]!r}; known are {', '.join(OVERRIDE_KEYS)}")
    per_token_usd = {OVERRIDE_KEYS[key]: _per_token_usd(f"{where}[{key!r}]", value) for key, value in keys.items()}
    return Rates(
        input_usd=per_token_usd.get("input_usd"),
        output_usd=per_token_usd.get("output_usd"),
        cached_input_usd=per_token_usd.get("cached_input_usd"),
        cache_write_usd=per_token_usd.get("cache_write_usd"),
    )


def _per_token_usd(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{where} is {value!r}; it must be a finite number of at least 0")
    return value / 1e6


@dataclass(frozen=True, slots=True)
class FlatPrice:
    """The same rates for every call."""

    rates: Rates

    def cost_usd(self, usage: Usage, ts: int) -> float | None:
        """As `CallPrice.cost_usd`; a call without a count of its tokens has none."""
        if usage.input_tokens is None:
            return None
        cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        return self.rates.cost_usd(usage.input_tokens, usage.output_tokens, cached, written)

    def sum_usd(
        self, input_tokens: int, output_tokens: int | None, *, requests: int, ts: int, cached_input_tokens: int = 0
    ) -> float | None:
        """As `CallPrice.sum_usd`."""
        return self.rates.cost_usd(input_tokens, output_tokens, cached_input_tokens, requests=requests)


@dataclass(slots=True)
class Pricer:
    """Prices inferences; remembers what it found out about each model.

    Safe for several threads. The first inference of a model costs a look-up (and the very first one the import of
    ``genai-prices``, some tenths of a second); every later one about a microsecond.

    Attributes:
        overrides: rates by model name, see ``override_rates``; they win over the table.
        table: where other models are looked up.
        max_models: how many models are remembered; the oldest is forgotten beyond.
    """

    overrides: Mapping[str, Rates] = field(default_factory=dict)
    table: PriceTable = bundled_table
    max_models: int = 4096
    _models: dict[tuple[str | None, str, str | None], CallPrice | None] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def price(
        self, model: str, usage: Usage, *, ts: int, provider: str | None = None, caller_usd: float | None = None
    ) -> Price | None:
        """Price one inference.

        Args:
            model: the model asked for.
            usage: what is known of its tokens and other units, of the model that answered (it is looked up first, being
                the more exact name) and of what somebody says that it cost. A cached part of the input that is unknown
                is charged as if there were none.
            ts: when, in µs UTC (prices change on dates, and at hours of the day).
            provider: ``gen_ai.provider.name`` where known.
            caller_usd: what the caller says it costs.

        Returns:
            The price, or ``None`` when the inference cannot be priced, or would cost more than one may.
        """
        if caller_usd is not None:
            return Price(caller_usd, "caller")
        override = self._override(usage.response_model, model) if self.overrides else None
        if override is not None and (price := _priced(override.cost_usd(usage, ts), "override")) is not None:
            return price
        told = usage.cost_usd
        told_by: CostSource = "instrumentation" if usage.cost_is_estimated else "provider"
        if told:
            return Price(told, told_by)
        # Not looked up where nothing was counted: a classifier shall not load a table of language models.
        known = self._find(provider, model, usage.response_model) if usage.counts_anything else None
        if known is None:
            return None if told is None else Price(told, told_by)
        return _priced(known.cost_usd(usage, ts), "table")

    def cache_savings_usd(self, model: str, usage: Usage, *, ts: int, provider: str | None = None) -> float | None:
        """Return by how much one inference is cheaper than without a cache, by our prices; below 0 it is dearer.

        ``None`` where no token is known to have met a cache, and where the model has no price. The arguments are as for
        ``price``; what somebody else says that it cost has no part in it.
        """
        if not usage.cached_input_tokens and not usage.cache_write_tokens:
            return None
        known = self._override(usage.response_model, model) or self._find(provider, model, usage.response_model)
        if known is None:
            return None
        with_cache, without = known.cost_usd(usage, ts), known.cost_usd(usage.without_cache(), ts)
        saved = None if with_cache is None or without is None else without - with_cache
        return None if saved is None or abs(saved) > MAX_COST_USD else saved

    def price_aggregate(
        self,
        model: str,
        input_tokens: int | None,
        output_tokens: int | None,
        *,
        requests: int,
        ts: int,
        provider: str | None = None,
        response_model: str | None = None,
        cached_input_tokens: int = 0,
    ) -> Price | None:
        """Price the sum of several inferences of one model, of which only the sum is known.

        The size of the single request is lost, so the first tier is taken: long prompts are priced too low.

        Args:
            model: as for ``price``, and so are the others.
            input_tokens: of all of them together.
            output_tokens: of all of them together.
            requests: how many there were.
            ts: when the aggregate ended, in µs UTC.
            provider: as for ``price``.
            response_model: the model that answered.
            cached_input_tokens: of the input tokens.
        """
        if input_tokens is None:
            return None
        known = self._override(response_model, model)
        if known is None:
            known = self._find(provider, model, response_model)
        usd = (
            None
            if known is None
            else known.sum_usd(
                input_tokens, output_tokens, requests=requests, ts=ts, cached_input_tokens=cached_input_tokens
            )
        )
        return None if usd is None else Price(usd, "aggregate")

    def _override(self, *names: str | None) -> CallPrice | None:
        return next((FlatPrice(self.overrides[name]) for name in names if name and name in self.overrides), None)

    def _find(self, provider: str | None, model: str, response_model: str | None) -> CallPrice | None:
        key = (provider, model, response_model)
        try:
            return self._models[key]
        except KeyError:
            pass
        names = (name for name in (response_model, model) if name)
        known = next((price for name in names if (price := self.table(provider, name)) is not None), None)
        with self._lock:
            if len(self._models) >= self.max_models:
                del self._models[next(iter(self._models))]
            self._models[key] = known
        return known


def _priced(usd: float | None, source: CostSource) -> Price | None:
    # What costs more than a record may say is no call with so many tokens, but a count gone wrong.
    return None if usd is None or usd > MAX_COST_USD else Price(usd, source)
