"""The price table: what the installed ``genai-prices`` says of a model, and how its units are charged.

Nothing here uses a network: the table is the snapshot bundled with the package. An application that runs that package's
own updater gets the newer prices for models not priced before. It is imported when the first call is priced.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from otel_measure.ai.rates import BASE, Rates, Schedule, Tariff, tariff_at
from otel_measure.ai.usage import Usage
from otel_measure.conventions.model_names import provider_of
from otel_measure.conventions.semconv import OTHER

if TYPE_CHECKING:
    from genai_prices.types import (
        ModelInfo,
        ModelPrice,
        Provider,
        StartDateConstraint,
        TieredPrices,
        TimeOfDateConstraint,
    )

_MICROSECONDS: Final = 1_000_000
# Providers under the names of conventions that the table does not know.
_PROVIDER_IN_TABLE: Final[Mapping[str, str]] = {
    "gcp.gen_ai": "google",
    "azure.ai.inference": "azure",
    "x_ai": "x-ai",
    "fireworks_ai": "fireworks",
}
# Frameworks that say their own name in place of the provider's.
_FRAMEWORKS: Final = frozenset(
    {
        *("litellm", "langchain", "langgraph", "llama_index", "llamaindex", "pydantic-ai", "pydantic_ai", "vercel"),
        *("haystack", "crewai", "dspy", "semantic_kernel", "spring_ai", "spring-ai", "instructor", "autogen", "agno"),
    }
)
# What gateways write before the name of a model, and whom it means; "models/" is Google's own.
_PROVIDER_BY_PREFIX: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "mistralai": "mistral",
    "models": "google",
    "moonshot": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai": "google",
    "voyage": "voyageai",
    "x-ai": "x-ai",
    "xai": "x-ai",
}
# Price keys without whose count a call has no price: it would look too cheap by its tokens alone. The other units
# are parts of the tokens or tools that were used, of which none is none.
_NEEDED: Final = (
    *("_hours", "_kpages", "_mchars", "_gpixels", "_messages_kcount", "rerank_searches_kcount"),
    *("_reasoning_mtok", "_citation_mtok"),
)


def bundled_table(provider: str | None, model: str) -> TablePrice | None:
    """Look a model up in the installed ``genai-prices``; ``None`` when it is not there or not installed.

    A provider that is not known (``None``, ``_OTHER``, a framework) is inferred from the model and its prefixes. One
    that is named and not in the table has no price here: a model served by somebody else does not cost what its maker
    charges.
    """
    try:
        from genai_prices import data_snapshot
    except ImportError:
        return None
    snapshot = data_snapshot.get_snapshot()
    for provider_id, name in _candidates(provider, model):
        try:
            found_provider, found_model = snapshot.find_provider_model(name, None, provider_id, None)
        except LookupError:
            continue
        price = TablePrice(found_model, found_provider)
        return price if price.has_any else None
    return None


def _candidates(provider: str | None, model: str) -> Iterator[tuple[str | None, str]]:
    """Yield (provider, model) as the table may know them, the most exact first."""
    named = None if provider is None or provider in ("", OTHER) or provider.lower() in _FRAMEWORKS else provider
    known = None if named is None else _PROVIDER_IN_TABLE.get(named, named)
    prefix, _, rest = model.partition("/")
    by_prefix = _PROVIDER_BY_PREFIX.get(prefix.lower()) if rest else None
    if known is not None:
        yield known, model
        if by_prefix is not None:
            yield from ((by_prefix, rest), (known, rest))
        return
    if by_prefix is not None:
        yield from ((by_prefix, rest), (by_prefix, model))
    yield None, model
    inferred = provider_of(model)
    if inferred != OTHER:
        yield _PROVIDER_IN_TABLE.get(inferred, inferred), model


class TablePrice:
    """What one model of the table is charged.

    Calls of tokens alone are priced by rates worked out once; whatever else is charged (a modality, a tier of service,
    searches) by the table's own calculator.

    Args:
        model: of the table.
        provider: who serves it.
    """

    def __init__(self, model: ModelInfo, provider: Provider) -> None:
        self._model = model
        self._provider = provider
        self._schedule = _schedule(model)
        self._has_variants = bool(model.price_variants)

    @property
    def has_any(self) -> bool:
        """Whether the table says any price of it."""
        return any(_given(price) for price in _standard_prices(self._model))

    def cost_usd(self, usage: Usage, ts: int) -> float | None:
        """Return what a call costs, USD; ``None`` where a count that is charged is not known."""
        has_tier = self._has_variants and usage.service_tier is not None
        if self._schedule is None or usage.units or has_tier:
            return self._calculated_usd(usage, ts)
        if usage.input_tokens is None:
            return None
        rates = tariff_at(self._schedule, ts).rates(usage.input_tokens)
        return rates.cost_usd(
            usage.input_tokens, usage.output_tokens, usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
        )

    def sum_usd(
        self, input_tokens: int, output_tokens: int | None, *, requests: int, ts: int, cached_input_tokens: int = 0
    ) -> float | None:
        """Return what several calls cost of which only the sum is known: the size of the single one is lost."""
        if self._schedule is None:
            return None
        rates = tariff_at(self._schedule, ts).tiers[0][1]
        return rates.cost_usd(input_tokens, output_tokens, cached_input_tokens, requests=requests)

    def _calculated_usd(self, usage: Usage, ts: int) -> float | None:
        from genai_prices import Usage as Counts

        counts = _counts(usage)
        try:
            calculated = self._model.calc_price(
                Counts(**counts),
                self._provider,
                genai_request_timestamp=datetime.fromtimestamp(ts / _MICROSECONDS, UTC),
                price_context=_context(usage.service_tier),
            )
        except ValueError:  # counts that contradict each other, or of which a part that is charged apart is missing
            return None
        return float(calculated.total_price) if _is_known(calculated.model_price, counts) else None


def _counts(usage: Usage) -> dict[str, int | float]:
    """Return the counts that are known, under the table's names."""
    plain = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    return {**{key: count for key, count in plain.items() if count is not None}, **usage.units}


def _context(service_tier: str | None) -> dict[str, str] | None:
    """Return a tier of service under each of the names that the table has for such."""
    return None if service_tier is None else dict.fromkeys(("processing", "speed", "service_tier"), service_tier)


def _given(price: ModelPrice) -> dict[str, Decimal | TieredPrices]:
    """Return the prices that are set, by key."""
    return {key: value for key, value in vars(price).items() if value is not None}


def _is_known(price: ModelPrice, counts: Mapping[str, int | float]) -> bool:
    """Tell whether every count is known without which the price would be too low."""
    given, same_as = _given(price), _units_of_price()
    if any(counts.keys().isdisjoint(same_as[key]) for key in given if key.endswith(_NEEDED)):
        return False
    for tokens, rate in (("input_tokens", "input_mtok"), ("output_tokens", "output_mtok")):
        is_missing = tokens not in counts if rate in given else counts.get(tokens, 0) > 0
        if is_missing:
            return False
    return bool(given)


@cache
def _units_of_price() -> Mapping[str, frozenset[str]]:
    """Return, by price key, the units of which one has to be counted: of tokens its own, else any of its family."""
    from genai_prices.data_units import unit_data

    families: dict[str, set[str]] = {}
    for unit, described in unit_data.items():
        families.setdefault(described["dimensions"]["family"], set()).add(unit)
    return {
        described.get("price_key", unit): frozenset(
            {unit} if described["dimensions"]["family"] == "tokens" else families[described["dimensions"]["family"]]
        )
        for unit, described in unit_data.items()
    }


def _standard_prices(model: ModelInfo) -> list[ModelPrice]:
    from genai_prices.types import ModelPrice

    return [model.prices] if isinstance(model.prices, ModelPrice) else [each.prices for each in model.prices]


def _schedule(model: ModelInfo) -> Schedule | None:
    """Return the rates by which plain calls are priced; ``None`` where tokens alone do not tell the price."""
    from genai_prices.types import ModelPrice

    if isinstance(model.prices, ModelPrice):
        tiers = _tiers(model.prices)
        return (Tariff(tiers),) if tiers else None
    # There the last active price counts and the first stands in where none is; here the first active one.
    dated = [(_tiers(price.prices), _active(price.constraint)) for price in reversed(model.prices)]
    schedule = tuple(Tariff(tiers, active) for tiers, active in dated if tiers)
    return schedule if len(schedule) == len(dated) and schedule else None


def _tiers(price: ModelPrice) -> tuple[tuple[int, Rates], ...]:
    """Prices per tier of input tokens; empty where plain tokens do not price the model."""
    given = _given(price)
    if any(key.endswith(_NEEDED) for key in given) or not given.keys() & {"input_mtok", "output_mtok"}:
        return ()
    starts = {tier.start for value in given.values() for tier in getattr(value, "tiers", ())}

    def rate(key: str, start: int, per: int) -> float | None:
        value = given.get(key)
        if value is None:
            return None
        if not isinstance(value, Decimal):
            value = next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)
        return float(value / per)

    return tuple(
        (
            start,
            Rates(
                input_usd=rate("input_mtok", start, 1_000_000),
                output_usd=rate("output_mtok", start, 1_000_000),
                cached_input_usd=rate("cache_read_mtok", start, 1_000_000),
                cache_write_usd=rate("cache_write_mtok", start, 1_000_000),
                request_usd=rate("requests_kcount", start, 1_000) or 0.0,
            ),
        )
        for start in (BASE, *sorted(starts))
    )


def _active(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> Callable[[int], bool] | None:
    if constraint is None:
        return None
    start_date = getattr(constraint, "start_date", None)
    if start_date is not None:
        start_us = int(datetime.combine(start_date, time(), UTC).timestamp()) * _MICROSECONDS
        return lambda ts: ts >= start_us
    return lambda ts: constraint.active(datetime.fromtimestamp(ts / _MICROSECONDS, UTC))


def _is_installed() -> bool:
    return importlib.util.find_spec("genai_prices") is not None


class PriceTableLoader:
    """Loads the price table on a thread of its own: its first look-up takes some tenths of a second.

    Args:
        table: what is looked up once.
        installed: whether there is anything to load.
    """

    def __init__(
        self, table: Callable[[str | None, str], object] = bundled_table, installed: Callable[[], bool] = _is_installed
    ) -> None:
        self._table = table
        self._installed = installed
        self._thread: threading.Thread | None = None
        self._is_absent = False
        self._lock = threading.Lock()

    def is_done(self) -> bool:
        """Tell whether a look-up waits for no loading."""
        return self._is_absent or (self._thread is not None and not self._thread.is_alive())

    def start(self) -> None:
        """Start it; again is a no-op."""
        with self._lock:
            if self._thread is not None or self._is_absent:
                return
            self._is_absent = not self._installed()
            if not self._is_absent:
                self._thread = threading.Thread(
                    target=self._table, args=(None, "gpt-4o"), name="otel-measure-prices", daemon=True
                )
                self._thread.start()

    def finish(self, timeout_s: float = 5.0) -> None:
        """Wait until it is done, when it was started."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def after_fork_in_child(self) -> None:
        """Start afresh: the lock may be held by a thread that is not here."""
        self._lock = threading.Lock()
