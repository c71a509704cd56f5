"""What real clients send that was once understood wrongly: each request beside its right values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock

CASES = sorted((Path(__file__).parent.parent / "otlp" / "cases").glob("*.json"))
CAPTURED = Path(__file__).parent.parent / "otlp" / "captured"
NOW_US = 1_793_000_000_000_000  # in October 2026
Local = Callable[[Starlette], TestClient]
_TIMES = re.compile(r'"(timeUnixNano|endTimeUnixNano|startTimeUnixNano|observedTimeUnixNano)": "(\d+)"')


@pytest.fixture
def served(tmp_path: Path, local: Local, clock: Clock) -> Iterator[tuple[Runtime, TestClient]]:
    """An exporter with a store of its own, and a client of it."""
    clock.now_us = NOW_US  # prices have dates
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")), clock=clock)
    yield runtime, local(create_app(runtime=runtime))
    runtime.shutdown()


def total(values: list[float | None]) -> float | None:
    """Return the sum of what is known, `None` where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def answered(client: TestClient, **narrowed: str) -> dict[str, Any]:
    """Return what all models together did, as a ledger would have it."""
    models = client.get("/api/v1/metrics/ai/models", params=narrowed).json()["data"]["models"]
    models = [m for m in models if m["inference_count"] or m["cost"]["input_tokens"] or m["cost"]["total_usd"]]
    costs = [m["cost"] for m in models]
    return {
        "calls": sum(m["inference_count"] for m in models),
        "errors": sum(m["errors"]["count"] for m in models),
        "input": total([cost["input_tokens"] for cost in costs]),
        "output": total([cost["output_tokens"] for cost in costs]),
        "usd": total([cost["total_usd"] for cost in costs]),
        "mean_ms": models[0]["latency"]["mean_ms"] if models else None,
        "priced_ratio": costs[0]["priced_ratio"] if models else None,
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_case_has_its_right_values(path: Path, served: tuple[Runtime, TestClient], clock: Clock) -> None:
    """Calls, errors, tokens and cents, and nothing of it is refused but what says nothing."""
    runtime, client = served
    case = json.loads(path.read_text())
    moved = moved_to(clock.now_us)
    for address, body in case["requests"]:
        text = moved(json.dumps(body)).replace("LONESURROGATE", "cut \\ud83d")
        assert client.post(address, content=text, headers={"content-type": "application/json"}).status_code == 200
    assert runtime.flush()
    answer = answered(client)
    assert {key: answer[key] for key in case["right"]} == {
        key: value if value is None else pytest.approx(value) for key, value in case["right"].items()
    }


def moved_to(now_us: int) -> Callable[[str], str]:
    """Return what puts times before now in place of `NOW-…ms`."""
    return lambda text: re.sub(r"NOW-(\d+)ms", lambda m: str(now_us * 1000 - int(m[1]) * 10**6), text)


@pytest.mark.parametrize(
    ("client_program", "environment", "right"),
    [
        ("1_openllmetry_double", "", {"calls": 5, "errors": 3, "input": 310, "output": 56}),
        ("2_openlit_cost_zero", "default", {"calls": 5, "errors": 3, "input": 310, "output": 56, "usd": 0.0000801}),
        ("3_pydantic_ai", "", {"calls": 3, "errors": 2, "input": 150, "output": 36, "usd": 0.0000441}),
        ("4_openinference", "", {"calls": 6, "errors": 2, "input": 500, "output": 52}),
        ("6_errors_only_in_spans", "", {"calls": 10, "errors": 2, "input": 1010, "output": 231}),
        ("8_litellm_embedding", "production", {"calls": 1, "errors": 0, "input": 110, "usd": 0.0000022}),
    ],
)
@pytest.mark.parametrize("metrics_first", [False, True])
def test_what_real_programs_sent_is_counted_as_they_made_it(
    client_program: str,
    environment: str,
    right: dict[str, float],
    metrics_first: bool,
    served: tuple[Runtime, TestClient],
    clock: Clock,
) -> None:
    """Whichever signal comes first, and however often: the calls that it made, with their errors and tokens."""
    runtime, client = served
    signals = ["metrics", "traces"] if metrics_first else ["traces", "metrics"]
    for signal in [*signals, *signals]:
        path = CAPTURED / f"{client_program}.{signal}.json"
        if path.exists():
            body = _now(path.read_text(), clock.now_us)
            headers = {"content-type": "application/json"}
            assert client.post(f"/v1/{signal}", content=body, headers=headers).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert runtime.flush()
    answer = answered(client, environment=environment)
    assert {key: answer[key] for key in right} == {key: pytest.approx(value) for key, value in right.items()}


def _now(text: str, now_us: int) -> str:
    """Move the times of a request so that it ends now."""
    last = max(int(nanos) for name, nanos in _TIMES.findall(text) if name in ("timeUnixNano", "endTimeUnixNano"))
    return _TIMES.sub(lambda m: f'"{m[1]}": "{int(m[2]) + now_us * 1000 - last}"', text)
