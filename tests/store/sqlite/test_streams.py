from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.exposition import Family, Sample
from otel_measure.definitions.streams import Point
from otel_measure.store.sqlite import SqliteStore
from tests.closing import closed_later
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


def test_repeating_a_write_changes_nothing(store: SqliteStore) -> None:
    """The value is absolute; the family is that of the instrument."""
    for _ in range(3):
        store.ingest([point(5.0)])
    assert asked(store, lambda m: m.streams.families(NOON)) == [
        Family("jobs", "counter", "{job}", "Jobs.", (), [Sample('ok="true"', 5.0)]),
    ]


def test_an_older_point_changes_nothing(store: SqliteStore) -> None:
    """The last word of a stream counts, in whatever order its words arrive."""
    store.ingest([point(5.0), point(3.0, NOON - SECOND)])
    assert shown(store) == {"jobs": [Sample('ok="true"', 5.0)]}


def test_processes_add_and_stay_when_they_end(store: SqliteStore) -> None:
    """Also the ones of yesterday; a restart is a stream of its own."""
    store.ingest([point(5.0), point(7.0, instance="b"), point(1.0, NOON - DAY, start=0), point(2.0, labels="")])
    assert shown(store) == {"jobs": [Sample("", 2.0), Sample('ok="true"', 13.0)]}


@pytest.mark.parametrize("delta", [False, True])
def test_a_series_has_one_kind(store: SqliteStore, delta: bool) -> None:
    """What else comes under its name, labels and start is refused, and shows nowhere."""
    gauge = point(7.0, name="took", kind="gauge", scope="instance")
    for first, other in ((gauge, histogram((1, 2, 0))), (histogram((1, 2, 0)), gauge)):
        first, other = (replace(p, start=0, scope="instance", labels=first.kind) for p in (first, other))
        other = replace(other, ts=NOON + SECOND, delta=delta)
        assert store.ingest([first, other]).refused == {"kind": 1}
    assert [(f.kind, s) for f in asked(store, lambda m: m.streams.families(NOON)) for s in f.samples] == [
        ("gauge", Sample("gauge", 7.0)),
        ("histogram", Sample("histogram", 3.0, 3, (1, 2, 0))),
    ]


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


def test_histograms_add_by_bucket(store: SqliteStore) -> None:
    """Sum, count and every bucket."""
    store.ingest([histogram((1, 0, 2)), histogram((0, 4, 0), instance="b")])
    (family,) = asked(store, lambda m: m.streams.families(NOON))
    assert (family.bounds, family.samples) == ((1.0, 2.0), [Sample('ok="true"', 7.0, 7, (1, 4, 2))])


@pytest.mark.parametrize("scope", ["host", "instance"])
def test_a_reading_goes_stale(store: SqliteStore, scope: str) -> None:
    """After 5 minutes without a word it is no longer shown; what adds is kept."""
    store.ingest([point(1.0, scope=scope), point(2.0, name="kept")])
    assert set(shown(store, NOON + 5 * MINUTE - 1)) == {"jobs", "kept"}
    assert set(shown(store, NOON + 5 * MINUTE)) == {"kept"}


def test_the_last_reading_of_a_host_counts(store: SqliteStore) -> None:
    """However many processes read it."""
    store.ingest(
        [point(1.0, scope="host", instance="h", start=0), point(2.0, NOON + 1, scope="host", instance="h", start=0)]
    )
    assert shown(store) == {"jobs": [Sample('ok="true"', 2.0)]}


def test_a_lease_from_before_the_clock_was_set_back(store: SqliteStore) -> None:
    """It would last for as long as the step; one that is a little ahead is kept, and only its holder gives it up."""
    assert store.take_lease("k", "1", now=1000, until=1045)
    assert not store.take_lease("k", "2", now=956, until=1001)
    assert not store.take_lease("k", "2", now=900, until=0)
    assert store.take_lease("k", "2", now=950, until=995)
    assert not store.take_lease("k", "1", now=951, until=996)


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


def test_a_sweep_of_an_instrument_that_had_other_buckets(store: SqliteStore) -> None:
    """What its old and its new histograms counted is kept, each under its own; sweep after sweep."""
    old = NOON - 40 * DAY
    store.ingest([histogram((n, 1, 0), ts=old, instance=f"p{n}") for n in range(3)])
    other = histogram((1, 2, 3), ts=old, instance="q")
    store.ingest([replace(other, bounds=(1.0, 5.0, 9.0), buckets=(1, 2, 3, 4), count=10)])
    before = asked(store, lambda m: m.streams.families(NOON))
    assert [(f.bounds, f.samples[0].count) for f in before] == [((1.0, 2.0), 6), ((1.0, 5.0, 9.0), 10)]
    for _ in range(3):
        store.sweep(NOON)
        assert asked(store, lambda m: m.streams.families(NOON)) == before


@given(
    st.permutations(
        [point(float(n), NOON + n % 3 * SECOND, instance=f"p{n % 4}", start=n % 2) for n in range(8)]
        + [histogram((n, 2, 1), ts=NOON + n) for n in range(3)]
    )
)
def test_the_order_of_points_does_not_matter(order: list[Point]) -> None:
    """Twice each, in any order: the same exposition."""
    answers = set()
    for points in (order, sorted(order, key=lambda p: (p.ts, p.name)), [*order, *order]):
        store = closed_later(SqliteStore(":memory:"))
        for one in points:
            store.ingest([one])
        answers.add(msgspec.json.encode(asked(store, lambda m: m.streams.families(NOON))))
        store.close()
    assert len(answers) == 1
