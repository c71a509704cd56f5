"""A server on ClickHouse reads what a real Collector writes beside its store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.errors import ConfigurationError
from otel_measure.runtime import Runtime
from otel_measure.store.clickhouse import collected, collector_reading
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.collected import CollectedRow
from otel_measure.testing import Clock
from tests.clickhouse import ClickHouseServer
from tests.facts import event
from tests.otlp.requests import record_request
from tests.recordings.replay import RecordedProgram, recording, recordings
from tests.recordings.sink import SentRequest
from tests.store.clickhouse.collecting import collector_into

pytestmark = pytest.mark.e2e
_ASKED = ("ai/models?window=24h", "ai/summary?window=24h", "users/engagement?window=24h", "ai/errors?window=24h")


def client_of(runtime: Runtime) -> TestClient:
    """Return a client of a server over a runtime."""
    return TestClient(create_app(runtime=runtime), base_url="http://localhost:5000", client=("127.0.0.1", 50_000))


def answers(runtime: Runtime) -> dict[str, Any]:
    """Return what is answered to what is asked about calls and users."""
    assert runtime.flush()
    client = client_of(runtime)
    told = {path: client.get(f"/api/v1/metrics/{path}").json() for path in _ASKED}
    assert {path: answer["status"] for path, answer in told.items()} == dict.fromkeys(_ASKED, "success")
    return {path: answer["data"] for path, answer in told.items()}


def sent_by(program: RecordedProgram) -> list[SentRequest]:
    """Return what a program sent, and events of three users of ours."""
    events = [event(f"e-{n}", f"u{n % 3}", program.recorded_us - n * 1_000_000) for n in range(1, 7)]
    body = record_request(events, {"service.name": "shop"}).SerializeToString()
    return [*program.requests, SentRequest("/v1/logs", "application/x-protobuf", body)]


def test_what_a_collector_wrote_is_answered_as_what_was_sent(
    clickhouse: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls and users are those of a server that was sent the same; another server goes on where the first one was."""
    monkeypatch.setattr(collected, "HELD_BACK_US", 0)
    monkeypatch.setattr(collector_reading, "_MOST_NOTES", 2)
    (folder,) = [each for each in recordings() if each.parent.name == "openllmetry-openai"]
    program = recording(folder)
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as beside:
        beside.run("CREATE DATABASE {db}")
        settings = Settings(store=clickhouse.url_for_one_test(), collector_database=beside.name)
        with collector_into(clickhouse, beside.name, tmp_path / "collector") as collector:
            collector.send(sent_by(program))
    clock = Clock(moment(program.recorded_us))
    with running(Settings(store=str(tmp_path / "m.db")), clock) as posted_to:
        client = client_of(posted_to)
        for path, kind, body in sent_by(program):
            assert client.post(path, content=body, headers={"content-type": kind}).status_code == 200
        right = answers(posted_to)
    with running(settings, clock) as reader:
        reads(reader)
        assert answers(reader) == right
    with running(settings, clock) as another:
        assert another.collector is not None
        assert not another.collector.take(never)
        assert answers(another) == right


@contextmanager
def running(settings: Settings, clock: Clock) -> Iterator[Runtime]:
    """Have a runtime for the length of a `with` block."""
    runtime = Runtime(settings, clock=clock, raise_faults=True)
    try:
        yield runtime
    finally:
        runtime.shutdown()


def reads(runtime: Runtime) -> None:
    """Have the background read what there is: a part of each table at a time."""
    for _ in range(4):
        runtime.background.run_soon("collector")
        runtime.background.run_due()


def never(rows: Sequence[CollectedRow]) -> None:
    """Take no rows."""
    raise AssertionError(f"{len(rows)} rows were read again")


def test_it_needs_a_store_on_a_server() -> None:
    """A store in a file has no server beside which a Collector could write."""
    with pytest.raises(ConfigurationError, match=r"collector_database names 'otel'.*set store to clickhouse"):
        Runtime(Settings(store=":memory:", collector_database="otel"))
