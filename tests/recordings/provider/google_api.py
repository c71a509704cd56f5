"""Google: generateContent of Gemini, whole and streamed."""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.recordings.provider.ledger import ProviderLedger
from tests.recordings.provider.talk import WORDS, Answer, Prompt, sse

_numbers = count(1)


def generate(asked: Prompt, ledger: ProviderLedger) -> Answer:
    """POST /v1beta/models/MODEL:generateContent and :streamGenerateContent."""
    model = asked.path["model"]
    if asked.fails:
        ledger.failure(model)
        status = "RESOURCE_EXHAUSTED" if asked.fails == 429 else "INTERNAL"
        return Answer(asked.fails, {"error": {"code": asked.fails, "message": "as asked for", "status": status}})
    used = ledger.usage(model, is_cached=asked.is_cached)
    usage = {
        "promptTokenCount": used.input, "candidatesTokenCount": used.output,
        "totalTokenCount": used.input + used.output, "cachedContentTokenCount": used.cached,
    }  # fmt: skip
    head = {"modelVersion": model, "responseId": f"response-{next(_numbers)}"}
    if asked.path["method"] == "streamGenerateContent":
        pieces: list[dict[str, Any]] = [
            head | {"candidates": [_candidate({"text": word}, None)]} for word in WORDS[:-1]
        ]
        last = head | {"candidates": [_candidate({"text": WORDS[-1]}, "STOP")], "usageMetadata": usage}
        return sse((None, piece) for piece in (*pieces, last))
    part: dict[str, Any] = {"text": "".join(WORDS)}
    if asked.wants_tool:
        part = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}
    return Answer(200, head | {"candidates": [_candidate(part, "STOP")], "usageMetadata": usage})


def _candidate(part: dict[str, Any], reason: str | None) -> dict[str, Any]:
    content = {"role": "model", "parts": [part]}
    return {"index": 0, "content": content} | ({"finishReason": reason} if reason else {})
