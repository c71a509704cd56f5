"""A large request is committed in portions: one that fails in the middle and is sent again counts once, all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from exporter.otlp import PROTOBUF
from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.otlp.receive import shapes, wire
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.otlp.requests import CHAT, DELTA, DURATION, NOW_US, Metrics, event, log_request, span, span_request

Local = Callable[[Starlette], TestClient]
ITEMS = 12
PORTION = 3


def deltas() -> Message:
    """Return increments of counters, histograms and a model, each with a time of its own."""
    request = Metrics()
    for n in range(ITEMS):
        start, ts = NOW_US + n, NOW_US + n + 1
        if n % 3 == 0:
            request.counter("jobs", 1, {"q": "a"}, start=start, ts=ts, temporality=DELTA)
        elif n % 3 == 1:
            request.exponential("sizes", 3, 0, [1, 1], 2.0, start=start, ts=ts, temporality=DELTA)
        else:
            request.histogram(DURATION, [0, 1, 0], 1.5, CHAT, start=start, ts=ts, temporality=DELTA)
    return request.request


def cumulative() -> Message:
    """Return values since the start."""
    request = Metrics()
    for n in range(ITEMS):
        request.counter("jobs", n + 1, {"q": str(n)})
    return request.request


def spans() -> Message:
    """Return calls of a model."""
    return span_request(*(span(n + 1, CHAT) for n in range(ITEMS)))


def events() -> Message:
    """Return events of ours and of others, with and without an id of their own."""
    half = range(ITEMS // 2)
    more = {"otel__measure_event_label": "x"}
    ours = [event("otel_measure.click", NOW_US + n, user_id=f"u{n}", log_record_uid=f"e{n}", **more) for n in half]
    return log_request([*ours, *(event("checkout.done", NOW_US + n, user_id=f"u{n}") for n in half)])


SIGNALS: list[tuple[str, Callable[[], Message]]] = [
    ("metrics", deltas),
    ("metrics", cumulative),
    ("traces", spans),
    ("logs", events),
]


def sums(runtime: Runtime, client: TestClient) -> dict[str, str]:
    """Return what is exposed of what was received, and of what it means, calls that spans alone tell of included."""
    runtime.receiver.count_signals()
    lines = client.get("/metrics").text.splitlines()
    wanted = ("jobs", "sizes", "gen_ai", "otel_measure_ai", "otel_measure_users_events")
    return dict(line.rsplit(" ", 1) for line in lines if line.startswith(wanted))


def served(folder: Path, local: Local, clock: Clock) -> tuple[Runtime, TestClient]:
    """Return an application with a store of its own, and a client of it."""
    folder.mkdir()
    settings = Settings(store=str(folder / "m.db"), event_types={"*": "click"})
    runtime = Runtime(settings, clock=clock)
    return runtime, local(create_app(runtime=runtime))


def sent(client: TestClient, signal: str, request: Message) -> int:
    """Return the status of the answer to a request."""
    body = request.SerializeToString()
    return client.post(f"/v1/{signal}", content=body, headers={"content-type": PROTOBUF}).status_code


@pytest.mark.parametrize(("signal", "make"), SIGNALS, ids=[make.__name__ for _, make in SIGNALS])
def test_what_failed_in_the_middle_counts_once(
    signal: str,
    make: Callable[[], Message],
    tmp_path: Path,
    local: Local,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store goes away after some portions, and the sender repeats all of it later: nothing is lost or doubled."""
    for module in (shapes, wire):
        monkeypatch.setattr(module, "PORTION_ITEMS", PORTION)
    monkeypatch.setattr(wire, "HARMLESS_BYTES", 0)
    request, began_us = make(), clock.now_us
    runtime, client = served(tmp_path / "once", local, clock)
    assert sent(client, signal, request) == 200
    expected = sums(runtime, client)
    runtime.shutdown()
    assert expected
    for portions in range(ITEMS // PORTION):
        clock.now_us = began_us
        runtime, client = served(tmp_path / str(portions), local, clock)
        store, left = runtime.store, [portions]
        assert store is not None
        with monkeypatch.context() as patch:
            for name in ("ingest", "accept", "take_tellings"):
                patch.setattr(store, name, failing(getattr(store, name), left))
            assert sent(client, signal, request) == 503
        clock.now_us += 5_000_000
        assert sent(client, signal, request) == 200
        assert sums(runtime, client) == expected
        runtime.shutdown()


def failing(act: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    """Return what fails as a locked store does when it was called often enough."""

    def called(*args: Any, **kwargs: Any) -> Any:
        if left[0] == 0:
            raise StoreUnavailable("locked", "m.db is locked", "wait")
        left[0] -= 1
        return act(*args, **kwargs)

    return called
