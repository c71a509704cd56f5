"""Facts: accepted once, in any order; narrowed; removed by retention; the same answers after a rebuild."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_measure.ai import reports as models
from otel_measure.ai.latency import latency
from otel_measure.definitions.windows import time_span
from otel_measure.errors import StoreRejected
from otel_measure.records.kinds import Origin, Record
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, TOO_OLD, Filter
from otel_measure.store.types.models import Model
from tests.facts import DAY, HOUR, MINUTE, NOON, SECOND, event, inference, one_of_each, records
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

_encode = msgspec.json.encode


def shown(store: Store) -> bytes:
    """Return the exposition."""
    return _encode(asked(store, lambda m: m.streams.families(NOON)))


def value(store: Store, name: str) -> float:
    """Return the sum over the samples of a family."""
    families = asked(store, lambda m: m.streams.families(NOON))
    return sum(sample.value for family in families if family.name == name for sample in family.samples)


# ---------------------------------------------------------------- once


@given(st.lists(records, max_size=8, unique_by=lambda record: record.id))
@example(one_of_each())
def test_any_record_can_be_stored(engine: EngineCase, given_records: list[Record]) -> None:
    """Whatever passes the checks, of any kind, with any id: accepted once, a duplicate the second time."""
    store = engine.open()
    assert store.accept(given_records) == [ACCEPTED] * len(given_records)
    assert store.accept(given_records) == [DUPLICATE] * len(given_records)
    before = shown(store)
    store.rebuild()
    assert shown(store) == before
    store.close()


def test_the_first_of_two_records_with_one_id_wins(engine: EngineCase) -> None:
    """Within a batch and over batches; the receipt says which it was."""
    store = engine.open()
    assert store.accept([event("a", "u"), event("a", "v"), event("b", "w")]) == [ACCEPTED, DUPLICATE, ACCEPTED]
    assert store.accept([event("b", "x"), event("c", "y")]) == [DUPLICATE, ACCEPTED]
    assert value(store, "otel_measure.users.events") == 3


def test_ids_of_different_kinds_do_not_meet(engine: EngineCase) -> None:
    """An inference and an event may have the same id."""
    assert engine.open().accept([event("a"), inference("a")]) == [ACCEPTED, ACCEPTED]


def test_no_records_are_no_transaction(engine: EngineCase) -> None:
    """Nothing in, nothing out."""
    assert engine.open().accept([]) == []


def test_a_record_that_does_not_fit_is_refused_whole(engine: EngineCase) -> None:
    """Its neighbours in the batch are not stored either, and can be without it."""
    store = engine.open()
    for wrong in (
        inference("huge", input_tokens=2**70),
        msgspec.structs.replace(inference("wrong"), latency_ms="fast"),
    ):
        with pytest.raises(StoreRejected):
            store.accept([event("a"), wrong])
    assert store.accept([event("a")]) == [ACCEPTED]


def test_a_moment_sees_nothing_of_what_is_written_meanwhile(engine: EngineCase) -> None:
    """Every question of it is of the same facts, those of the next moment of later ones."""
    place = engine.shared_place()
    reader, writer = engine.open(place), engine.open(place)
    writer.accept([inference("a")])
    with reader.asking() as moment:
        before = moment.models.models()
        writer.accept([inference("b", model="new"), event("e")])
        assert moment.models.models() == before == [Model("m", "1")]
        assert [use.model for use in moment.models.model_use(0, NOON + MINUTE)] == ["m"]
    assert asked(reader, lambda m: m.models.models()) == [Model("m", "1"), Model("new", "1")]


# ---------------------------------------------------------------- questions about models


def test_answers_narrow_to_a_service_and_are_about_one_environment(engine: EngineCase) -> None:
    """Without a service it is all of them, without an environment the first one; nobody's is empty."""
    store = engine.open()
    places = [Origin("a", "prod"), Origin("a", "test"), Origin("b", "prod"), Origin("b", "test"), Origin("c", "test")]
    store.accept([inference(str(i), origin=origin) for i, origin in enumerate(places)])

    def requests(**where: str) -> int:
        uses = asked(store, lambda m: m.models.model_use(0, NOON + 1), Filter(**where))
        return sum(use.requests for use in uses)

    assert (requests(), requests(service="a"), requests(environment="test")) == (2, 1, 3)
    assert (requests(service="b", environment="test"), requests(service="c"), requests(environment="dev")) == (1, 0, 0)


def test_models_are_registered_by_call_or_by_use(engine: EngineCase) -> None:
    """A registration adds what is known of a model and is replaced by the next one."""
    store = engine.open()
    store.register_model(Model("b", "1", "classification", {"owner": "x"}, {"latency_p95_ms": 5.0}))
    store.accept([inference("i", model="a"), inference("j", model="b")])
    assert asked(store, lambda m: m.models.models()) == [
        Model("a", "1"),
        Model("b", "1", "classification", {"owner": "x"}, {"latency_p95_ms": 5.0}),
    ]
    store.register_model(Model("b", "1", "regression"))
    assert asked(store, lambda m: m.models.models(("b", "1"))) == [Model("b", "1", "regression")]
    assert asked(store, lambda m: m.models.models(("b", "2"))) == []


def test_windows_of_models_are_whole_minutes(engine: EngineCase) -> None:
    """A window takes in the minute it begins in; hours inside are read as hours and nothing is counted twice."""
    store = engine.open()
    times = [NOON - minutes * MINUTE for minutes in range(0, 300, 7)]
    store.accept([inference(f"{i}", ts) for i, ts in enumerate(times)])
    for start, end in [
        (NOON - 4 * HOUR, NOON + 1),
        (NOON - 61 * MINUTE, NOON - 59 * MINUTE),
        (NOON - 2 * HOUR, NOON - HOUR),
        (NOON - 30 * SECOND, NOON),
    ]:
        floor, ceiling = start - start % MINUTE, end + -end % MINUTE
        with store.asking() as moment:
            uses = moment.models.model_use(start, end)
        assert sum(use.requests for use in uses) == sum(floor <= ts < ceiling for ts in times)


def test_cached_and_reasoning_tokens_are_answered_for_whoever_knows_them(engine: EngineCase) -> None:
    """The hit ratio is over the input of calls that know their cached part, and percentiles over calls with a chunk."""
    store = engine.open()
    told = [
        inference("a", input_tokens=100, cached_input_tokens=60, reasoning_tokens=5, cache_savings_usd=0.25),
        inference("b", input_tokens=100, cached_input_tokens=0, time_to_first_chunk_ms=40.0),
        inference("c", input_tokens=700, time_to_first_chunk_ms=40.0),
        inference("d", NOON - 2 * HOUR, cached_input_tokens=9, cost_usd=1.0, cost_source="table"),
        inference("e", model="other", latency_ms=300.0, cost_usd=2.0, cost_source="provider", error_type="Timeout"),
    ]
    store.accept(told)
    span = time_span("24h", NOON + 1, "UTC")
    use = asked(store, lambda m: models.use_of(m.models, ("m", "1"), span))
    cost, first_chunk = models.cost(use, span), latency(use, span).time_to_first_chunk
    assert (cost.cached_input_tokens, cost.cache_hit_ratio, cost.cache_savings_usd) == (69, 60 / 200, 0.25)
    assert (cost.reasoning_tokens, cost.input_tokens) == (5, 900)
    assert (first_chunk.p50_ms, first_chunk.p95_ms, first_chunk.sample_count) == (40.0, 40.0, 2)
    whole = models.summary(asked(store, lambda m: m.models.model_use(span.start, span.end)), span)
    assert (whole.inference_count, whole.models_used, whole.latency.max_ms, whole.errors.rate) == (5, 2, 300.0, 1 / 5)
    assert (whole.cost.total_usd, whole.cost.usd_by_source) == (3.0, {"provider": 2.0, "table": 1.0})
    silent = models.cost(asked(store, lambda m: models.use_of(m.models, ("other", "1"), span)), span)
    assert all(
        math.isnan(n)
        for n in (silent.cached_input_tokens, silent.reasoning_tokens, silent.cache_hit_ratio, silent.cache_savings_usd)
    )


def test_costs_are_exact_sums(engine: EngineCase) -> None:
    """Ten cents ten times are a dollar: whole nano-dollars are added, and coverage is beside the sum."""
    store = engine.open()
    store.accept([inference(str(n), cost_usd=0.1, cost_source="caller", input_tokens=1) for n in range(10)])
    store.accept([inference("free"), inference("wrong", error_type="Timeout", output_tokens=2)])
    span = time_span("30d", NOON, "UTC")
    use = asked(store, lambda m: models.use_of(m.models, ("m", "1"), span))
    cost, errors = models.cost(use, span), models.errors(use)
    assert (cost.total_usd, cost.per_request_usd, cost.priced_ratio) == (1.0, 0.1, 10 / 12)
    assert (cost.input_tokens, cost.output_tokens, cost.sources) == (10, 2, {"caller": 10})
    assert (errors.count, errors.rate) == (1, 1 / 12)
    assert (cost.unpriced_requests, cost.usd_by_source) == (2, {"caller": 1.0})
    assert value(store, "otel_measure.ai.cost.usd") == 1.0
    nobody = asked(store, lambda m: models.use_of(m.models, ("nobody", "1"), span))
    assert math.isnan(models.cost(nobody, span).total_usd)


# ---------------------------------------------------------------- upkeep


def test_retention_removes_facts_and_keeps_totals(engine: EngineCase) -> None:
    """Counters do not fall, a record from before the horizon is refused, and a rebuild changes nothing."""
    store = engine.open(retention_days=4)
    made: list[Record] = []
    for day in range(10):
        for i in range(3):
            ts = NOON - day * DAY - i * HOUR
            made.append(inference(f"i{day}-{i}", ts, cost_usd=0.1, input_tokens=7, latency_ms=float(day * 10 + i)))
            made.append(event(f"e{day}-{i}", f"u{i}", ts))
    store.accept(made)
    before = shown(store)
    assert (store.sweep(NOON), store.sweep(NOON)) == (5 * 6, 0)
    assert shown(store) == before
    assert asked(store, lambda m: m.horizon) == NOON - 12 * HOUR - 4 * DAY
    assert store.accept([*made[-6:], event("new", ts=NOON - 9 * DAY), event("ok")]) == [TOO_OLD] * 7 + [ACCEPTED]
    before = shown(store)
    store.rebuild()
    assert shown(store) == before


def test_a_lease_is_held_by_one(engine: EngineCase) -> None:
    """It is renewed by its holder and taken over when it has run out."""
    store = engine.open()
    assert store.take_lease("host:a", "1", now=100, until=200)
    assert not store.take_lease("host:a", "2", now=150, until=250)
    assert store.take_lease("host:b", "2", now=150, until=250)
    assert store.take_lease("host:a", "1", now=150, until=300)
    assert not store.take_lease("host:a", "2", now=300, until=400)
    assert store.take_lease("host:a", "2", now=301, until=400)
    assert not store.take_lease("host:a", "1", now=302, until=500)
