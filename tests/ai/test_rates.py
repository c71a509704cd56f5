"""Rates price each kind of token, tiers by the size of the prompt, tariffs by date."""

from __future__ import annotations

import pytest

from otel_measure.ai.rates import Rates, Tariff, tariff_at


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
    prices = [tariff.rates(tokens).cost_usd(tokens, 1) for tokens in (0, 100, 101, 200, 201)]
    assert prices == [1.0, 101.0, 205.0, 403.0, 809.0]


def test_the_first_active_tariff_counts_and_the_last_stands_in() -> None:
    """Prices change with time; before any of them the oldest is taken."""
    later, earlier = (
        Tariff(((-1, Rates(2.0, 2.0)),), lambda ts: ts >= 20),
        Tariff(((-1, Rates(1.0, 1.0)),), lambda ts: ts >= 10),
    )
    assert [tariff_at((later, earlier), ts) for ts in (5, 10, 19, 20)] == [earlier, earlier, earlier, later]
