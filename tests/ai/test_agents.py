"""What agents and tools did, from their runs and uses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import isnan, nan

from otel_measure.ai.agents import Agents, AgentSummary, Loops, PerRun, RunSummary, ToolSummary, agents
from otel_measure.definitions.runs import AgentActivity, AgentRun, CallSums, ToolUses
from otel_measure.definitions.windows import time_span
from tests.facts import HERE, NOON

SPAN = time_span("24h", NOON, "UTC")
NOTHING = PerRun(nan, nan, nan, nan)


def run(n: int, name: str = "planner", **fields: object) -> AgentRun:
    """Return a run of n seconds with a call of 10 + 5 tokens that cost n cents."""
    sums = CallSums(1, 0, 10, 5, 1, 1, 1, n * 10_000_000)
    plain = AgentRun(
        trace_id=f"{n:032x}", span_id=f"{n:016x}", outer_span_id="", kind="agent", name=name, origin=HERE,
        began_us=NOON - n * 1_000_000, ended_us=NOON, error_type=None, user_id=None, incomplete=False, own=sums,
        whole=sums, uses=0, compared=0, loops=0, repeated=0, loop_cost_nano_usd=0,
    )  # fmt: skip
    return plain._replace(**fields)  # type: ignore[arg-type]


def test_nothing() -> None:
    """Without runs there is nothing, and no ratio of it."""
    found = agents(AgentActivity([], [], 0, 0), SPAN)
    assert isnan(found.loops.compared_ratio)
    assert replace(found, loops=Loops(0, 0, 0, 0.0, 0.0)) == Agents(
        (), (), Loops(0, 0, 0, 0.0, 0.0), (), 0, 0.0, 0, 0, SPAN.window
    )


def test_an_agent() -> None:
    """Percentiles over twenty runs of 1 to 20 seconds by nearest rank, sums of own calls, and how many failed."""
    runs = [run(n, error_type="Timeout" if n == 3 else None, incomplete=n == 4) for n in range(1, 21)]
    assert agents(AgentActivity(runs, [], 0, 0), SPAN).agents == (
        AgentSummary(
            agent="planner", kind="agent", runs=20, errors=1, error_rate=0.05, incomplete_runs=1,
            duration_ms=PerRun(10_500.0, 10_000.0, 19_000.0, 20_000.0),
            calls=20, failed_calls=0, input_tokens=200, output_tokens=100, cost_usd=2.1, priced_ratio=1.0,
            calls_per_run=PerRun(1.0, 1.0, 1.0, 1.0), tokens_per_run=PerRun(15.0, 15.0, 15.0, 15.0),
            cost_per_run_usd=PerRun(0.105, 0.1, 0.19, 0.2),
        ),
    )  # fmt: skip


def test_what_is_inside_counts_once_in_all_and_in_each_run() -> None:
    """The sum over agents has the inner run's call once; the outer run cost both."""
    inner = run(1, "writer", outer_span_id=f"{2:016x}")
    outer = run(2, whole=inner.own.plus(run(2).own))
    found = agents(AgentActivity([inner, outer], [], 0, 0), SPAN)
    assert (found.total_runs, found.total_cost_usd) == (2, 0.03)
    assert {each.agent: (each.cost_usd, each.cost_per_run_usd.max) for each in found.agents} == {
        "planner": (0.02, 0.03), "writer": (0.01, 0.01),
    }  # fmt: skip
    assert found.costliest_runs[0] == RunSummary(
        f"{2:032x}", f"{2:016x}", "planner", datetime.fromtimestamp(NOON / 1e6 - 2, UTC), 2000.0, 2, 20, 10, 0.03, 1.0,
        None, False,
    )  # fmt: skip


def test_what_is_not_known_is_no_zero() -> None:
    """Without prices there is no cost, and a run of which a part has none is in no percentile of cost."""
    unknown, half = CallSums(2), CallSums(2, 0, 10, 0, 1, 0, 1, 10)
    (found,) = agents(AgentActivity([run(1, own=unknown, whole=unknown)], [], 0, 0), SPAN).agents
    assert (found.calls, found.calls_per_run.max, found.priced_ratio) == (2, 2.0, 0.0)
    assert str((found.input_tokens, found.cost_usd, found.tokens_per_run, found.cost_per_run_usd)) == str(
        (nan, nan, NOTHING, NOTHING)
    )
    (found,) = agents(AgentActivity([run(1, own=half, whole=half), run(2)], [], 0, 0), SPAN).agents
    assert (found.input_tokens, found.output_tokens, found.cost_usd) == (20, 5, 0.02000001)
    assert found.priced_ratio == 2 / 3
    assert (found.cost_per_run_usd.max, found.tokens_per_run.mean) == (0.02, 15.0)
    assert agents(AgentActivity([run(1, own=unknown, whole=unknown)], [], 0, 0), SPAN).costliest_runs == ()
    (found,) = agents(AgentActivity([run(1, own=CallSums(), whole=CallSums())], [], 0, 0), SPAN).agents
    assert (found.cost_usd, found.cost_per_run_usd.max, found.input_tokens) == (0.0, 0.0, 0)


def test_tools_and_loops() -> None:
    """The tools that are used most come first; loops are added up over runs."""
    runs = [run(1, uses=4, compared=3, loops=1, repeated=2, loop_cost_nano_usd=30_000_000), run(2, uses=1004)]
    tools = [ToolUses("tool", "book", [10_000], 0), ToolUses("tool", "search", [4000, 1000, 3000, 2000], 1)]
    found = agents(AgentActivity(runs, tools, 5, 6), SPAN)
    assert found.tools == (
        ToolSummary("search", "tool", 4, 1, 0.25, PerRun(2.5, 2.0, 4.0, 4.0)),
        ToolSummary("book", "tool", 1, 0, 0.0, PerRun(10.0, 10.0, 10.0, 10.0)),
    )
    assert found.loops == Loops(1, 1, 2, 0.03, 3 / 1008)
    assert (found.dropped_runs, found.dropped_uses) == (5, 10)


def test_a_thousand_of_each_are_listed() -> None:
    """Those with the most runs; all are in the totals."""
    runs = [*(run(1, f"agent {n}") for n in range(1001)), run(2, "agent 1000")]
    found = agents(AgentActivity(runs, [ToolUses("tool", str(n), [1], 0) for n in range(1001)], 0, 0), SPAN)
    assert (len(found.agents), len(found.tools), found.total_runs) == (1000, 1000, 1002)
    assert (found.agents[0].agent, found.total_cost_usd) == ("agent 1000", 10.03)
