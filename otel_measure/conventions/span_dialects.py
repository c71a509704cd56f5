"""Spans of others in the names of the conventions: a table for each dialect, read where a name of ours is not given.

Tokens and what is charged apart stand in `dialects`; here is what a span says of the model, the operation, the user and
the cost. The page of the documentation about what is read from whom follows these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from otel_measure.conventions import semconv

V = TypeVar("V")
_MODEL: Final = semconv.ATTR_GEN_AI_REQUEST_MODEL
_ANSWERED: Final = semconv.ATTR_GEN_AI_RESPONSE_MODEL
_OPERATION: Final = semconv.ATTR_GEN_AI_OPERATION_NAME
_PROVIDER: Final = semconv.ATTR_GEN_AI_PROVIDER_NAME
_RESPONSE_ID: Final = semconv.ATTR_GEN_AI_RESPONSE_ID
_USER: Final = semconv.ATTR_USER_ID
_SESSION: Final = semconv.ATTR_SESSION_ID
_COST: Final = "gen_ai.usage.cost"


# The JSON of the parameters of the call: the name asked for and the user stand in it.
PARAMETERS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")


class SpanDialect(NamedTuple):
    """How an instrumentation names things.

    Attributes:
        name: as its documentation calls it.
        attributes: its name of an attribute → the conventional one.
        operations: its value of the operation → the conventional one.
    """

    name: str
    attributes: Mapping[str, str]
    operations: Mapping[str, str] = MappingProxyType({})


SPAN_DIALECTS: Final[tuple[SpanDialect, ...]] = (
    SpanDialect(
        "OpenTelemetry GenAI before 1.37",
        {"gen_ai.system": _PROVIDER, "gen_ai.conversation.id": _SESSION},
        {"embedding": "embeddings", "completion": "text_completion"},
    ),
    SpanDialect(
        "OpenInference",
        {
            "llm.request.model_name": _MODEL,
            "llm.response.model_name": _ANSWERED,
            "llm.model_name": _ANSWERED,
            "embedding.model_name": _ANSWERED,
            "reranker.model_name": _ANSWERED,
            "llm.provider": _PROVIDER,
            "llm.system": _PROVIDER,
            "openinference.span.kind": _OPERATION,
            "llm.cost.total": _COST,
        },
        {
            "LLM": "chat",
            "EMBEDDING": "embeddings",
            "RERANKER": "rerank",
            "RETRIEVER": "retrieval",
            "TOOL": "execute_tool",
            "AGENT": "invoke_agent",
        },
    ),
    SpanDialect(
        "OpenLLMetry",
        {
            "llm.request.type": _OPERATION,
            "llm.user": _USER,
            "gen_ai.user": _USER,
            "traceloop.association.properties.user_id": _USER,
            "traceloop.association.properties.session_id": _SESSION,
        },
    ),
    SpanDialect("pydantic-ai and Logfire", {"operation.cost": _COST}),
    SpanDialect(
        "LiteLLM", {"gen_ai.cost.total_cost": _COST, "llm.openai.user": _USER, "metadata.user_api_key_user_id": _USER}
    ),
    SpanDialect(
        "Vercel AI SDK",
        {
            "ai.model.id": _MODEL,
            "ai.response.model": _ANSWERED,
            "ai.model.provider": _PROVIDER,
            "ai.response.id": _RESPONSE_ID,
            "ai.operationId": _OPERATION,
            "operation.name": _OPERATION,
            "ai.telemetry.metadata.userId": _USER,
            "ai.telemetry.metadata.sessionId": _SESSION,
        },
        {
            **dict.fromkeys(
                (
                    *("ai.generateText", "ai.generateText.doGenerate", "ai.streamText", "ai.streamText.doStream"),
                    *("ai.generateObject", "ai.generateObject.doGenerate", "ai.streamObject"),
                    "ai.streamObject.doStream",
                ),
                "chat",
            ),
            **dict.fromkeys(("ai.embed", "ai.embed.doEmbed", "ai.embedMany", "ai.embedMany.doEmbed"), "embeddings"),
            "ai.toolCall": "execute_tool",
        },
    ),
    SpanDialect("Gemini CLI", {}, {"llm_call": "chat", "tool_call": "execute_tool", "agent_call": "invoke_agent"}),
    SpanDialect("OpenLIT", {"gen_ai.request.user": _USER}),
    SpanDialect("Langfuse", {"langfuse.user.id": _USER, "langfuse.session.id": _SESSION}),
)
_NAMES: Final[Mapping[str, str]] = {
    theirs: ours for dialect in SPAN_DIALECTS for theirs, ours in dialect.attributes.items()
}
_OPERATIONS: Final[Mapping[str, str]] = {
    theirs: ours for dialect in SPAN_DIALECTS for theirs, ours in dialect.operations.items()
}


def in_conventional_names(attributes: Mapping[str, V]) -> Mapping[str, V | str]:
    """Return attributes with the conventional names beside those of a dialect; what is given under ours stays."""
    theirs = _NAMES.keys() & attributes.keys()
    operation = attributes.get(_OPERATION)
    if not theirs and operation not in _OPERATIONS:
        return attributes
    named: dict[str, V | str] = dict(attributes)
    parameters = _parameters_of(attributes)
    if _MODEL not in named and parameters.model:
        named[_MODEL] = parameters.model
    for name in sorted(theirs, key=list(_NAMES).index):
        value = attributes[name]
        if value is None or value == "" or named.get(_NAMES[name]) not in (None, ""):
            continue
        if _NAMES[name] != _OPERATION or value in _OPERATIONS or name == "llm.request.type":
            named[_NAMES[name]] = value
    named_operation = named.get(_OPERATION)
    if isinstance(named_operation, str) and named_operation in _OPERATIONS:
        named[_OPERATION] = _OPERATIONS[named_operation]
    if _USER not in named and (user := parameters.user or (parameters.metadata or {}).get("user_id")):
        named[_USER] = str(user)
    return named


class _Parameters(msgspec.Struct, frozen=True):
    """What a provider is given beside the prompt; OpenAI knows the user as `user`, Anthropic in `metadata`."""

    model: str | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None


def _parameters_of(attributes: Mapping[str, V]) -> _Parameters:
    """Return what the parameters of a call say."""
    for name in PARAMETERS:
        text = attributes.get(name)
        if isinstance(text, str):
            try:
                return _decode(text)
            except msgspec.MsgspecError:
                continue
    return _Parameters()


_decode = msgspec.json.Decoder(_Parameters).decode
