"""Names of others, as data: what older and foreign conventions write in place of the names that we emit.

They are received only. Where several names have one meaning, they stand in the order in which the first one that is
given counts, the name that we emit first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar

from otel_measure.conventions import semconv
from otel_measure.conventions.instruments import (
    GEN_AI_CLIENT_OPERATION_DURATION,
    GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK,
    GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK,
    GEN_AI_CLIENT_TOKEN_USAGE,
)

Names: TypeAlias = tuple[str, ...]
V = TypeVar("V")

# ---------------------------------------------------------------- resources

ENVIRONMENT: Final[Names] = (semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME, "deployment.environment")
HOST: Final[Names] = (semconv.ATTR_HOST_NAME, semconv.ATTR_HOST_ID, semconv.ATTR_K8S_NODE_NAME)
# The first row of which all are given tells the processes of a service apart.
PROCESS: Final[tuple[Names, ...]] = (
    (semconv.ATTR_SERVICE_INSTANCE_ID,),
    (semconv.ATTR_K8S_POD_UID, semconv.ATTR_PROCESS_PID),
    (semconv.ATTR_CONTAINER_ID, semconv.ATTR_PROCESS_PID),
    (semconv.ATTR_HOST_NAME, semconv.ATTR_PROCESS_PID),
    (semconv.ATTR_HOST_ID, semconv.ATTR_PROCESS_PID),
)

# ---------------------------------------------------------------- calls of models

PROVIDER: Final[Names] = (semconv.ATTR_GEN_AI_PROVIDER_NAME, "gen_ai.system")
INPUT_TOKENS: Final[Names] = (
    *(semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    *("llm.token_count.prompt", "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
)
OUTPUT_TOKENS: Final[Names] = (
    *(semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    *("llm.token_count.completion", "ai.usage.outputTokens", "ai.usage.completionTokens"),
)
CACHED_INPUT_TOKENS: Final[Names] = (
    semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    *("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cached_tokens", "gen_ai.usage.input_tokens.cached"),
    *("gen_ai.usage.details.cache_read_tokens", "llm.usage.cache_read_input_tokens", "ai.usage.cachedInputTokens"),
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE_TOKENS: Final[Names] = (
    semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation_input_tokens"),
    *("gen_ai.usage.details.cache_write_tokens", "llm.usage.cache_creation_input_tokens"),
    *("llm.token_count.prompt_details.cache_write", "ai.usage.inputTokenDetails.cacheWriteTokens"),
)
REASONING_TOKENS: Final[Names] = (
    semconv.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
    *("gen_ai.usage.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning", "llm.usage.reasoning_tokens"),
    *("gen_ai.usage.details.reasoning_tokens", "llm.token_count.completion_details.reasoning"),
    "ai.usage.reasoningTokens",
)
# Parts of the tokens that are charged apart, as the price table calls them.
CHARGED_UNITS: Final[Mapping[str, Names]] = MappingProxyType(
    {
        "input_audio_tokens": (
            *("gen_ai.usage.audio.input_tokens", "gen_ai.usage.details.input_audio_tokens"),
            "llm.token_count.prompt_details.audio",
        ),
        "output_audio_tokens": (
            *("gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens"),
            "llm.token_count.completion_details.audio",
        ),
        "cache_audio_read_tokens": (
            *("gen_ai.usage.audio.cache_read.input_tokens", "gen_ai.usage.details.cache_audio_read_tokens"),
        ),
        "input_image_tokens": ("gen_ai.usage.image.input_tokens",),
        "output_image_tokens": ("gen_ai.usage.image.output_tokens",),
        "cache_image_read_tokens": ("gen_ai.usage.image.cache_read.input_tokens",),
    }
)
NAMES_OF_UNITS: Final = frozenset(name for names in CHARGED_UNITS.values() for name in names)
SERVICE_TIER: Final[Names] = (
    *(semconv.ATTR_SERVICE_TIER, "openai.response.service_tier", "gen_ai.openai.response.service_tier"),
)
COST_USD: Final[Names] = (
    *("gen_ai.usage.cost", "gen_ai.usage.cost_usd", "operation.cost", "gen_ai.cost.total_cost", "llm.cost.total"),
)
NAMES_OF_RARE_USAGE: Final = frozenset(
    {*CACHED_INPUT_TOKENS, *CACHE_WRITE_TOKENS, *REASONING_TOKENS, *NAMES_OF_UNITS, *SERVICE_TIER, *COST_USD}
)
"""Under these names stands what most calls do not say of their usage."""
TIME_TO_FIRST_CHUNK_S: Final[Names] = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
# Operations under these names call tools, agents or stores; a call of a model inside them is told of by itself.
OPERATIONS_WITHOUT_MODEL_CALL: Final = frozenset(
    {"execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "plan", "retrieval", "rerank"}
)
# Spans, by scope and name, whose attributes say that they are calls of models, and that are none.
SPANS_WITHOUT_MODEL_CALL: Final = frozenset({("openinference.instrumentation.anthropic", "messages.count_tokens")})
# The SDKs of providers that send spans of their own, by scope. They name the operation of every call of a model.
PROVIDER_SDKS: Final = frozenset({"com.anthropic.sdk.python"})
# The scope of an instrumentation → that of the SDK which it instruments: it wraps methods of the SDK, so the SDK tells
# of every call that it tells of. What sees calls of other clients as well has no place here.
SDK_OF_INSTRUMENTATION: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openinference.instrumentation.anthropic": "com.anthropic.sdk.python",
        "opentelemetry.instrumentation.anthropic": "com.anthropic.sdk.python",  # OpenLLMetry
        "opentelemetry.instrumentation.genai.anthropic": "com.anthropic.sdk.python",
    }
)


@lru_cache(maxsize=1024)
def sdk_of(scope: str) -> str | None:
    """Return the SDK of a provider that sends spans under a scope; its client for a platform has a longer one."""
    return next((sdk for sdk in PROVIDER_SDKS if scope == sdk or scope.startswith(f"{sdk}.")), None)


# ---------------------------------------------------------------- metrics

# What others may call what we emit under the name on the right (the conventions' renames in flight).
RENAMED_METRICS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gen_ai.client.inference.duration": GEN_AI_CLIENT_OPERATION_DURATION.name,
        "gen_ai.client.inference.operation.duration": GEN_AI_CLIENT_OPERATION_DURATION.name,
        "gen_ai.client.inference.tokens": GEN_AI_CLIENT_TOKEN_USAGE.name,
        "gen_ai.client.inference.token.usage": GEN_AI_CLIENT_TOKEN_USAGE.name,
        "gen_ai.client.inference.time_to_first_chunk": GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK.name,
        "gen_ai.client.inference.time_per_output_chunk": GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK.name,
    }
)
# Metrics that say what calls cost, in USD; we emit no such name.
COST_METRICS: Final = frozenset(
    {"gen_ai.usage.cost", "gen_ai.client.operation.cost", "gen_ai.client.cost", "operation.cost"}
)
RENAMED_TOKEN_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"prompt": semconv.TOKEN_TYPE_INPUT, "completion": semconv.TOKEN_TYPE_OUTPUT}
)
# What the duration metrics of an instrumentation say of failed calls: "typed" (series with an error type), "inside"
# (among the others) or "none" (only successes are measured). Of one that is not here, the calls told singly show it.
Failures: TypeAlias = Literal["typed", "inside", "none"]
FAILURES_BY_SCOPE_PREFIX: Final[tuple[tuple[str, Failures], ...]] = (
    ("opentelemetry.instrumentation.openai_v2", "typed"),
    ("opentelemetry.instrumentation.genai", "typed"),
    ("opentelemetry.util.genai", "typed"),
    ("openlit", "typed"),
    ("opentelemetry.instrumentation.openai", "none"),  # OpenLLMetry, and its siblings
    ("opentelemetry.instrumentation.anthropic", "none"),
)
# Instrumentations that pass on what the provider says where it counts the tokens of the cache beside the input; by the
# conventions, and for all others, they are a part of it.
CACHE_BESIDE_INPUT_SCOPES: Final[Names] = ("opentelemetry.instrumentation.botocore.",)
# Series of input tokens that are split by whether they were read from a cache: of the same calls, at another price.
TOKEN_CACHE: Final = "gen_ai.token.cache"
READ_FROM_CACHE: Final = frozenset({"read"})
MS_PER_UNIT: Final[Mapping[str, float]] = MappingProxyType({"s": 1000.0, "ms": 1.0, "us": 0.001, "ns": 0.000001})

# ---------------------------------------------------------------- events

# Before log records had a name of their own, events said theirs in an attribute.
EVENT_NAME: Final = "event.name"
FLAG_USER: Final[Names] = (semconv.ATTR_FEATURE_FLAG_CONTEXT_ID, semconv.ATTR_USER_ID)
# Attributes of resources and series that name a user.
USER_ATTRIBUTES: Final[Names] = (semconv.ATTR_USER_ID, "enduser.id", "enduser.pseudo.id", "user.name", "user.email")
ANY_OTHER_EVENT: Final = "*"
IGNORED_EVENT: Final = "ignore"
# Events of others with a `user.id`, and the type of user event that each is.
EVENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "browser.page_view": "page_view",
        "app.screen.view": "page_view",
        "app.screen.click": "click",
        "app.widget.click": "click",
        "app.crash": "error",
        "exception": "error",
        ANY_OTHER_EVENT: "custom",
    }
)


def failures_of(scope: str) -> Failures | None:
    """Return what the metrics of an instrumentation say of failed calls, `None` where that is not known."""
    return next((failures for prefix, failures in FAILURES_BY_SCOPE_PREFIX if scope.startswith(prefix)), None)


def counts_cache_beside_input(scope: str) -> bool:
    """Return whether the input tokens of an instrumentation are those beside the cache."""
    return scope.startswith(CACHE_BESIDE_INPUT_SCOPES)


def first_of(attributes: Mapping[str, V], names: Names) -> V | None:
    """Return the value under the first of the names that has one; an empty text is none."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None
