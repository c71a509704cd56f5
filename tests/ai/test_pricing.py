"""What an inference costs: the order of the sources, the table against its own calculator, what stays unpriced."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.ai.pricing import Price, Pricer, Rates, Schedule, Tariff, bundled_table, override_rates
from otel_measure.errors import ConfigurationError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TS = int(NOON.timestamp()) * 1_000_000
FLAT = Rates(input_usd=2e-6, output_usd=8e-6)


def _no_table(provider: str | None, model: str) -> Schedule | None:
    return None


def _fields(price: Price | None) -> Any:
    return None if price is None else (price.usd, price.source)


def _table(schedule: Schedule) -> Any:
    return lambda provider, model: schedule if model == "known" else None


FLAT_PRICER = Pricer(table=_table((Tariff(((-1, FLAT),)),)))


def test_the_caller_wins_then_the_provider_then_the_override_then_the_table() -> None:
    """Each source is asked only when those before it say nothing, and the price names its source."""
    pricer = Pricer(overrides={"mine": Rates(1e-6, 1e-6)}, table=_table((Tariff(((-1, FLAT),)),)))
    prices = [
        pricer.price("mine", 100, 100, ts=TS, caller_usd=0.5, provider_usd=0.4),
        pricer.price("mine", 100, 100, ts=TS, provider_usd=0.4),
        pricer.price("mine", 100, 100, ts=TS),
        pricer.price("known", 100, 100, ts=TS),
        pricer.price("other", 100, 100, ts=TS),
    ]
    assert [_fields(price) for price in prices] == [
        (0.5, "caller"),
        (0.4, "provider"),
        (pytest.approx(0.0002), "override"),
        (pytest.approx(0.001), "table"),
        None,
    ]


def test_a_cost_of_zero_that_was_given_is_a_price() -> None:
    """A caller or provider that says 0 is believed: this is a claim, not an unknown."""
    assert FLAT_PRICER.price("other", None, None, ts=TS, caller_usd=0.0) == Price(0.0, "caller")
    assert FLAT_PRICER.price("other", None, None, ts=TS, provider_usd=0.0) == Price(0.0, "provider")


@pytest.mark.parametrize(("input_tokens", "output_tokens"), [(None, None), (None, 5), (5, None)])
def test_unknown_tokens_are_unpriced(input_tokens: int | None, output_tokens: int | None) -> None:
    """A known model does not make an inference priced when one of its token counts is unknown."""
    assert FLAT_PRICER.price("known", input_tokens, output_tokens, ts=TS) is None


def test_a_model_without_tokens_is_not_looked_up() -> None:
    """A classifier reports no tokens, so the table (and the import behind it) is never asked about it."""
    asked: list[str] = []

    def table(provider: str | None, model: str) -> Schedule | None:
        asked.append(model)
        return None

    pricer = Pricer(table=table)
    assert pricer.price("forest", None, None, ts=TS) is None
    assert pricer.price_aggregate("forest", None, None, requests=9, ts=TS) is None
    assert asked == []


@pytest.mark.parametrize(
    ("rates", "tokens", "usd"),
    [
        (Rates(2.0, 8.0), (10, 1, 0, 0), 28.0),
        (Rates(2.0, 8.0, cached_input_usd=1.0), (10, 1, 4, 0), 24.0),
        (Rates(2.0, 8.0, cache_write_usd=3.0), (10, 1, 0, 4), 32.0),
        (Rates(2.0, 8.0), (10, 1, 4, 4), 28.0),
        (Rates(2.0, 8.0, cached_input_usd=1.0), (10, 1, 12, 0), 20.0),
        (Rates(2.0, 8.0, request_usd=5.0), (0, 0, 0, 0), 5.0),
        (Rates(2.0, None), (10, None, 0, 0), 20.0),
        (Rates(2.0, None), (10, 0, 0, 0), 20.0),
        (Rates(2.0, None), (10, 1, 0, 0), None),
        (Rates(None, 8.0), (0, 1, 0, 0), 8.0),
        (Rates(None, 8.0), (10, 1, 0, 0), None),
        (Rates(0.0, 0.0), (10, 1, 0, 0), 0.0),
    ],
)
def test_rates_price_each_kind_of_token(
    rates: Rates, tokens: tuple[int, int | None, int, int], usd: float | None
) -> None:
    """Cached and written tokens take their own rate or that of the input; tokens without any rate are unpriced."""
    assert rates.cost_usd(*tokens) == usd


def test_a_tier_prices_all_tokens_of_a_long_prompt() -> None:
    """Up to the threshold the base rate counts, beyond it the tier's rate for every token."""
    tariff = Tariff(((-1, Rates(1.0, 1.0)), (100, Rates(2.0, 3.0)), (200, Rates(4.0, 5.0))))
    pricer = Pricer(table=_table((tariff,)))
    prices = [pricer.price("known", tokens, 1, ts=TS) for tokens in (0, 100, 101, 200, 201)]
    assert [price and price.usd for price in prices] == [1.0, 101.0, 205.0, 403.0, 809.0]


def test_the_first_active_tariff_counts_and_the_last_stands_in() -> None:
    """Prices change with time; before any of them the oldest is taken."""
    later, earlier = (
        Tariff(((-1, Rates(2.0, 2.0)),), lambda ts: ts >= 20),
        Tariff(((-1, Rates(1.0, 1.0)),), lambda ts: ts >= 10),
    )
    pricer = Pricer(table=_table((later, earlier)))
    prices = [pricer.price("known", 1, 0, ts=ts) for ts in (5, 10, 19, 20)]
    assert [price and price.usd for price in prices] == [1.0, 1.0, 1.0, 2.0]


def test_an_aggregate_is_priced_at_the_first_tier_and_says_so() -> None:
    """A sum over requests shows no prompt size: base rates, one request fee each, source aggregate."""
    tariff = Tariff(((-1, Rates(1.0, 1.0, request_usd=0.5)), (100, Rates(9.0, 9.0))))
    pricer = Pricer(table=_table((tariff,)))
    assert [
        pricer.price_aggregate("known", 1000, 10, requests=4, ts=TS),
        pricer.price_aggregate("known", None, 10, requests=4, ts=TS),
        pricer.price_aggregate("known", 10, None, requests=4, ts=TS),
        pricer.price_aggregate("other", 1000, 10, requests=4, ts=TS),
    ] == [Price(1012.0, "aggregate"), None, None, None]


def test_the_model_that_answered_is_looked_up_before_the_one_asked_for() -> None:
    """An alias is priced by the dated model behind it; a name of the user's own still finds its override."""
    asked: list[tuple[str | None, str]] = []

    def table(provider: str | None, model: str) -> Schedule | None:
        asked.append((provider, model))
        return (Tariff(((-1, FLAT),)),) if model == "known" else None

    pricer = Pricer(overrides={"deployment": Rates(1.0, 1.0)}, table=table)
    assert pricer.price("alias", 1, 0, ts=TS, response_model="known") == Price(2e-6, "table")
    assert pricer.price("known", 1, 0, ts=TS, response_model="odd", provider="p") == Price(2e-6, "table")
    assert pricer.price("deployment", 1, 0, ts=TS, response_model="known") == Price(1.0, "override")
    assert asked == [(None, "known"), ("p", "odd"), ("p", "known")]


def test_a_model_is_looked_up_once_and_the_memory_is_bounded() -> None:
    """Known and unknown models are remembered alike; beyond the bound the oldest is looked up again."""
    asked: list[str] = []

    def table(provider: str | None, model: str) -> Schedule | None:
        asked.append(model)
        return None

    pricer = Pricer(table=table, max_models=2)
    for model in ("a", "a", "b", "a", "c", "b", "c", "a"):
        assert pricer.price(model, 1, 1, ts=TS) is None
    assert asked == ["a", "b", "c", "a"]


# The table, with genai-prices' own calculator as the oracle.

MODELS = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    for model in provider.models
    if provider.find_model(model.id) is not None
]


@given(
    st.sampled_from(MODELS),
    st.integers(0, 2_000_000),
    st.integers(0, 200_000),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1)),
)
def test_table_prices_equal_those_of_the_table_s_own_calculator(
    model: tuple[str, str], input_tokens: int, output_tokens: int, parts: tuple[float, float], when: datetime
) -> None:
    """For every model, tier, date and hour we either give the calculator's price or none at all."""
    when = when.replace(tzinfo=UTC, microsecond=0)
    cached = int(input_tokens * parts[0])
    written = int((input_tokens - cached) * parts[1])
    ours = Pricer().price(
        model[1],
        input_tokens,
        output_tokens,
        ts=int(when.timestamp()) * 1_000_000,
        provider=model[0],
        cached_input_tokens=cached,
        cache_write_tokens=written,
    )
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )
    theirs = float(calc_price(usage, model[1], provider_id=model[0], genai_request_timestamp=when).total_price)
    assert ours is None or _fields(ours) == (pytest.approx(theirs, rel=1e-12, abs=1e-18), "table")


def test_most_models_of_the_table_have_a_price() -> None:
    """What we leave unpriced is a small part: models without prices, or priced by units that we do not count."""
    unpriced = [model for model in MODELS if bundled_table(*model) is None]
    assert len(unpriced) < 0.12 * len(MODELS)


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
        ("my-gateway", "gpt-4o", None),
        ("openai", "iris-forest", None),
        (None, "iris-forest", None),
        (None, "", None),
        (None, "tts-1", None),
        ("openai", "whisper-1", None),
    ],
)
def test_a_thousand_tokens_each_way(provider: str | None, model: str, usd: float | None) -> None:
    """Providers are found by their conventional names; one that is named and unknown leaves the model unpriced."""
    price = Pricer().price(model, 1000, 1000, ts=TS, provider=provider)
    assert _fields(price) == (None if usd is None else (pytest.approx(usd), "table"))


def test_embeddings_are_priced_without_output_tokens() -> None:
    """A model without an output price needs no output count."""
    price = Pricer().price("text-embedding-3-small", 1_000_000, None, ts=TS, provider="openai")
    assert _fields(price) == (pytest.approx(0.02), "table")


def test_without_the_extra_everything_is_unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where genai-prices is not installed the table knows no model, and overrides work."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    pricer = Pricer(overrides={"mine": Rates(1.0, 1.0)})
    assert pricer.price("gpt-4o", 1, 1, ts=TS) is None
    assert pricer.price("mine", 1, 1, ts=TS) == Price(2.0, "override")


# The setting.


def test_overrides_are_given_per_million() -> None:
    """The setting's figures are USD per million tokens, as price lists have them."""
    assert override_rates(
        {
            "a": {"input_per_million_usd": 2, "output_per_million_usd": 8.0},
            "b": {"input_per_million_usd": 1, "cached_input_per_million_usd": 0.5, "cache_write_per_million_usd": 4},
        }
    ) == {
        "a": Rates(2e-6, 8e-6),
        "b": Rates(1e-6, None, cached_input_usd=5e-7, cache_write_usd=4e-6),
    }


KEYS = "input_per_million_usd, output_per_million_usd, cached_input_per_million_usd, cache_write_per_million_usd"


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"m": 3}, f"price_overrides['m'] is 3; it must be a mapping with {KEYS}"),
        ({"m": {"input": 3}}, f"price_overrides['m'] has the unknown key 'input'; known are {KEYS}"),
        *(
            (
                {"m": {"input_per_million_usd": value}},
                f"price_overrides['m']['input_per_million_usd'] is {value!r}; it must be a finite number of at least 0",
            )
            for value in (-1, float("nan"), float("inf"), True, "3", None)
        ),
    ],
)
def test_a_bad_override_is_refused_by_name(prices: dict[str, Any], message: str) -> None:
    """The error names the model, the key, the value and the rule."""
    with pytest.raises(ConfigurationError) as caught:
        override_rates(prices)
    assert str(caught.value) == message
