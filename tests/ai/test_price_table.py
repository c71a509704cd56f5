"""The price table against its own calculator: the same price, or none with a reason that is said here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from genai_prices import Usage as Counts
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.ai.pricing import Price, Pricer
from otel_measure.ai.usage import Usage
from otel_measure.ai.usage_shapes import CHARGED_UNITS

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
TS = int(NOON.timestamp()) * 1_000_000
MODELS = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    for model in provider.models
    if provider.find_model(model.id) is not None
]
USAGES: Mapping[str, Usage] = {
    "plain": Usage(1000, 500),
    "no output": Usage(1000, 0),
    "cached": Usage(1000, 500, cached_input_tokens=400),
    "written": Usage(1000, 500, cached_input_tokens=100, cache_write_tokens=300),
    "written for an hour": Usage(1000, 500, cache_write_tokens=300, units={"cache_write_1h_tokens": 200}),
    "audio": Usage(1000, 500, units={"input_audio_tokens": 600, "output_audio_tokens": 100}),
    "images": Usage(1000, 500, units={"input_image_tokens": 600, "output_image_tokens": 100}),
    "searches and thoughts": Usage(
        1000, 500, reasoning_tokens=200, units={"web_searches": 3, "storage_searches": 1, "output_citation_tokens": 50}
    ),
    "long": Usage(200_001, 500, cached_input_tokens=100_000),
    "batch": Usage(1000, 500, cached_input_tokens=400, service_tier="batch"),
    "priority": Usage(1000, 500, cached_input_tokens=400, service_tier="priority"),
    "flex": Usage(300_000, 500, service_tier="flex"),
}
OTHER_THAN_TOKENS = ("hours", "kpages", "mchars", "gpixels", "messages_kcount", "rerank_searches_kcount")
PARTS_THAT_HAVE_TO_BE_TOLD = {
    "output_reasoning_mtok": "output_reasoning_tokens",
    "output_citation_mtok": "output_citation_tokens",
}


def ours(provider: str | None, model: str, usage: Usage, ts: int = TS) -> float | None:
    """What we say."""
    price = Pricer().price(model, usage, ts=ts, provider=provider)
    return None if price is None else price.usd


def theirs(provider: str, model: str, usage: Usage, when: datetime = NOON) -> Any:
    """What the table's own calculator says: the calculation, and `None` for counts that contradict each other."""
    plain = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        **usage.units,
    }
    key = "processing" if usage.service_tier == "batch" else "service_tier"
    context = None if usage.service_tier is None else {key: usage.service_tier}
    try:
        return calc_price(
            Counts(**{name: count for name, count in plain.items() if count is not None}),
            model,
            provider_id=provider,
            genai_request_timestamp=when,
            price_context=context,
        )
    except ValueError:
        return None


def why_unpriced(calculated: Any, usage: Usage) -> str | None:
    """Why a call that the calculator gives a figure for has no price here."""
    if calculated is None:
        return "a part that is charged apart is not told"
    prices = {key for key, value in vars(calculated.model_price).items() if value is not None}
    counts = {"output_reasoning_tokens"} if usage.reasoning_tokens is not None else set()
    counts |= usage.units.keys()
    if not prices:
        return "the table has no price"
    if any(key.endswith(OTHER_THAN_TOKENS) for key in prices):
        return "a unit that is charged is not counted"
    if any(key in prices and part not in counts for key, part in PARTS_THAT_HAVE_TO_BE_TOLD.items()):
        return "a unit that is charged is not counted"
    if usage.output_tokens and "output_mtok" not in prices:
        return "output has no price"
    if usage.input_tokens and "input_mtok" not in prices:
        return "input has no price"
    return None


def compared(models: list[tuple[str, str]]) -> tuple[list[object], Counter[str]]:
    """The differences over all usages, and how often a call is unpriced for which reason."""
    differences: list[object] = []
    reasons: Counter[str] = Counter()
    for (provider, model), (name, usage) in product(models, USAGES.items()):
        calculated = theirs(provider, model, usage)
        reason, price = why_unpriced(calculated, usage), ours(provider, model, usage)
        if reason is not None:
            reasons[reason] += 1
        expected = None if reason is not None else float(calculated.total_price)
        if price != (None if expected is None else pytest.approx(expected, rel=1e-12, abs=1e-15)):
            differences.append((provider, model, name, price, expected, reason))
    return differences, reasons


def test_every_twentieth_model_costs_what_the_table_s_calculator_says() -> None:
    """For each kind of usage, or it has no price for a reason."""
    differences, _ = compared(MODELS[::20])
    assert differences == []


@pytest.mark.no_cover
@pytest.mark.slow
def test_every_model_costs_what_the_table_s_calculator_says() -> None:
    """All models of all providers, each with a dozen usages: 0 differences."""
    differences, reasons = compared(MODELS)
    print(f"{len(MODELS)} models x {len(USAGES)} usages: {len(differences)} differences; unpriced: {dict(reasons)}")
    assert differences == []
    assert sum(reasons.values()) < 0.15 * len(MODELS) * len(USAGES)


@given(
    st.sampled_from(MODELS),
    st.integers(0, 2_000_000),
    st.integers(0, 200_000),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1)),
)
def test_prices_of_any_date_are_the_calculator_s(
    model: tuple[str, str], input_tokens: int, output_tokens: int, parts: tuple[float, float], when: datetime
) -> None:
    """For every model, tier, date and hour we either give the calculator's price or none at all."""
    when = when.replace(tzinfo=UTC, microsecond=0)
    cached = int(input_tokens * parts[0])
    usage = Usage(input_tokens, output_tokens, cached, int((input_tokens - cached) * parts[1]))
    price = ours(*model, usage, int(when.timestamp()) * 1_000_000)
    calculated = theirs(*model, usage, when)
    assert price is None or price == pytest.approx(float(calculated.total_price), rel=1e-12, abs=1e-18)


def test_units_are_the_table_s() -> None:
    """What may be counted under `units` is charged under the same name there; the rest has an argument of its own."""
    assert set(unit_data) >= CHARGED_UNITS
    of_their_own = {"input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "requests"}
    prices = [price for provider in get_snapshot().providers for model in provider.models for price in _prices(model)]
    charged = {key for price in prices for key, value in vars(price).items() if value is not None}
    units = {unit for unit, data in unit_data.items() if data.get("price_key", unit) in charged}
    assert units - CHARGED_UNITS - of_their_own == {"output_reasoning_tokens"}


def _prices(model: Any) -> list[Any]:
    standard = [each.prices for each in model.prices] if isinstance(model.prices, list) else [model.prices]
    return [*standard, *(variant.prices for variant in model.price_variants or ())]


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        (None, "gpt-4o", 0.0125),
        ("openai", "gpt-4o", 0.0125),
        ("azure.ai.openai", "gpt-4o", 0.0125),
        ("_OTHER", "gpt-4o", 0.0125),
        ("", "gpt-4o", 0.0125),
        ("anthropic", "claude-3-5-sonnet-20241022", 0.018),
        ("gcp.gen_ai", "gemini-2.0-flash", 0.0005),
        ("aws.bedrock", "anthropic.claude-3-5-sonnet-20240620-v1:0", 0.018),
        (None, "us.anthropic.claude-3-5-sonnet-20240620-v1:0", 0.018),
        # Prefixes of gateways, and frameworks that say their own name.
        (None, "openai/gpt-4o", 0.0125),
        ("openai", "openai/gpt-4o", 0.0125),
        ("litellm", "openai/gpt-4o", 0.0125),
        ("langchain", "gpt-4o", 0.0125),
        ("openai", "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0", 0.018),
        (None, "bedrock/us.anthropic.claude-3-5-sonnet-20240620-v1:0", 0.018),
        ("gcp.gemini", "models/gemini-2.0-flash", 0.0005),
        (None, "gemini/gemini-2.0-flash", 0.0005),
        ("x_ai", "grok-3", 0.018),
        (None, "xai/grok-3", 0.018),
        (None, "grok-3", 0.018),
        ("my-gateway", "gpt-4o", None),
        ("openai", "iris-forest", None),
        (None, "iris-forest", None),
        (None, "", None),
        (None, "tts-1", None),
        ("openai", "whisper-1", None),
    ],
)
def test_a_thousand_tokens_each_way(provider: str | None, model: str, usd: float | None) -> None:
    """The provider is the one we infer, that of a prefix, or the named one; one that is unknown has no price."""
    price = ours(provider, model, Usage(1000, 1000))
    assert price == (None if usd is None else pytest.approx(usd))


def test_embeddings_are_priced_without_output_tokens() -> None:
    """A model without an output price needs no output count."""
    assert ours("openai", "text-embedding-3-small", Usage(1_000_000)) == pytest.approx(0.02)


def test_what_is_charged_by_the_second_is_priced_by_its_seconds() -> None:
    """And has no price without them."""
    assert ours("openai", "whisper-1", Usage(units={"audio_seconds": 600.0})) == pytest.approx(0.06)
    assert Pricer().price("whisper-1", Usage(5, 5), ts=TS, provider="openai") is None


def test_a_sum_of_calls_is_priced_at_the_first_tier() -> None:
    """The size of the single prompt is lost."""
    price = Pricer().price_aggregate("gpt-4o", 1_000_000, 0, requests=10, ts=TS, provider="openai")
    assert price == Price(2.5, "aggregate")
    assert Pricer().price_aggregate("whisper-1", 10, 0, requests=1, ts=TS, provider="openai") is None
