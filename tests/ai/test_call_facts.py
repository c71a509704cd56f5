"""What is behind a number, as Python says it: errors by type, and the slowest and dearest calls with their traces."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from otel_measure.ai.call_facts import ErrorsOfType, NotableCall
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError, NoStore
from otel_measure.testing import Capture
from tests.facts import inference

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_call_is_told_with_its_trace(measured: Capture) -> None:
    """By what its fact says: no text, and `nan` for what it does not say."""
    ai, runtime = measured.ai, measured.runtime
    assert runtime.store is not None
    now = runtime.clock()
    fast = inference("fast", now, latency_ms=1.0, cost_usd=3.0, input_tokens=7, provider="openai", prediction="text")
    slow = inference("slow", now - 1, latency_ms=900.0, error_type="Timeout", trace_id=TRACE)
    runtime.store.accept([fast, slow])
    slowest = ai.get_calls(environment="test").calls
    assert [call.inference_id for call in slowest] == ["slow", "fast"]
    first = slowest[0]
    assert (first.error_type, first.trace_id, first.trace_url) == ("Timeout", TRACE, None)
    assert math.isnan(first.cost_usd)
    (dearest,) = ai.get_calls("cost", environment="test", limit=1).calls
    assert (dearest.inference_id, dearest.cost_usd, dearest.input_tokens) == ("fast", 3.0, 7)
    assert "prediction" not in NotableCall.__dataclass_fields__
    (error,) = ai.get_errors("m", "1", environment="test").errors
    assert error == ErrorsOfType("Timeout", 1, first.timestamp, first.timestamp, TRACE, None)
    assert ai.get_errors("m", "2", environment="test").errors == ()


def test_a_trace_is_shown_where_the_setting_says() -> None:
    """The id stands where the address has the place for it, and cannot lead elsewhere."""
    settings = Settings(store=":memory:", trace_url="https://tempo.example/explore?id={trace_id}&org=1")
    with Capture(settings) as measured:
        assert measured.runtime.store is not None
        calls = [
            inference(f"i{n}", measured.clock(), latency_ms=n + 1.0, trace_id=trace, error_type=f"E{n}")
            for n, trace in enumerate(["a/../b?c", TRACE, None])
        ]
        measured.runtime.store.accept(calls)
        safe = "https://tempo.example/explore?id=a%2F..%2Fb%3Fc&org=1"
        whole = f"https://tempo.example/explore?id={TRACE}&org=1"
        urls = [call.trace_url for call in measured.ai.get_calls(environment="test").calls]
        assert urls == [None, whole, safe]
        by_type = {error.error_type: error.trace_url for error in measured.ai.get_errors(environment="test").errors}
        assert by_type == {"E0": safe, "E1": whole, "E2": None}


@pytest.mark.parametrize(
    "template",
    [
        "", "tempo", "ftp://tempo/{trace_id}", "https://tempo/", "https://tempo/{trace_id}/{trace_id}",
        "https://{trace_id}.example/", "https://tempo{trace_id}", "https://tempo/{trace_id}/{span_id}", 7,
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_refused(template: object) -> None:
    """It is one of HTTP, with one place for the id behind the host, and no other place."""
    with pytest.raises(ConfigurationError, match="trace_url must be"):
        Settings(trace_url=template)  # type: ignore[arg-type] # what a file may say
    replace(Settings(), trace_url="http://tempo:3200/{trace_id}")


def test_what_cannot_be_asked_is_refused(measured: Capture) -> None:
    """The message names the argument; without a store there are no single calls."""
    ai = measured.ai
    with pytest.raises(ValueError, match="sort must be one of latency, cost, not 'tokens'"):
        ai.get_calls("tokens")  # type: ignore[arg-type] # what a caller may get wrong
    with pytest.raises(ValueError, match="limit must be a whole number from 1 to 1000, not 1001"):
        ai.get_calls(limit=1001)
    for ask in (ai.get_calls, ai.get_errors):
        with pytest.raises(ValueError, match="model_version='1' needs a model_name"):
            ask(model_version="1")
    with Capture(Settings(store=None)) as without, pytest.raises(NoStore):
        without.ai.get_errors()
