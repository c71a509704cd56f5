"""Amazon Bedrock: Converse, whole and as the event stream that botocore reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from tests.recordings.provider.ledger import ProviderLedger
from tests.recordings.provider.talk import WORDS, Answer, Prompt


def converse(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /model/MODEL/converse and /converse-stream."""
    model = asked.path["model"]
    if asked.fails:
        ledger.failure(model)
        kind = "ThrottlingException" if asked.fails == 429 else "InternalServerException"
        return Answer(asked.fails, {"message": "as asked for"}, {"x-amzn-errortype": kind})
    used = ledger.usage(model, is_cached=asked.is_cached)
    usage = {
        "inputTokens": used.input - used.cached, "outputTokens": used.output,
        "totalTokens": used.input + used.output, "cacheReadInputTokens": used.cached, "cacheWriteInputTokens": 0,
    }  # fmt: skip
    block: dict[str, Any] = {"text": "".join(WORDS)}
    reason = "end_turn"
    if "weather" in asked.text and "toolConfig" in asked.body and "sunny" not in asked.text:
        block = {"toolUse": {"toolUseId": "tool-1", "name": "weather", "input": {"city": "Oslo"}}}
        reason = "tool_use"
    if asked.path["method"] == "converse":
        message = {"role": "assistant", "content": [block]}
        whole = {"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 5}}
        return Answer(200, whole)
    deltas = [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}}) for word in WORDS]
    events: list[tuple[str, Mapping[str, Any]]] = [
        ("messageStart", {"role": "assistant"}),
        *deltas,
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}),
    ]
    frames = [_frame(name, said) for name, said in events]
    return Answer(200, frames, {"Content-Type": "application/vnd.amazon.eventstream"})


def _frame(event: str, said: Mapping[str, Any]) -> bytes:
    """Return a message of the event stream: lengths, headers and payload, with a checksum over each."""
    given = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in given.items()
    )
    payload = json.dumps(said).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return message + struct.pack("!I", crc32(message))
