"""Ollama: chat, whole and streamed, and embed. Its models cost nothing that a table knows."""

from __future__ import annotations

import json
from typing import Any

from tests.recordings.provider.ledger import ProviderLedger
from tests.recordings.provider.talk import WORDS, Answer, Prompt


def answer(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /api/chat and /api/embed."""
    model = asked.body["model"]
    if asked.fails:
        ledger.failure(model)
        return Answer(asked.fails, {"error": "as asked for"})
    times = {"total_duration": 5_000_000, "load_duration": 1_000_000}
    if asked.path["method"] == "embed":
        used = ledger.usage(model, is_embedding=True)
        said = {"model": model, "embeddings": [[0.1, 0.2, 0.3]], "prompt_eval_count": used.input}
        return Answer(200, said | times)
    used = ledger.usage(model)
    head: dict[str, Any] = {"model": model, "created_at": "2026-01-15T12:00:00Z"}
    last = {
        "done": True, "done_reason": "stop", "prompt_eval_count": used.input, "eval_count": used.output,
        "prompt_eval_duration": 1_000_000, "eval_duration": 3_000_000, **times,
    }  # fmt: skip
    if not asked.body.get("stream"):
        message: dict[str, Any] = {"role": "assistant", "content": "".join(WORDS)}
        if asked.wants_tool:
            call = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
            message = {"role": "assistant", "content": "", "tool_calls": [call]}
        return Answer(200, head | {"message": message} | last)
    pieces = [head | {"message": {"role": "assistant", "content": word}, "done": False} for word in WORDS]
    pieces.append(head | {"message": {"role": "assistant", "content": ""}} | last)
    return Answer(
        200, [json.dumps(piece).encode() + b"\n" for piece in pieces], {"Content-Type": "application/x-ndjson"}
    )
