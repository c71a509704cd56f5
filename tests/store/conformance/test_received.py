"""What the metrics of others tell of models."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.ai.aggregates import interpreter
from otel_measure.ai.pricing import Pricer
from otel_measure.ai.rates import Rates
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.signals import ModelSeries
from otel_measure.definitions.streams import Point
from otel_measure.stats.binned import Exponential
from otel_measure.store.protocol import Store
from otel_measure.store.types.streams import Ingested
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON, SECOND, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

LEARN = interpreter(Pricer({"m": Rates(input_usd=0.001, output_usd=0.002)}))
STARTED = NOON - MINUTE


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store."""
    return engine.open()


def series(role: Any, source: str = "a", **fields: Any) -> ModelSeries:
    """Return what a series of model m, version 1 means."""
    said: dict[str, Any] = {"request_model": "m", "response_model": "m-1", "scope": role}
    return ModelSeries(role, source, HERE, "m", "1", **(said | fields))


def calls(n: int, ts: int = NOON, *, source: str = "a", start: int = STARTED, **fields: Any) -> Point:
    """Return the point of a duration histogram with n calls of 1 to 2 seconds."""
    given: dict[str, Any] = {
        "name": "gen_ai.client.operation.duration", "kind": "histogram", "unit": "s", "description": "",
        "labels": f'i="{source}"', "scope": "instance", "instance": source, "start": start, "ts": ts,
        "value": 1.5 * n, "count": n, "bounds": (1.0, 2.0), "buckets": (0, n, 0),
        "model_series": series("calls", source),
    }  # fmt: skip
    return Point(**(given | fields))


def tokens(n: int, total: float, kind: str = "input_tokens", **fields: Any) -> Point:
    """Return the point of a histogram of tokens."""
    given: dict[str, Any] = {
        "name": "gen_ai.client.token.usage", "unit": "{token}", "labels": f'k="{kind}"', "value": total,
        "buckets": (0, 0, n), "model_series": series(kind),
    }  # fmt: skip
    return calls(n, **(given | fields))


def used(store: Store, now: int = NOON) -> ModelUse:
    """Return what model m did in the last day."""
    (use,) = asked(store, lambda m: m.models.model_use(now - DAY, now + MINUTE))
    return use


def totals(store: Store) -> dict[str, list[tuple[str, float]]]:
    """Return the running totals of models."""
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in asked(store, lambda m: m.streams.families(NOON))
        if family.name.startswith("otel_measure.ai.")
    }


# ---------------------------------------------------------------- metrics of others


def test_growth_counts_once(store: Store) -> None:
    """A cumulative value adds what it grew by; said again it adds nothing; an older one is refused."""
    assert store.ingest([calls(3)], LEARN) == Ingested(("accepted",))
    assert store.ingest([calls(3)], LEARN) == Ingested(("duplicate",))
    assert store.ingest([calls(5, NOON + SECOND)], LEARN) == Ingested(("accepted",))
    assert store.ingest([calls(3)], LEARN) == Ingested(("out_of_order",))
    use = used(store)
    assert (use.requests, use.errors, use.binned and use.binned.count, use.binned and use.binned.mean) == (
        5,
        0,
        5,
        1500,
    )
    assert totals(store)["otel_measure.ai.inferences"][0][1] == 5


def test_a_restart_is_a_stream_of_its_own(store: Store) -> None:
    """Both count, also when a word of the ended one comes late; what is shown never falls."""
    shown = []
    for point in (calls(3), calls(1, NOON + 2 * SECOND, start=NOON + SECOND), calls(4, NOON + SECOND)):
        store.ingest([point], LEARN)
        (family,) = [f for f in asked(store, lambda m: m.streams.families(NOON)) if f.name.startswith("gen_ai")]
        shown.append(family.samples[0].count)
    assert shown == [3, 4, 5]
    assert used(store).requests == 5


def test_a_fall_without_a_start_time_is_a_restart(store: Store) -> None:
    """Where senders do not say when their streams began; the first value alone says nothing of when."""
    for n, value in enumerate((100, 103, 2, 4)):
        store.ingest([calls(value, NOON + n * SECOND, start=0)], LEARN)
    assert used(store).requests == 3 + 2 + 2
    (family,) = [f for f in asked(store, lambda m: m.streams.families(NOON)) if f.name.startswith("gen_ai")]
    assert family.samples[0].count == 103 + 4


def test_values_of_one_time_without_a_start_time(store: Store) -> None:
    """They may rise; nothing begins anew within one instant. Such points used to fail all others of their request."""
    points = [calls(n, start=0) for n in (5, 3, 7, 1)]
    assert store.ingest([calls(2, source="b"), *points], LEARN) == Ingested(
        ("accepted", "accepted", "out_of_order", "accepted", "out_of_order")
    )
    assert used(store).requests == 2 + 2


def test_a_restart_after_a_start_that_was_said(store: Store) -> None:
    """A stream may begin at its first word: what begins anew without saying when comes after it."""
    store.ingest([calls(5, start=NOON)], LEARN)
    assert store.ingest([calls(3, NOON + SECOND, start=0)], LEARN) == Ingested(("accepted",))
    (family,) = [f for f in asked(store, lambda m: m.streams.families(NOON)) if f.name.startswith("gen_ai")]
    assert (used(store).requests, family.samples[0].count) == (5 + 3, 5 + 3)


@pytest.mark.parametrize("delta", [False, True])
def test_a_clock_that_was_set_back(store: Store, delta: bool) -> None:
    """What comes after it goes on from what came before; points that are late by a clock that goes on do not."""
    before = NOON + 2 * HOUR
    values = (3, 2, 1) if delta else (3, 5, 6)
    store.ingest([calls(values[0], before, received_ts=before, delta=delta)], LEARN)
    late = calls(9, NOON, received_ts=before + SECOND, delta=delta)
    assert store.ingest([late], LEARN).refused == {"too_late" if delta else "out_of_order": 1}
    assert store.ingest([calls(values[1], NOON, received_ts=NOON + SECOND, delta=delta)], LEARN).accepted == 1
    assert store.ingest([calls(values[2], NOON + SECOND, received_ts=NOON + SECOND, delta=delta)], LEARN).accepted == 1
    (family,) = [f for f in asked(store, lambda m: m.streams.families(NOON)) if f.name.startswith("gen_ai")]
    assert family.samples[0].count == 6
    assert used(store).requests == 3
    assert used(store, before).requests == 6


def test_readings_of_our_own_after_the_clock_was_set_back(store: Store) -> None:
    """They come at once, so that their time is the clock's."""
    gauge: dict[str, Any] = {
        "kind": "gauge",
        "name": "g",
        "bounds": (),
        "buckets": (),
        "count": 0,
        "model_series": None,
    }
    for ts, value in ((NOON + HOUR, 5.0), (NOON, 1.0), (NOON + SECOND, 1.0)):
        assert store.ingest([calls(0, ts, value=value, **gauge)]).accepted == 1
    (reading,) = asked(store, lambda m: m.streams.readings(["g"], 0))
    assert (reading.ts, reading.value) == (NOON + SECOND, 1.0)


def test_a_process_that_ran_for_long_is_not_all_counted_now(store: Store) -> None:
    """When its calls of more than a day were made is not known, so they are in no window."""
    store.ingest([calls(1000, start=NOON - DAY - 1)], LEARN)
    assert asked(store, lambda m: m.models.model_use(NOON - DAY, NOON + MINUTE)) == []
    store.ingest([calls(1001, NOON + SECOND, start=NOON - DAY - 1)], LEARN)
    assert used(store).requests == 1


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_deltas_add_once_in_any_order(engine: EngineCase, order: list[int], again: list[int]) -> None:
    """However often they are sent."""
    store = engine.open()
    deltas = [calls(2**n, NOON + n * SECOND, start=NOON + (n - 1) * SECOND, delta=True) for n in range(6)]
    for n in (*order, *again):
        store.ingest([deltas[n]], LEARN)
    (family,) = [f for f in asked(store, lambda m: m.streams.families(NOON)) if f.name.startswith("gen_ai")]
    assert (family.samples[0].count, family.samples[0].buckets) == (63, (0, 63, 0))
    assert used(store).requests == 63
    store.close()


def test_a_delta_of_a_clock_that_is_ahead_adds_once(store: Store) -> None:
    """However often it comes, each time at another time of ours, also when ours has reached its own."""
    ahead = NOON + 10 * SECOND
    for n in range(3):
        store.ingest([calls(3, NOON + n * SECOND, sender_ts=ahead, delta=True)], LEARN)
    assert store.ingest([calls(3, ahead, delta=True)], LEARN) == Ingested(("duplicate",))
    assert store.ingest([calls(1, NOON + 3 * SECOND, sender_ts=ahead + SECOND, delta=True)], LEARN) == Ingested(
        ("accepted",)
    )
    assert used(store).requests == 4


def test_a_delta_that_is_too_late(store: Store) -> None:
    """Whether it was added before is no longer known: it is refused, and counted."""
    store.ingest([calls(1, delta=True)], LEARN)
    assert store.ingest([calls(1, NOON - HOUR - 1, received_ts=NOON, delta=True)], LEARN).refused == {"too_late": 1}
    other = calls(1, NOON + 1, bounds=(1.0, 3.0), delta=True)
    assert store.ingest([other], LEARN).refused == {"bounds": 1}
    assert store.ingest([other], LEARN).refused == {"bounds": 1}
    store.sweep(NOON + 3 * HOUR)
    assert used(store).requests == 1


@pytest.mark.parametrize(
    ("largest", "more"),
    [({"count": 2**62, "buckets": (0, 2**62, 0)},) * 2, ({"value": 1e308}, {"value": 1e308})],
)
def test_a_sum_larger_than_can_be_kept(store: Store, largest: dict[str, Any], more: dict[str, Any]) -> None:
    """The delta that would reach it is refused, each time it comes; smaller ones and its neighbours are not."""
    store.ingest([calls(1, delta=True, **largest, model_series=None)])
    for _ in range(2):
        too_much = calls(1, NOON + SECOND, delta=True, **more, model_series=None)
        assert store.ingest([too_much, calls(1, source="b")]).refused == {"too_large": 1}
    assert store.ingest([calls(1, NOON + 2 * SECOND, delta=True)]).accepted == 1


def test_counts_that_columns_do_not_hold(store: Store) -> None:
    """What a model did stays at the largest, and goes on to take calls."""
    for n in range(3):
        source = str(n)
        many = calls(1, source=source, count=2**62, buckets=(0, 2**62, 0))
        assert store.ingest([many, calls(1, NOON + SECOND, source=f"other {n}")], LEARN).accepted == 2
    assert used(store).requests == 2**63 - 1
    assert [value for _, value in totals(store)["otel_measure.ai.inferences"]] == [2.0**63]


def test_exponential_histograms_grow_too(store: Store) -> None:
    """Also over a change of scale; their explicit buckets never fall, and begin anew with the stream."""

    def point(n: int, scale: int, counts: tuple[int, ...], **fields: Any) -> Point:
        buckets = Exponential(scale, 0, 0, counts)
        return calls(sum(counts), NOON + n * SECOND, buckets=(), exponential=buckets, **fields)

    for one in (
        point(0, 1, (1, 1, 1)),
        point(1, 0, (4, 2)),
        point(2, 0, (1, 0), start=0, labels="other"),
        point(3, 0, (2, 0), start=0, labels="other"),
        point(4, 0, (1, 2), value=1.0),
    ):
        store.ingest([one], LEARN)
    by_labels = {
        s.labels: (s.count, sum(s.buckets))
        for f in asked(store, lambda m: m.streams.families(NOON))
        if f.name.startswith("gen_ai")
        for s in f.samples
    }
    assert by_labels == {'i="a"': (3, 3), "other": (2, 2)}
    assert used(store).requests == 6 + 1 + 3


def test_tokens_and_their_price(store: Store) -> None:
    """Each kind brings its part of the price; how many calls are priced comes with what they read."""
    store.ingest([calls(2), tokens(2, 100.0), tokens(2, 50.0, "output_tokens")], LEARN)
    use = used(store)
    assert (use.input_tokens, use.input_known, use.output_tokens, use.output_known) == (100, 2, 50, 2)
    assert (use.cost_nano_usd, use.priced, use.priced_tokens) == (200_000_000, 2, 150)
    assert (use.sources, use.sources_nano_usd) == ({"aggregate": 2}, {"aggregate": 200_000_000})
    found = totals(store)
    assert [value for _, value in found["otel_measure.ai.cost.usd"]] == [pytest.approx(0.2)]
    assert sorted(value for _, value in found["otel_measure.ai.tokens"]) == [50, 100]


def test_a_cost_that_comes_wins_over_the_price_of_tokens(store: Store) -> None:
    """Also for later requests; tokens are then counted and not priced."""
    paid = tokens(2, 0.5, "cost", name="gen_ai.usage.cost", labels="cost")
    store.ingest([tokens(2, 100.0), paid], LEARN)
    store.ingest([tokens(3, 150.0, ts=NOON + SECOND)], LEARN)
    use = used(store)
    assert (use.cost_nano_usd, use.priced, use.sources, use.input_tokens) == (
        500_000_000,
        2,
        {"instrumentation": 2},
        150,
    )
    assert (use.priced_tokens, use.sources_nano_usd) == (150, {"instrumentation": 500_000_000})


def test_failed_calls(store: Store) -> None:
    """Series with an error type count as errors; a model without a price has none."""
    store.ingest([calls(2, model_series=series("calls", error_type="Timeout"), labels="failed"), calls(3)], LEARN)
    use = used(store)
    assert (use.requests, use.errors) == (5, 2)
    unpriced = series("input_tokens")._replace(model="unknown", request_model="unknown", response_model="unknown-1")
    store.ingest([tokens(1, 5.0, model_series=unpriced, labels="u")], LEARN)
    assert [
        (u.model, u.priced, u.input_tokens)
        for u in asked(store, lambda m: m.models.model_use(NOON - DAY, NOON + MINUTE))
    ] == [
        ("m", 0, 0),
        ("unknown", 0, 5),
    ]


def test_what_metrics_told_stays_after_a_rebuild(store: Store) -> None:
    """No fact would bring it back."""
    store.accept([inference("i", cost_usd=1.0, input_tokens=1)])
    store.ingest([calls(2), tokens(2, 100.0)], LEARN)
    before = (
        asked(store, lambda m: m.streams.families(NOON)),
        asked(store, lambda m: m.models.model_use(NOON - DAY, NOON + MINUTE)),
    )
    store.rebuild()
    assert (
        asked(store, lambda m: m.streams.families(NOON)),
        asked(store, lambda m: m.models.model_use(NOON - DAY, NOON + MINUTE)),
    ) == before


def test_growth_that_nobody_learns_from(store: Store) -> None:
    """Streams are kept without their meaning."""
    store.ingest([calls(2)])
    assert asked(store, lambda m: m.models.model_use(NOON - DAY, NOON + MINUTE)) == []
