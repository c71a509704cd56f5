"""What telemetry of others means: which of their series and spans tell of calls of models.

It is understood by names and attributes alone; what the numbers of a series add is found where it is stored.

Which spans and facts tell of one call is told in `same_calls.py`, what metrics tell of beyond them in `growth.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.conventions import agents, dialects, instruments, model_names, semconv
from otel_measure.records.kinds import Json, Origin
from otel_measure.records.limits import MAX_NAME_CHARS

Role: TypeAlias = Literal["calls", "input_tokens", "cached_input_tokens", "output_tokens", "cost"]
_ROLE_OF_TOKENS: Final[Mapping[str, Role]] = {
    semconv.TOKEN_TYPE_INPUT: "input_tokens",
    semconv.TOKEN_TYPE_OUTPUT: "output_tokens",
}


class ModelSeries(NamedTuple):
    """A series that tells of calls of one model by one process.

    Attributes:
        source: the process, told apart from all others.
        model, version: as the series names them by itself.
        provider, response_model: price the tokens.
        request_model: as asked for, `None` where the series does not say.
        scope: the instrumentation and the metric: two that tell of one model tell of the same calls.
        error_type: `None` for calls that went well.
    """

    role: Role
    source: str
    origin: Origin
    model: str
    version: str
    provider: str | None = None
    response_model: str | None = None
    error_type: str | None = None
    request_model: str | None = None
    scope: str = ""


def source_of(origin: Origin, instance: str) -> str:
    """Return what tells a process apart from those of all services."""
    return "\n".join((origin.service, origin.environment, instance))


def model_series(
    name: str, attributes: Mapping[str, str], origin: Origin, source: str, scope: str = ""
) -> ModelSeries | None:
    """Return what a metric says of calls of a model, `None` when it says nothing of the kind."""
    conventional, attributes = agents.conventional_series(name, attributes)
    role = _role(dialects.RENAMED_METRICS.get(conventional, conventional), attributes)
    request = attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL)
    response = attributes.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL)
    error_type = attributes.get(semconv.ATTR_ERROR_TYPE)
    if error_type and response == request:
        response = None  # nothing answered a call that failed: some fill in the name that was asked for
    model = request or response
    if role is None or not model:
        return None
    return ModelSeries(
        role,
        source,
        origin,
        model[:MAX_NAME_CHARS],
        model_names.version_of(model, response)[:MAX_NAME_CHARS],
        dialects.first_of(attributes, dialects.PROVIDER),
        response,
        error_type,
        request or None,
        f"{scope}/{name}",
    )


def tells_of_calls(name: str) -> bool:
    """Tell whether a metric of this name tells of calls of models where its series names one."""
    conventional, _ = agents.conventional_series(name, {})
    conventional = dialects.RENAMED_METRICS.get(conventional, conventional)
    return conventional in _OF_CALLS or conventional in dialects.COST_METRICS


_OF_CALLS: Final = frozenset(
    {instruments.GEN_AI_CLIENT_OPERATION_DURATION.name, instruments.GEN_AI_CLIENT_TOKEN_USAGE.name}
)


def _role(name: str, attributes: Mapping[str, str]) -> Role | None:
    operation = attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    if operation in dialects.OPERATIONS_WITHOUT_MODEL_CALL:
        return None
    if name == instruments.GEN_AI_CLIENT_OPERATION_DURATION.name:
        return "calls"
    if name == instruments.GEN_AI_CLIENT_TOKEN_USAGE.name:
        token_type = attributes.get(semconv.ATTR_GEN_AI_TOKEN_TYPE, "")
        role = _ROLE_OF_TOKENS.get(dialects.RENAMED_TOKEN_TYPES.get(token_type, token_type))
        is_cached = attributes.get(dialects.TOKEN_CACHE) in dialects.READ_FROM_CACHE
        return "cached_input_tokens" if role == "input_tokens" and is_cached else role
    return "cost" if name in dialects.COST_METRICS else None


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


def is_inference(attributes: Mapping[str, Json], scope: str = "", name: str = "") -> bool:
    """Tell whether a span is a call of a model, and not of a tool, an agent, a store or what else a provider offers.

    Args:
        attributes: by their conventional names.
        scope: of its instrumentation.
        name: of the span.
    """
    if (scope, name) in dialects.SPANS_WITHOUT_MODEL_CALL:
        return False
    if not (attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL) or attributes.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL)):
        return False
    operation = attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    if not isinstance(operation, str):
        return dialects.sdk_of(scope) is None and not attributes.keys().isdisjoint(dialects.PROVIDER)
    return operation not in dialects.OPERATIONS_WITHOUT_MODEL_CALL
