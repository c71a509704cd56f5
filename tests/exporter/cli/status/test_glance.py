"""What the screen shows, read at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan

import pytest
from starlette.testclient import TestClient

from exporter.cli.status.glance import glance, with_history
from otel_measure.definitions.series import Series
from otel_measure.definitions.windows import TimeSpan
from otel_measure.infrastructure.sampler import Sampler
from otel_measure.runtime import Runtime
from tests.exporter.conftest import NOW_US
from tests.facts import inference
from tests.judging.test_scorecard import overview


def history(*cpu: float) -> Series:
    """Readings of ten seconds each."""
    columns = {"cpu_percent": cpu, "memory_percent": tuple(50.0 for _ in cpu)}
    return Series((), 10, (), columns, (), None, TimeSpan(0, 1, 0, True, "UTC").window)


@pytest.mark.parametrize(
    ("cpu", "observed_s", "noted", "judged"),
    [
        (99.0, 0.06, (40.0, 60.0, nan), (50.0, 50.0, 20.0)),
        (99.0, 0.06, (), (nan, 85.0, 0.06)),
        (70.0, 30.0, (40.0, 60.0), (70.0, 85.0, 30.0)),
    ],
)
def test_the_machine_is_judged_by_who_saw_most_of_it(
    cpu: float, observed_s: float, noted: tuple[float, ...], judged: tuple[float, float, float]
) -> None:
    """By the readings that a server noted, or by what was seen here; its first moment is no reason to judge a CPU."""
    told = with_history(overview(cpu, observed_s), history(*noted))
    machine = told.machine
    assert repr((machine["cpu"]["average_percent"], machine["memory"]["average_percent"], told.observed_s)) == repr(
        judged
    )
    assert machine["status"] == "critical"  # the disk of the test is nearly full


def test_the_sentence_is_that_of_the_page(client: TestClient, runtime: Runtime, sampler_of_tests: Sampler) -> None:
    """A reader of the store says what the server says, of models as of the machine that it has watched for long."""
    assert runtime.store is not None
    runtime.store.accept([inference(f"i{n}", NOW_US, latency_ms=900.0) for n in range(30)])
    for n in range(30):
        runtime.store.note_machine({"cpu_percent": 95.0, "memory_percent": 20.0}, NOW_US - n * 10_000_000)
    reader = Runtime(runtime.settings, clock=runtime.clock, sampler=sampler_of_tests, reads_only=True)
    assert reader.store is not None
    told = glance(reader, reader.store, None)
    reader.store.close()
    of_server = client.get("/api/v1/metrics/status").json()["data"]
    models = [one.sentence for one in told.status.firing if one.kind == "model"]
    assert models == [one["sentence"] for one in of_server["firing"] if one["kind"] == "model"] != []
    assert "CPU usage is 95 %, above 90 %" in [one.sentence for one in told.status.firing]


@pytest.fixture
def sampler_of_tests() -> Iterator[Sampler]:
    """What reads this machine, and ends with the test."""
    sampler = Sampler()
    yield sampler
    sampler.stop()
