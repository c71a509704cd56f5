"""Single calls: the slowest and the dearest of a window, and the failed ones by type, of whom the question is about."""

from __future__ import annotations

import random
import statistics

import pytest

from otel_measure.definitions.steps import SeriesWindow, series_span, steps
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.store.types.models import ALL_MODELS, CallOrder, FailedCalls, ModelChoice
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


def calls(n: int = 200) -> list[Inference]:
    """Return calls of two days, of three models in two versions, two services and two environments."""
    chance = random.Random(7)
    return [
        inference(
            f"call-{i}", NOON - chance.randrange(2 * DAY // MINUTE) * MINUTE,
            model=chance.choice("abc"), version=chance.choice("12"),
            origin=Origin(chance.choice(["api", "worker"]), chance.choice(["production", "staging"])),
            latency_ms=float(chance.randrange(50)), untimed=False,
            cost_usd=chance.choice([None, 0.01, 0.5, 2.0]),
            error_type=chance.choice([None, None, "Timeout", "RateLimit"]),
            trace_id=chance.choice([None, f"{i:032x}"]),
        )
        for i in range(n)
    ]  # fmt: skip


def largest(
    store: Store, order: CallOrder, only: ModelChoice = ALL_MODELS, where: Filter = EVERYTHING, limit: int = 500
) -> list[Inference]:
    """Return the largest calls of the last day."""
    return asked(store, lambda m: m.call_facts.largest(order, NOON - DAY, NOON, only, limit), where)


def failed(store: Store, only: ModelChoice = ALL_MODELS, where: Filter = EVERYTHING) -> list[FailedCalls]:
    """Return the failed calls of the last day."""
    return asked(store, lambda m: m.call_facts.failed(NOON - DAY, NOON, only, 10), where)


def matching(only: ModelChoice, where: Filter) -> list[Inference]:
    """Return the calls of the last day that a question is about."""
    return [
        call
        for call in calls()
        if NOON - DAY <= call.ts < NOON
        and only.name in (None, call.model)
        and only.version in (None, call.version)
        and where.service in (None, call.origin.service)
        and call.origin.environment == (where.environment or "production")
    ]


CHOICES = (ALL_MODELS, ModelChoice("a"), ModelChoice("a", "2"), ModelChoice("nobody"))
FILTERS = (EVERYTHING, Filter("api"), Filter(environment="staging"), Filter("worker", "staging"))


def test_the_largest_are_those_of_all_calls(engine: EngineCase) -> None:
    """By latency or by cost, of equal ones the newest; whoever says neither is none of them."""
    store = engine.open()
    store.accept(calls())
    for only in CHOICES:
        for where in FILTERS:
            of_question = matching(only, where)
            slowest = [call for call in of_question if call.latency_ms]
            slowest.sort(key=lambda call: (-call.latency_ms, -call.ts))
            assert [(call.latency_ms, call.ts) for call in largest(store, "latency", only, where)] == [
                (call.latency_ms, call.ts) for call in slowest
            ]
            dearest = {call.id: call for call in of_question if call.cost_usd is not None}
            found = largest(store, "cost", only, where)
            assert {call.id: call for call in found} == dearest
            costs = [call.cost_usd or 0.0 for call in found]
            assert costs == sorted(costs, reverse=True)
    assert largest(store, "latency", limit=3) == largest(store, "latency")[:3]


def test_a_call_is_told_as_it_was_recorded(engine: EngineCase) -> None:
    """With all of its fields; one that nobody timed is not the slowest of anything."""
    store = engine.open()
    whole = inference("i", NOON - HOUR, cost_usd=1.0, trace_id="ab" * 16, input_tokens=7, provider="openai")
    store.accept([whole, inference("untimed", NOON - HOUR, latency_ms=0.0, untimed=True)])
    assert largest(store, "latency", where=Filter(environment="test")) == [whole]


def test_errors_are_counted_by_type(engine: EngineCase) -> None:
    """Each with the first and the last time, the most frequent first, and the newest trace that there is."""
    store = engine.open()
    store.accept(calls())
    for only in CHOICES:
        for where in FILTERS:
            by_type: dict[str, list[Inference]] = {}
            for call in matching(only, where):
                if call.error_type is not None:
                    by_type.setdefault(call.error_type, []).append(call)
            assert [(one.error_type, one.calls, one.first, one.last) for one in failed(store, only, where)] == sorted(
                (
                    (kind, len(some), min(call.ts for call in some), max(call.ts for call in some))
                    for kind, some in by_type.items()
                ),
                key=lambda counted: (-counted[1], counted[0]),
            )
            for one in failed(store, only, where):
                traced = [call for call in by_type[one.error_type] if call.trace_id]
                newest = max((call.ts for call in traced), default=None)
                assert one.trace_id in ({call.trace_id for call in traced if call.ts == newest} or {None})


def test_moments_are_those_of_all_calls(engine: EngineCase) -> None:
    """How many calls tell what they cost, their mean and its spread, of whom the question is about; tokens likewise."""
    store = engine.open()
    store.accept(calls())
    for only in CHOICES:
        for where in FILTERS:
            told = asked(store, lambda m, only=only: m.call_facts.moments(NOON - DAY, NOON, only), where)  # type: ignore[misc]
            costs = [call.cost_usd for call in matching(only, where) if call.cost_usd is not None]
            assert told.cost_usd.n == len(costs)
            assert told.input_tokens.n == 0
            if len(costs) > 1:
                deviations = [cost - statistics.mean(costs) for cost in costs]
                assert told.cost_usd.mean == pytest.approx(statistics.mean(costs))
                assert told.cost_usd.variance == pytest.approx(statistics.variance(costs))
                spread = statistics.pstdev(costs)
                assert told.cost_usd.skewness == pytest.approx(statistics.mean((d / spread) ** 3 for d in deviations))


def test_errors_by_step_are_those_of_all_calls(engine: EngineCase) -> None:
    """Each failed call is in the step that its time lies in, of whom the question is about."""
    store = engine.open()
    store.accept(calls())
    made = steps(series_span(SeriesWindow("24h"), NOON - 1, "Asia/Kolkata", "24h"), NOON, "1h")
    for only in CHOICES:
        for where in FILTERS:
            by_type: dict[str, dict[int, int]] = {}
            for call in matching(only, where):
                if call.error_type is not None:
                    in_step, step = by_type.setdefault(call.error_type, {}), made.step_of(call.ts)
                    in_step[step] = in_step.get(step, 0) + 1
            told = asked(store, lambda m, only=only: m.call_facts.failed_by_step(made, only), where)  # type: ignore[misc]
            assert told == by_type
