"""Streams: what points do to them, what is shown of them, and who sends them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.exposition import Family, Sample
from otel_measure.definitions.streams import Point
from otel_measure.store.protocol import Store
from otel_measure.store.types.streams import Ingested, Sender, StreamGrowth
from tests.facts import DAY, MINUTE, NOON, SECOND
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store."""
    return engine.open(history_days=30)


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


def shown(store: Store, now: int = NOON) -> dict[str, list[Sample]]:
    """Return the samples by name."""
    return {family.name: family.samples for family in asked(store, lambda m: m.streams.families(now))}


def test_repeating_a_write_changes_nothing(store: Store) -> None:
    """The value is absolute; the family is that of the instrument."""
    for _ in range(3):
        store.ingest([point(5.0)])
    assert asked(store, lambda m: m.streams.families(NOON)) == [
        Family("jobs", "counter", "{job}", "Jobs.", (), [Sample('ok="true"', 5.0)]),
    ]


def test_by_how_much_a_counter_has_grown(store: Store) -> None:
    """Each stream that was heard of since then says it, to the minute; one that began meanwhile grew from nothing."""
    for ts, value in ((NOON - 20 * MINUTE, 3.0), (NOON - 10 * MINUTE, 5.0), (NOON, 9.0)):
        store.ingest([point(value, ts)])
    store.ingest([point(7.0, NOON - 8 * MINUTE, labels='ok="false"'), point(1.0, NOON, name="others")])
    store.ingest([point(2.0, NOON, instance="b"), point(4.0, NOON, labels="x", kind="gauge", scope="instance")])
    with store.asking() as moment:
        grown = {since: moment.streams.growth("jobs", NOON - since * MINUTE) for since in (5, 9, 15)}
    assert grown == {
        5: [StreamGrowth('ok="true"', 4.0), StreamGrowth('ok="true"', 2.0)],
        9: [StreamGrowth('ok="false"', 7.0), StreamGrowth('ok="true"', 4.0), StreamGrowth('ok="true"', 2.0)],
        15: [StreamGrowth('ok="false"', 7.0), StreamGrowth('ok="true"', 6.0), StreamGrowth('ok="true"', 2.0)],
    }


def test_an_older_point_changes_nothing(store: Store) -> None:
    """The last word of a stream counts, in whatever order its words arrive."""
    store.ingest([point(5.0), point(3.0, NOON - SECOND)])
    assert shown(store) == {"jobs": [Sample('ok="true"', 5.0)]}


def test_processes_add_and_stay_when_they_end(store: Store) -> None:
    """Also the ones of yesterday; a restart is a stream of its own."""
    store.ingest([point(5.0), point(7.0, instance="b"), point(1.0, NOON - DAY, start=0), point(2.0, labels="")])
    assert shown(store) == {"jobs": [Sample("", 2.0), Sample('ok="true"', 13.0)]}


@pytest.mark.parametrize("delta", [False, True])
def test_a_series_has_one_kind(store: Store, delta: bool) -> None:
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


def test_histograms_add_by_bucket(store: Store) -> None:
    """Sum, count and every bucket."""
    store.ingest([histogram((1, 0, 2)), histogram((0, 4, 0), instance="b")])
    (family,) = asked(store, lambda m: m.streams.families(NOON))
    assert (family.bounds, family.samples) == ((1.0, 2.0), [Sample('ok="true"', 7.0, 7, (1, 4, 2))])


@pytest.mark.parametrize("scope", ["host", "instance"])
def test_a_reading_goes_stale(store: Store, scope: str) -> None:
    """After 5 minutes without a word it is no longer shown; what adds is kept."""
    store.ingest([point(1.0, scope=scope), point(2.0, name="kept")])
    assert set(shown(store, NOON + 5 * MINUTE - 1)) == {"jobs", "kept"}
    assert set(shown(store, NOON + 5 * MINUTE)) == {"kept"}


@pytest.mark.parametrize("scope", ["host", "instance"])
@pytest.mark.parametrize("kind", ["gauge", "counter"])
def test_a_series_that_has_ended_is_shown_no_more(store: Store, scope: str, kind: str) -> None:
    """At once, under all its starts, and until it says something newer; what comes late does not bring it back."""
    fields: dict[str, Any] = {"name": "x", "kind": kind, "scope": scope}
    end = point(0.0, NOON + SECOND, ends=True, **fields)
    store.ingest([point(5.0, labels='other="1"', **fields), point(5.0, NOON - SECOND, start=1, **fields)])
    store.ingest([point(5.0, **fields)])
    assert [len(samples) for samples in shown(store).values()] == [2]
    assert store.ingest([end, end]).accepted == 2
    assert store.ingest([point(6.0, NOON + 1, **fields)]).refused == {}
    assert [sample.labels for sample in shown(store)["x"]] == ['other="1"']
    store.ingest([point(7.0, NOON + 2 * SECOND, **fields)])
    assert [sample.labels for sample in shown(store)["x"]] == ['ok="true"', 'other="1"']


def test_what_nobody_knows_cannot_end(store: Store) -> None:
    """Nothing is kept of it."""
    assert store.ingest([point(0.0, ends=True)]) == Ingested(("duplicate",))
    assert shown(store) == {}


def test_the_last_reading_of_a_host_counts(store: Store) -> None:
    """However many processes read it."""
    store.ingest(
        [point(1.0, scope="host", instance="h", start=0), point(2.0, NOON + 1, scope="host", instance="h", start=0)]
    )
    assert shown(store) == {"jobs": [Sample('ok="true"', 2.0)]}


def test_a_lease_from_before_the_clock_was_set_back(store: Store) -> None:
    """It would last for as long as the step; one that is a little ahead is kept, and only its holder gives it up."""
    assert store.take_lease("k", "1", now=1000, until=1045)
    assert not store.take_lease("k", "2", now=956, until=1001)
    assert not store.take_lease("k", "2", now=900, until=0)
    assert store.take_lease("k", "2", now=950, until=995)
    assert not store.take_lease("k", "1", now=951, until=996)


def test_a_sweep_of_an_instrument_that_had_other_buckets(store: Store) -> None:
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
def test_the_order_of_points_does_not_matter(engine: EngineCase, order: list[Point]) -> None:
    """Twice each, in any order: the same exposition."""
    answers = set()
    for points in (order, sorted(order, key=lambda p: (p.ts, p.name)), [*order, *order]):
        store = engine.open()
        for one in points:
            store.ingest([one])
        answers.add(msgspec.json.encode(asked(store, lambda m: m.streams.families(NOON))))
        store.close()
    assert len(answers) == 1


def test_senders(store: Store) -> None:
    """The last word of each; forgotten with the history."""
    late, early = Sender("s", "", "i", {"a": "1"}, NOON), Sender("s", "", "i", {"a": "0"}, NOON - 1)
    store.note_senders([late])
    store.note_senders([early])
    assert (asked(store, lambda m: m.streams.senders(NOON - 1)), asked(store, lambda m: m.streams.senders(NOON))) == (
        [late],
        [],
    )
    store.sweep(NOON + 31 * DAY)
    assert asked(store, lambda m: m.streams.senders(0)) == []


def test_two_values_of_one_time_are_no_restart(store: Store) -> None:
    """The larger one stays, in whatever order they come; a request of both that is sent again adds nothing."""
    points = [point(2.0), point(7.0)]
    assert store.ingest(points) == Ingested(("accepted", "accepted"))
    assert store.ingest(points) == Ingested(("out_of_order", "duplicate"))
    assert shown(store) == {"jobs": [Sample('ok="true"', 7.0)]}
