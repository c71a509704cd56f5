"""Every public call as a user writes it. mypy, strict as the gate is, judges this file; `test_api.py` runs it.

Questions about models and users stand in `reports.py`. `assert_type` says what comes back. A wrong call carries a
`type: ignore` with the code of its error. Strict mypy refuses one that nothing needs, so a wrong call that passes is an
error as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from starlette.applications import Starlette

from exporter import create_app
from otel_measure import (
    EventType,
    ModelType,
    Settings,
    configure,
    context,
    flush,
    get_ai_model_service,
    get_infrastructure_service,
    get_otlp_senders,
    get_user_analytics_service,
    shutdown,
)
from otel_measure.ai.instrument import MeasuredStream, ModelCall
from otel_measure.ai.service import AiModelService
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.middleware import AsgiApp, AsgiMiddleware, WsgiApp, WsgiMiddleware
from otel_measure.otlp.sending import OtlpSenders
from otel_measure.store.types.exports import ExportedFact
from otel_measure.testing import Capture
from otel_measure.users.service import UserAnalyticsService

NOW = datetime(2026, 1, 15, 11, tzinfo=UTC)
TODAY = date(2026, 1, 15)


class Chunk:
    """What a provider's stream is made of."""

    def __init__(self, text: str) -> None:
        self.text = text


# ---------------------------------------------------------------- set up and end


def set_up(folder: Path) -> None:
    """Say how it is set up: with single settings, or with all of them."""
    configure()
    configure(service_name="shop", environment="test", store=folder / "measure.db", timezone="Europe/Zurich")
    configure(store=str(folder), otlp_endpoint="http://127.0.0.1:4318")
    configure(store=":memory:")
    configure(store=None, otlp_endpoint=None)
    configure(settings=Settings.load(auto_instrument=True, session_gap_s=600))
    configure(settings=Settings(service_name="shop"))


def end() -> None:
    """Wait for what is queued, and stop."""
    assert_type(flush(), bool)
    assert_type(flush(timeout_s=1.0), bool)
    assert_type(shutdown(timeout_s=1.0), bool)


def services() -> None:
    """Get the three services, and who sends by OTLP."""
    assert_type(get_infrastructure_service(), InfrastructureService)
    assert_type(get_ai_model_service(), AiModelService)
    assert_type(get_user_analytics_service(), UserAnalyticsService)
    assert_type(get_otlp_senders(), OtlpSenders)


def caller() -> None:
    """Say for whom the calls inside are made."""
    with context(user_id=7, session_id="s-1"):
        pass
    with context(user_id="ada", propagate=True, key=b"secret"):
        pass


# ---------------------------------------------------------------- the machine


def machine() -> None:
    """Read the machine."""
    infra = get_infrastructure_service()
    cpu = infra.collect_cpu_metrics()
    assert_type(cpu.usage_percent, float)
    assert_type(cpu.timestamp, datetime)
    assert_type(infra.collect_memory_metrics().available_bytes, float)
    assert_type(infra.collect_disk_metrics(mount_point="/").used_percent, float)
    assert_type(infra.collect_network_metrics().sent_bytes_per_second, float)
    assert_type(infra.get_machine_series("24h", step="5m").columns["cpu_percent_max"], tuple[float, ...])
    earlier = NOW - timedelta(hours=1)
    assert_type(infra.get_machine_series(start=earlier, end=NOW, compare="previous").step_seconds, int)
    assert_type(infra.collect_process_metrics().memory_rss_bytes, float)
    assert_type(infra.collect_process_metrics(pid=None).threads, float)
    assert_type(infra.get_metrics_summary(environment="production"), dict[str, Any])
    infra.start_background_collection(interval_s=10)
    infra.stop_background_collection()


def availability() -> None:
    """Register a service, say when it was down, ask for its availability, have it watched."""
    infra = get_infrastructure_service()
    infra.register_service("db", sla_target=99.5)
    assert_type(infra.record_service_down("db", at=NOW, reason="disk full"), str)
    assert_type(infra.record_service_up("db", at=NOW), str)
    assert_type(infra.record_maintenance("db", NOW, NOW + timedelta(hours=1), "upgrade"), str)
    found = infra.get_availability_metrics("db", window="7d", as_of=TODAY, environment="production")
    assert_type(found.availability_percent, float)
    assert_type(found.sla_compliance, bool | None)
    assert_type(infra.get_availability_series("db", "7d", step="1d").columns["incidents"], tuple[float, ...])
    infra.get_availability_series("db", start=NOW - timedelta(hours=1), end=NOW, compare="previous", environment="test")
    infra.watch_service("db", lambda: True, interval_s=30, retries=1)
    infra.unwatch_service("db")


# ---------------------------------------------------------------- models


def recording() -> None:
    """Record a call of a model with all that may be said of it, and what turned out to be true."""
    ai = get_ai_model_service()
    ai.register_model("churn", "3")
    ai.register_model("churn", "4", ModelType.CLASSIFICATION, {"owner": "risk"}, targets={"latency_p95_ms": 20.0})
    ai.register_model("churn", "5", "classification", metadata=None)
    inference_id = ai.record_inference("churn", "3", 12.5)
    assert_type(inference_id, str)
    ai.record_inference("gpt-4o", "2024-08-06", 150, 100, 200, 0.01)
    ai.record_inference(
        model_name="churn", model_version="3", latency_ms=12.5, input_tokens=1, output_tokens=2, cost_usd=0.5,
        cached_input_tokens=1, cache_write_tokens=0, reasoning_tokens=1, units={"web_searches": 1}, service_tier="flex",
        prediction="stays", ground_truth="leaves", features={"age": 41, "plan": "pro"}, user_id=7, session_id="s-1",
        provider="openai", operation="chat", error_type=None, metadata={"region": "eu"}, timestamp=NOW,
        inference_id="i-1", groups={"age_band": "60+"},
    )  # fmt: skip
    assert_type(ai.record_ground_truth(inference_id, True), str)
    ai.record_ground_truth(inference_id, value=1.5, timestamp=NOW, ground_truth_id="g-1")


def measured_functions() -> tuple[
    Callable[[str, int], str],
    Callable[[str], Awaitable[str]],
    Callable[[str], Iterator[Chunk]],
    Callable[[str], AsyncIterator[Chunk]],
]:
    """Decorate functions of every kind: each keeps its signature."""
    ai = get_ai_model_service()

    @ai.measure("gpt-4o", "2024-08-06")
    def answer(prompt: str, best_of: int = 1) -> str:
        return prompt * best_of

    @ai.measure(
        "gpt-4o", "2024-08-06", input_tokens=1, output_tokens=2, cost_usd=0.5, prediction="stays",
        cached_input_tokens=1, cache_write_tokens=0, reasoning_tokens=1, units={"web_searches": 1}, service_tier="flex",
        ground_truth="leaves", features={"age": 41}, user_id=7, session_id="s-1", provider="openai", operation="chat",
        error_type="Timeout", metadata={"region": "eu"}, timestamp=NOW, inference_id="i-3",
        groups={"age_band": "60+"},
        time_to_first_chunk_ms=1.5, output_chunks=4,
    )  # fmt: skip
    async def answer_later(prompt: str) -> str:
        return prompt

    @ai.measure("gpt-4o", "2024-08-06")
    def stream(prompt: str) -> Iterator[Chunk]:
        yield Chunk(prompt)

    @ai.measure("gpt-4o", "2024-08-06")
    async def stream_later(prompt: str) -> AsyncIterator[Chunk]:
        yield Chunk(prompt)

    class Agent:
        @ai.measure("agent", "1")
        def act(self, goal: str) -> bool:
            return bool(goal)

    assert_type(answer("why?", best_of=2), str)
    assert_type(list(stream("why?")), list[Chunk])
    assert_type(Agent().act("tidy up"), bool)
    return answer, answer_later, stream, stream_later


async def awaited() -> None:
    """Await what is measured."""
    _, answer_later, _, stream_later = measured_functions()
    assert_type(await answer_later("why?"), str)
    assert_type([chunk async for chunk in stream_later("why?")], list[Chunk])
    ai = get_ai_model_service()
    async with ai.inference("gpt-4o", "2024-08-06") as call:
        assert_type(call, ModelCall)
    async with ai.measure_stream(stream_later("why?"), "gpt-4o", "2024-08-06") as chunks:
        assert_type([chunk async for chunk in chunks], list[Chunk])


def around_a_call() -> None:
    """Measure the lines of a `with`, and a stream that somebody else made."""
    ai = get_ai_model_service()
    with ai.inference("gpt-4o", "2024-08-06", user_id=7) as call:
        call.record_response({"usage": {"prompt_tokens": 3, "completion_tokens": 5}})
        call.record_chunk(Chunk("a"))
        call.set(prediction="stays", cost_usd=0.5)
    assert_type(call.inference_id, str | None)
    with ai.inference(
        "churn", "3", input_tokens=1, output_tokens=2, cost_usd=0.5, prediction="stays", ground_truth="leaves",
        cached_input_tokens=1, cache_write_tokens=0, reasoning_tokens=1, units={"web_searches": 1}, service_tier="flex",
        features={"age": 41}, user_id=7, session_id="s-1", provider="openai", operation="chat", error_type="Timeout",
        metadata={"region": "eu"}, timestamp=NOW, inference_id="i-2", time_to_first_chunk_ms=1.5, output_chunks=4,
        groups={"age_band": "60+"},
    ):  # fmt: skip
        pass
    chunks: Iterable[Chunk] = [Chunk("a"), Chunk("b")]
    stream = ai.measure_stream(
        chunks, "gpt-4o", "2024-08-06", input_tokens=1, output_tokens=2, cost_usd=0.5, prediction="stays",
        cached_input_tokens=1, cache_write_tokens=0, reasoning_tokens=1, units={"web_searches": 1}, service_tier="flex",
        ground_truth="leaves", features={"age": 41}, user_id=7, session_id="s-1", provider="openai", operation="chat",
        error_type=None, metadata={"region": "eu"}, timestamp=NOW, inference_id="i-4", time_to_first_chunk_ms=1.5,
        groups={"age_band": "60+"},
        output_chunks=4,
    )  # fmt: skip
    assert_type(stream, MeasuredStream[Chunk])
    for chunk in stream:
        assert_type(chunk, Chunk)


# ---------------------------------------------------------------- users


def tracking() -> None:
    """Record what users do and say."""
    users = get_user_analytics_service()
    assert_type(users.track_event(7, EventType.PAGE_VIEW, "home_page", page_url="/home"), str)
    users.track_event(
        user_id="ada", event_type="purchase", event_name="checkout", page_url="/pay", properties={"items": 2},
        session_id="s-1", device_type="phone", referrer="/home", value=9.99, currency="EUR", timestamp=NOW,
        event_id="e-1",
    )  # fmt: skip
    session_id = users.start_session(7, session_id="s-2", timestamp=NOW)
    assert_type(session_id, str)
    users.end_session(7, session_id, timestamp=NOW)
    assert_type(users.record_nps_response(7, 9, "good", survey="spring", timestamp=NOW, response_id="n-1"), str)
    assert_type(users.identify("anonymous-1", "ada"), str)
    assert_type(users.unlink("anonymous-1"), bool | None)
    assert_type(users.export_user("ada").facts, tuple[ExportedFact, ...])
    erasure = users.delete_user("ada")
    assert_type(erasure.events, int)
    assert_type(erasure.pending, bool)
    assert_type(users.get_user_series("30d", step="1w", as_of=TODAY).columns["active"], tuple[float, ...])
    assert_type(users.get_erasure(receipt=erasure.receipt).bytes_cleared, bool)


def experiment() -> None:
    """Create a test, assign, convert, look."""
    users = get_user_analytics_service()
    test_id = users.create_ab_test("New button", ["old", "new"], weights=[0.5, 0.5], coverage=1.0, key="button")
    assert_type(test_id, str)
    assert_type(users.assign_variant(test_id, 7), str | None)
    assert_type(users.stop_ab_test(test_id, winner="new"), str)
    assert_type(users.record_ab_conversion(test_id, user_id=7, timestamp=NOW, event_id="c-1"), str)
    assert_type(users.get_ab_test_results(test_id, environment="test").variant_users, dict[str, int])
    over_time = users.get_ab_test_series(test_id, "7d", step="1d", as_of=TODAY, environment="test")
    assert_type(over_time.window.start, datetime)


# ---------------------------------------------------------------- other doors


def applications(asgi: AsgiApp, wsgi: WsgiApp) -> None:
    """Serve the exporter, and measure the requests of an application."""
    assert_type(create_app(), Starlette)
    assert_type(create_app(Settings(token="secret")), Starlette)
    with Capture() as capture:
        create_app(runtime=capture.runtime)
    AsgiMiddleware(asgi, page_views=True, user=lambda scope: scope.get("user"))
    WsgiMiddleware(
        wsgi,
        page_views=True,
        user=lambda environ: environ.get("REMOTE_USER"),
        route=lambda environ: environ.get("PATH_INFO"),
    )


def a_test_of_an_application() -> None:
    """Measure inside of a test."""
    with Capture() as capture:
        assert_type(capture.ai, AiModelService)
        assert_type(capture.users, UserAnalyticsService)
        assert_type(capture.infrastructure, InfrastructureService)
        capture.clock.set(NOW)


# ---------------------------------------------------------------- what mypy refuses


def wrong_calls() -> None:
    """Make the mistakes that a user makes; nobody runs this."""
    infra, ai, users = get_infrastructure_service(), get_ai_model_service(), get_user_analytics_service()
    answer, _, stream, _ = measured_functions()
    configure(store=1)  # type: ignore[arg-type]
    configure("shop")  # type: ignore[call-arg]
    configure(storage="measure.db")  # type: ignore[call-arg]
    context(session_id=1)  # type: ignore[arg-type]
    infra.collect_disk_metrics(7)  # type: ignore[arg-type]
    infra.record_service_down("db", NOW, "disk full")  # type: ignore[call-arg]
    ai.record_inference("churn", "3", "12.5")  # type: ignore[arg-type]
    ai.record_inference("churn", "3", latency=12.5)  # type: ignore[call-arg]
    ai.record_inference("churn", "3", 12.5, features=[41])  # type: ignore[arg-type]
    ai.inference("gpt-4o", "2024-08-06", tokens=3)  # type: ignore[call-arg]
    ai.measure_stream(7, "gpt-4o", "2024-08-06")  # type: ignore[arg-type]
    ai.get_latency_metrics("churn", "3", as_of="today")  # type: ignore[arg-type]
    answer(7, 1)  # type: ignore[arg-type]
    stream()  # type: ignore[call-arg]
    users.track_event(7, EventType.PAGE_VIEW)  # type: ignore[call-arg]
    users.track_event(7, EventType.PAGE_VIEW, "home", "/home")  # type: ignore[call-arg]
    users.record_nps_response(7, "9")  # type: ignore[arg-type]
    users.create_ab_test("New button", variants=2)  # type: ignore[arg-type]
