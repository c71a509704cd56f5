"""What records calls in tests, and what it has recorded."""

from __future__ import annotations

from typing import Any

from otel_measure.ai.usage import Usage

ANSWER = {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 3, "completion_tokens": 5}}
READ = Usage(input_tokens=3, output_tokens=5, response_model="gpt-4o-2024-08-06")


class Boom(RuntimeError):  # noqa: N818 - as client libraries name theirs
    """What a model raises."""


class FakeMeasuring:
    """Remembers what it is told, and refuses a field named `bad`."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def check(self, model_name: str, model_version: str, **fields: Any) -> None:
        if "bad" in fields:
            raise ValueError("bad must not be given")

    def record(self, model_name: str, model_version: str, latency_ms: float, **fields: Any) -> str | None:
        self.records.append({"model": f"{model_name}/{model_version}", "latency_ms": latency_ms, **fields})
        return f"id {len(self.records)}"


def recorded(measuring: FakeMeasuring) -> dict[str, Any]:
    """Return the only record, without what all have, with the latency rounded."""
    (record,) = measuring.records
    assert (record.pop("model"), record.pop("user_id")) == ("m/1", 7)
    return record | {"latency_ms": round(record["latency_ms"], 6)}


def outcome(measuring: FakeMeasuring) -> tuple[Any, ...]:
    """Return chunks and error of the only record."""
    record = recorded(measuring)
    return record.get("output_chunks"), record.get("error_type")
