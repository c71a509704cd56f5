"""What the name and the type of a model tell."""

from __future__ import annotations

import pytest

from otel_measure.conventions import model_names


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4", "openai"),
        ("GPT-4o-mini", "openai"),
        ("o1", "openai"),
        ("o3-mini", "openai"),
        ("o4-mini", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-3-5-sonnet", "anthropic"),
        ("anthropic.claude-3-5-sonnet-v2:0", "aws.bedrock"),
        ("amazon.nova-pro-v1:0", "aws.bedrock"),
        ("nova-lite", "aws.bedrock"),
        ("gemini-2.0-flash", "gcp.gemini"),
        ("mistral-large-latest", "mistral_ai"),
        ("mistral/mistral-small", "mistral_ai"),
        ("mistral.mistral-7b-instruct", "aws.bedrock"),
        ("command-r-plus", "cohere"),
        ("deepseek-chat", "deepseek"),
        ("grok-2", "x_ai"),
        ("azure/gpt-4", "azure.ai.openai"),
        ("llama-3-70b", "_OTHER"),
        ("gpt-neox-20b", "_OTHER"),
        ("o1wner-churn", "_OTHER"),
        ("fraud-detector", "_OTHER"),
        ("", "_OTHER"),
    ],
)
def test_provider_is_read_from_the_model_name(model: str, provider: str) -> None:
    """The provider follows from the name's first word, and an unknown name is ``_OTHER``."""
    assert model_names.provider_of(model) == provider


@pytest.mark.parametrize(
    ("model_type", "operation"),
    [
        ("nlp_generation", "chat"),
        ("nlp_translation", "chat"),
        ("embeddings", "embeddings"),
        ("classification", "predict"),
        ("regression", "predict"),
        ("image_generation", "predict"),
        ("other", "predict"),
    ],
)
def test_operation_follows_from_the_model_type(model_type: str, operation: str) -> None:
    """Text models chat, embedding models embed, all others predict."""
    assert model_names.operation_of(model_type) == operation
