"""What answers say of everything that is charged apart: one of each shape, as it is documented."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from otel_measure.ai.usage import Usage, UsageReader, read_usage

OPENAI_AUDIO = {
    "model": "gpt-4o-audio-preview",
    "service_tier": "default",
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 40,
        "total_tokens": 140,
        "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 30},
    },
}
OPENAI_RESPONSES = {
    "model": "gpt-5",
    "service_tier": "flex",
    "output": [
        {"type": "web_search_call"},
        {"type": "message"},
        {"type": "web_search_call"},
        {"type": "file_search_call"},
        {"type": "code_interpreter_call"},
    ],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 8,
        "output_tokens_details": {"reasoning_tokens": 5},
    },
}
ANTHROPIC = {
    "type": "message",
    "model": "claude-opus-4-1",
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "server_tool_use": {"web_search_requests": 3},
        "output_tokens": 25,
        "service_tier": "batch",
    },
}
GEMINI = {
    "modelVersion": "gemini-2.5-flash",
    "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
    "usageMetadata": {
        "promptTokenCount": 50,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 10},
            {"modality": "AUDIO", "tokenCount": 30},
            {"modality": "DOCUMENT", "tokenCount": 10},
        ],
        "cachedContentTokenCount": 20,
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 15}],
        "candidatesTokenCount": 11,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 7}],
        "thoughtsTokenCount": 4,
    },
}
LANGCHAIN = SimpleNamespace(
    id="run-1",
    usage_metadata={
        "input_tokens": 320,
        "output_tokens": 25,
        "total_tokens": 345,
        "input_token_details": {"cache_read": 200, "cache_creation": 100, "audio": 5},
        "output_token_details": {"reasoning": 15},
    },
    response_metadata={"model_name": "claude-sonnet-4", "model_provider": "anthropic", "service_tier": "priority"},
)


CASES: list[tuple[object, Usage]] = [
    (
        OPENAI_AUDIO,
        Usage(
            input_tokens=100, output_tokens=40, cached_input_tokens=10, reasoning_tokens=0,
            units={"input_audio_tokens": 60, "output_audio_tokens": 30}, service_tier="default",
            response_model="gpt-4o-audio-preview",
        ),
    ),
    (
        OPENAI_RESPONSES,
        Usage(
            input_tokens=9, output_tokens=8, cached_input_tokens=1, reasoning_tokens=5,
            units={"web_searches": 2, "storage_searches": 1, "code_executions": 1}, service_tier="flex",
            response_model="gpt-5",
        ),
    ),
    (
        ANTHROPIC,
        Usage(
            input_tokens=310, output_tokens=25, cached_input_tokens=0, cache_write_tokens=300,
            units={"cache_write_5m_tokens": 100, "cache_write_1h_tokens": 200, "web_searches": 3},
            service_tier="batch", response_model="claude-opus-4-1", provider="anthropic",
        ),
    ),
    (
        GEMINI,
        Usage(
            input_tokens=50, output_tokens=15, cached_input_tokens=20, reasoning_tokens=4,
            units={
                "web_searches": 2, "input_audio_tokens": 30, "input_image_tokens": 10,
                "cache_audio_read_tokens": 15, "output_image_tokens": 7,
            },
            response_model="gemini-2.5-flash", provider="gcp.gen_ai",
        ),
    ),
    (
        {
            "usage": {
                "inputTokens": 30, "outputTokens": 6, "cacheReadInputTokens": 0, "cacheWriteInputTokens": 70,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 50}, {"ttl": "5m", "inputTokens": 20}],
            },
            "serviceTier": {"type": "priority"},
        },
        Usage(
            input_tokens=100, output_tokens=6, cached_input_tokens=0, cache_write_tokens=70,
            units={"cache_write_1h_tokens": 50, "cache_write_5m_tokens": 20}, service_tier="priority",
            provider="aws.bedrock",
        ),
    ),
    (
        {
            "model": "grok-4",
            "usage": {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
        },
        Usage(input_tokens=10, output_tokens=105, reasoning_tokens=100, response_model="grok-4"),
    ),
    (
        {
            "model": "sonar-deep-research",
            "usage": {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "citation_tokens": 7,
                "num_search_queries": 4, "reasoning_tokens": 100,
            },
        },
        Usage(
            input_tokens=10, output_tokens=112, reasoning_tokens=100,
            units={"output_citation_tokens": 7, "web_searches": 4}, response_model="sonar-deep-research",
        ),
    ),
    (
        {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_audio_seconds": 12}},
        Usage(input_tokens=10, output_tokens=5, units={"input_audio_seconds": 12}),
    ),
    (
        {"model": "mistral-ocr-latest", "usage_info": {"pages_processed": 3, "doc_size_bytes": 9}},
        Usage(units={"input_document_pages": 3}, response_model="mistral-ocr-latest", provider="mistral_ai"),
    ),
    (
        {"usage": {"type": "duration", "seconds": 7.5}, "text": "hello"},
        Usage(units={"audio_seconds": 7.5}),
    ),
    (
        {
            "id": "c", "finish_reason": "COMPLETE",
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 4},
                "tokens": {"input_tokens": 71, "output_tokens": 4},
            },
        },
        Usage(input_tokens=5, output_tokens=4, response_id="c", provider="cohere"),
    ),
    (
        {"id": "r", "meta": {"billed_units": {"search_units": 2}}},
        Usage(units={"rerank_searches": 2}, response_id="r", provider="cohere"),
    ),
    (
        {"model": "llama3.2", "prompt_eval_count": 26, "eval_count": 298, "done": True},
        Usage(input_tokens=26, output_tokens=298, response_model="llama3.2"),
    ),
    (
        LANGCHAIN,
        Usage(
            input_tokens=320, output_tokens=25, cached_input_tokens=200, cache_write_tokens=100,
            reasoning_tokens=15, units={"input_audio_tokens": 5}, service_tier="priority",
            response_model="claude-sonnet-4", response_id="run-1", provider="anthropic",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("response", "usage"), CASES)
def test_units_that_are_charged_apart_are_read(response: object, usage: Usage) -> None:
    """Under the names of the price table; what is 0 is left out of the units."""
    assert read_usage(response) == usage


def test_groq_tells_the_usage_of_a_stream_in_a_field_of_its_own() -> None:
    """The id of the answer stays that of the chunks."""
    reader = UsageReader()
    reader.feed({"id": "chatcmpl-1", "model": "llama-3.3-70b", "choices": [{"delta": {"content": "a"}}]})
    reader.feed({"id": "chatcmpl-1", "x_groq": {"id": "req_1", "usage": {"prompt_tokens": 4, "completion_tokens": 2}}})
    assert reader.usage == Usage(
        input_tokens=4, output_tokens=2, response_model="llama-3.3-70b", response_id="chatcmpl-1"
    )


def test_events_of_a_stream_helper_carry_chunks() -> None:
    """OpenAI's `.stream()` hands out events that hold the chunk as it came."""
    reader = UsageReader()
    reader.feed(SimpleNamespace(type="content.delta", delta="a", snapshot="a", parsed=None))
    chunk = SimpleNamespace(
        id="c", model="gpt-4o", choices=[], usage=SimpleNamespace(prompt_tokens=4, completion_tokens=2)
    )
    reader.feed(SimpleNamespace(type="chunk", chunk=chunk, snapshot=None))
    assert reader.usage == Usage(input_tokens=4, output_tokens=2, response_model="gpt-4o", response_id="c")


@pytest.mark.parametrize(
    ("event", "usage"),
    [
        (
            {"data": {"id": "c", "model": "mistral-small", "usage": {"prompt_tokens": 4, "completion_tokens": 2}}},
            Usage(input_tokens=4, output_tokens=2, response_model="mistral-small", response_id="c"),
        ),
        (
            {
                "type": "message-end",
                "delta": {"usage": {"billed_units": {"input_tokens": 4, "output_tokens": 2}, "tokens": {}}},
            },
            Usage(input_tokens=4, output_tokens=2, provider="cohere"),
        ),
    ],
)
def test_the_last_event_of_a_stream_tells_the_usage(event: object, usage: Usage) -> None:
    """Mistral's and Cohere's clients hand out events with the answer inside."""
    reader = UsageReader()
    reader.feed({"type": "content-delta", "delta": {"message": {"content": {"text": "a"}}}})
    reader.feed(event)
    assert reader.usage == usage


class LegacyAPIResponse:
    """A raw response as a client library holds it."""

    def __init__(self, answer: Any, *, is_closed: bool) -> None:
        self.http_response = SimpleNamespace(is_closed=is_closed)
        self.parsed = 0
        self._answer = answer

    def parse(self) -> Any:
        """Return the answer, and count that it was asked for."""
        self.parsed += 1
        return self._answer


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_raw_response_is_read_when_its_body_is_there(is_closed: bool) -> None:
    """One whose body has still to come is left alone: reading it would take it from the caller."""
    raw = LegacyAPIResponse(OPENAI_AUDIO, is_closed=is_closed)
    assert (read_usage(raw) == read_usage(OPENAI_AUDIO)) is is_closed
    assert raw.parsed == int(is_closed)
