"""Facts for tests: one of a kind with what matters given, and hypothesis strategies for all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from otel_measure.definitions.days import micros
from otel_measure.records.events import USER_EVENT_TYPES
from otel_measure.records.kinds import (
    AbConversion,
    EvaluationResult,
    Exposure,
    GroundTruth,
    Inference,
    Json,
    Maintenance,
    NpsResponse,
    Origin,
    Record,
    ServiceState,
    UserEvent,
)

NOON = micros(datetime(2026, 1, 15, 12, tzinfo=UTC))
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HERE = Origin("shop", "test")


def inference(id: str, ts: int = NOON, **fields: Any) -> Inference:
    """Return a call of model m, version 1."""
    defaults: dict[str, Any] = {"origin": HERE, "model": "m", "version": "1", "latency_ms": 100.0}
    return Inference(id=id, ts=ts, **(defaults | fields))


def event(id: str, user_id: str = "u", ts: int = NOON, **fields: Any) -> UserEvent:
    """Return a click of a user."""
    defaults: dict[str, Any] = {"origin": HERE, "type": "click", "name": "button"}
    return UserEvent(id=id, ts=ts, user_id=user_id, **(defaults | fields))


def one_of_each() -> list[Record]:
    """Return one record of every kind with every field set."""
    traced: dict[str, Any] = {"ts": NOON, "origin": HERE, "trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2"}
    return [
        Inference(
            id="i", model="m", version="1", latency_ms=12.5, input_tokens=3, output_tokens=0, cost_usd=0.25,
            cache_savings_usd=-0.125, cached_input_tokens=2, cache_write_tokens=1, reasoning_tokens=0,
            units={"web_searches": 2.0}, service_tier="flex",
            cost_source="caller", error_type="Timeout", provider="openai", operation="chat", response_model="m-1",
            time_to_first_chunk_ms=1.5, output_chunks=4, user_id="u", session_id="s", prediction="cat",
            features={"age": 41, "plan": "pro", "seen": [1, None, {"deep": True}]}, metadata={"region": "eu"},
            groups={"age_band": "60+"}, repository="github.com/acme/shop", untimed=True, clamped=True, **traced,
        ),
        UserEvent(
            id="e", user_id="u", type="purchase", name="checkout", page_url="https://x/y?z", session_id="s",
            device_type="phone", referrer="r", value=9.99, currency="EUR", background=True,
            properties={"items": 2}, clamped=True, **traced,
        ),
        GroundTruth(id="g", inference_id="i", value=False, **traced),
        NpsResponse(id="n", user_id="u", score=0, survey="spring", comment="no", clamped=True, **traced),
        Exposure(id="x", user_id="u", experiment="t", variant="b", reason="split", **traced),
        AbConversion(id="c", user_id="u", experiment="t", client_clock=True, clamped=True, **traced),
        ServiceState(id="s", service="db", state="down", reason="disk", **traced),
        Maintenance(id="m", service="db", start_us=NOON, end_us=NOON + HOUR, reason="upgrade", **traced),
        EvaluationResult(
            id="v", name="relevance", score=0.75, label="good", model="m", version="1", inference_id="i",
            response_id="r", **traced,
        ),
    ]  # fmt: skip


# ---------------------------------------------------------------- strategies

_ids = st.one_of(st.uuids().map(str), st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
_whole = st.integers(-(2**63), 2**63 - 1)
_floats = st.floats(allow_nan=False, allow_infinity=False)
predictions = st.one_of(st.booleans(), _whole, _floats, st.just(""), _texts)
json_values: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.booleans(), _whole, _floats, _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_texts, inner, max_size=3)),
    max_leaves=6,
)
_objects = st.dictionaries(_texts, json_values, min_size=1, max_size=3)
_times = st.integers(0, 2**50)
_counts = st.integers(0, 10**15)
_units = st.dictionaries(_texts, st.floats(0, 1e15).map(lambda count: count + 0.0), min_size=1, max_size=3)
_hex = "0123456789abcdef"
_common = {
    "id": _ids,
    "ts": _times,
    "origin": st.builds(Origin, _texts, st.one_of(st.just(""), _texts)),
    "trace_id": st.none() | st.text(_hex, min_size=32, max_size=32),
    "span_id": st.none() | st.text(_hex, min_size=16, max_size=16),
}


def _optional(**given: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {field: st.none() | strategy for field, strategy in given.items()}


# SQLite has one zero: + 0.0 takes the sign off the other.
_evaluated: dict[str, st.SearchStrategy[Any]] = {
    "name": _texts,
    **_optional(
        score=st.floats(-1e12, 1e12).map(lambda score: score + 0.0), label=_texts, inference_id=_ids, response_id=_texts
    ),
}
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(
        Inference, **_common, model=_texts, version=_texts, latency_ms=st.floats(0, 1e12), clamped=st.booleans(),
        untimed=st.booleans(),
        **_optional(
            input_tokens=_counts, output_tokens=_counts, cached_input_tokens=_counts, cache_write_tokens=_counts,
            reasoning_tokens=_counts, units=_units, service_tier=_texts, cost_usd=st.floats(0, 1e6), cost_source=_texts,
            cache_savings_usd=st.floats(-1e6, 1e6),
            error_type=_texts, provider=_texts, operation=_texts, response_model=_texts,
            time_to_first_chunk_ms=st.floats(0, 1e12), output_chunks=_counts, user_id=_texts, session_id=_texts,
            prediction=predictions, features=_objects, metadata=_objects,
            groups=st.dictionaries(_texts, _texts, min_size=1, max_size=3), repository=_texts,
        ),
    ),
    st.builds(
        UserEvent, **_common, user_id=_texts, type=st.sampled_from(sorted(USER_EVENT_TYPES)), name=_texts,
        background=st.booleans(), clamped=st.booleans(),
        **_optional(
            page_url=_texts, session_id=_texts, device_type=_texts, referrer=_texts, value=st.floats(-1e12, 1e12),
            currency=st.text("ABCXYZ", min_size=3, max_size=3), properties=_objects,
        ),
    ),
    st.builds(GroundTruth, **_common, inference_id=_ids, value=predictions),
    st.builds(
        NpsResponse, **_common, user_id=_texts, score=st.integers(0, 10), survey=_texts, comment=st.just("") | _texts,
        clamped=st.booleans(),
    ),
    st.builds(Exposure, **_common, user_id=_texts, experiment=_texts, variant=_texts, reason=_texts),
    st.builds(
        AbConversion,
        **_common,
        user_id=_texts,
        experiment=_texts,
        client_clock=st.booleans(),
        clamped=st.booleans(),
    ),
    st.builds(EvaluationResult, **_common, **_evaluated),
    st.builds(EvaluationResult, **_common, **_evaluated, model=_texts, version=_texts),
    st.builds(
        Maintenance, **_common, service=_texts, start_us=_times, end_us=_times, reason=st.none() | _texts
    ),
    st.builds(ServiceState, **_common, service=_texts, state=_texts, reason=st.none() | _texts),
)  # fmt: skip
