"""Whoever points an application at the exporter and sees nothing is told why, over HTTP, in Python and by `doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from exporter.cli.__main__ import main
from otel_measure import get_otlp_senders
from otel_measure.config import Settings
from otel_measure.otlp.sending import NOTHING_CAME
from otel_measure.process import install
from otel_measure.records.kinds import Json
from otel_measure.runtime import Runtime
from otel_measure.wiring import wall_clock_us
from tests.facts import inference
from tests.otlp.receive.test_agents import CLAUDE
from tests.otlp.requests import (
    CHAT,
    DURATION,
    NOW_US,
    PROCESS,
    Metrics,
    event,
    log_request,
    log_request_of,
    record_request,
    span,
    span_request,
)  # fmt: skip

SENDERS: Final = "/api/v1/metrics/otlp/senders"
SHOP: Final[dict[str, Json]] = {**PROCESS, "telemetry.sdk.language": "python", "deployment.environment.name": "prod"}


def post(client: TestClient, signal: str, message: Message) -> None:
    """Send a request in protobuf."""
    headers = {"content-type": "application/x-protobuf"}
    assert client.post(f"/v1/{signal}", content=message.SerializeToString(), headers=headers).status_code == 200


def became(client: TestClient) -> list[tuple[str, str, int, str]]:
    """Return what became of what the one sender sent: signal, outcome, items, and the first words of why."""
    (sender,) = client.get(SENDERS).json()["data"]["senders"]
    assert sender["items"] == sum(each["items"] for each in sender["became"])
    return [(each["signal"], each["outcome"], each["items"], each["why"][:20]) for each in sender["became"]]


def test_nobody_sends(client: TestClient) -> None:
    """The answer says what to look at where the application runs."""
    report = client.get(SENDERS).json()["data"]
    assert (report["senders"], report["total_items"], report["advice"]) == ([], 0, NOTHING_CAME)


def test_a_sender_is_named_with_its_instrumentation(client: TestClient) -> None:
    """Two scopes of one service are two rows; a call that two spans tell of is one."""
    calls = span_request(span(2, parent=1), span(3, parent=2), resource=SHOP, scope="openai")
    post(client, "traces", calls)
    post(client, "traces", calls)
    post(client, "traces", span_request(span(4, {}), resource=SHOP, scope="flask"))
    report = client.get(SENDERS).json()["data"]
    names = [(s["service_name"], s["environment"], s["sdk_language"], s["scope"]) for s in report["senders"]]
    assert names == [("shop", "prod", "python", "flask"), ("shop", "prod", "python", "openai")]
    assert [(b["outcome"], b["items"]) for b in report["senders"][1]["became"]] == [
        ("duplicate", 2), ("call", 1), ("same_call", 1),
    ]  # fmt: skip
    (plain,) = report["senders"][0]["became"]
    assert (plain["outcome"], plain["why"]) == ("ignored", "spans that tell of no call of a model")
    assert "gen_ai.request.model" in plain["remedy"]


SENDINGS: Final[dict[str, tuple[str, Message, list[tuple[str, str, int, str]]]]] = {
    "log lines": ("logs", log_request_of({}, body="started"), [("logs", "ignored", 1, "log lines without an")]),
    "events of nobody": ("logs", log_request([event("done")]), [("logs", "ignored", 1, "events that name no ")]),
    "events of users": ("logs", log_request([event("done", user_id="u")]), [("logs", "event", 1, "")]),
    "events of agents": ("logs", log_request_of(CLAUDE, body="claude_code.api_request"), [("logs", "call", 1, "")]),
    "facts": ("logs", record_request([inference("i", ts=NOW_US)]), [("logs", "call", 1, "")]),
    "an event that breaks a rule": (
        "logs", log_request([event("x", user_id="u" * 600)]), [("logs", "rejected", 1, "event 'x' is not a v")],
    ),
    "tools": (
        "traces", span_request(span(2, {**CHAT, "gen_ai.operation.name": "execute_tool"})),
        [("traces", "step", 1, "")],
    ),
    "retrievals": (
        "traces", span_request(span(2, {**CHAT, "gen_ai.operation.name": "retrieval"})),
        [("traces", "ignored", 1, "spans of other work ")],
    ),
    "our own": (
        "traces", span_request(span(2, {**CHAT, "otel_measure.inference.id": "i"})), [("traces", "own", 1, "")],
    ),
    "calls": ("metrics", Metrics().histogram(DURATION, [0, 1, 0], 1.5, CHAT).request, [("metrics", "call", 1, "")]),
    "calls of no model": (
        "metrics", Metrics().histogram(DURATION, [0, 1, 0], 1.5).request,
        [("metrics", "series", 1, "metrics of calls of ")],
    ),
    "a machine": ("metrics", Metrics().gauge("system.memory.usage", 1.0).request, [("metrics", "host", 1, "")]),
    "some machine": (
        "metrics", Metrics({"service.name": "shop"}).gauge("system.memory.usage", 1.0).request,
        [("metrics", "series", 1, "metrics of a machine")],
    ),
    "series": ("metrics", Metrics().counter("jobs", 1).request, [("metrics", "series", 1, "")]),
    "no number": (
        "metrics", Metrics().gauge("x", float("nan")).gauge("y", 1.0).request,
        [("metrics", "rejected", 1, "a value must be a fi"), ("metrics", "series", 1, "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("sending", SENDINGS)
def test_what_became_of_what_came(client: TestClient, sending: str) -> None:
    """Each item is counted once, with the reason where it became nothing or less than one may expect."""
    signal, message, expected = SENDINGS[sending]
    post(client, signal, message)
    assert sorted(became(client)) == sorted(expected)


def test_two_workers_tell_of_all(local: Callable[[Starlette], TestClient], tmp_path: Path) -> None:
    """What one has taken is in the answer of the other, and Python and `doctor` say the same."""
    settings = Settings(store=str(tmp_path / "measure.db"))
    workers = [Runtime(settings, clock=wall_clock_us) for _ in range(2)]
    for n, worker in enumerate(workers):
        post(local(create_app(runtime=worker)), "traces", span_request(span(n + 2, {}), resource=SHOP, scope="flask"))
        worker.receiver.count_signals()
    before = install(workers[1])
    try:
        (sender,) = get_otlp_senders().senders
    finally:
        install(before)
    assert (sender.service_name, sender.scope, sender.items) == ("shop", "flask", 2)
    for worker in workers:
        worker.shutdown()
    finding = doctor(tmp_path)
    assert (finding["verdict"], finding["what"]) == (
        "warning", "shop/prod/python/flask - ignored: 2 spans (spans that tell of no call of a model)",
    )  # fmt: skip
    assert "gen_ai.request.model" in finding["way_out"]


def doctor(folder: Path) -> dict[str, Any]:
    """Return what `doctor` finds of the senders of a store."""
    result = CliRunner().invoke(main, ["doctor", "--json", "--port", "0", "--store", str(folder / "measure.db")])
    findings = json.loads(result.output)["findings"]
    return next(dict(finding) for finding in findings if finding["check"] == "otlp senders")


def test_doctor_of_a_store_to_which_nobody_sends(runtime: Runtime, tmp_path: Path) -> None:
    """It says so, and that is no fault."""
    assert runtime.store is not None
    finding = doctor(tmp_path)
    assert (finding["verdict"], finding["what"]) == ("ok", "nobody sent anything in the last hour")
