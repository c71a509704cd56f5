"""The demo workload: plausible, repeatable, and through the public API."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from exporter.demo.workload import HISTORY, INFERENCE_HISTORY, MODELS, Demo, DemoWorkload, busyness, cost_usd
from otel_measure.config import Settings
from otel_measure.records.enums import EventType, ModelType
from otel_measure.runtime import Runtime

NOW = datetime(2026, 3, 18, 15, 0, tzinfo=UTC)  # a Wednesday afternoon


class Calls:
    """Stands for both services and keeps what they were asked to record."""

    def __init__(self) -> None:
        self.models: list[tuple[str, str, str, Mapping[str, float] | None]] = []
        self.inferences: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.caught_up = threading.Event()

    def register_model(
        self, model_name: str, model_version: str, model_type: str, *, targets: Mapping[str, float] | None = None
    ) -> None:
        self.models.append((model_name, model_version, model_type, targets))

    def record_inference(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        **fields: Any,
    ) -> str:
        values = {"model": model_name, "ms": latency_ms, "in": input_tokens, "out": output_tokens, "usd": cost_usd}
        self.inferences.append(values | fields)
        self.caught_up.set()
        return "id"

    def track_event(self, user_id: str, event_type: str, event_name: str, **fields: Any) -> str:
        self.events.append({"user": user_id, "type": event_type, "name": event_name} | fields)
        return "id"


@cache
def played(seed: int = 1, attempt: int = 1) -> Calls:
    """Return the calls of four weeks; another attempt plays them anew."""
    calls = Calls()
    workload = DemoWorkload(
        calls, calls, random.Random(seed), start=NOW - HISTORY, inferences_from=NOW - INFERENCE_HISTORY
    )
    workload.advance(NOW)
    return calls


def test_the_same_seed_and_times_give_the_same_calls() -> None:
    """Two workloads of one seed are equal call by call; another seed differs."""
    one, two, other = played(), played(attempt=2), played(2)
    assert (one.models, one.events, one.inferences) == (two.models, two.events, two.inferences)
    assert one.events != other.events


def test_a_page_has_something_to_show() -> None:
    """Four weeks of events of many users and six hours of inferences come in the order of time, none of the future."""
    calls = played()
    for recorded, since in ((calls.events, HISTORY), (calls.inferences, INFERENCE_HISTORY)):
        times = [call["timestamp"] for call in recorded]
        assert times == sorted(times)
        assert NOW - since <= times[0] < NOW - since + timedelta(hours=6)
        assert NOW - timedelta(minutes=10) < times[-1] < NOW
    assert len(calls.events) > 5000
    assert len({call["user"] for call in calls.events}) > 100
    assert {call["type"] for call in calls.events} >= {
        "page_view",
        "click",
        "signup",
        "conversion",
        "purchase",
        "error",
    }
    assert {call["model"] for call in calls.inferences} == {model.name for model in MODELS}
    assert [model[:3] for model in calls.models] == [(model.name, model.version, model.type) for model in MODELS]
    assert [model[3] for model in calls.models] == [{"latency_p95_ms": 2000}, {"latency_p95_ms": 2500}, None, None]


def test_models_behave_as_described() -> None:
    """Latencies are lognormal around the median, some calls fail, a failed call has no output and no cost."""
    calls = played()
    for model in MODELS:
        own = [call for call in calls.inferences if call["model"] == model.name]
        latencies = sorted(call["ms"] for call in own)
        assert latencies[len(own) // 2] == pytest.approx(model.median_ms, rel=0.15)
        assert latencies[-1] > 1.5 * model.median_ms
        for call in own:
            failed = call["error_type"] is not None
            assert (call["usd"] is None) == (failed or model.usd_per_million is None)
            assert (call["out"] is None) == (failed or model.output_tokens == 0)
    errors = Counter(call["error_type"] for call in calls.inferences if call["error_type"])
    assert 0 < errors.total() < 0.05 * len(calls.inferences)


def test_sessions_belong_to_one_user_and_one_device() -> None:
    """Every event of a session has the same user, device and referrer; some sessions are bounces."""
    sessions: dict[str, list[dict[str, Any]]] = {}
    for call in played().events:
        sessions.setdefault(call["session_id"], []).append(call)
    for events in sessions.values():
        assert len({(e["user"], e["device_type"], e["referrer"]) for e in events}) == 1
        assert events[0]["type"] == "page_view"
    lengths = Counter(len(events) for events in sessions.values())
    assert 0.2 < lengths[1] / len(sessions) < 0.6


def test_only_what_has_a_value_has_a_currency() -> None:
    """A purchase carries its value in USD; nothing else has one."""
    for call in played().events:
        assert (call["value"], call["currency"]) == ((29.0, "USD") if call["type"] == "purchase" else (None, None))


def test_every_name_is_one_the_api_accepts() -> None:
    """Event and model types are members of the public enums."""
    assert {call["type"] for call in played().events} <= {member.value for member in EventType}
    assert {model.type for model in MODELS} <= {member.value for member in ModelType}


def test_nights_and_weekends_are_quiet() -> None:
    """The afternoon of a working day is the busiest time there is; a weekend night the quietest."""
    assert busyness(NOW) == pytest.approx(1.0)
    assert busyness(NOW + timedelta(hours=12)) == pytest.approx(0.1)
    assert busyness(NOW + timedelta(days=3)) == pytest.approx(0.6)


def test_cost_follows_the_tokens() -> None:
    """A cost is tokens times price; a model without a price has an unknown cost, which is not 0."""
    gpt, unpriced = MODELS[0], MODELS[-1]
    assert cost_usd(gpt, 1_000_000, 1_000_000) == 12.5
    assert cost_usd(gpt, None, None) == 0.0
    assert cost_usd(unpriced, None, None) is None


def test_the_demo_plays_the_past_and_stops_when_told() -> None:
    """The thread plays the past at once, goes on with the clock, and ends with `stop()`."""
    calls = Calls()
    demo = Demo(calls, calls, now=lambda: NOW, tick_s=0.01)
    demo.start()
    assert calls.caught_up.wait(30)
    demo.stop(30)
    assert not demo._thread.is_alive()
    assert calls.events


def test_a_demo_without_a_past_begins_now() -> None:
    """With no history nothing is recorded before the start, so that a restart on the same store doubles nothing."""
    calls, times = Calls(), iter([NOW, NOW, *(NOW + timedelta(minutes=m) for m in range(1, 10_000))])
    demo = Demo(calls, calls, history=timedelta(0), now=lambda: next(times), tick_s=0.0001)
    demo.start()
    assert calls.caught_up.wait(30)
    demo.stop(30)
    assert min(call["timestamp"] for call in calls.inferences) >= NOW


def test_the_real_services_accept_it() -> None:
    """A day of the workload, played into a runtime, is what its reports show."""
    now_us = int(NOW.timestamp() * 1_000_000)
    runtime = Runtime(Settings(store=":memory:"), clock=lambda: now_us, raise_faults=True)
    try:
        day = NOW - timedelta(days=1)
        calls = Calls()
        for ai, users in ((calls, calls), (runtime.ai, runtime.users)):
            DemoWorkload(ai, users, random.Random(3), start=day, inferences_from=NOW - timedelta(hours=1)).advance(NOW)
        listed = runtime.ai.list_models()
        assert (len(listed.models), listed.total_inferences) == (len(MODELS), len(calls.inferences))
        users_today = {call["user"] for call in calls.events if call["timestamp"].date() == NOW.date()}
        assert runtime.users.get_engagement_metrics().dau == len(users_today)
    finally:
        runtime.shutdown()
