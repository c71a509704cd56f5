"""The record that `docs/architecture.md` follows step by step has at each step the values that the page shows."""

from __future__ import annotations

import json
import re
import sqlite3
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from exporter import create_app
from otel_measure import context
from otel_measure.config import Settings
from otel_measure.definitions.measurements import measurements
from otel_measure.records.events import to_event
from otel_measure.records.kinds import Record
from otel_measure.testing import Capture

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
TABLES = {
    "inference": "SELECT * FROM inference",
    "model_cell": "SELECT * FROM model_cell WHERE seconds = 60",
    "series": "SELECT * FROM series WHERE name = 'otel_measure.ai.cost.usd'",
    "total": "SELECT total.* FROM total JOIN series ON series.id = series WHERE name = 'otel_measure.ai.cost.usd'",
}
SHOWN = ("otel_measure_ai_cost_usd_total{", "gen_ai_client_operation_duration_seconds_sum{")


def blocks() -> list[str]:
    """Return the blocks of code of the page's section, the call first."""
    section = PAGE.read_text(encoding="utf-8").split("\n## One record, step by step\n")[1].split("\n## ")[0]
    return re.findall(r"^```\w*\n(.*?)\n```$", section, re.MULTILINE | re.DOTALL)


def wrapped(line: str) -> str:
    """Return a line as the page breaks it."""
    return "\n".join(textwrap.wrap(line, 110, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def known(values: Mapping[str, object]) -> dict[str, object]:
    """Return what is known of some values; the bytes of histograms are left out."""
    return {key: value for key, value in values.items() if value not in (None, False, 0) and type(value) is not bytes}


def as_python(record: Record) -> str:
    """Return a record with the fields that are known."""
    fields = known({name: getattr(record, name) for name in record.__struct_fields__})
    return f"{type(record).__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"


def rows(store: Path) -> Iterable[str]:
    """Yield what the store has of the record, by table."""
    with closing(sqlite3.connect(store)) as connection:
        connection.row_factory = sqlite3.Row
        for table, query in TABLES.items():
            for row in connection.execute(query):
                yield wrapped(f"{table}: {json.dumps(known(dict(row)))}")


def measured(record: Record) -> Iterable[str]:
    """Yield what a record means in metrics, one line each."""
    for one in measurements(record):
        attributes = " ".join(f"{name}={value}" for name, value in one.attributes)
        yield wrapped(f"{one.instrument.name} {one.value:g} {one.instrument.unit}: {attributes}")


def test_the_page_shows_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's call gives the record, the event, the measurements, the rows, the answer and the lines of the page."""
    call, *shown = blocks()
    store = tmp_path / "measure.db"
    recorded: list[Record] = []
    with Capture(replace(Settings(), service_name="shop", environment="test", store=str(store))) as capture:
        put = capture.runtime.recorder.put

        def put_and_keep(record: Record) -> None:
            recorded.append(record)
            put(record)

        monkeypatch.setattr(capture.runtime.recorder, "put", put_and_keep)
        exec(compile(call, str(PAGE), "exec"), {"ai": capture.ai, "context": context})
        assert capture.runtime.flush()
        (record,) = recorded
        app = create_app(runtime=capture.runtime)
        with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000)) as client:
            cost = client.get("/api/v1/metrics/ai/models/gpt-4o/2024-08-06/cost").json()
            lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(SHOWN)]
    happened = [
        wrapped(as_python(record)),
        wrapped(json.dumps(to_event(record).attributes)),
        "\n".join(measured(record)),
        "\n".join(rows(store)),
        wrapped(json.dumps(cost)),
        "\n".join(lines),
    ]
    assert "\n\n".join(shown) == "\n\n".join(happened)
