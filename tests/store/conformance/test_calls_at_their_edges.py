"""What is odd or hostile in what tells of calls costs itself alone, and no call counts twice or is lost by it."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from otel_measure.store.protocol import Store
from tests.facts import HOUR, MINUTE, NOON, SECOND
from tests.store.conformance.engines import EngineCase
from tests.store.conformance.telling import LEARN, counted, duration, shown, told


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store."""
    return engine.open()


def test_a_span_of_ours_is_no_duplicate_of_its_fact(store: Store) -> None:
    """A fact may have the id of its span, which came first and tells of no call by itself."""
    span = told(1, kind="plain")
    fact = told(1)
    assert store.take_tellings([span]).outcomes == ["span"]
    store.take_tellings([fact._replace(kind="fact")])
    assert counted(store) == (1, 0)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_spans_in_a_circle_are_one_call(store: Store, n: int) -> None:
    """Whoever sends them; and nothing of them stays to be asked for ever."""
    store.take_tellings([told(i, parent=(i + 1) % n) for i in range(n)])
    assert counted(store) == (1, 0)
    assert store.count_signals(LEARN, NOON + HOUR) == 0


def test_a_trace_is_forgotten_as_a_whole(store: Store) -> None:
    """A long outer span outlives its inner one: what comes later is no reason to take the outer one for the call."""
    store.take_tellings([told(1, began=NOON - SECOND, took_ms=600_000, scope="fw"), told(2, parent=1)])
    store.sweep(NOON + 2 * HOUR + MINUTE)
    store.take_tellings([told(3, began=NOON + 2 * HOUR), *(told(1, trace=i, began=NOON + HOUR) for i in range(5, 9))])
    assert counted(store) == (6, 0)


def test_a_chain_of_responses_is_no_fault(store: Store) -> None:
    """Each trace shares an id with the next one."""
    for n in range(1, 30):
        spans = [
            told(1, trace=n, response=f"r{n}", scope=f"a{n}"),
            told(2, trace=n, response=f"r{n + 1}", scope=f"b{n}"),
        ]
        store.take_tellings(spans)
    calls, _ = counted(store)
    assert 29 <= calls <= 58


def test_counters_follow_a_call_to_the_process_that_tells_of_it(store: Store) -> None:
    """Of a hundred short processes behind one gateway each call is shown once."""
    for n in range(1, 101):
        store.take_tellings([told(1, trace=n, instance=str(n), took_ms=2000)])
        store.take_tellings([told(2, trace=n, parent=1, service="gateway", instance="g")])
    assert counted(store) == (100, 0)
    assert shown(store)["otel_measure.ai.inferences"] == 100


def test_a_cost_beyond_all_bounds_costs_itself(store: Store) -> None:
    """The other processes are counted all the same."""
    series = duration(1, NOON + MINUTE, after=NOON, instance="rich").model_series
    assert series is not None
    for usd in (1e12, 1e17):
        point = duration(1, NOON + MINUTE, after=NOON, instance="rich", scope=str(usd))
        cost = point.__class__(**{
            **{name: getattr(point, name) for name in point.__dataclass_fields__},
            "name": "gen_ai.usage.cost", "unit": "USD", "value": usd, "model_series": series._replace(role="cost"),
        })  # fmt: skip
        store.take_tellings([told(1, instance="rich")])
        store.ingest([cost], LEARN)
    store.take_tellings([told(1, trace=2, instance="poor")])
    store.ingest([duration(3, NOON + MINUTE, after=NOON, instance="poor")], LEARN)
    assert counted(store) == (1 + 3, 0)


def test_an_sdk_and_an_instrumentation_beside_it_tell_of_one_call_in_any_order(engine: EngineCase) -> None:
    """Two failed calls under one request at once, of which nothing but their time tells that they are two."""
    failed = {"error_type": "Timeout", "response_model": None, "input_tokens": None, "output_tokens": None}
    failed |= {"cost_usd": None, "cost_source": None}
    of_sdk: dict[str, Any] = {"scope": "com.anthropic.sdk.python/create", "parent": 9, "took_ms": 900.0} | failed
    beside: dict[str, Any] = {"scope": "opentelemetry.instrumentation.anthropic/chat", "parent": 9} | failed
    spans = [
        told(1, began=NOON + 2, **of_sdk),
        told(2, began=NOON + 3, **of_sdk),
        told(3, began=NOON, user_id="u", **beside),
        told(4, began=NOON + 1, user_id="v", **beside),
    ]
    for order in permutations(spans):
        store = engine.open()
        for each in order:
            store.take_tellings([each])
        assert counted(store) == (2, 2)
        assert shown(store)["otel_measure.ai.inferences"] == 2
        store.close()
