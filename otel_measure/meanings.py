"""What the metrics of others mean: which of their series tell of calls of models, the way back from `measurements`.

A series is understood by its name and attributes alone; what its numbers add is found where it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure import semconv
from otel_measure.records import Origin

Role: TypeAlias = Literal["calls", "input_tokens", "output_tokens", "cost"]
_TOKENS: Final[Mapping[str, Role]] = {
    semconv.TOKEN_TYPE_INPUT: "input_tokens",
    "prompt": "input_tokens",
    semconv.TOKEN_TYPE_OUTPUT: "output_tokens",
    "completion": "output_tokens",
}


class ModelSeries(NamedTuple):
    """A series that tells of calls of one model by one process.

    Attributes:
        source: the process, told apart from all others.
        provider, response_model: price the tokens.
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


def model_series(name: str, attributes: Mapping[str, str], origin: Origin, source: str) -> ModelSeries | None:
    """Return what a metric says of calls of a model, `None` when it says nothing of the kind."""
    role = _role(semconv.RECEIVED_AS.get(name, name), attributes)
    response = attributes.get(semconv.ATTR_GEN_AI_RESPONSE_MODEL)
    model = attributes.get(semconv.ATTR_GEN_AI_REQUEST_MODEL) or response
    if role is None or not model:
        return None
    return ModelSeries(
        role,
        source,
        origin,
        model[:MAX_CHARS],
        semconv.version_of(model, response)[:MAX_CHARS],
        attributes.get(semconv.ATTR_GEN_AI_PROVIDER_NAME) or attributes.get(semconv.ATTR_GEN_AI_SYSTEM),
        response,
        attributes.get(semconv.ATTR_ERROR_TYPE),
    )


MAX_CHARS: Final = 1024


def _role(name: str, attributes: Mapping[str, str]) -> Role | None:
    operation = attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME)
    if operation in semconv.OPERATIONS_WITHOUT_MODEL_CALL:
        return None
    if name == semconv.GEN_AI_CLIENT_OPERATION_DURATION.name:
        return "calls"
    if name == semconv.GEN_AI_CLIENT_TOKEN_USAGE.name:
        return _TOKENS.get(attributes.get(semconv.ATTR_GEN_AI_TOKEN_TYPE, ""))
    return "cost" if name in semconv.RECEIVED_COSTS else None
