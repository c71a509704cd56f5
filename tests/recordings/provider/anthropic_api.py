"""Anthropic: messages. Its input tokens are those beside the cache."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from tests.recordings.provider.ledger import ProviderLedger, Used
from tests.recordings.provider.talk import WORDS, Answer, Prompt, sse

ANSWERED: Final = {"claude-sonnet-4-5": "claude-sonnet-4-5-20250929"}
_numbers = count(1)


def messages(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /v1/messages."""
    model, user = asked.body["model"], (asked.body.get("metadata") or {}).get("user_id")
    if asked.fails:
        ledger.failure(model, user)
        kind = "rate_limit_error" if asked.fails == 429 else "api_error"
        return Answer(asked.fails, {"type": "error", "error": {"type": kind, "message": "as asked for"}})
    used = ledger.usage(model, user, is_cached=asked.is_cached, is_written=asked.is_written)
    block: dict[str, Any] = {"type": "text", "text": "".join(WORDS)}
    if asked.wants_tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    whole: dict[str, Any] = {
        "id": f"msg_{next(_numbers)}", "type": "message", "role": "assistant", "model": ANSWERED.get(model, model),
        "content": [block], "stop_reason": "tool_use" if asked.wants_tool else "end_turn", "stop_sequence": None,
        "usage": _usage(used),
    }  # fmt: skip
    return sse((event["type"], event) for event in _events(whole)) if asked.body.get("stream") else Answer(200, whole)


def count_tokens(_: Prompt, __: ProviderLedger) -> Answer:
    """POST /v1/messages/count_tokens: no call of a model."""
    return Answer(200, {"input_tokens": 7})


def _usage(used: Used) -> dict[str, Any]:
    return {
        "input_tokens": used.input - used.cached - used.written, "output_tokens": used.output,
        "cache_read_input_tokens": used.cached, "cache_creation_input_tokens": used.written,
        "service_tier": "standard",
    }  # fmt: skip


def _events(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = whole["usage"]
    begun = whole | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for word in WORDS:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}
