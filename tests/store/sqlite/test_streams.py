from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from otel_measure.definitions.exposition import Sample
from otel_measure.definitions.streams import Point
from otel_measure.store.sqlite import SqliteStore
from tests.facts import DAY, MINUTE, NOON, SECOND
from tests.store.asking import asked


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty store."""
    opened = SqliteStore(":memory:", history_days=30)
    yield opened
    opened.close()


def point(value: float, ts: int = NOON, **fields: Any) -> Point:
    """Return a point of a counter of process a."""
    defaults: dict[str, Any] = {
        "name": "jobs", "kind": "counter", "unit": "{job}", "description": "Jobs.", "labels": 'ok="true"',
        "scope": "add", "instance": "a", "start": NOON - 60 * MINUTE,
    }  # fmt: skip
    return Point(ts=ts, value=value, **(defaults | fields))


def histogram(buckets: tuple[int, ...], **fields: Any) -> Point:
    """Return a point of a histogram with bounds 1 and 2."""
    n = sum(buckets)
    took: dict[str, Any] = {"name": "took", "kind": "histogram", "unit": "s", "bounds": (1.0, 2.0), "buckets": buckets}
    return point(float(n), count=n, **took, **fields)


def shown(store: SqliteStore, now: int = NOON) -> dict[str, list[Sample]]:
    """Return the samples by name."""
    return {family.name: family.samples for family in asked(store, lambda m: m.streams.families(now))}


def test_a_kind_that_is_gone_makes_room(store: SqliteStore) -> None:
    """Whoever reads a host may learn to say it better; what adds up is kept, or totals would fall."""
    host: dict[str, Any] = {"scope": "host", "instance": "h", "start": 0}
    store.ingest([point(1.0, **host), point(2.0, name="kept")])
    assert store.ingest([point(1.0, NOON + 5 * MINUTE, kind="gauge", **host)]).refused == {"kind": 1}
    later = NOON + 5 * MINUTE + 1
    assert store.ingest([point(3.0, later, kind="gauge", **host)]).accepted == 1
    assert store.ingest([point(3.0, later, kind="gauge", name="kept")]).refused == {"kind": 1}
    assert [(f.name, f.kind, f.samples[0].value) for f in asked(store, lambda m: m.streams.families(later))] == [
        ("jobs", "gauge", 3.0),
        ("kept", "counter", 2.0),
    ]
    with store._database.read() as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (2,)


def test_history_has_one_row_a_minute(store: SqliteStore) -> None:
    """With the last value of that minute, for as many days as the settings say."""
    times = [NOON - 31 * DAY, NOON - 29 * DAY, NOON, NOON + SECOND, NOON + MINUTE]
    store.ingest([point(float(n), ts, labels="") for n, ts in enumerate(times)])

    def history() -> list[tuple[int, float]]:
        with store._database.read() as connection:
            return list(connection.execute("SELECT minute, value FROM history ORDER BY minute"))

    kept = [(ts // MINUTE, value) for ts, value in zip(times, (0.0, 1.0, 3.0, 3.0, 4.0), strict=True)]
    assert history() == [kept[0], kept[1], kept[2], kept[4]]
    store.sweep(NOON)
    assert history() == [kept[1], kept[2], kept[4]]


def test_a_sweep_folds_ended_streams_into_one(store: SqliteStore) -> None:
    """What a scrape shows does not change; the rows of old processes are gone, whatever their kind."""
    old = NOON - 40 * DAY
    store.ingest([point(1.0, old + n, instance=f"p{n}") for n in range(5)])
    store.ingest([histogram((n, 1, 0), ts=old + n, instance=f"p{n}") for n in range(5)])
    store.ingest([point(9.0, old, scope="instance", instance="gone", labels='service_instance_id="gone"')])
    store.ingest([point(10.0), histogram((1, 1, 1))])
    before = asked(store, lambda m: m.streams.families(NOON))
    for later in (0, 1, 0):
        store.sweep(NOON + later)
        assert asked(store, lambda m: m.streams.families(NOON)) == before
    with store._database.read() as connection:
        assert connection.execute("SELECT count(*) FROM stream").fetchone() == (4,)
    late = point(100.0, old, instance="comes late")
    store.ingest([late, replace(late, instance="another", value=1000.0)])
    for _ in range(2):
        store.sweep(NOON)
        assert shown(store)["jobs"] == [Sample('ok="true"', 1115.0)]
