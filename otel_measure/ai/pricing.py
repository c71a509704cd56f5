"""What an inference costs, and who says so.

In order: what the caller gives, what the provider reports, the prices the user has set for the model, the price table
(``genai-prices``, the ``[prices]`` extra). Where none of them knows, the inference is *unpriced*: ``None``, never 0.

Nothing here uses a network: the table is the snapshot bundled with the installed ``genai-prices``. An application that
runs that package's own updater gets the newer prices for models not priced before.
"""

from __future__ import annotations

import importlib.util
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from otel_measure.errors import ConfigurationError
from otel_measure.records.limits import MAX_COST_USD

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

CostSource = Literal["caller", "provider", "override", "table", "aggregate"]


@dataclass(frozen=True, slots=True)
class Price:
    """The cost of one inference (or of an aggregate of them) in USD, and where the figure is from."""

    usd: float
    source: CostSource


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token, and per request; ``None`` where such tokens have no price of their own.

    Cached and cache-writing input tokens without a rate cost what other input tokens do. Input or output tokens
    without a rate make the inference unpriced, unless there are none of them (embeddings have no output).
    """

    input_usd: float | None
    output_usd: float | None
    cached_input_usd: float | None = None
    cache_write_usd: float | None = None
    request_usd: float = 0.0

    def cost_usd(
        self, input_tokens: int, output_tokens: int | None, cached: int = 0, written: int = 0, requests: int = 1
    ) -> float | None:
        """Cost of these tokens; ``None`` where a rate or a count that is needed is unknown.

        ``cached`` and ``written`` are parts of ``input_tokens``; what exceeds it is not charged a second time.
        """
        total_usd = self.request_usd * requests
        if self.input_usd is not None:
            plain = max(0, input_tokens - cached - written)
            total_usd += plain * self.input_usd
            total_usd += cached * (self.input_usd if self.cached_input_usd is None else self.cached_input_usd)
            total_usd += written * (self.input_usd if self.cache_write_usd is None else self.cache_write_usd)
        elif input_tokens:
            return None
        if self.output_usd is not None:
            return None if output_tokens is None else total_usd + output_tokens * self.output_usd
        return None if output_tokens else total_usd


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of a model while ``active(ts)`` holds (``ts`` in µs UTC).

    Attributes:
        tiers: (start, rates), ascending: the last whose start the input tokens exceed prices *all* tokens.
        active: whether the tariff is in force at a time; ``None`` for always.
    """

    tiers: tuple[tuple[int, Rates], ...]
    active: Callable[[int], bool] | None = None

    def rates(self, input_tokens: int) -> Rates:
        """The rates of the tier that this many input tokens fall into."""
        chosen = self.tiers[0][1]
        for start, rates in self.tiers[1:]:
            if input_tokens <= start:
                break
            chosen = rates
        return chosen


Schedule: TypeAlias = tuple[Tariff, ...]
"""Tariffs of one model: the first active one counts, the last one where none is."""

PriceTable: TypeAlias = Callable[[str | None, str], Schedule | None]
"""(provider, model) → its schedule, ``None`` for a model that the table does not know."""

OVERRIDE_KEYS: Final = {
    "input_per_million_usd": "input_usd",
    "output_per_million_usd": "output_usd",
    "cached_input_per_million_usd": "cached_input_usd",
    "cache_write_per_million_usd": "cache_write_usd",
}
_BASE: Final = -1
_MICROSECONDS: Final = 1_000_000
_PROVIDER_IN_TABLE: Final = {"gcp.gen_ai": "google", "azure.ai.inference": "azure"}
# Units that we do not count. A model priced by one of them would look too cheap by its tokens alone.
_UNCOUNTED_UNITS: Final = ("_hours", "_kpages", "_mchars", "_gpixels", "_messages_kcount", "rerank_searches_kcount")


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


def _is_installed() -> bool:
    return importlib.util.find_spec("genai_prices") is not None


def bundled_table(provider: str | None, model: str) -> Schedule | None:
    """Look a model up in the installed ``genai-prices``; ``None`` when it is not there or not installed.

    A provider that is not known (``None``, ``_OTHER``) is inferred from the model. One that is named and not in the
    table has no price here: a model served by somebody else does not cost what its maker charges.
    """
    try:
        from genai_prices import Usage, calc_price
        from genai_prices.types import ModelPrice
    except ImportError:
        return None
    known = _PROVIDER_IN_TABLE.get(provider, provider) if provider and provider != "_OTHER" else None
    try:
        priced = calc_price(Usage(input_tokens=0, output_tokens=0), model, provider_id=known).model
    except (LookupError, ValueError):
        return None
    if isinstance(priced.prices, ModelPrice):
        tiers = _tiers(priced.prices)
        return (Tariff(tiers),) if tiers else None
    # There the last active price counts and the first stands in where none is; here the first active one.
    dated = [(_tiers(price.prices), _active(price.constraint)) for price in reversed(priced.prices)]
    schedule = tuple(Tariff(tiers, active) for tiers, active in dated if tiers)
    return schedule if len(schedule) == len(dated) and schedule else None


class PriceTableLoader:
    """Loads the price table on a thread of its own: its first look-up takes some tenths of a second.

    Args:
        table: what is looked up once.
        installed: whether there is anything to load.
    """

    def __init__(self, table: PriceTable = bundled_table, installed: Callable[[], bool] = _is_installed) -> None:
        self._table = table
        self._installed = installed
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start it; again is a no-op."""
        with self._lock:
            if self._thread is None and self._installed():
                self._thread = threading.Thread(
                    target=self._table, args=(None, "gpt-4o"), name="otel-measure-prices", daemon=True
                )
                self._thread.start()

    def finish(self, timeout_s: float = 5.0) -> None:
        """Wait until it is done, when it was started."""
        if self._thread is not None:
            self._thread.join(timeout_s)


def _tiers(price: ModelPrice) -> tuple[tuple[int, Rates], ...]:
    """Prices per tier of input tokens; empty where tokens do not price the model."""
    given = {key: value for key, value in vars(price).items() if value is not None}
    if any(key.endswith(_UNCOUNTED_UNITS) for key in given) or not given.keys() & {"input_mtok", "output_mtok"}:
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
        for start in (_BASE, *sorted(starts))
    )


def _active(constraint: StartDateConstraint | TimeOfDateConstraint | None) -> Callable[[int], bool] | None:
    if constraint is None:
        return None
    start_date = getattr(constraint, "start_date", None)
    if start_date is not None:
        start_us = int(datetime.combine(start_date, time(), UTC).timestamp()) * _MICROSECONDS
        return lambda ts: ts >= start_us
    return lambda ts: constraint.active(datetime.fromtimestamp(ts / _MICROSECONDS, UTC))


@dataclass(frozen=True, slots=True)
class _PricedModel:
    schedule: Schedule
    source: Literal["override", "table"]

    def tariff(self, ts: int) -> Tariff:
        for tariff in self.schedule:
            if tariff.active is None or tariff.active(ts):
                return tariff
        return self.schedule[-1]


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
    _models: dict[tuple[str | None, str, str | None], _PricedModel | None] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def price(
        self,
        model: str,
        input_tokens: int | None,
        output_tokens: int | None,
        *,
        ts: int,
        provider: str | None = None,
        response_model: str | None = None,
        cached_input_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        caller_usd: float | None = None,
        provider_usd: float | None = None,
    ) -> Price | None:
        """Price one inference.

        Args:
            model: the model asked for.
            input_tokens: tokens read, cached ones included.
            output_tokens: tokens written.
            ts: when, in µs UTC (prices change on dates, and at hours of the day).
            provider: ``gen_ai.provider.name`` where known.
            response_model: the model that answered; it is looked up first, being the more exact name.
            cached_input_tokens: the part of the input read from a cache; unknown is charged as if there were none.
            cache_write_tokens: the part of the input written to a cache, likewise.
            caller_usd: what the caller says it costs.
            provider_usd: what the provider says it charged.

        Returns:
            The price, or ``None`` when the inference cannot be priced, or would cost more than one may.
        """
        if caller_usd is not None:
            return Price(caller_usd, "caller")
        if provider_usd is not None:
            return Price(provider_usd, "provider")
        if input_tokens is None:  # before the look-up: a classifier shall not load a table of language models
            return None
        known = self._find(provider, model, response_model)
        if known is None:
            return None
        rates = known.tariff(ts).rates(input_tokens)
        usd = rates.cost_usd(input_tokens, output_tokens, cached_input_tokens or 0, cache_write_tokens or 0)
        # What costs more than a record may say is no call with so many tokens, but a count gone wrong.
        return None if usd is None or usd > MAX_COST_USD else Price(usd, known.source)

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
            response_model: as for ``price``.
            cached_input_tokens: of the input tokens.
        """
        known = None if input_tokens is None else self._find(provider, model, response_model)
        if known is None or input_tokens is None:
            return None
        usd = known.tariff(ts).tiers[0][1].cost_usd(input_tokens, output_tokens, cached_input_tokens, requests=requests)
        return None if usd is None else Price(usd, "aggregate")

    def _find(self, provider: str | None, model: str, response_model: str | None) -> _PricedModel | None:
        key = (provider, model, response_model)
        try:
            return self._models[key]
        except KeyError:
            pass
        known = self._resolve(provider, [name for name in (response_model, model) if name])
        with self._lock:
            if len(self._models) >= self.max_models:
                del self._models[next(iter(self._models))]
            self._models[key] = known
        return known

    def _resolve(self, provider: str | None, names: list[str]) -> _PricedModel | None:
        for name in names:
            if name in self.overrides:
                return _PricedModel((Tariff(((_BASE, self.overrides[name]),)),), "override")
        for name in names:
            schedule = self.table(provider, name)
            if schedule is not None:
                return _PricedModel(schedule, "table")
        return None
