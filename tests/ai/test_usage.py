"""What is read from answers of models: every known shape, whole and in chunks, and everything that is not one."""

from __future__ import annotations

from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.ai.usage import Usage, read_usage


class Finish(Enum):
    """A client library's enum with a text value."""

    STOP = "STOP"


class ProtoFinish(IntEnum):
    """A client library's enum with a number."""

    FINISH_REASON_UNSPECIFIED = 0
    MAX_TOKENS = 2


OPENAI_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "length"}],
    "usage": {
        "prompt_tokens": 120,
        "completion_tokens": 30,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 10},
    },
}
OPENAI_CHAT_USAGE = Usage(
    input_tokens=120,
    output_tokens=30,
    cached_input_tokens=64,
    reasoning_tokens=10,
    response_model="gpt-4o-2024-08-06",
    response_id="chatcmpl-1",
    finish_reasons=("stop", "length"),
)
OPENAI_RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "model": "gpt-4.1-2025-04-14",
    "usage": {
        "input_tokens": 81,
        "input_tokens_details": {"cached_tokens": 7},
        "output_tokens": 1035,
        "output_tokens_details": {"reasoning_tokens": 832},
        "total_tokens": 1116,
    },
}
OPENAI_RESPONSES_USAGE = Usage(
    input_tokens=81,
    output_tokens=1035,
    cached_input_tokens=7,
    reasoning_tokens=832,
    response_model="gpt-4.1-2025-04-14",
    response_id="resp_1",
    finish_reasons=("max_output_tokens",),
)
ANTHROPIC = {
    "id": "msg_01",
    "type": "message",
    "model": "claude-sonnet-4-20250514",
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "output_tokens": 25,
    },
}
ANTHROPIC_USAGE = Usage(
    input_tokens=3210,
    output_tokens=25,
    cached_input_tokens=3000,
    cache_write_tokens=200,
    response_model="claude-sonnet-4-20250514",
    response_id="msg_01",
    provider="anthropic",
    finish_reasons=("end_turn",),
)
GEMINI_JSON = {
    "responseId": "g-1",
    "modelVersion": "gemini-2.5-flash",
    "candidates": [{"finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 50,
        "cachedContentTokenCount": 20,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 11,
        "thoughtsTokenCount": 40,
        "totalTokenCount": 106,
    },
}
GEMINI_USAGE = Usage(
    input_tokens=55,
    output_tokens=51,
    cached_input_tokens=20,
    reasoning_tokens=40,
    response_model="gemini-2.5-flash",
    response_id="g-1",
    provider="gcp.gen_ai",
    finish_reasons=("STOP",),
)
GEMINI_OBJECT = SimpleNamespace(
    response_id="g-1",
    model_version="gemini-2.5-flash",
    candidates=(SimpleNamespace(finish_reason=Finish.STOP),),
    usage_metadata=SimpleNamespace(
        prompt_token_count=50,
        cached_content_token_count=20,
        tool_use_prompt_token_count=5,
        candidates_token_count=11,
        thoughts_token_count=40,
    ),
)
BEDROCK_CONVERSE = {
    "ResponseMetadata": {"RequestId": "r-1", "HTTPHeaders": {"content-type": "application/json"}},
    "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 30,
        "outputTokens": 628,
        "totalTokens": 668,
        "cacheReadInputTokens": 10,
        "cacheWriteInputTokens": 0,
    },
    "metrics": {"latencyMs": 1275},
}
BEDROCK_CONVERSE_USAGE = Usage(
    input_tokens=40,
    output_tokens=628,
    cached_input_tokens=10,
    cache_write_tokens=0,
    response_id="r-1",
    provider="aws.bedrock",
    finish_reasons=("end_turn",),
)
BEDROCK_INVOKE = {
    "ResponseMetadata": {
        "RequestId": "r-2",
        "HTTPHeaders": {
            "x-amzn-bedrock-input-token-count": "12",
            "x-amzn-bedrock-output-token-count": "7",
            "x-amzn-bedrock-cache-read-input-token-count": "100",
        },
    },
    "contentType": "application/json",
    "body": object(),
}
BEDROCK_INVOKE_USAGE = Usage(
    input_tokens=112, output_tokens=7, cached_input_tokens=100, response_id="r-2", provider="aws.bedrock"
)
BEDROCK_LLAMA_BODY = {"prompt_token_count": 9, "generation_token_count": 4, "stop_reason": "length"}
BEDROCK_LLAMA_USAGE = Usage(input_tokens=9, output_tokens=4, provider="aws.bedrock", finish_reasons=("length",))

WHOLE = {
    "openai-chat": (OPENAI_CHAT, OPENAI_CHAT_USAGE),
    "openai-responses": (OPENAI_RESPONSES, OPENAI_RESPONSES_USAGE),
    "anthropic": (ANTHROPIC, ANTHROPIC_USAGE),
    "gemini-json": (GEMINI_JSON, GEMINI_USAGE),
    "gemini-object": (GEMINI_OBJECT, GEMINI_USAGE),
    "bedrock-converse": (BEDROCK_CONVERSE, BEDROCK_CONVERSE_USAGE),
    "bedrock-invoke": (BEDROCK_INVOKE, BEDROCK_INVOKE_USAGE),
    "bedrock-llama": (BEDROCK_LLAMA_BODY, BEDROCK_LLAMA_USAGE),
    "openai-embeddings": (
        {"object": "list", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 8, "total_tokens": 8}},
        Usage(input_tokens=8, response_model="text-embedding-3-small"),
    ),
    "deepseek-cache": (
        {"usage": {"prompt_tokens": 8, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}},
        Usage(input_tokens=8, output_tokens=2, cached_input_tokens=4),
    ),
    "openrouter": (
        {
            "id": "gen-1",
            "provider": "Azure",
            "model": "openai/gpt-4o",
            "usage": {"prompt_tokens": 8, "completion_tokens": 2, "cost": 0.00004},
        },
        Usage(
            input_tokens=8,
            output_tokens=2,
            response_model="openai/gpt-4o",
            response_id="gen-1",
            provider="openrouter",
            cost_usd=0.00004,
        ),
    ),
    "openrouter-own-key": (
        {
            "usage": {
                "prompt_tokens": 8,
                "completion_tokens": 2,
                "cost": 0.001,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.02},
            }
        },
        Usage(input_tokens=8, output_tokens=2, cost_usd=0.021),
    ),
    "openrouter-own-key-price-unknown": (
        {"usage": {"prompt_tokens": 8, "completion_tokens": 2, "cost": 0.0, "is_byok": True}},
        Usage(input_tokens=8, output_tokens=2),
    ),
    "perplexity": (
        {"usage": {"prompt_tokens": 8, "completion_tokens": 2, "cost": {"total_cost": 0.006}}},
        Usage(input_tokens=8, output_tokens=2, cost_usd=0.006),
    ),
    "anthropic-on-bedrock": (
        {"id": "msg_bdrk_1", "type": "message", "usage": {"input_tokens": 1, "output_tokens": 2}},
        Usage(input_tokens=1, output_tokens=2, response_id="msg_bdrk_1", provider="aws.bedrock"),
    ),
    "anthropic-on-vertex": (
        {"id": "msg_vrtx_1", "type": "message", "usage": {"input_tokens": 1, "output_tokens": 2}},
        Usage(input_tokens=1, output_tokens=2, response_id="msg_vrtx_1", provider="gcp.vertex_ai"),
    ),
    "gemini-thoughts-alone": (
        {"usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 40}},
        Usage(input_tokens=5, output_tokens=40, reasoning_tokens=40, provider="gcp.gen_ai"),
    ),
    "proto-enum": (
        {"candidates": [{"finish_reason": ProtoFinish.MAX_TOKENS}], "usage_metadata": {"prompt_token_count": 3.0}},
        Usage(input_tokens=3, provider="gcp.gen_ai", finish_reasons=("MAX_TOKENS",)),
    ),
}


def _as_object(value: Any) -> Any:
    """The same answer as a client library would hold it: attributes in place of keys."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _as_object(item) for key, item in value.items()})
    return [_as_object(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("response", "usage"), WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_answer_is_read(response: object, usage: Usage) -> None:
    """Each known shape gives every field that it has, and nothing else."""
    assert read_usage(response) == usage


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini-json", "bedrock-converse"])
def test_objects_and_dicts_read_alike(name: str) -> None:
    """An answer with attributes gives what the same answer with keys gives."""
    response, usage = WHOLE[name]
    assert read_usage(_as_object(response)) == usage


class _Hostile:
    """Raises on every access."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class _HostileDict(dict[str, object]):
    """A mapping whose look-ups raise."""

    def get(self, key: object, default: object = None) -> object:
        raise RuntimeError(str(key))


class _HostileList(list[object]):
    """A list that cannot be walked."""

    def __iter__(self) -> Any:
        raise RuntimeError("walk")


class _HostileInt(int):
    """A number that cannot be converted."""

    def __float__(self) -> float:
        raise RuntimeError("float")


NOTHING = {
    "none": None,
    "text": "usage",
    "bytes": b"usage",
    "number": 3,
    "list": [1, 2],
    "empty": {},
    "mock": MagicMock(),
    "mock-of-numbers": {"usage": {"prompt_tokens": MagicMock(spec=int), "completion_tokens": MagicMock(spec=float)}},
    "mock-of-texts": {"model": MagicMock(spec=str), "id": MagicMock(), "choices": MagicMock(spec=list)},
    "class": dict,
    "hostile": _Hostile(),
    "hostile-dict": _HostileDict(usage={"prompt_tokens": 1}),
    "hostile-list": {"choices": _HostileList([{"finish_reason": "stop"}])},
    "hostile-int": {"usage": {"prompt_tokens": _HostileInt(3)}},
    "bools": {"usage": {"prompt_tokens": True, "completion_tokens": False}},
    "negative": {"usage": {"prompt_tokens": -1}},
    "fraction": {"usage": {"prompt_tokens": 1.5}},
    "nan": {"usage": {"prompt_tokens": float("nan"), "completion_tokens": float("inf")}},
    "huge": {"usage": {"prompt_tokens": 10**400, "completion_tokens": 2**60}},
    "text-number": {"usage": {"prompt_tokens": "12"}},
    "header-nonsense": {"ResponseMetadata": {"HTTPHeaders": {"x-amzn-bedrock-input-token-count": "twelve"}}},
    "empty-texts": {"model": "", "id": "", "stop_reason": ""},
    "choices-text": {"choices": "stop"},
    "unspecified": {"candidates": [{"finish_reason": ProtoFinish.FINISH_REASON_UNSPECIFIED}]},
    "metadata-of-the-caller": {"metadata": {"usage": {"prompt_tokens": 5}, "model": "x"}},
}


@pytest.mark.parametrize("response", NOTHING.values(), ids=NOTHING.keys())
def test_what_is_no_usage_is_unknown(response: object) -> None:
    """Odd shapes, mocks, bools, fractions and objects that raise give unknowns: no exception and no 0."""
    assert read_usage(response) == Usage()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3)
    | st.dictionaries(
        st.sampled_from(["usage", "message", "response", "prompt_tokens", "input_tokens", "id", "model", "choices",
                         "cost", "type", "usageMetadata", "promptTokenCount", "stop_reason", "delta"]),
        children,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_reading_never_raises_and_never_invents(response: object) -> None:
    """Any JSON gives a usage whose known numbers are finite and not negative."""
    usage = read_usage(response)
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens)
    assert [count for count in counts if count is not None and (type(count) is not int or count < 0)] == []
    assert usage.cost_usd is None or 0 <= usage.cost_usd < float("inf")
