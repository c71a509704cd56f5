from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from otel_measure.ai.aggregates import interpreter
from otel_measure.ai.pricing import Pricer
from otel_measure.definitions.signals import ModelSeries
from otel_measure.definitions.streams import Point
from otel_measure.store.sqlite import SqliteStore, schema_scripts
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON

STARTED = NOON - MINUTE


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty store."""
    opened = SqliteStore(":memory:")
    yield opened
    opened.close()


def series(role: Any, source: str = "a", **fields: Any) -> ModelSeries:
    """Return what a series of model m, version 1 means."""
    return ModelSeries(role, source, HERE, "m", "1", **fields)


def calls(n: int, ts: int = NOON, *, source: str = "a", start: int = STARTED, **fields: Any) -> Point:
    """Return the point of a duration histogram with n calls of 1 to 2 seconds."""
    given: dict[str, Any] = {
        "name": "gen_ai.client.operation.duration", "kind": "histogram", "unit": "s", "description": "",
        "labels": f'i="{source}"', "scope": "instance", "instance": source, "start": start, "ts": ts,
        "value": 1.5 * n, "count": n, "bounds": (1.0, 2.0), "buckets": (0, n, 0),
        "model_series": series("calls", source),
    }  # fmt: skip
    return Point(**(given | fields))


# ---------------------------------------------------------------- metrics of others


def test_deltas_are_remembered_for_some_hours(store: SqliteStore) -> None:
    """Also those of a clock that is wrong by years: a sender must not fill the disk."""
    for said in (0, NOON + HOUR, NOON + 400 * DAY):
        store.ingest([calls(1, sender_ts=said, delta=True)])
    store.sweep(NOON + HOUR)
    with store._database.read() as connection:
        assert connection.execute("SELECT ts FROM delta").fetchall() == [(NOON,), (NOON + HOUR,)]
    store.sweep(NOON + 4 * HOUR)
    with store._database.read() as connection:
        assert connection.execute("SELECT ts FROM delta").fetchall() == []


def test_series_without_end_are_refused(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender must not fill the disk; what it has sent before goes on."""
    monkeypatch.setattr("otel_measure.store.sqlite.streams.MAX_STREAMS", 2)
    points = [calls(1, source=str(n), model_series=None) for n in range(3)]
    assert store.ingest(points).refused == {"cardinality": 1}
    assert store.ingest([calls(2, NOON + 1, source="0", model_series=None)]).accepted == 1


def of_call(n: int, ts: int = NOON, **fields: Any) -> Point:
    """Return the series of one call, whose id it has as an attribute."""
    return calls(1, ts, labels=f'request_id="{n}"', **fields)


def requests(store: SqliteStore) -> int:
    """Return how many calls are counted."""
    with store.asking() as moment:
        return sum(use.requests for use in moment.models.model_use(NOON - DAY, NOON + DAY))


@pytest.mark.parametrize("delta", [False, True])
def test_a_series_per_call_is_a_call(store: SqliteStore, monkeypatch: pytest.MonkeyPatch, delta: bool) -> None:
    """Each counts once, however many there are and however often it is sent; so many are shown, and one row is kept."""
    monkeypatch.setattr("otel_measure.store.sqlite.streams.MAX_STREAMS", 5)
    points = [of_call(n, delta=delta) for n in range(40)]
    assert [store.ingest(points, interpreter(Pricer())).accepted for _ in range(2)] == [40, 0]
    assert requests(store) == 40
    again = [of_call(n, NOON + MINUTE) for n in range(40)]
    assert store.ingest([] if delta else again, interpreter(Pricer())).accepted == (0 if delta else 40)
    assert requests(store) == 40
    with store.asking() as moment:
        shown = {family.name: len(family.samples) for family in moment.streams.families(NOON)}
    assert shown["gen_ai.client.operation.duration"] == 5
    with store._database.read() as connection:
        assert connection.execute("SELECT count(*) FROM growth").fetchone() == (1,)
        labels = connection.execute("SELECT labels FROM stream WHERE scope = 'folded'").fetchall()
    assert len(labels) == 35
    assert not any("request_id" in text for (text,) in labels)


def test_series_of_calls_that_are_not_heard_of_are_forgotten(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They make room for others after three hours, and their number has a bound; what they counted stays."""
    monkeypatch.setattr("otel_measure.store.sqlite.streams.MAX_STREAMS", 1)
    monkeypatch.setattr("otel_measure.store.sqlite.streams.MAX_FOLDED", 3)
    assert store.ingest([of_call(n) for n in range(5)], interpreter(Pricer())).refused == {"cardinality": 2}
    store.sweep(NOON + 4 * HOUR)
    later = NOON + 4 * HOUR
    more = [of_call(n, later, start=later - MINUTE) for n in range(7, 9)]
    assert store.ingest(more, interpreter(Pricer())).accepted == 2
    assert requests(store) == 5


def test_names_and_series_of_all_names_without_end_are_refused(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender fills the disk by no other way; what is known goes on, and so does what this process says of itself."""
    monkeypatch.setattr("otel_measure.store.sqlite.streams.MAX_NAMES", 2)
    monkeypatch.setattr("otel_measure.store.sqlite.streams.MAX_OF_ALL_NAMES", 4)

    def sent(name: str, source: str, at: int = NOON) -> Point:
        return replace(calls(1, at, source=source), name=name, received_ts=at, model_series=None)

    assert store.ingest([sent(name, "0") for name in ("a", "b", "c", "d")]).refused == {"names": 2}
    assert store.ingest([sent("a", str(n)) for n in range(5)]).refused == {"series": 2}
    assert store.ingest([sent("a", "0", NOON + 1)]).accepted == 1
    assert store.ingest([replace(calls(1, source="own"), name="own")]).accepted == 1


# ---------------------------------------------------------------- cells of a store of before


def test_cells_of_before_know_the_cost_of_a_source_that_is_the_only_one() -> None:
    """No fact brings cells of metrics back: where two sources share a cell, which cost was whose stays unknown."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema_scripts.run(connection, 0, 21)
        for start, sources in ((0, '{"table":2}'), (60, '{"provider":1,"table":1}'), (120, "{}")):
            connection.execute(
                "INSERT INTO received_cell VALUES (60, ?, 1, 1, 2, 0, 9, 2, 5, 2, 7000, 2, 14, ?, '[]')",
                (start, sources),
            )
        schema_scripts.run(connection, 21, 22)
        rows = connection.execute(
            "SELECT sources_nano_usd, cached_known, cache_savings_known FROM received_cell ORDER BY start"
        ).fetchall()
    assert rows == [('{"table":7000}', 0, 0), ("{}", 0, 0), ("{}", 0, 0)]
