"""What an inference costs: the order of the sources, what is remembered, what stays unpriced, the setting."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from otel_measure.ai.pricing import CostSource, FlatPrice, Price, Pricer, override_rates
from otel_measure.ai.rates import Rates
from otel_measure.ai.usage import Usage
from otel_measure.errors import ConfigurationError

TS = 1_780_000_000_000_000
FLAT = FlatPrice(Rates(input_usd=2e-6, output_usd=8e-6))
HUNDRED = Usage(input_tokens=100, output_tokens=100)


def table(provider: str | None, model: str) -> FlatPrice | None:
    """A table of one model."""
    return FLAT if model == "known" else None


def fields(price: Price | None) -> Any:
    """The figure and its source, to be compared with an approximation."""
    return None if price is None else (price.usd, price.source)


def told(usd: float, *, estimated: bool = False, used: Usage = HUNDRED) -> Usage:
    """Usage beside which somebody says what it cost."""
    return Usage(used.input_tokens, used.output_tokens, cost_usd=usd, cost_is_estimated=estimated)


def test_each_source_is_asked_when_those_before_it_say_nothing() -> None:
    """Caller, override, provider, instrumentation, table; and the price names its source."""
    pricer = Pricer(overrides={"mine": Rates(1e-6, 1e-6)}, table=table)
    prices = [
        pricer.price("mine", told(0.4), ts=TS, caller_usd=0.5),
        pricer.price("mine", told(0.4), ts=TS),
        pricer.price("known", told(0.4), ts=TS),
        pricer.price("known", told(0.3, estimated=True), ts=TS),
        pricer.price("known", HUNDRED, ts=TS),
        pricer.price("other", HUNDRED, ts=TS),
    ]
    assert [fields(price) for price in prices] == [
        (0.5, "caller"),
        (pytest.approx(0.0002), "override"),
        (0.4, "provider"),
        (0.3, "instrumentation"),
        (pytest.approx(0.001), "table"),
        None,
    ]


CACHED = Usage(input_tokens=100, output_tokens=10, cached_input_tokens=60)


@pytest.mark.parametrize(
    ("model", "usage", "saved_usd"),
    [
        ("read", CACHED, 60 * 9e-6),
        ("read", Usage(100, 10, 20, 50), 20 * 9e-6 - 50 * 2.5e-6),
        ("read", Usage(100, 10, cached_input_tokens=60, cost_usd=0.5), 60 * 9e-6),
        ("read", Usage(100, 10, cached_input_tokens=0), None),
        ("read", Usage(None, 10, cached_input_tokens=5), None),
        ("unknown", CACHED, None),
    ],
    ids=["cached", "writes cost more", "whoever said the cost", "nothing cached", "input unknown", "no price"],
)
def test_a_cache_saves_what_the_same_tokens_cost_more_without_it(
    model: str, usage: Usage, saved_usd: float | None
) -> None:
    """By our prices: cached tokens at the price of others, less what writing them to the cache cost more."""
    pricer = Pricer({"read": Rates(1e-5, 0.0, cached_input_usd=1e-6, cache_write_usd=1.25e-5)}, table)
    saved = pricer.cache_savings_usd(model, usage, ts=TS)
    assert saved == (None if saved_usd is None else pytest.approx(saved_usd))


def test_savings_by_the_table_are_those_of_the_rates() -> None:
    """Of gpt-4o a cached token costs half; writes for an hour are charged apart and are part of the comparison."""
    saved = Pricer().cache_savings_usd("gpt-4o", CACHED, ts=TS)
    assert saved == pytest.approx(60 * 1.25e-6)
    hour = Usage(100, 10, 0, 50, units={"cache_write_1h_tokens": 50})
    assert Pricer().cache_savings_usd("claude-sonnet-4-5", hour, ts=TS) == pytest.approx(-50 * 3e-6)


def test_an_override_that_lacks_a_count_leaves_the_word_to_the_provider() -> None:
    """Without tokens nothing can be reckoned, and what was charged is known all the same."""
    pricer = Pricer(overrides={"mine": Rates(1e-6, 1e-6)}, table=table)
    assert pricer.price("mine", Usage(cost_usd=0.4), ts=TS) == Price(0.4, "provider")


@pytest.mark.parametrize("estimated", [True, False])
def test_a_zero_beside_tokens_of_a_priced_model_is_unknown(estimated: bool) -> None:
    """The table says what it cost; where it lacks a count nobody does, and of a model without a price 0 is believed."""
    pricer = Pricer(table=table)
    source: CostSource = "instrumentation" if estimated else "provider"
    assert fields(pricer.price("known", told(0.0, estimated=estimated), ts=TS)) == (pytest.approx(0.001), "table")
    assert pricer.price("known", told(0.0, estimated=estimated, used=Usage(5)), ts=TS) is None
    assert pricer.price("other", told(0.0, estimated=estimated), ts=TS) == Price(0.0, source)
    assert pricer.price("known", HUNDRED, ts=TS, caller_usd=0.0) == Price(0.0, "caller")


@pytest.mark.parametrize(("input_tokens", "output_tokens"), [(None, None), (None, 5), (5, None)])
def test_unknown_tokens_are_unpriced(input_tokens: int | None, output_tokens: int | None) -> None:
    """A known model does not make an inference priced when one of its token counts is unknown."""
    assert Pricer(table=table).price("known", Usage(input_tokens, output_tokens), ts=TS) is None


def test_a_model_without_tokens_is_not_looked_up() -> None:
    """A classifier reports no tokens, so the table (and the import behind it) is never asked about it."""
    asked: list[str] = []

    def asking(provider: str | None, model: str) -> FlatPrice | None:
        asked.append(model)
        return None

    pricer = Pricer(table=asking)
    assert pricer.price("forest", Usage(), ts=TS) is None
    assert pricer.price_aggregate("forest", None, None, requests=9, ts=TS) is None
    assert asked == []


def test_an_aggregate_is_priced_as_a_sum_and_says_so() -> None:
    """One request fee for each call, source aggregate."""
    price = FlatPrice(Rates(1.0, 1.0, request_usd=0.5))
    pricer = Pricer(table=lambda provider, model: price if model == "known" else None)
    assert [
        pricer.price_aggregate("known", 1000, 10, requests=4, ts=TS),
        pricer.price_aggregate("known", None, 10, requests=4, ts=TS),
        pricer.price_aggregate("known", 10, None, requests=4, ts=TS),
        pricer.price_aggregate("other", 1000, 10, requests=4, ts=TS),
    ] == [Price(1012.0, "aggregate"), None, None, None]


def test_the_model_that_answered_is_looked_up_before_the_one_asked_for() -> None:
    """An alias is priced by the dated model behind it; a name of the user's own still finds its override."""
    asked: list[tuple[str | None, str]] = []

    def asking(provider: str | None, model: str) -> FlatPrice | None:
        asked.append((provider, model))
        return table(provider, model)

    pricer = Pricer(overrides={"deployment": Rates(1.0, 1.0)}, table=asking)
    known, odd = (Usage(1, 0, response_model=name) for name in ("known", "odd"))
    assert pricer.price("alias", known, ts=TS) == Price(2e-6, "table")
    assert pricer.price("known", odd, ts=TS, provider="p") == Price(2e-6, "table")
    assert pricer.price("deployment", known, ts=TS) == Price(1.0, "override")
    assert asked == [(None, "known"), ("p", "odd"), ("p", "known")]


def test_a_model_is_looked_up_once_and_the_memory_is_bounded() -> None:
    """Known and unknown models are remembered alike; beyond the bound the oldest is looked up again."""
    asked: list[str] = []

    def asking(provider: str | None, model: str) -> FlatPrice | None:
        asked.append(model)
        return None

    pricer = Pricer(table=asking, max_models=2)
    for model in ("a", "a", "b", "a", "c", "b", "c", "a"):
        assert pricer.price(model, Usage(1, 1), ts=TS) is None
    assert asked == ["a", "b", "c", "a"]


def test_without_the_table_everything_is_unpriced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where genai-prices cannot be imported no model is known, and overrides work."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    pricer = Pricer(overrides={"mine": Rates(1.0, 1.0)})
    assert pricer.price("gpt-4o", Usage(1, 1), ts=TS) is None
    assert pricer.price("mine", Usage(1, 1), ts=TS) == Price(2.0, "override")


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
