"""What the name of a model tells: who provides it and which version answered; and which operation its type performs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from otel_measure.conventions.semconv import OTHER, VERSION_UNKNOWN

# Defaults for what the caller leaves out. The first prefix that matches wins; a prefix that ends in
# a letter or digit must end a word there ("o1-mini" is OpenAI's, "o1wner-churn" is not).

PROVIDER_BY_MODEL_PREFIX: Final[tuple[tuple[str, str], ...]] = (
    *((prefix, OTHER) for prefix in ("gpt-j", "gpt-neo", "gpt-neox")),
    ("azure/", "azure.ai.openai"),
    ("vertex_ai/", "gcp.vertex_ai"),
    ("groq/", "groq"),
    ("perplexity/", "perplexity"),
    *((prefix, "aws.bedrock") for prefix in ("bedrock/", "amazon.", "us.amazon.", "eu.amazon.", "apac.amazon.")),
    *((prefix, "aws.bedrock") for prefix in ("anthropic.", "us.anthropic.", "eu.anthropic.", "apac.anthropic.")),
    *((prefix, "aws.bedrock") for prefix in ("meta.", "us.meta.", "mistral.", "cohere.", "ai21.")),
    *((prefix, "aws.bedrock") for prefix in ("nova-micro", "nova-lite", "nova-pro", "nova-premier")),
    *((prefix, "openai") for prefix in ("openai/", "gpt-", "chatgpt", "o1", "o3", "o4", "text-embedding", "dall-e")),
    *((prefix, "anthropic") for prefix in ("anthropic/", "claude")),
    *((prefix, "gcp.gemini") for prefix in ("google/gemini", "gemini/", "gemini")),
    *((prefix, "mistral_ai") for prefix in ("mistral/", "mistralai/", "mistral", "ministral", "magistral")),
    *((prefix, "mistral_ai") for prefix in ("codestral", "pixtral", "open-mistral", "open-mixtral")),
    *((prefix, "cohere") for prefix in ("cohere/", "command")),
    *((prefix, "deepseek") for prefix in ("deepseek/", "deepseek")),
    *((prefix, "x_ai") for prefix in ("xai/", "x-ai/", "grok")),
)
OPERATION_BY_MODEL_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {"nlp_generation": "chat", "nlp_translation": "chat", "embeddings": "embeddings"}
)
OPERATION_DEFAULT: Final = "predict"


@lru_cache(maxsize=4096)
def version_of(request_model: str | None, response_model: str | None) -> str:
    """Which version of a model answered: the response model without the name asked for in front of it.

    `gpt-4o` answered by `gpt-4o-2024-08-06` → `2024-08-06`; the whole response model where the name asked for is no
    prefix of it, `unversioned` where nothing more is said.
    """
    if not response_model:
        return VERSION_UNKNOWN
    if request_model and response_model.startswith(request_model):
        return response_model[len(request_model) :].lstrip("-@:/_ ") or VERSION_UNKNOWN
    return response_model


@lru_cache(maxsize=4096)
def provider_of(model: str) -> str:
    """Which provider a model's name speaks of (``gen_ai.provider.name``), ``_OTHER`` when none."""
    name = model.lower()
    for prefix, provider in PROVIDER_BY_MODEL_PREFIX:
        if name.startswith(prefix) and not (prefix[-1].isalnum() and name[len(prefix) : len(prefix) + 1].isalnum()):
            return provider
    return OTHER


def operation_of(model_type: str) -> str:
    """Which ``gen_ai.operation.name`` a model of this type performs when the caller gives none."""
    return OPERATION_BY_MODEL_TYPE.get(model_type, OPERATION_DEFAULT)
