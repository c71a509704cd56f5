"""R6: names without number, and hostile ones: what is exposed stays bounded and valid, and the rest is a number."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.asking import question, status_of
from tests.chaos.victim import Victim, victim

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
MODELS = int(os.environ.get("CHAOS_MODELS", "3000"))
BATCH = "/api/v1/metrics/ai/inferences/batch"
SHOWN = 2000
HOSTILE = (
    *('a"b', "a\\", 'a\\"', "a\nb", "a\r\nb", "{a}", 'a",b="c', "a\u2028b", "a\u0085b", "\u202eabc", "é" * 80, "😀"),
    *("# HELP x y", "' OR 1=1 --", "<script>alert(1)</script>", "../../etc/passwd", "%00", "${jndi:x}", "NaN", "+Inf"),
)  # fmt: skip


def recorded(server: Victim, names: list[str]) -> int:
    """Record a call of each model, by a user of its own; return the status of the answer."""
    calls = [{"model_name": name, "model_version": "1", "latency_ms": 5, "user_id": f"user {name}"} for name in names]
    body = json.dumps({"inferences": calls}).encode()
    head = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return status_of(server.ask(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body, 60))


def answered(server: Victim, path: str) -> bytes:
    """Return the body of an answer."""
    return server.ask(question(path), 300).partition(b"\r\n\r\n")[2]


def test_models_without_number(tmp_path: Path) -> None:
    """Every call is counted; `/metrics` and `/ai/models` tell of so many, and of how many more; users are in none."""
    with victim(tmp_path) as server:
        for first in range(0, MODELS, 1000):
            assert recorded(server, [f"model-{n}" for n in range(first, min(first + 1000, MODELS))]) == 200
        assert recorded(server, list(HOSTILE)) == 200
        families = {each.name: each for each in text_string_to_metric_families(answered(server, "/metrics").decode())}
        models = json.loads(answered(server, "/api/v1/metrics/ai/models"))
        dearest = json.loads(answered(server, "/api/v1/metrics/ai/models?limit=25&sort=-latency.p95_ms&q=7"))
    calls = families["otel_measure_ai_inferences"].samples
    assert sum(sample.value for sample in calls) == MODELS + len(HOSTILE)
    assert len(calls) <= SHOWN + 1
    assert not any("user" in label for family in families.values() for s in family.samples for label in s.labels)
    hidden = families["otel_measure_self_overflow_attribute_sets"].samples
    assert max(sample.value for sample in hidden) >= MODELS + len(HOSTILE) - SHOWN
    assert (len(models["data"]["models"]), len(dearest["data"]["models"])) == (1000, 25)
    assert models["lists"]["models"]["total"] == MODELS + len(HOSTILE)
    assert dearest["lists"]["models"]["matched"] == sum("7" in str(n) for n in range(MODELS))


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """A name comes back as it was given, in JSON and as the value of a label, whatever it would mean elsewhere."""
    with victim(tmp_path) as server:
        assert recorded(server, list(HOSTILE)) == 200
        families = {each.name: each for each in text_string_to_metric_families(answered(server, "/metrics").decode())}
        models = json.loads(answered(server, "/api/v1/metrics/ai/models"))["data"]["models"]
    assert {model["model_name"] for model in models} == set(HOSTILE)
    shown = {sample.labels["gen_ai_request_model"] for sample in families["otel_measure_ai_inferences"].samples}
    assert shown == set(HOSTILE)
