"""What a report is asked about, and that it answers what its endpoint answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from exporter.cli.report.asked import Endpoints, ReportAsked
from exporter.cli.report.subjects import REPORTS
from otel_measure.errors import ConfigurationError
from otel_measure.records.kinds import Origin
from otel_measure.runtime import Runtime
from tests.exporter.conftest import NOW_US
from tests.facts import event, inference

BASE = "/api/v1/metrics"
PARIS = ZoneInfo("Europe/Paris")
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("subject", "asked", "path"),
    [
        ("models", {}, "/ai/models"),
        (
            "models", {"window": "7d", "environment": "test", "service": "shop"},
            "/ai/models?window=7d&environment=test&service=shop",
        ),
        (
            "models", {"start": "2025-12-31", "end": "2025-12-31"},
            "/ai/models?start=2025-12-31T00:00:00Z&end=2026-01-01T00:00:00Z",
        ),
        ("models", {"start": "2026-01-01T09:30Z"}, "/ai/models?start=2026-01-01T09:30:00Z"),
        ("users", {}, "/users/summary"),
        ("users", {"window": "7d", "service": "shop"}, "/users/summary?window=7d&service=shop"),
        ("users", {"start": "2025-12-28", "end": "2025-12-31"}, "/users/summary?window=4d&as_of=2025-12-31"),
        ("users", {"start": "2025-12-28"}, "/users/summary?window=5d"),
        ("experiments", {"environment": "test"}, "/experiments?environment=test"),
        ("machine", {"window": "6h"}, "/infrastructure/series?window=6h"),
        ("machine", {"start": "2026-01-01"}, "/infrastructure/series?start=2026-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_json_is_the_answer_of_the_endpoint(
    client: TestClient, runtime: Runtime, subject: str, asked: dict[str, Any], path: str
) -> None:
    """Byte for byte, whatever it is narrowed to."""
    assert runtime.store is not None
    origins = (Origin("shop", "test"), Origin("other", "test"))
    runtime.store.accept(
        [
            *(inference(f"i{n}", NOW_US - n * HOUR, origin=origins[n % 2], model=f"m{n % 3}") for n in range(60)),
            *(event(f"e{n}", f"u{n % 7}", NOW_US - n * HOUR, origin=origins[n % 2]) for n in range(200)),
        ]
    )
    runtime.experiments.create_ab_test("Form", ["old", "new"])
    runtime.store.note_machine({"cpu_percent": 40.0}, NOW_US - HOUR)
    endpoints = Endpoints(runtime, runtime.store)
    told = REPORTS[subject](endpoints, ReportAsked(**asked), "measure.db")
    answer = client.get(f"{BASE}{path}")
    assert (answer.status_code, endpoints.envelope(told.path, told.query, told.answer)) == (200, answer.text)


def test_days_are_those_of_the_zone() -> None:
    """A day begins and ends at local midnight, also where clocks change; a time is what it says."""
    asked = ReportAsked(start="2026-03-29", end="2026-03-29")
    told = asked.times(PARIS)
    assert told["end"].astimezone(UTC) - told["start"].astimezone(UTC) == datetime(2026, 1, 1, 23) - datetime(
        2026, 1, 1
    )
    assert told["start"].isoformat() == "2026-03-29T00:00:00+01:00"
    assert ReportAsked(start="2026-03-29T12:00+02:00").times(PARIS) == {"start": datetime(2026, 3, 29, 10, tzinfo=UTC)}
    assert ReportAsked(window="7d").times(PARIS) == ReportAsked(window="7d").days(date(2026, 1, 1)) == {"window": "7d"}
    assert ReportAsked().times(PARIS) == ReportAsked().days(date(2026, 1, 1)) == {}


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"window": "7d", "start": "2026-01-01"}, "--window and --start or --end exclude each other: give one of them"),
        ({"end": "2026-01-01"}, "--end needs a --start; --window alone ends now"),
    ],
)
def test_what_excludes_each_other(asked: dict[str, str], complaint: str) -> None:
    """Two ways to say when are refused."""
    with pytest.raises(ConfigurationError) as refused:
        ReportAsked(**asked)
    assert str(refused.value) == complaint


def test_times_that_are_none() -> None:
    """Each is named with the option and what it should be."""
    for given, complaint in (
        (
            "yesterday",
            "--start must be a day such as 2026-01-31, or a time with its zone such as 2026-01-31T12:00Z,"
            " not 'yesterday'",
        ),
        ("2026-01-01T12:00", "--start must be a day such as 2026-01-31, or a time with its zone"),
        ("2026-02-30", "--start '2026-02-30' is no day of the calendar: day is out of range for month"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError) as refused:
            ReportAsked(start=given).times(PARIS)
        assert str(refused.value).startswith(complaint)
    with pytest.raises(ConfigurationError) as refused:
        ReportAsked(start="2026-01-01T12:00Z").days(date(2026, 1, 1))
    assert str(refused.value).endswith("not '2026-01-01T12:00Z': users are counted by days")
    with pytest.raises(ConfigurationError) as refused:
        ReportAsked(start="2026-01-02", end="2026-01-01").days(date(2026, 1, 3))
    assert str(refused.value) == "--start 2026-01-02 comes after --end 2026-01-01"
    with pytest.raises(ConfigurationError) as refused:
        ReportAsked(start="2026-01-04").days(date(2026, 1, 3))
    assert str(refused.value) == "--start 2026-01-04 comes after today, 2026-01-03"
