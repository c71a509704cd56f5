"""What a real Collector writes into its tables is read as what it was sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.ai.pricing import Pricer
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.otlp.receive import metrics
from otel_measure.otlp.receive.collector_rows import logs_request, metrics_request, receive
from otel_measure.otlp.receive.logs import EventRules, interpret
from otel_measure.runtime import Runtime
from otel_measure.store.clickhouse import collected
from otel_measure.store.clickhouse.collected import CollectorTables, ReadUntil
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.collected import CollectedRow, LogRow, PointRow
from otel_measure.testing import Clock
from tests.clickhouse import ClickHouseServer
from tests.facts import NOON, one_of_each
from tests.otlp.requests import Metrics, record_request
from tests.recordings.replay import comparable, entries, recording, recordings
from tests.recordings.sink import SentRequest
from tests.recordings.test_recordings import approximately, names
from tests.store.clickhouse.collecting import CollectorIntoTables, collector_into

pytestmark = pytest.mark.e2e
SHOWN = ("openllmetry-openai", "openinference-anthropic", "semantic-kernel")
FOLDERS = [
    folder for folder in recordings() if folder.parent.name in SHOWN or os.environ.get("CLICKHOUSE_RECORDINGS") == "all"
]


class ReadTables:
    """The tables of a Collector, and how far they are read."""

    def __init__(self, database: ClickHouseDatabase) -> None:
        self._tables = CollectorTables(database)
        self._read = {table.name: ReadUntil() for table in collected.TABLES}

    def rows(self) -> list[CollectedRow]:
        """Return all rows that were not read yet."""
        new: list[CollectedRow] = []
        for table in self._tables.prepare():
            while True:
                rows, self._read[table.name] = self._tables.next(table, self._read[table.name])
                if not rows:
                    break
                new += rows
        return new


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return a database for a Collector."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        database.run("CREATE DATABASE IF NOT EXISTS {db}")
        yield database


@pytest.fixture(scope="module")
def collector(
    clickhouse: ClickHouseServer, database: ClickHouseDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CollectorIntoTables]:
    """Return a Collector that writes into it."""
    with collector_into(clickhouse, database.name, tmp_path_factory.mktemp("collector")) as started:
        yield started


@pytest.fixture(scope="module")
def tables(database: ClickHouseDatabase) -> ReadTables:
    """Return what is read of it by all tests of this module."""
    return ReadTables(database)


@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_calls_of_a_recording_are_counted_as_they_were_made(
    collector: CollectorIntoTables, tables: ReadTables, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls, errors, tokens, cents and users of each model are those of the ledger, as where the receiver is sent."""
    monkeypatch.setattr(collected, "HELD_BACK_US", 0)
    made = recording(folder)
    collector.send(made.requests)
    runtime = Runtime(Settings(store=str(tmp_path / "m.db")), clock=Clock(moment(made.recorded_us)))
    try:
        receive(runtime.receiver, tables.rows())
        client = TestClient(create_app(runtime=runtime), base_url="http://localhost:5000", client=("127.0.0.1", 50_000))
        assert runtime.flush()
        models: list[dict[str, Any]] = client.get("/api/v1/metrics/ai/models").json()["data"]["models"]
    finally:
        runtime.shutdown()
    answered = entries(models, tmp_path / "m.db")
    assert comparable(answered, made.not_told) == {model: approximately(entry) for model, entry in made.right.items()}


def test_facts_of_ours_are_what_they_were(
    collector: CollectorIntoTables, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of every kind comes back with every field, though the tables have nothing but text."""
    monkeypatch.setattr(collected, "HELD_BACK_US", 0)
    request = record_request(one_of_each())
    collector.send([SentRequest("/v1/logs", "application/x-protobuf", request.SerializeToString())])
    rows = tables.rows()
    rules = EventRules(Pricer({}), {})
    read, sent = (
        interpret(each.resource_logs, rules, NOON)
        for each in (logs_request([row for row in rows if isinstance(row, LogRow)]), request)
    )
    assert [*read.calls, *read.records] == [*sent.calls, *sent.records]
    assert len(rows) == len(one_of_each())


def test_points_are_what_they_were(
    collector: CollectorIntoTables, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gauges, sums, histograms of both kinds and summaries, in whole seconds: values, buckets, attributes, senders."""
    monkeypatch.setattr(collected, "HELD_BACK_US", 0)
    request = (
        Metrics()
        .gauge("jobs.waiting", 3.5, queue="a")
        .counter("jobs.done", 7, {"queue": "a"})
        .histogram("jobs.duration", (1, 2, 0), 3.5, {"queue": "b"}, min=0.5, max=1.75)
        .exponential("jobs.size", 2, -3, (1, 0, 4), 9.5, {"queue": "c"}, zero_count=1)
        .summary("jobs.wait", 4, 2.5, {0.5: 0.25, 0.99: 1.5}, queue="d")
        .request
    )
    collector.send([SentRequest("/v1/metrics", "application/x-protobuf", request.SerializeToString())])
    rows = [row for row in tables.rows() if isinstance(row, PointRow)]
    read, sent = (metrics.interpret(each.resource_metrics, NOON) for each in (metrics_request(rows), request))
    assert sorted(read.points, key=str) == sorted(sent.points, key=str)
    assert {resource.source for resource in read.resources} == {resource.source for resource in sent.resources}


def test_rows_that_are_seen_late_are_read(
    database: ClickHouseDatabase, collector: CollectorIntoTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row whose time of receipt lies before what was read is read with those around it, and none of them again."""
    monkeypatch.setattr(collected, "HELD_BACK_US", 0)
    fresh = CollectorTables(database)
    (logs,) = [table for table in fresh.prepare() if table.name == "otel_logs"]
    _, read = fresh.next(logs, ReadUntil())
    assert fresh.next(logs, read)[0] == []
    database.run(
        "INSERT INTO {db}.otel_logs (Timestamp, EventName, otel_measure_received)"
        f" SELECT now64(9), 'late', fromUnixTimestamp64Micro({read.received_us - 1_000_000})"
    )
    rows, after = fresh.next(logs, read)
    assert [row for row in rows if isinstance(row, LogRow) and row.event_name == "late"]
    assert fresh.next(logs, after)[0] == []
