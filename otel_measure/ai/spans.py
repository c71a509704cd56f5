"""Spans that tell of calls of models: what each means as an inference."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

import msgspec

from otel_measure.ai.pricing import Pricer
from otel_measure.ai.usage import Usage
from otel_measure.conventions import dialects, model_names, semconv
from otel_measure.conventions.dialects import first_of
from otel_measure.conventions.private import error_class
from otel_measure.definitions.beside_sdks import is_beside_others
from otel_measure.definitions.model_ties import ModelNames
from otel_measure.definitions.same_calls import MOST_OF_A_RESPONSE, same_calls
from otel_measure.definitions.signals import Span, inference_id
from otel_measure.definitions.tellings import Telling, operation_kind
from otel_measure.recorder import Recorder
from otel_measure.records.caller import Caller
from otel_measure.records.checks import names_nobody
from otel_measure.records.events import record_of
from otel_measure.records.kinds import Inference, Json, Origin
from otel_measure.records.limits import MAX_COST_USD, MAX_COUNT

REMEMBERED_KEYS: Final = 10_000
"""How many answers, and parents of spans beside one another, are remembered, by which several may tell of one call."""


class SpanCalls:
    """Records the calls of models that spans of other instrumentations tell of, in this process.

    Args:
        origin: of the records.
        pricer: finds what they cost.
        recorder: takes the records, and faults.
    """

    def __init__(self, origin: Origin, pricer: Pricer, recorder: Recorder) -> None:
        self._origin = origin
        self._pricer = pricer
        self._recorder = recorder
        self._lock = threading.Lock()
        self._told: dict[str, list[Telling]] = {}

    def record(self, span: Span, caller: Caller) -> None:
        """Record a call for whom it was made, unless another span has told of the same answer; never raise."""
        try:
            call = inference_of(span, self._origin, self._pricer)
            if self._is_told(span, call):
                return
            user_id, session_id = call.user_id or caller.user_id, call.session_id or caller.session_id
            self._recorder.put(msgspec.structs.replace(call, user_id=user_id, session_id=session_id))
        except Exception as error:
            self._recorder.fault("span", f"a call of a model was not recorded: {error}", error)

    def _is_told(self, span: Span, call: Inference) -> bool:
        """Tell whether an instrumentation beside this one has told of the call, and remember it."""
        telling = Telling(
            kind="call", trace_id=span.trace_id, span_id=span.span_id, parent_id=span.parent_span_id, process="",
            scope=f"{span.scope}/{span.name}", operation=operation_kind(call.operation),
            response_id=_text(span.attributes.get(semconv.ATTR_GEN_AI_RESPONSE_ID)),
            began_us=span.start_us, ended_us=span.end_us, record=call,
        )  # fmt: skip
        keys = _compared_by(telling)
        with self._lock:
            told = {each.id: each for key in keys for each in self._told.get(key, ())}
            for key in keys:
                self._told[key] = [*self._told.pop(key, ()), telling][-MOST_OF_A_RESPONSE:]
            while len(self._told) > REMEMBERED_KEYS:
                del self._told[next(iter(self._told))]
        return bool(told) and len(same_calls([*told.values(), telling])) == len(same_calls(told.values()))

    def after_fork_in_child(self) -> None:
        """Start afresh: a lock of the parent may be held by a thread that is not here."""
        self._lock = threading.Lock()


def _compared_by(telling: Telling) -> list[str]:
    """Return the keys under which another span of the same call is found, if there is one."""
    keys = [telling.response_id] if telling.response_id is not None else []
    if telling.parent_id is not None and is_beside_others(telling):
        keys.append(f"{telling.trace_id}/{telling.parent_id}")
    return keys


def names_said(attributes: Mapping[str, Json]) -> ModelNames:
    """Return what the attributes of a span say of the model."""
    asked, answered = (
        _text(attributes.get(name)) or ""
        for name in (semconv.ATTR_GEN_AI_REQUEST_MODEL, semconv.ATTR_GEN_AI_RESPONSE_MODEL)
    )
    return ModelNames(asked, answered)


def inference_of(span: Span, origin: Origin, pricer: Pricer, call_id: str | None = None) -> Inference:
    """Return the call of a model that a span tells of, priced; of what was said, nothing is kept.

    Args:
        span: one for which `is_inference` holds, or an event of one call in the form of one.
        origin: of its resource.
        pricer: finds the cost where the span does not say it.
        call_id: of an event: several of them may stand in one span.

    Raises:
        ValueError: what a call cannot be without breaks the rule of its field; the message names it.
    """
    attributes = span.attributes
    response = _text(attributes.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL))
    model = _text(attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL)) or response or semconv.OTHER
    error_type = error_type_of(span)
    if error_type is not None and response == model:
        response = None  # nothing answered: some repeat the name asked for, which is the name of no version
    first_chunk_s = first_of(attributes, dialects.TIME_TO_FIRST_CHUNK_S)
    usage = usage_of(attributes, span.scope)
    price = pricer.price(model, usage, ts=span.end_us, provider=usage.provider)
    values: dict[str, object] = {  # in the order of the fields, in which they are read fastest
        semconv.ATTR_LOG_RECORD_UID: call_id or inference_id(span.trace_id, span.span_id),
        "ts": span.end_us,
        "origin": origin,
        semconv.ATTR_GEN_AI_REQUEST_MODEL: model,
        semconv.ATTR_MODEL_VERSION: model_names.version_of(model, response),
        semconv.ATTR_LATENCY_MS: max(span.end_us - span.start_us, 0) / 1000,
        semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS: usage.input_tokens,
        semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS: usage.output_tokens,
        semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_input_tokens,
        semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: usage.cache_write_tokens,
        semconv.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: usage.reasoning_tokens,
        semconv.ATTR_USAGE_UNITS: dict(usage.units) or None,
        semconv.ATTR_SERVICE_TIER: usage.service_tier,
        semconv.ATTR_COST_USD: None if price is None else price.usd,
        semconv.ATTR_COST_SOURCE: None if price is None else price.source,
        semconv.ATTR_CACHE_SAVINGS_USD: pricer.cache_savings_usd(model, usage, ts=span.end_us, provider=usage.provider),
        semconv.ATTR_ERROR_TYPE: error_type,
        semconv.ATTR_GEN_AI_PROVIDER_NAME: usage.provider or model_names.provider_of(model),
        semconv.ATTR_GEN_AI_OPERATION_NAME: _text(attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)),
        semconv.ATTR_GEN_AI_RESPONSE_MODEL: response,
        semconv.ATTR_TIME_TO_FIRST_CHUNK_MS: first_chunk_s * 1000 if isinstance(first_chunk_s, int | float) else None,
        semconv.ATTR_USER_ID: user_of(attributes),
        semconv.ATTR_SESSION_ID: _written(attributes.get(semconv.ATTR_SESSION_ID)),
        "trace_id": span.trace_id or None,
        "span_id": span.span_id or None,
    }
    try:
        return record_of(values, Inference)
    except msgspec.ValidationError as error:
        raise ValueError(f"span {span.name[:256]!r} is not a valid call of a model: {error}") from error


def usage_of(attributes: Mapping[str, Json], scope: str = "") -> Usage:
    """Return what the attributes of a span say of the usage of a call; what breaks a rule is not known.

    Args:
        attributes: of the span.
        scope: of the instrumentation: some count what the cache read and wrote beside the input.
    """
    given = _count(first_of(attributes, dialects.INPUT_TOKENS))
    written = _count(first_of(attributes, dialects.OUTPUT_TOKENS))
    answered, provider = _text(attributes.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL)), _provider(attributes)
    if dialects.NAMES_OF_RARE_USAGE.isdisjoint(attributes):
        return Usage(
            input_tokens=given, output_tokens=written, response_model=answered, provider=provider,
            cost_is_estimated=True,
        )  # fmt: skip
    cost_usd = first_of(attributes, dialects.COST_USD)
    cached = _count(first_of(attributes, dialects.CACHED_INPUT_TOKENS))
    cache_write = _count(first_of(attributes, dialects.CACHE_WRITE_TOKENS))
    if given is not None and dialects.counts_cache_beside_input(scope):
        given += (cached or 0) + (cache_write or 0)
    return Usage(
        input_tokens=given,
        output_tokens=written,
        cached_input_tokens=cached,
        cache_write_tokens=cache_write,
        reasoning_tokens=_count(first_of(attributes, dialects.REASONING_TOKENS)),
        units=_units(attributes),
        service_tier=_text(first_of(attributes, dialects.SERVICE_TIER)),
        response_model=answered,
        provider=provider,
        cost_usd=cost_usd if isinstance(cost_usd, int | float) and 0 <= cost_usd <= MAX_COST_USD else None,
        cost_is_estimated=True,
    )


def _units(attributes: Mapping[str, Json]) -> dict[str, float]:
    """Return the counts of what is charged apart, above 0."""
    if dialects.NAMES_OF_UNITS.isdisjoint(attributes):
        return {}
    counts = {unit: _count(first_of(attributes, names)) for unit, names in dialects.CHARGED_UNITS.items()}
    return {unit: count for unit, count in counts.items() if count}


def _provider(attributes: Mapping[str, Json]) -> str | None:
    return next((text for name in dialects.PROVIDER if (text := _text(attributes.get(name)))), None)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _written(value: Json) -> str | None:
    """Return a text, or a whole number as one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def error_type_of(span: Span) -> str | None:
    """Return the class of the error with which a span failed, `None` where it did not."""
    error_type = _written(span.attributes.get(semconv.ATTR_ERROR_TYPE))
    return error_class(error_type) if error_type else (semconv.OTHER if span.failed else None)


def user_of(attributes: Mapping[str, Json]) -> str | None:
    """Return the user that the attributes of a span name, `None` for nobody."""
    user = _written(attributes.get(semconv.ATTR_USER_ID))
    return None if user is None or names_nobody(user) else user


def _count(value: Json) -> int | None:
    """Return a count, in whichever form it is written; `None` for what is none."""
    if isinstance(value, str) and value.isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        return None
    return int(value) if value == int(value) else None
