"""What agents and tools did: a pure function of their runs and uses (`definitions/runs.py`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Final

from otel_measure.conventions import instruments
from otel_measure.definitions.days import moment
from otel_measure.definitions.runs import MAX_USES_OF_A_RUN, AgentActivity, AgentRun, CallSums, ToolUses
from otel_measure.definitions.windows import TimeSpan, Window

COSTLIEST: Final = 20
LISTED: Final = 1000  # agents and tools: whoever sends may name them as they like
_US_PER_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class PerRun:
    """How a number is spread over runs, or over uses: mean and percentiles by nearest rank; `nan` without any."""

    mean: float
    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run, with what the calls in it and in the runs inside it add up to."""

    trace_id: str
    span_id: str
    agent: str
    started_at: datetime
    duration_ms: float
    calls: int
    input_tokens: float
    output_tokens: float
    cost_usd: float
    priced_ratio: float
    error_type: str | None
    incomplete: bool


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """The runs of one agent.

    Attributes:
        calls, input_tokens, output_tokens, cost_usd: of the calls in its runs but not in runs inside these, so that the
            sum over agents has each call once.
        calls_per_run, tokens_per_run, cost_per_run_usd: of runs with all that is inside; tokens of the runs whose calls
            all know how many they read, cost of those whose calls all have one.
    """

    agent: str
    kind: str
    runs: int
    errors: int
    error_rate: float
    incomplete_runs: int
    duration_ms: PerRun
    calls: int
    failed_calls: int
    input_tokens: float
    output_tokens: float
    cost_usd: float
    priced_ratio: float
    calls_per_run: PerRun
    tokens_per_run: PerRun
    cost_per_run_usd: PerRun


@dataclass(frozen=True, slots=True)
class ToolSummary:
    """The uses of one tool, in runs and outside of them."""

    tool: str
    kind: str
    uses: int
    errors: int
    error_rate: float
    latency_ms: PerRun


@dataclass(frozen=True, slots=True)
class Loops:
    """The same tool with the same arguments three times in a run.

    Attributes:
        compared_ratio: share of the uses in runs whose arguments are known: of the others nobody knows.
    """

    runs: int
    loops: int
    repeated_uses: int
    cost_usd: float
    compared_ratio: float


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents and tools of a window, a thousand of each, those with the most runs and uses first."""

    agents: tuple[AgentSummary, ...]
    tools: tuple[ToolSummary, ...]
    loops: Loops
    costliest_runs: tuple[RunSummary, ...]
    total_runs: int
    total_cost_usd: float
    dropped_runs: int
    dropped_uses: int
    window: Window


def agents(activity: AgentActivity, span: TimeSpan) -> Agents:
    """Return what agents and tools did in a window."""
    runs_of = defaultdict[tuple[str, str], list[AgentRun]](list)
    for run in activity.runs:
        runs_of[run.name, run.kind].append(run)
    most_runs = sorted(runs_of, key=lambda agent: (-len(runs_of[agent]), agent))
    most_uses = sorted(activity.tools, key=lambda tool: (-len(tool.took_us), tool.name, tool.kind))
    own = _together(run.own for run in activity.runs)
    costliest = sorted(activity.runs, key=lambda run: (-run.whole.cost_nano_usd, run.ended_us, run.span_id))
    return Agents(
        agents=tuple(_agent(*agent, runs_of[agent]) for agent in most_runs[:LISTED]),
        tools=tuple(map(_tool, most_uses[:LISTED])),
        loops=_loops(activity.runs),
        costliest_runs=tuple(_summary(run) for run in costliest[:COSTLIEST] if run.whole.priced),
        total_runs=len(activity.runs),
        total_cost_usd=_cost_usd(own),
        dropped_runs=activity.dropped_runs,
        dropped_uses=activity.dropped_uses + sum(max(run.uses - MAX_USES_OF_A_RUN, 0) for run in activity.runs),
        window=span.window,
    )


def _agent(name: str, kind: str, runs: Sequence[AgentRun]) -> AgentSummary:
    own = _together(run.own for run in runs)
    errors = sum(run.error_type is not None for run in runs)
    whole = [run.whole for run in runs]
    return AgentSummary(
        agent=name,
        kind=kind,
        runs=len(runs),
        errors=errors,
        error_rate=errors / len(runs),
        incomplete_runs=sum(run.incomplete for run in runs),
        duration_ms=_spread((run.ended_us - run.began_us for run in runs), _US_PER_MS),
        calls=own.calls,
        failed_calls=own.failed,
        input_tokens=_known(own.input_tokens, own.input_known, own),
        output_tokens=_known(own.output_tokens, own.output_known, own),
        cost_usd=_cost_usd(own),
        priced_ratio=_priced_ratio(own),
        calls_per_run=_spread(sums.calls for sums in whole),
        tokens_per_run=_spread(
            sums.input_tokens + sums.output_tokens for sums in whole if sums.input_known == sums.calls
        ),
        cost_per_run_usd=_spread((sums.cost_nano_usd for sums in whole if sums.priced == sums.calls), instruments.NANO),
    )


def _tool(tool: ToolUses) -> ToolSummary:
    n = len(tool.took_us)
    return ToolSummary(tool.name, tool.kind, n, tool.failed, tool.failed / n, _spread(tool.took_us, _US_PER_MS))


def _loops(runs: Sequence[AgentRun]) -> Loops:
    uses = sum(run.uses for run in runs)
    return Loops(
        runs=sum(run.loops > 0 for run in runs),
        loops=sum(run.loops for run in runs),
        repeated_uses=sum(run.repeated for run in runs),
        cost_usd=sum(run.loop_cost_nano_usd for run in runs) / instruments.NANO,
        compared_ratio=sum(run.compared for run in runs) / uses if uses else nan,
    )


def _summary(run: AgentRun) -> RunSummary:
    whole = run.whole
    return RunSummary(
        trace_id=run.trace_id,
        span_id=run.span_id,
        agent=run.name,
        started_at=moment(run.began_us),
        duration_ms=(run.ended_us - run.began_us) / 1000,
        calls=whole.calls,
        input_tokens=_known(whole.input_tokens, whole.input_known, whole),
        output_tokens=_known(whole.output_tokens, whole.output_known, whole),
        cost_usd=_cost_usd(whole),
        priced_ratio=_priced_ratio(whole),
        error_type=run.error_type,
        incomplete=run.incomplete,
    )


def _together(sums: Iterable[CallSums]) -> CallSums:
    together = CallSums()
    for each in sums:
        together = together.plus(each)
    return together


def _known(tokens: int, known: int, sums: CallSums) -> float:
    return tokens if known or not sums.calls else nan


def _cost_usd(sums: CallSums) -> float:
    return sums.cost_nano_usd / instruments.NANO if sums.priced or not sums.calls else nan


def _priced_ratio(sums: CallSums) -> float:
    return sums.priced / sums.calls if sums.calls else nan


def _spread(values: Iterable[int], per_unit: int = 1) -> PerRun:
    """Return how whole numbers are spread, of which so many are one unit; a percentile is the value of rank ⌈q·n⌉."""
    ranked = sorted(values)
    n = len(ranked)
    if not n:
        return PerRun(nan, nan, nan, nan)
    p50, p95 = ranked[(n + 1) // 2 - 1], ranked[(19 * n + 19) // 20 - 1]
    return PerRun(sum(ranked) / (n * per_unit), p50 / per_unit, p95 / per_unit, ranked[-1] / per_unit)
