"""OpenAI: chat completions, responses and embeddings."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from tests.recordings.provider.ledger import ProviderLedger, Used
from tests.recordings.provider.talk import WORDS, Answer, Prompt, sse

ANSWERED: Final = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
}
_ARGUMENTS: Final = '{"city": "Oslo"}'
_numbers = count(1)


def chat(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /v1/chat/completions."""
    model, user = asked.body["model"], asked.body.get("user") or asked.user
    if asked.fails:
        ledger.failure(model, user)
        return _failure(asked.fails)
    used = ledger.usage(model, user, is_cached=asked.is_cached)
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": _ARGUMENTS}}
    message: dict[str, Any] = {"role": "assistant", "content": "".join(WORDS)}
    if asked.wants_tool:
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    head = {"id": f"chatcmpl-{next(_numbers)}", "created": 1_790_000_000, "model": ANSWERED.get(model, model)}
    if asked.body.get("stream"):
        return sse(_chat_chunks(head, message, used if "include_usage" in asked.text else None))
    reason = "tool_calls" if asked.wants_tool else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return Answer(200, head | {"object": "chat.completion", "choices": [choice], "usage": _chat_usage(used)})


def _chat_chunks(
    head: dict[str, Any], message: dict[str, Any], used: Used | None
) -> Iterator[tuple[None, dict[str, Any] | str]]:
    head = head | {"object": "chat.completion.chunk"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS)]
    if "tool_calls" in message:
        deltas = [{"role": "assistant", "tool_calls": [{"index": 0, **message["tool_calls"][0]}]}]
    reason = "tool_calls" if "tool_calls" in message else "stop"
    for delta in deltas:
        yield None, head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield None, head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    if used:
        yield None, head | {"choices": [], "usage": _chat_usage(used)}
    yield None, "[DONE]"


def responses(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /v1/responses."""
    model, user = asked.body["model"], asked.body.get("user") or asked.user
    if asked.fails:
        ledger.failure(model, user)
        return _failure(asked.fails)
    used = ledger.usage(model, user, is_cached=asked.is_cached)
    number = next(_numbers)
    text = {"type": "output_text", "text": "".join(WORDS), "annotations": [], "logprobs": []}
    output: dict[str, Any] = {
        "type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [text],
    }  # fmt: skip
    if asked.wants_tool:
        output = {
            "type": "function_call", "id": f"fc_{number}", "call_id": "call_1", "name": "weather",
            "arguments": _ARGUMENTS, "status": "completed",
        }  # fmt: skip
    whole: dict[str, Any] = {
        "id": f"resp_{number}", "object": "response", "created_at": 1_790_000_000, "status": "completed",
        "model": ANSWERED.get(model, model), "output": [output], "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": asked.body.get("tools", []), "error": None, "incomplete_details": None, "instructions": None,
        "metadata": {}, "temperature": 1.0, "top_p": 1.0,
        "usage": {
            "input_tokens": used.input, "output_tokens": used.output, "total_tokens": used.input + used.output,
            "input_tokens_details": {"cached_tokens": used.cached}, "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip
    if not asked.body.get("stream"):
        return Answer(200, whole)
    return sse((event["type"], event) for event in _response_events(whole, output))


def _response_events(whole: dict[str, Any], output: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    at = {"item_id": output["id"], "output_index": 0}
    yield {"type": "response.created", "sequence_number": 0, "response": begun}
    begun_item = output | ({"content": []} if "content" in output else {})
    yield {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": begun_item}
    if "content" in output:
        part = output["content"][0]
        yield {
            "type": "response.content_part.added",
            "sequence_number": 2,
            **at,
            "content_index": 0,
            "part": part | {"text": ""},
        }
        for number, word in enumerate(WORDS, 3):
            yield {
                "type": "response.output_text.delta", "sequence_number": number, **at, "content_index": 0,
                "delta": word, "logprobs": [],
            }  # fmt: skip
    yield {"type": "response.output_item.done", "sequence_number": 8, "output_index": 0, "item": output}
    yield {"type": "response.completed", "sequence_number": 9, "response": whole}


def embeddings(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /v1/embeddings."""
    model, user = asked.body["model"], asked.body.get("user") or asked.user
    if asked.fails:
        ledger.failure(model, user)
        return _failure(asked.fails)
    used = ledger.usage(model, user, is_embedding=True)
    numbers = [0.1, 0.2, 0.3]
    vector: Any = numbers
    if asked.body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *numbers)).decode()
    texts = asked.body["input"] if isinstance(asked.body["input"], list) else [asked.body["input"]]
    vectors = [{"object": "embedding", "index": at, "embedding": vector} for at in range(len(texts))]
    usage = {"prompt_tokens": used.input, "total_tokens": used.input}
    return Answer(200, {"object": "list", "data": vectors, "model": model, "usage": usage})


def _chat_usage(used: Used) -> dict[str, Any]:
    return {
        "prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }  # fmt: skip


def _failure(status: int) -> Answer:
    kind = "rate_limit_exceeded" if status == 429 else "server_error"
    return Answer(status, {"error": {"message": "as asked for", "type": kind, "param": None, "code": kind}})
