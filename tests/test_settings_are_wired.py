"""Every setting changes what a process does: for each field of `Settings`, what is seen with one value and another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from otel_measure.config import Settings
from tests import wired_settings as see
from tests.alerting import wired_settings as alerting
from tests.alerting.evaluating import KEY
from tests.exporter import wired_settings as serve

ONE_USD: Final = {"input_per_million_usd": 1.0}
THREE_USD: Final = {"input_per_million_usd": 3.0}
EVERYBODY: Final = dict.fromkeys(serve.SECRETS, (200, 201))
NOBODY: Final = dict.fromkeys(serve.SECRETS, (401, 401))
# What the two values of a field change: (field, what is looked at, (value, what is seen), (value, what is seen)).
WIRES: Final[tuple[tuple[str, Callable[[see.Given], object], tuple[Any, object], tuple[Any, object]], ...]] = (
    ("service_name", see.service, ("shop", ({"shop"}, "shop", ["shop"])), ("cafe", ({"cafe"}, "cafe", ["cafe"]))),
    ("environment", see.environment, ("prod", ({"prod"}, "prod", ["prod"])), ("", ({""}, None, [""]))),
    ("store", see.store, ("a.db", (True, ["a.db"])), (None, (False, []))),
    ("spool", see.spooled, (None, "no process"), ("spool", (True, 1))),
    ("collector_database", see.collector, (None, "no reader"), ("otel", "otel")),
    ("otlp_endpoint", see.sent, (None, []), ("here", ["/v1/logs", "/v1/metrics"])),
    ("timezone", see.zones, ("UTC", (["UTC"] * 3, 0)), ("Pacific/Kiritimati", (["Pacific/Kiritimati"] * 3, 1))),
    ("durability", serve.durability, ("process", (([False], 1), [False])), ("power", (([True], 2), [True]))),
    ("queue_size", see.queue, (10, 10), (100_000, 12)),
    ("flush_interval_ms", see.flush_interval, (1, 0.001), (200, 0.2)),
    ("retention_days", see.retention, (400, 2), (5, 1)),
    ("store_max_bytes", see.bound, (64 * 2**20, 2), (16 * 2**20, 1)),
    ("history_days", see.history, (30, True), (1, False)),
    ("sample_interval_s", see.sampling, (10.0, 10.0), (0.5, 0.5)),
    ("price_overrides", see.price, ({"own": ONE_USD}, 1.0), ({"own": THREE_USD}, 3.0)),
    ("event_types", see.foreign_event, ({}, 0), ({"checkout.done": "purchase"}, 1)),
    ("trace_url", see.trace_links, (None, [None]), ("https://tempo/{trace_id}", ["https://tempo/" + "ab" * 16])),
    ("auto_instrument", see.instrumented, (False, ([], [False])), (True, (["on", "off"], [True]))),
    ("store_text", see.text_kept, (True, ([True], True)), (False, ([False], False))),
    ("session_gap_s", see.sessions, (600, 2), (1800, 1)),
    ("drift_window_records", see.drift_samples, (100, 100), (1000, 700)),
    ("drift_window_hours", see.drift_samples, (24, 700), (1, 300)),
    ("host", serve.listening, ("127.0.0.1", ("127.0.0.1", 5000)), ("::1", ("::1", 5000))),
    ("port", serve.listening, (5000, ("127.0.0.1", 5000)), (8080, ("127.0.0.1", 8080))),
    ("grpc_port", serve.listening_for_grpc, (None, 4317), (8081, 8081)),
    ("token", serve.doors, (None, EVERYBODY), ("all", NOBODY | {"all": (200, 201)})),
    ("read_token", serve.doors, (None, EVERYBODY), ("get", NOBODY | {"get": (200, 403)})),
    ("write_token", serve.doors, (None, EVERYBODY), ("put", NOBODY | {"put": (403, 201)})),
    ("tokens_file", serve.doors_of_a_file, (None, EVERYBODY), ("tokens", NOBODY | {"get": (200, 403)})),
    ("insecure", serve.open_door, (False, (403, 403)), (True, (200, 201))),
    (
        "public_url", alerting.linked,
        (None, ["http://127.0.0.1:5000/#/rules/what-to-do"]),
        ("https://measure.example.com/team", ["https://measure.example.com/team/#/rules/what-to-do"]),
    ),
    (
        "cors_origins", serve.preflight,
        ((), [None, None]), (("https://app.example",), ["https://app.example"] * 2),
    ),
    ("alert_evaluation", alerting.evaluating, ("serve", [False, True]), ("always", [True, True])),
    ("alert_interval_s", alerting.interval, (60.0, 2), (10.0, 12)),
    ("alert_webhook", alerting.told, (None, []), ("http://hook/a", [("http://hook/a", False)])),
    ("alert_webhook_secret", alerting.signed, (None, [("http://hook", False)]), (KEY, [("http://hook", True)])),
    ("alert_slack", alerting.told, (None, []), ("https://slack/a", [("https://slack/a", False)])),
    (
        "alert_alertmanager", alerting.told,
        (None, []), ("http://am:9093", [("http://am:9093/api/v2/alerts", False)]),
    ),
    ("alert_heartbeat", alerting.told, (None, []), ("http://watch/me", [("http://watch/me", False)])),
    (
        "alert_rules", alerting.failing,
        ({}, {"model_errors": "page", "model_errors_sustained": "ticket"}),
        ({"model_errors": {"enabled": False}, "model_errors_sustained": {"severity": "page"}},
         {"model_errors_sustained": "page"}),
    ),
)  # fmt: skip


def test_every_setting_stands_in_the_table() -> None:
    """A new field needs a row that sees what it changes."""
    assert [field for field, *_ in WIRES] == [field.name for field in fields(Settings)]


@pytest.mark.parametrize(("field", "look", "one", "other"), WIRES, ids=[field for field, *_ in WIRES])
def test_a_setting_changes_what_a_process_does(
    field: str,
    look: Callable[[see.Given], object],
    one: tuple[Any, object],
    other: tuple[Any, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one value something is seen, with another one something else."""
    for name, (value, expected) in (("one", one), ("other", other)):
        folder = tmp_path / name
        folder.mkdir()
        with monkeypatch.context() as patch:
            assert look(see.Given({field: value}, folder, patch)) == expected
    assert one[1] != other[1]
