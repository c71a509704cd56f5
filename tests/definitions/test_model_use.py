"""What calls of models add up to."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.model_use import SUMS, ModelUse, UseKey, use_by_minute
from otel_measure.records.kinds import Inference, Origin
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from tests.facts import HERE, MINUTE, NOON, inference

THERE = Origin("other", "prod")


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({}, {}),
        ({"error_type": "Timeout"}, {"errors": 1}),
        ({"input_tokens": 7}, {"input_tokens": 7, "input_known": 1}),
        ({"output_tokens": 0}, {"output_known": 1}),
        (
            {"cost_usd": 0.25},
            {
                "cost_nano_usd": 250_000_000,
                "priced": 1,
                "sources": {"caller": 1},
                "sources_nano_usd": {"caller": 250_000_000},
            },
        ),
        (
            {"cost_usd": 4e-10, "cost_source": "table", "output_tokens": 3},
            {
                "priced": 1,
                "priced_tokens": 3,
                "output_tokens": 3,
                "output_known": 1,
                "sources": {"table": 1},
                "sources_nano_usd": {"table": 0},
            },
        ),
        ({"reasoning_tokens": 0}, {"reasoning_known": 1}),
        ({"cached_input_tokens": 4}, {"cached_input_tokens": 4, "cached_known": 1}),
        (
            {"cached_input_tokens": 4, "input_tokens": 10, "cache_savings_usd": -2e-9},
            {
                "input_tokens": 10,
                "input_known": 1,
                "cached_input_tokens": 4,
                "cached_known": 1,
                "hit_input_tokens": 10,
                "hit_cached_tokens": 4,
                "cache_savings_nano_usd": -2,
                "cache_savings_known": 1,
            },
        ),
        (
            {"cached_input_tokens": 0, "input_tokens": 10},
            {
                "input_tokens": 10,
                "input_known": 1,
                "cached_known": 1,
                "hit_input_tokens": 10,
                "cache_savings_known": 1,
            },
        ),
        ({"cached_input_tokens": 0, "cache_write_tokens": 7}, {"cached_known": 1}),
    ],
)
def test_a_call_counts_what_is_known_of_it(fields: dict[str, Any], counted: dict[str, Any]) -> None:
    """Unknown tokens and costs are not counted as zero: how many are known is counted beside their sum."""
    use = ModelUse("m", "1")
    use.count(inference("a", **fields))
    assert use == ModelUse("m", "1", requests=1, **counted)


def test_calls_add_up_by_minute_model_version_origin_and_provider() -> None:
    """The minute is that of the call's own time, the provider as told, or of which the model's name speaks."""
    calls = [
        inference("a", NOON, latency_ms=10),
        inference("b", NOON + MINUTE - 1, latency_ms=20),
        inference("c", NOON + MINUTE),
        inference("d", version="2"),
        inference("e", origin=THERE),
        inference("f", provider="azure.ai.openai", model="gpt-4o"),
        inference("g", model="gpt-4o"),
    ]
    uses = use_by_minute(calls)
    assert {key: use.requests for key, use in uses.items()} == {
        UseKey(NOON, "m", "1", HERE, "_OTHER"): 2,
        UseKey(NOON + MINUTE, "m", "1", HERE, "_OTHER"): 1,
        UseKey(NOON, "m", "2", HERE, "_OTHER"): 1,
        UseKey(NOON, "m", "1", THERE, "_OTHER"): 1,
        UseKey(NOON, "gpt-4o", "1", HERE, "azure.ai.openai"): 1,
        UseKey(NOON, "gpt-4o", "1", HERE, "openai"): 1,
    }
    latency = uses[UseKey(NOON, "m", "1", HERE, "_OTHER")].latency
    assert latency is not None
    assert (latency.count, latency.sum_units) == (2, 30_000)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1000), st.none() | st.floats(0, 10)), max_size=20))
def test_any_parts_add_up_to_the_whole(rows: list[tuple[int, float, float | None]]) -> None:
    """Two parts of a window, counted apart and added, are the window."""
    calls: list[Inference] = [
        inference(f"i{i}", latency_ms=latency, input_tokens=tokens, cost_usd=cost, time_to_first_chunk_ms=cost)
        for i, (tokens, latency, cost) in enumerate(rows)
    ]
    whole, parts = ModelUse("m", "1"), ModelUse("m", "1")
    for use in use_by_minute(calls).values():
        whole.add(use)
    for half in (calls[::2], calls[1::2]):
        for use in use_by_minute(half).values():
            parts.add(use)
    assert (whole.sources, astuple(whole)[: len(SUMS) + 2]) == (parts.sources, astuple(parts)[: len(SUMS) + 2])
    for times in ("latency", "first_chunk"):
        of_whole, of_parts = (getattr(use, times) or ExponentialHistogram() for use in (whole, parts))
        assert of_whole.to_bytes() == of_parts.to_bytes()


def test_latencies_of_others_add_beside_our_own() -> None:
    """Those that only histograms tell of stay apart, and adding leaves what was added as it was."""
    told = Binned()
    told.extend([(1.0, 2.0, 3)], 4500, 1.0, 2.0)
    use, other = ModelUse("m", "1"), ModelUse("m", "1", requests=3, binned=told)
    use.add(other)
    use.add(other)
    assert (use.requests, use.binned is told, use.latency) == (6, False, None)
    assert use.binned is not None
    assert (use.binned.count, told.count) == (6, 3)
