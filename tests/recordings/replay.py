"""What this project makes of a recording, in the form of its ledger."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.records.kinds import Inference
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import facts
from otel_measure.testing import Clock
from tests.recordings.sink import SentRequest, read

HERE: Final = Path(__file__).parent
COMPARED: Final = (*("calls", "errors", "input_tokens", "output_tokens", "cached_input_tokens", "cost_usd", "users"),)


@dataclass(frozen=True, slots=True)
class RecordedProgram:
    """What a program sent, and what it did.

    Attributes:
        folder: where it is kept.
        requests: in the order in which they came.
        recorded_us: when the last one had come.
        models: the right answer for each model.
        not_told: what the sender does not say → why.
    """

    folder: Path
    requests: list[SentRequest]
    recorded_us: int
    models: Mapping[str, Mapping[str, Any]]
    not_told: Mapping[str, str]

    @property
    def right(self) -> dict[str, dict[str, Any]]:
        """The right answer in what the sender tells."""
        return comparable(self.models, self.not_told)


def recordings() -> list[Path]:
    """Return the folders of all recordings."""
    return sorted(file.parent for file in HERE.glob("*/*/ledger.json"))


def recording(folder: Path) -> RecordedProgram:
    """Read a recording."""
    ledger = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    recorded_us = ledger["recorded_unix_nano"] // 1000
    return RecordedProgram(folder, read(folder / "requests.gz"), recorded_us, ledger["models"], ledger["not_told"])


def comparable(models: Mapping[str, Mapping[str, Any]], not_told: Container[str]) -> dict[str, dict[str, Any]]:
    """Return a ledger, or an answer in the form of one, without what the sender does not tell.

    That is a field of all models or of one, all of one model, the users of failed calls, or the rebate of the cache:
    the cost is then that of the same tokens without a cache.
    """
    by_model = {}
    for model, entry in models.items():
        if model in not_told:
            continue
        given = dict(entry)
        if "rebate of the cache" in not_told and "uncached_cost_usd" in given:
            given["cost_usd"] = given["uncached_cost_usd"]
        if "users of failed calls" in not_told and "failed_users" in given:
            given["users"] = dict(Counter(given["users"]) - Counter(given["failed_users"]))
        by_model[model] = {
            name: given[name] for name in COMPARED if name not in not_told and f"{name} of {model}" not in not_told
        }
    return by_model


def replay(requests: Iterable[SentRequest], recorded_us: int, store: Path) -> dict[str, dict[str, Any]]:
    """Post requests to an exporter over a new store, and return what it says of each model."""
    runtime = Runtime(Settings(store=str(store)), clock=Clock(moment(recorded_us)))
    try:
        client = TestClient(create_app(runtime=runtime), base_url="http://localhost:5000", client=("127.0.0.1", 50_000))
        for path, kind, body in requests:
            answer = client.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code == 200, answer.text
        assert runtime.flush()
        models = client.get("/api/v1/metrics/ai/models").json()["data"]["models"]
    finally:
        runtime.shutdown()
    return entries(models, store)


def entries(models: Iterable[Mapping[str, Any]], store: Path) -> dict[str, dict[str, Any]]:
    """Return the answer about all models in the form of a ledger.

    A name of which only a first look told, before what corrected it came, stays listed without calls; it is no entry.
    """
    by_model: dict[str, dict[str, Any]] = {}
    for model in models:
        if not model["inference_count"] and not model["cost"]["input_tokens"]:
            continue
        empty = {"calls": 0, "errors": 0, "input_tokens": 0, "output_tokens": 0, "cached_input_tokens": 0}
        entry = by_model.setdefault(model["model_name"], {**empty, "cost_usd": None, "users": Counter()})
        entry["calls"] += model["inference_count"]
        entry["errors"] += model["errors"]["count"]
        for name in ("input_tokens", "output_tokens"):
            entry[name] += model["cost"][name] or 0
        if model["cost"]["total_usd"] is not None:
            entry["cost_usd"] = (entry["cost_usd"] or 0.0) + model["cost"]["total_usd"]
    connection = sqlite3.connect(store)
    try:
        for call in facts.read(connection, facts.INFERENCE):
            assert isinstance(call, Inference)
            if call.model not in by_model:
                continue  # it came after the answer
            entry = by_model[call.model]
            entry["cached_input_tokens"] += call.cached_input_tokens or 0
            if call.user_id:
                entry["users"][call.user_id] += 1
    finally:
        connection.close()
    return by_model
