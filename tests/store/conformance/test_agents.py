"""Runs of agents and uses of tools follow what is told of their traces, and stay when that is forgotten."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.definitions.runs import AgentActivity, AgentRun, ToolUses
from otel_measure.definitions.tellings import Telling
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import EVERYTHING, Filter
from tests.facts import DAY, HOUR, MINUTE, NOON, SECOND
from tests.store.asking import asked
from tests.store.conformance.agents_ledger import AgentLedger
from tests.store.conformance.engines import EngineCase
from tests.store.conformance.telling import agent, told, tool


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store."""
    return engine.open()


def activity(store: Store, where: Filter = EVERYTHING) -> AgentActivity:
    """Return all runs and uses."""
    return asked(store, lambda moment: moment.agents(NOON - DAY, NOON + DAY), where)


def runs(store: Store) -> dict[str, AgentRun]:
    """Return all runs by their names."""
    return {run.name: run for run in activity(store).runs}


def a_run(trace: int = 1, *, user: str | None = None, **fields: Any) -> list[Telling]:
    """Return an agent that asks a model, uses a tool, and asks again."""
    return [
        agent(1, user=user, trace=trace, took_ms=5000.0, **fields),
        told(2, parent=1, trace=trace),
        tool(3, arguments="secret", parent=1, trace=trace, began=NOON + SECOND),
        told(4, parent=1, trace=trace, began=NOON + 2 * SECOND),
    ]


@settings(max_examples=10)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_order_gives_the_runs_of_the_ledger(engine: EngineCase, random: Random, traces: int) -> None:
    """Each run costs what its calls cost, to the nano-dollar, in whatever order and however often spans come."""
    ledgers = [AgentLedger(random, trace + 1) for trace in range(traces)]
    spans = [span for ledger in ledgers for span in ledger.spans]
    spans += [span for span in spans if random.random() < 0.2]
    random.shuffle(spans)
    store = engine.open()
    while spans:
        n = random.randrange(1, 20)
        batch, spans = spans[:n], spans[n:]
        store.take_tellings(batch)
    for trace, ledger in enumerate(ledgers, 1):
        mine = [run for run in activity(store).runs if run.trace_id == f"{trace:032x}"]
        assert {
            run.span_id: (
                run.name,
                run.own.calls,
                run.own.cost_nano_usd,
                run.uses,
                run.whole.cost_nano_usd,
                run.incomplete,
            )
            for run in mine
        } == {
            span: (run.name, len(run.calls), sum(run.calls), run.uses, ledger.cost_of(span), False)
            for span, run in ledger.runs.items()
        }
    store.close()


def test_a_run_is_there_when_its_span_comes_and_whole_when_its_root_does(store: Store) -> None:
    """Before, its calls are calls of models, and its tools are tools."""
    spans = a_run(parent=9)
    store.take_tellings(spans[1:])
    assert activity(store) == AgentActivity([], [ToolUses("tool", "search", [100_000], 0)], 0, 0)
    store.take_tellings(spans[:1])
    (run,) = activity(store).runs
    assert (run.own.calls, run.own.cost_nano_usd, run.uses, run.incomplete) == (2, 40_000_000, 1, True)
    assert activity(store).tools == [ToolUses("tool", "search", [100_000], 0)]
    store.take_tellings([told(9, kind="plain")])
    assert [run.incomplete for run in activity(store).runs] == [False]


def test_a_run_follows_its_calls_when_these_are_corrected(store: Store) -> None:
    """A later span inside a call is that call; a framework's span around one is none."""
    store.take_tellings([agent(1), told(2, parent=1, scope="framework", took_ms=3000.0, cost_usd=9.0)])
    assert runs(store)["planner"].own.cost_nano_usd == 9_000_000_000
    store.take_tellings([told(3, parent=2, cost_usd=0.000000001)])
    assert (runs(store)["planner"].own.calls, runs(store)["planner"].own.cost_nano_usd) == (1, 1)


def test_an_agent_found_around_a_chain_makes_it_a_part_of_its_run(store: Store) -> None:
    """As long as the agent's span has not come, the chain is the run."""
    store.take_tellings([agent(2, "graph", kind="chain", parent=1), told(3, parent=2)])
    assert [run.name for run in activity(store).runs] == ["graph"]
    store.take_tellings([agent(1)])
    assert [(run.name, run.own.calls) for run in activity(store).runs] == [("planner", 1)]


def test_what_is_forgotten_as_spans_stays_as_runs(store: Store) -> None:
    """After two hours; sent again it changes nothing, and what is new of the trace is by itself."""
    spans = a_run()
    store.take_tellings(spans)
    before = activity(store)
    store.sweep(NOON + 3 * HOUR)
    store.rebuild()
    assert activity(store) == before
    store.take_tellings(spans)
    assert activity(store) == before
    store.take_tellings([agent(5, "late", parent=1, began=NOON + MINUTE), tool(6, parent=5, began=NOON + MINUTE)])
    assert runs(store)["planner"] == before.runs[0]
    assert (runs(store)["late"].incomplete, runs(store)["late"].uses) == (True, 1)


def test_a_call_that_both_ends_tell_of_in_two_traces_is_in_the_run_of_each(store: Store) -> None:
    """By the id of the response: one call, and each run costs what was called in it."""
    store.take_tellings([agent(1), told(2, parent=1, response="r", scope="sdk", cost_usd=0.5)])
    store.take_tellings([agent(1, "gateway", trace=2), told(2, parent=1, trace=2, response="r", cost_usd=0.5)])
    assert {name: run.own.cost_nano_usd for name, run in runs(store).items()} == {
        "planner": 500_000_000, "gateway": 500_000_000,
    }  # fmt: skip


def test_runs_go_with_their_user(store: Store) -> None:
    """Whoever names the user, the run's span or its calls; what is sent again is of nobody, and others' runs stay."""
    spans = [*a_run(1, user="ann"), *a_run(2), *a_run(3, user="bob"), *a_run(4)]
    spans = [*spans, told(5, parent=1, trace=4, user_id="ann"), agent(6, "inner", parent=1, trace=1)]
    store.take_tellings(spans)
    assert {(run.trace_id[-1], run.user_id) for run in activity(store).runs} == {
        ("1", "ann"), ("2", None), ("3", "bob"), ("4", "ann"),
    }  # fmt: skip
    exported = store.export("ann").rolled_up["agent_run"]
    assert [(row["trace"][-1], row["name"], row["user_id"]) for row in exported] == [
        ("1", "planner", "ann"), ("1", "inner", "ann"), ("4", "planner", "ann"),
    ]  # fmt: skip
    assert store.erase("ann", NOON + MINUTE).agent_runs == 3
    assert {run.trace_id[-1] for run in activity(store).runs} == {"2", "3"}
    assert [len(tool.took_us) for tool in activity(store).tools] == [2]
    assert store.export("ann").rolled_up == {}
    store.take_tellings([*spans, told(7, parent=1, trace=1), told(7, parent=1, trace=4)])
    assert {run.trace_id[-1] for run in activity(store).runs} == {"2", "3"}
    store.sweep(NOON + 3 * HOUR)
    store.take_tellings(a_run(1, user="ann"))
    assert {run.trace_id[-1] for run in activity(store).runs} == {"2", "3"}


def test_runs_are_of_one_environment_and_service(store: Store) -> None:
    """Nothing of another one adds to an answer."""
    store.take_tellings([*a_run(1, environment="production"), *a_run(2, environment="staging"), *a_run(3, service="s")])
    of = [Filter(None, "staging"), Filter(None, "production"), Filter(None, ""), Filter("s", ""), Filter("shop", "")]
    assert [[run.trace_id[-1] for run in activity(store, where).runs] for where in of] == [
        ["2"],
        ["1"],
        ["3"],
        ["3"],
        [],
    ]


def test_runs_go_when_retention_says_so(engine: EngineCase) -> None:
    """With the facts of their day."""
    store = engine.open(retention_days=2)
    store.take_tellings(a_run())
    store.sweep(NOON + DAY)
    assert len(activity(store).runs) == 1
    store.sweep(NOON + 4 * DAY)
    assert activity(store) == AgentActivity([], [], 0, 0)
