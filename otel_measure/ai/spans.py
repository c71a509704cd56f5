"""Spans that tell of calls of models: what each means as an inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from otel_measure import semconv
from otel_measure.ai.pricing import Pricer
from otel_measure.limits import MAX_COST_USD
from otel_measure.records import Inference, Json, Origin


class Span(NamedTuple):
    """A span that has ended; ids are hex text, times microseconds since 1970 UTC."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_us: int
    end_us: int
    attributes: Mapping[str, Json]
    failed: bool
    scope: str


def inference_id(trace_id: str, span_id: str) -> str:
    """Return the id under which a span is recorded: a span that comes again is known as the same call."""
    return f"{trace_id}/{span_id}"


def is_inference(attributes: Mapping[str, Json]) -> bool:
    """Tell whether a span with these attributes is a call of a model, and not of a tool, an agent or a store."""
    if not (attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL) or attributes.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL)):
        return False
    operation = attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    if operation is None:
        return semconv.ATTR_GEN_AI_SYSTEM in attributes or semconv.ATTR_GEN_AI_PROVIDER_NAME in attributes
    return operation not in semconv.OPERATIONS_WITHOUT_MODEL_CALL


def inference_of(span: Span, origin: Origin, pricer: Pricer) -> Inference:
    """Return the call of a model that a span tells of, priced; of what was said, nothing is kept.

    Args:
        span: one for which `is_inference` holds.
        origin: of its resource.
        pricer: finds the cost where the span does not say it.

    Raises:
        ValueError: an attribute breaks the rule of its field; the message names it.
    """
    said = span.attributes
    response = _text(said.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL))
    model = _text(said.get(semconv.ATTR_GEN_AI_REQUEST_MODEL)) or response or semconv.OTHER
    provider = _text(said.get(semconv.ATTR_GEN_AI_PROVIDER_NAME)) or _text(said.get(semconv.ATTR_GEN_AI_SYSTEM))
    input_tokens = _first(said, semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS, *semconv.OLDER_INPUT_TOKENS)
    output_tokens = _first(said, semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS, *semconv.OLDER_OUTPUT_TOKENS)
    first_chunk_s = _first(said, *semconv.TIMES_TO_FIRST_CHUNK_S)
    fields: dict[str, object] = {
        "id": inference_id(span.trace_id, span.span_id),
        "ts": span.end_us,
        "origin": origin,
        "model": model,
        "version": semconv.version_of(model, response),
        "latency_ms": max(span.end_us - span.start_us, 0) / 1000,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "error_type": _text(said.get(semconv.ATTR_ERROR_TYPE)) or (semconv.OTHER if span.failed else None),
        "provider": provider or semconv.provider_of(model),
        "operation": _text(said.get(semconv.ATTR_GEN_AI_OPERATION_NAME)),
        "response_model": response,
        "time_to_first_chunk_ms": first_chunk_s * 1000 if isinstance(first_chunk_s, int | float) else None,
        "user_id": _user(said.get(semconv.ATTR_USER_ID)),
        "session_id": _text(said.get(semconv.ATTR_SESSION_ID)),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }
    try:
        found = msgspec.convert(fields, Inference)
    except msgspec.ValidationError as error:
        raise ValueError(f"span {span.name[:256]!r} is not a valid call of a model: {error}") from error
    return _priced(found, said, provider, pricer)


def _priced(found: Inference, said: Mapping[str, Json], provider: str | None, pricer: Pricer) -> Inference:
    cost_usd = _first(said, *semconv.USAGE_COSTS)
    price = pricer.price(
        found.model,
        found.input_tokens,
        found.output_tokens,
        ts=found.ts,
        provider=provider,
        response_model=found.response_model,
        cached_input_tokens=_count(said.get(semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS)),
        cache_write_tokens=_count(said.get(semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS)),
        provider_usd=cost_usd if isinstance(cost_usd, int | float) and 0 <= cost_usd <= MAX_COST_USD else None,
    )
    if price is None:
        return found
    return msgspec.structs.replace(found, cost_usd=price.usd, cost_source=price.source)


def _first(said: Mapping[str, Json], *keys: str) -> Json:
    return next((said[key] for key in keys if said.get(key) is not None), None)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _user(value: Json) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
