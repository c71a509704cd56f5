"""Runs of agents and uses of tools: a slow and obvious implementation judges the rule."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.conventions.step_dialects import StepKind
from otel_measure.definitions.runs import AgentRun, CallSums, TraceRuns, runs_of
from otel_measure.definitions.same_calls import same_calls
from otel_measure.definitions.tellings import Telling, TellingKind
from otel_measure.records.agent_steps import one_spelling
from otel_measure.records.kinds import Inference, Json
from tests.facts import HOUR, NOON, SECOND
from tests.reference.runs import ReferenceRun, reference_runs
from tests.store.conformance.telling import agent, told, tool


def calls_of(tellings: list[Telling]) -> dict[str, Inference]:
    """Return the call of each telling."""
    return {each: call.record for call in same_calls(tellings) for each in call.told_by}


def said(*tellings: Telling) -> TraceRuns:
    """Return the runs and uses of one trace."""
    return runs_of(tellings, calls_of(list(tellings)))


def runs(*tellings: Telling) -> dict[str, AgentRun]:
    """Return the runs of one trace by their names."""
    return {run.name: run for run in said(*tellings).runs}


def random_trace(random: Random, n: int) -> list[Telling]:
    """Return spans and facts of every kind, some of which name a parent that has not come."""
    trace: list[Telling] = []
    for i in range(1, n + 1):
        parent = random.choice([None, *range(1, i), 99]) if i > 1 else None
        shape = random.choice(["agent", "agent", "chain", "tool", "tool", "call", "call", "fact", "plain"])
        scope, began = random.choice(["a", "b"]), NOON + i * SECOND
        if shape in ("agent", "chain"):
            name = random.choice(["planner", "writer"])
            kind: StepKind = "chain" if shape == "chain" else "agent"
            trace.append(agent(i, name, kind=kind, parent=parent, scope=scope, began=began))
        elif shape == "tool":
            trace.append(tool(i, arguments=random.choice([None, "1", "1"]), parent=parent, scope=scope, began=began))
        elif shape == "fact":
            trace.append(told(i, kind="fact", span=random.randint(1, n), cost_usd=random.randrange(10**6) / 10**9))
        else:
            told_as: TellingKind = "call" if shape == "call" else "plain"
            trace.append(
                told(i, kind=told_as, parent=parent, scope=scope, began=began, cost_usd=random.randrange(10**6) / 10**9)
            )
    return trace


@given(st.randoms(use_true_random=False), st.integers(1, 14))
def test_any_trace_in_any_order_says_what_the_reference_says(random: Random, n: int) -> None:
    """Which runs there are, in what they stand, and what they add up to, to the nano-dollar."""
    trace = random_trace(random, n)
    call_of = calls_of(trace)
    shuffled = random.sample(trace, len(trace))
    found = runs_of(shuffled, call_of)
    assert found == runs_of(trace, call_of)
    assert {
        run.span_id: ReferenceRun(
            run.outer_span_id, run.own.calls, run.own.cost_nano_usd, run.whole.calls, run.whole.cost_nano_usd,
            run.uses, run.loops, run.incomplete,
        )
        for run in found.runs
    } == reference_runs(trace, call_of)  # fmt: skip


def test_a_call_adds_once_to_each_run_around_it() -> None:
    """A handoff: the calls of the inner run are the inner run's, and in the outer one's total."""
    found = runs(
        agent(1, "planner", took_ms=9000.0),
        told(2, parent=1, cost_usd=0.001),
        tool(3, "ask", parent=1),
        agent(4, "writer", parent=3, took_ms=4000.0),
        told(5, parent=4, cost_usd=0.0000001),
        told(6, parent=4, cost_usd=None, cost_source=None, error_type="Timeout"),
    )
    assert found["writer"].own == found["writer"].whole == CallSums(2, 1, 20, 10, 2, 2, 1, 100)
    assert found["planner"].own == CallSums(1, 0, 10, 5, 1, 1, 1, 1_000_000)
    assert found["planner"].whole == CallSums(3, 1, 30, 15, 3, 3, 2, 1_000_100)
    assert found["writer"].outer_span_id == found["planner"].span_id
    assert not found["planner"].incomplete


def test_two_instrumentations_and_both_ends_tell_of_one_run_and_one_use() -> None:
    """The outer span is the one; its arguments are those that any of them says."""
    found = said(
        agent(1),
        agent(2, parent=1, scope="other"),
        tool(3, parent=2),
        told(4, kind="plain", parent=3),
        tool(5, arguments="{}", parent=4, service="mcp", instance="m"),
        told(6, parent=2),
    )
    assert [(run.span_id[-1], run.own.calls, run.uses, run.compared) for run in found.runs] == [("1", 1, 1, 1)]
    assert [(use.span_id[-1], use.run_span_id[-1]) for use in found.uses] == [("3", "1")]


def test_an_agent_that_calls_itself_is_two_runs() -> None:
    """Through a tool, through a call, or directly by the same instrumentation."""
    for between in ([tool(2, parent=1)], [told(2, parent=1)], [told(2, kind="plain", parent=1)]):
        assert len(said(agent(1), *between, agent(3, parent=2)).runs) == 2


def test_a_chain_is_a_run_only_where_it_is_outermost() -> None:
    """Frameworks make one of every function."""
    outer, inner = agent(1, "graph", kind="chain"), agent(2, "node", kind="chain", parent=1)
    assert list(runs(outer, inner, told(3, parent=2))) == ["graph"]
    assert list(runs(agent(1), agent(2, "node", kind="chain", parent=1))) == ["planner"]


def test_a_loop_costs_the_calls_that_asked_for_it_and_those_inside() -> None:
    """Of each use after the first: the last call before it, and what the tool itself asked; each call once."""
    spans = [agent(1, took_ms=60_000.0)]
    for i in range(4):
        began = NOON + i * 10 * SECOND
        spans += [
            told(10 + i, parent=1, began=began, cost_usd=0.1),
            tool(20 + i, arguments="a", parent=1, began=began + 2 * SECOND, took_ms=2000.0),
            told(30 + i, parent=20 + i, operation="embeddings", began=began + 3 * SECOND, cost_usd=0.001),
        ]
    spans += [tool(40, arguments="b", parent=1, began=NOON + 50 * SECOND), tool(41, parent=1)]
    (run,) = said(*spans).runs
    assert (run.uses, run.compared, run.loops, run.repeated, run.loop_cost_nano_usd) == (6, 5, 1, 3, 303_000_000)
    (run,) = said(*[each for each in spans if each.span_id[-2:] not in ("16", "17")]).runs  # but for two uses
    assert (run.loops, run.repeated, run.loop_cost_nano_usd) == (0, 0, 0)


def test_loops_inside_of_loops_cost_each_call_once() -> None:
    """The inner run's loop is paid for already where the outer one repeats the run as a whole."""
    spans = [agent(1, took_ms=90_000.0)]
    for i in range(3):
        began = NOON + i * 20 * SECOND
        spans += [
            tool(10 + i, "ask", "same", parent=1, began=began, took_ms=15_000.0),
            agent(20 + i, "writer", parent=10 + i, began=began, took_ms=15_000.0),
        ]
        for j in range(3):
            at = began + j * 4 * SECOND
            spans += [
                told(100 + 10 * i + j, parent=20 + i, began=at, cost_usd=0.01),
                tool(200 + 10 * i + j, arguments="x", parent=20 + i, began=at + 2 * SECOND),
            ]
    found = said(*spans).runs
    costs = {(run.name, run.span_id[-2:]): run.loop_cost_nano_usd for run in found}
    # The second and third use of "ask" repeat six calls; of the first one's run the second and third use repeat two.
    assert costs == {
        ("planner", "01"): 60_000_000, ("writer", "14"): 20_000_000, ("writer", "15"): 0, ("writer", "16"): 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "incomplete"),
    [
        ([agent(1)], False),
        ([told(9, kind="plain"), agent(1, parent=9)], False),
        ([agent(1, parent=9)], True),
        ([agent(1), told(2, parent=3)], True),
        ([agent(1), told(2, kind="fact", span=3)], True),
        ([agent(1, parent=2), told(2, kind="plain", parent=1)], True),
        ([agent(1, took_ms=3 * 3_600_000.0), told(2, parent=1)], True),
        ([agent(1, took_ms=3 * 3_600_000.0), told(2, parent=1, began=NOON + HOUR)], False),
    ],
    ids=["alone", "whole", "no root", "no parent", "no span of a fact", "circle", "silence", "long"],
)
def test_a_run_is_incomplete_while_something_of_its_trace_is_missing(spans: list[Telling], incomplete: bool) -> None:
    """A parent that never came, the root, the span of a fact; or a silence longer than spans are remembered."""
    assert [run.incomplete for run in said(*spans).runs] == [incomplete]


@pytest.mark.parametrize(
    ("one", "other"),
    [('{"a": 1, "b": 2}', '{"b":2,"a":1}'), ('{"a": [1]}', {"a": [1]}), (" text ", "text"), ("1", 1)],
)
def test_arguments_are_compared_in_one_spelling(one: str, other: Json) -> None:
    """As text or as a structure, with keys in any order."""
    assert one_spelling(one) == one_spelling(other)
    assert one_spelling(one) != one_spelling("else")
