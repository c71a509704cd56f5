"""R5: bodies that are almost right get an answer that is quite right."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.testclient import TestClient

from exporter.http.types import JSON
from exporter.otlp import PROTOBUF
from tests.facts import one_of_each
from tests.otlp.requests import (
    CHAT,
    DELTA,
    DURATION,
    TOKENS,
    Metrics,
    event,
    log_request,
    record_request,
    span,
    span_request,
)

# The budget says 100,000 of both forms together; `make chaos` sends them, in parts that can go side by side. As many as
# fit into a test say the same by seeds that change with nothing.
MUTATIONS = int(os.environ.get("E2E_MUTATIONS", "3000"))
PART = 10_000
SEEDS = range(7, 7 + max(MUTATIONS // PART // 2, 1))
HOSTILE = (
    "",
    "\0",
    "'; DROP TABLE event; --",
    "a" * 5000,
    "\u202e",
    "le",
    "__name__",
    'x"y\\z\n',
    "-1",
    "NaN",
    "1e999",
)


def bodies() -> list[tuple[str, Message]]:
    """Return requests in which everything is right."""
    metrics = (
        Metrics()
        .histogram(DURATION, [1, 2, 3], 4.5, CHAT)
        .histogram(TOKENS, [0, 0, 6], 60.0, {**CHAT, "gen_ai.token.type": "input"}, temporality=DELTA)
        .exponential("mine", 3, -5, [1, 2, 3], 4.5, zero_count=1)
        .counter("jobs", 3, {"q": "a"})
        .gauge("system.memory.usage", 1.0)
    )
    evaluation = event("gen_ai.evaluation.result", gen_ai__evaluation__name="x")
    return [
        ("metrics", metrics.request),
        ("logs", record_request(one_of_each())),
        ("logs", log_request([event("other", user_id="u", deep={"a": [1, {"b": None}]}), evaluation])),
        ("traces", span_request(span(1), span(2, parent=1), span(3, {"http.route": "/"}))),
    ]


def mutated_bytes(body: bytes, draw: random.Random) -> bytes:
    """Return bytes with some of them changed, gone, doubled or new."""
    mutated = bytearray(body)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(mutated) + 1)
        match draw.randrange(5):
            case 0:
                mutated[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del mutated[at : at + draw.randint(1, 20)]
            case 2:
                mutated[at:at] = mutated[at : at + draw.randint(1, 50)]
            case 3:
                mutated[at:at] = draw.randbytes(draw.randint(1, 10))
            case _:
                del mutated[at:]
    return bytes(mutated)


def mutated_json(node: object, draw: random.Random) -> object:
    """Return JSON with one value in it replaced by something hostile."""
    if isinstance(node, dict) and node and draw.random() < 0.9:
        key = draw.choice(list(node))
        return {**node, draw.choice([key, key, key, "other"]): mutated_json(node[key], draw)}
    if isinstance(node, list) and node and draw.random() < 0.9:
        at = draw.randrange(len(node))
        return [*node[:at], mutated_json(node[at], draw), *node[at + 1 :]]
    wrong: list[object] = [None, True, -1, 2**64, 1.5, [], {}, [[]], {"a": {}}, *HOSTILE]
    return draw.choice(wrong)


def as_json(message: Message, draw: random.Random) -> bytes:
    """Return a mutated request in JSON."""
    return json.dumps(mutated_json(MessageToDict(message, use_integers_for_enums=True), draw)).encode()


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("media", "mutate"),
    [(PROTOBUF, lambda message, draw: mutated_bytes(message.SerializeToString(), draw)), (JSON, as_json)],
    ids=["protobuf", "json"],
)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(600)
def test_mutations_are_answered(
    client: TestClient, media: str, mutate: Callable[[Message, random.Random], bytes], seed: int
) -> None:
    """Taken in, in part, or refused as a fault of the sender: never a fault of ours, and the exposition stays whole."""
    draw = random.Random(seed)
    given = bodies()
    answers: Counter[int] = Counter()
    for _ in range(MUTATIONS // 2 // len(SEEDS)):
        signal, message = draw.choice(given)
        body = mutate(message, draw)
        answer = client.post(f"/v1/{signal}", content=body, headers={"content-type": media})
        answers[answer.status_code] += 1
        assert answer.status_code in (200, 400), (signal, body, answer.content)
        assert answer.headers["content-type"] == media
    assert set(answers) == {200, 400}
    assert client.get("/metrics").status_code == 200
    assert client.get("/api/v1/metrics/ai/models").status_code == 200
    assert client.get("/api/v1/metrics/infrastructure/hosts").status_code == 200
    assert client.get("/api/v1/metrics/users/summary").status_code == 200
