"""What is read from answers that come in chunks: the last word of the provider, never a sum of totals."""

from __future__ import annotations

import pytest

from otel_measure.ai.usage import Usage, UsageReader

ANTHROPIC_STREAM = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_02",
            "type": "message",
            "model": "claude-sonnet-4-20250514",
            "stop_reason": None,
            "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1},
        },
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
    {"type": "message_stop"},
]
OPENAI_STREAM = [
    {"id": "c", "model": "gpt-4o", "choices": [{"delta": {"content": "a"}, "finish_reason": None}], "usage": None},
    {"id": "c", "model": "gpt-4o", "choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None},
    {"id": "c", "model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 12}},
]
RESPONSES_STREAM = [
    {"type": "response.created", "response": {"id": "resp_2", "model": "gpt-4.1", "usage": None}},
    {"type": "response.output_text.delta", "delta": "hello"},
    {"type": "response.completed", "response": {"id": "resp_2", "usage": {"input_tokens": 3, "output_tokens": 4}}},
]
GEMINI_STREAM = [
    {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}, "candidates": [{}], "modelVersion": "g"},
    {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 9}, "candidates": [{"finishReason": "STOP"}]},
]
CONVERSE_STREAM = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "hi"}}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 11, "outputTokens": 22}, "metrics": {"latencyMs": 5}}},
]
INVOKE_STREAM = [
    {"outputText": "hi", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 6, "outputTokenCount": 8}},
]


@pytest.mark.parametrize(
    ("chunks", "usage"),
    [
        (
            ANTHROPIC_STREAM,
            Usage(
                input_tokens=125,
                output_tokens=15,
                cached_input_tokens=100,
                response_model="claude-sonnet-4-20250514",
                response_id="msg_02",
                provider="anthropic",
                finish_reasons=("end_turn",),
            ),
        ),
        (
            OPENAI_STREAM,
            Usage(input_tokens=9, output_tokens=12, response_model="gpt-4o", response_id="c", finish_reasons=("stop",)),
        ),
        (
            RESPONSES_STREAM,
            Usage(input_tokens=3, output_tokens=4, response_model="gpt-4.1", response_id="resp_2"),
        ),
        (
            GEMINI_STREAM,
            Usage(input_tokens=5, output_tokens=9, response_model="g", provider="gcp.gen_ai", finish_reasons=("STOP",)),
        ),
        (
            CONVERSE_STREAM,
            Usage(input_tokens=11, output_tokens=22, provider="aws.bedrock", finish_reasons=("end_turn",)),
        ),
        (INVOKE_STREAM, Usage(input_tokens=6, output_tokens=8, provider="aws.bedrock")),
    ],
    ids=["anthropic", "openai", "responses", "gemini", "converse", "invoke"],
)
def test_a_stream_adds_up_to_one_usage(chunks: list[object], usage: Usage) -> None:
    """Running totals and final totals both give the last word of the provider, never a sum of totals."""
    reader = UsageReader()
    for chunk in chunks:
        reader.feed(chunk)
    assert reader.usage == usage


def test_a_stream_cut_short_keeps_what_was_said() -> None:
    """A stream abandoned before its totals has the input it announced and no invented output."""
    reader = UsageReader()
    reader.feed(OPENAI_STREAM[0])
    assert reader.usage == Usage(response_model="gpt-4o", response_id="c")


def test_a_count_that_was_announced_is_not_lowered() -> None:
    """A later chunk that says 0 for the input (some gateways do) leaves the announced count."""
    reader = UsageReader()
    reader.feed({"usage": {"input_tokens": 25, "output_tokens": 1}})
    reader.feed({"usage": {"input_tokens": 0, "output_tokens": 9}})
    assert reader.usage == Usage(input_tokens=25, output_tokens=9)


def test_the_last_shape_of_a_stream_counts() -> None:
    """A gateway that changes its shape in the middle is read by the shape it ends with."""
    reader = UsageReader()
    reader.feed({"usage": {"prompt_tokens": 25, "completion_tokens": 1}})
    reader.feed({"usage": {"input_tokens": 7}})
    assert reader.usage == Usage(input_tokens=7)
