"""From a caller's arguments to an inference record: checked, priced, and without text that nobody asked to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Final, TypeAlias, TypedDict

from otel_measure.ai.pricing import Pricer
from otel_measure.ai.usage import Usage
from otel_measure.ai.usage_shapes import CHARGED_UNITS
from otel_measure.conventions.model_names import operation_of, provider_of
from otel_measure.conventions.private import error_class
from otel_measure.records import checks
from otel_measure.records.caller import current_caller
from otel_measure.records.kinds import GroundTruth, Inference, Json, Origin, Prediction
from otel_measure.records.limits import MAX_COST_USD, MAX_COUNT, MAX_LABEL_CHARS, MAX_LATENCY_MS, MAX_RECORD_BYTES

LABEL_CHARS: Final = 64
_NO_USAGE: Final = Usage()
_COUNTS: Final = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
_Counts: TypeAlias = tuple[int | None, ...]
_TOLD: Final[Callable[[Usage], _Counts]] = attrgetter(*_COUNTS)
_BOOLEANS: Final = frozenset({"bool", "bool_"})  # numpy's has had both names


class CallFields(TypedDict, total=False):
    """What may be said of a call while it is measured: the keywords of `record_inference`, and what a stream tells."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    units: Mapping[str, float] | None
    service_tier: str | None
    prediction: object
    ground_truth: object
    features: Mapping[str, object] | None
    user_id: object
    session_id: str | None
    provider: str | None
    operation: str | None
    error_type: str | None
    metadata: Mapping[str, object] | None
    groups: Mapping[str, str] | None
    timestamp: datetime | None
    inference_id: str | None
    time_to_first_chunk_ms: float | None
    output_chunks: int | None


class InferenceBuilder:
    """Makes records of one process.

    Args:
        origin: of every record.
        now_us, new_id: clock and ids.
        pricer: finds the cost where the caller gives none.
        type_of: the registered type of a model.
        store_text: keep predictions and features that are text.
    """

    def __init__(
        self,
        origin: Origin,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        pricer: Pricer,
        type_of: Callable[[str, str], str],
        store_text: bool = False,
    ) -> None:
        self._origin = origin
        self._now_us = now_us
        self._new_id = new_id
        self._pricer = pricer
        self._type_of = type_of
        self._store_text = store_text

    def build(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        *,
        cached_input_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        units: Mapping[str, float] | None = None,
        service_tier: str | None = None,
        prediction: object = None,
        features: Mapping[str, object] | None = None,
        user_id: object = None,
        session_id: str | None = None,
        provider: str | None = None,
        operation: str | None = None,
        error_type: str | None = None,
        metadata: Mapping[str, object] | None = None,
        groups: Mapping[str, str] | None = None,
        timestamp: datetime | None = None,
        sent_at: datetime | None = None,
        inference_id: str | None = None,
        time_to_first_chunk_ms: float | None = None,
        output_chunks: int | None = None,
        usage: Usage = _NO_USAGE,
    ) -> Inference:
        """Return the record of one call of a model; `sent_at`, the client's clock as it sent it, corrects `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        model, version = checks.text("model_name", model_name), checks.text("model_version", model_version)
        ts, clamped = checks.settled_timestamp("timestamp", timestamp, self._now_us(), sent_at)
        given = (input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens)
        used = _used(usage, given, units, service_tier)
        named_provider = checks.optional_text("provider", provider) or usage.provider
        cost = checks.optional_number("cost_usd", cost_usd, low=0.0, high=MAX_COST_USD)
        price = self._pricer.price(model, used, ts=ts, provider=named_provider, caller_usd=cost)
        saved_usd = self._pricer.cache_savings_usd(model, used, ts=ts, provider=named_provider)
        model_type = self._type_of(model, version)
        stored_prediction, lengths = self._stored("prediction", prediction, model_type)
        caller = current_caller()
        return Inference(
            id=self._new_id() if inference_id is None else checks.id_text("inference_id", inference_id),
            ts=ts, origin=self._origin, model=model, version=version,
            latency_ms=checks.number("latency_ms", latency_ms, low=0.0, high=MAX_LATENCY_MS),
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cached_input_tokens=used.cached_input_tokens,
            cache_write_tokens=used.cache_write_tokens,
            reasoning_tokens=used.reasoning_tokens,
            units=dict(used.units) if used.units else None,
            service_tier=used.service_tier,
            cost_usd=price.usd if price else None,
            cost_source=price.source if price else None,
            cache_savings_usd=saved_usd,
            error_type=_error_type(error_type),
            provider=named_provider or provider_of(model),
            operation=checks.optional_text("operation", operation, MAX_LABEL_CHARS) or operation_of(model_type),
            response_model=usage.response_model,
            time_to_first_chunk_ms=_duration_ms("time_to_first_chunk_ms", time_to_first_chunk_ms),
            output_chunks=checks.optional_count("output_chunks", output_chunks),
            user_id=caller.optional_user(user_id),
            session_id=caller.session(session_id),
            prediction=stored_prediction,
            features=self._stored_features(features),
            metadata=checks.json_object("metadata", {**(metadata or {}), **lengths} if lengths else metadata),
            groups=checks.groups("groups", groups),
            clamped=clamped, trace_id=caller.trace_id, span_id=caller.span_id,
        )  # fmt: skip

    def truth_of(self, inference: Inference, value: object) -> GroundTruth | None:
        """Return the truth that was known with a prediction; `None` for text that is not stored.

        Its id is made from the inference's, so that a retry of both is a duplicate of both.

        Raises:
            ValueError: the value is no number, boolean or text.
        """
        stored, _ = self._stored("ground_truth", value, self._type_of(inference.model, inference.version))
        if stored is None:
            return None
        return GroundTruth(
            id=f"{inference.id}/truth",
            ts=inference.ts,
            origin=self._origin,
            inference_id=inference.id,
            value=stored,
            trace_id=inference.trace_id,
            span_id=inference.span_id,
        )

    def truth(
        self,
        inference_id: str,
        value: object,
        timestamp: datetime | None = None,
        ground_truth_id: str | None = None,
        sent_at: datetime | None = None,
    ) -> GroundTruth:
        """Return the record of a truth that became known later.

        `sent_at` is when the client sent it, by its own clock: a difference of 60 s or more to ours corrects
        `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        stored, _ = self._stored("value", value, "")
        if stored is None:
            raise ValueError(
                f"value must be a number, a boolean or a label of at most {LABEL_CHARS} characters "
                f"(store_text keeps longer ones), not {value!r:.100}"
            )
        caller = current_caller()
        ts, _ = checks.settled_timestamp("timestamp", timestamp, self._now_us(), sent_at)
        return GroundTruth(
            id=self._new_id() if ground_truth_id is None else checks.id_text("ground_truth_id", ground_truth_id),
            ts=ts,
            origin=self._origin,
            inference_id=checks.id_text("inference_id", inference_id),
            value=stored,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )

    def _stored(self, argument: str, value: object, model_type: str) -> tuple[Prediction | None, dict[str, Json]]:
        """Return what is stored of a prediction or truth: numbers and labels as they are, of text its length."""
        if value is None:
            return None, {}
        if type(value).__name__ in _BOOLEANS:
            return bool(value), {}
        if not isinstance(value, str):
            return checks.number(argument, value), {}
        if not value.strip():
            return None, {}
        is_label = len(value) <= LABEL_CHARS and not model_type.startswith("nlp_")
        if is_label or self._store_text:
            return checks.text(argument, value, MAX_RECORD_BYTES), {}
        return None, {"prediction_chars": len(value)}

    def _stored_features(self, features: Mapping[str, object] | None) -> dict[str, Json] | None:
        """Return features as they are stored: of a text that is no label, its length under another name."""
        plain = checks.json_object("features", features)
        if plain is None or self._store_text:
            return plain
        return dict(map(_text_as_length, plain.items()))


def _error_type(given: str | None) -> str | None:
    said = checks.optional_text("error_type", given, MAX_LABEL_CHARS)
    return None if said is None else error_class(said)


def _duration_ms(argument: str, value: float | None) -> float | None:
    return checks.optional_number(argument, value, low=0.0, high=MAX_LATENCY_MS)


def _used(usage: Usage, counts: _Counts, units: Mapping[str, float] | None, service_tier: str | None) -> Usage:
    """Return what was used and what somebody says that it cost: what the caller gives, else what the answer told."""
    if usage is not _NO_USAGE:
        given, told = counts, _TOLD(usage)
        counts = tuple(told[i] if count is None else count for i, count in enumerate(given))
    read, wrote, cached, written, thought = map(checks.optional_count, _COUNTS, counts)
    return Usage(
        read,
        wrote,
        cached,
        written,
        thought,
        _units_of(usage, units),
        checks.optional_text("service_tier", service_tier, MAX_LABEL_CHARS) or usage.service_tier,
        usage.response_model,
        cost_usd=usage.cost_usd,
        cost_is_estimated=usage.cost_is_estimated,
    )


def _units_of(usage: Usage, given: Mapping[str, float] | None) -> Mapping[str, float]:
    """Return what else was used, likewise; what is 0 is left out.

    Raises:
        ValueError: it is no mapping of counts by units that are known.
    """
    if given is None:
        return usage.units
    if not isinstance(given, Mapping):
        raise ValueError(f"units must be a mapping of counts by unit, not {given!r}")
    unknown = next((unit for unit in given if unit not in CHARGED_UNITS), None)
    if unknown is not None:
        raise ValueError(f"units has {unknown!r}; known are {', '.join(sorted(CHARGED_UNITS))}")
    counts = {unit: checks.number(f"units[{unit!r}]", n, low=0.0, high=MAX_COUNT) for unit, n in given.items()}
    return {unit: count for unit, count in {**usage.units, **counts}.items() if count}


def _text_as_length(feature: tuple[str, Json]) -> tuple[str, Json]:
    name, value = feature
    return (f"{name}_chars", len(value)) if isinstance(value, str) and len(value) > LABEL_CHARS else feature
