"""Runs of agents and uses of tools: what the spans of one trace say of them, and what the calls inside them add up to.

- A run is a span of an agent or a workflow; a chain is one only where it stands in no other run. A span of the same
  name from another scope or process, with plain spans alone between, tells of the same run, which is the outer one.
- A use is a span of a tool, of a resource or of a prompt, likewise told of once. It is of the innermost run around it.
- A call is of the innermost run around it, and adds to each run around that one exactly once.
- A loop is the same tool with the same arguments three times in a run. It costs what the calls cost that asked for its
  repetitions (the last call of the run before each) and those made inside of them, each once.
- A run is incomplete while a span of its trace names a parent, or a fact a span, that has not come.

All of it is a function of the set of what is told about one trace, so that no order matters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from otel_measure.conventions import instruments
from otel_measure.conventions.step_dialects import StepKind
from otel_measure.definitions.circles import first_of_circles
from otel_measure.definitions.tellings import SpanKey, Telling
from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.kinds import Inference, Origin

SPANS_KEPT_US: Final = 2 * 3_600_000_000
"""How long spans are remembered after the last one of their trace."""
LOOP_USES: Final = 3
MAX_USES_OF_A_RUN: Final = 1000
"""More uses are counted by their run and are none by themselves."""


class CallSums(NamedTuple):
    """What calls add up to; tokens and cost of those that know them.

    Attributes:
        calls, failed: how many.
        input_tokens, output_tokens: sums.
        input_known, output_known: calls that know these tokens.
        priced: calls that know their cost.
        cost_nano_usd: sum.
    """

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_known: int = 0
    output_known: int = 0
    priced: int = 0
    cost_nano_usd: int = 0

    def plus(self, other: CallSums) -> CallSums:
        """Return the sums of both."""
        return CallSums(*map(sum, zip(self, other, strict=True)))


class AgentRun(NamedTuple):
    """One run.

    Attributes:
        trace_id, span_id: which.
        outer_span_id: the run around it, "" for none.
        kind, name, origin: of the agent.
        began_us, ended_us: microseconds since 1970.
        error_type: `None` where it went well.
        user_id: whom its span names, else the only one whom its calls name, else that of the run around it.
        incomplete: whether something of its trace may be missing.
        own: the calls that are in no run inside it.
        whole: those in the runs inside it too.
        uses, compared: its uses of tools, and those whose arguments are known.
        loops, repeated: how many loops, and by how many uses they are more than one.
        loop_cost_nano_usd: what the loops cost, less what those of the runs around it cost already.
    """

    trace_id: str
    span_id: str
    outer_span_id: str
    kind: StepKind
    name: str
    origin: Origin
    began_us: int
    ended_us: int
    error_type: str | None
    user_id: str | None
    incomplete: bool
    own: CallSums
    whole: CallSums
    uses: int
    compared: int
    loops: int
    repeated: int
    loop_cost_nano_usd: int


class ToolUse(NamedTuple):
    """One use of a tool; `run_span_id` is "" outside of runs."""

    trace_id: str
    span_id: str
    run_span_id: str
    kind: StepKind
    name: str
    origin: Origin
    began_us: int
    ended_us: int
    error_type: str | None


class TraceRuns(NamedTuple):
    """What one trace says, each sorted by its end."""

    runs: list[AgentRun]
    uses: list[ToolUse]


class ToolUses(NamedTuple):
    """The uses of one tool: how long each took, in no order, and how many failed."""

    kind: StepKind
    name: str
    took_us: list[int]
    failed: int


class AgentActivity(NamedTuple):
    """What a time holds: runs by their end, tools by kind and name; and how many runs and uses ever made room."""

    runs: list[AgentRun]
    tools: list[ToolUses]
    dropped_runs: int
    dropped_uses: int


def runs_of(tellings: Iterable[Telling], call_of: Mapping[str, Inference]) -> TraceRuns:
    """Return the runs and uses that the tellings of one trace tell of.

    Args:
        tellings: of one trace.
        call_of: the calls that tellings tell of, by the ids of these.
    """
    told = sorted(tellings, key=lambda each: (each.kind, each.id))
    layout = _Layout({each.key: each for each in told if each.kind != "fact"})
    layout.add_calls(told, call_of)
    is_whole = layout.is_whole and all(each.key in layout.spans for each in told if each.span_id)
    runs = _runs(layout, incomplete=not is_whole)
    return TraceRuns(sorted(runs, key=lambda run: (run.ended_us, run.span_id)), list(_uses(layout)))


def _uses(layout: _Layout) -> Iterator[ToolUse]:
    of_run = Counter[SpanKey | None]()
    for node in sorted(layout.nodes, key=lambda each: (each.ended_us, each.span_id)):
        run = layout.run_around[node.key]
        if not _step(node).is_run and (n := of_run[run.key if run is not None else None]) < MAX_USES_OF_A_RUN:
            of_run[run.key if run is not None else None] = n + 1
            yield _use(node, run)


def _step(node: Telling) -> AgentStep:
    assert node.step is not None
    return node.step


# ---------------------------------------------------------------- what stands in what


class _Place(NamedTuple):
    """Where the children of a span stand: in which run, in which run or use, and directly in which of these."""

    run: Telling | None = None
    node: Telling | None = None
    direct: Telling | None = None


class _Layout:
    """Runs and uses of a trace, each with what it stands in.

    Attributes:
        spans: all of them.
        is_whole: whether every parent that is named has come.
        nodes: runs and uses, the outer ones before those inside them.
        run_around, node_around: in which run, and in which run or use, each stands.
        twins: spans that tell of the same run or use.
        calls: in which run or use each call is, by the id of the call.
    """

    def __init__(self, spans: Mapping[SpanKey, Telling]) -> None:
        self.spans = spans
        self.nodes: list[Telling] = []
        self.run_around: dict[SpanKey, Telling | None] = {}
        self.node_around: dict[SpanKey, Telling | None] = {}
        self.twins: dict[SpanKey, list[Telling]] = defaultdict(list)
        self.calls: dict[str, tuple[Inference, Telling, Telling]] = {}  # with its run
        parents = {key: spans.get((each.trace_id, each.parent_id or "")) for key, each in spans.items()}
        missing = any(each.parent_id and parents[key] is None for key, each in spans.items())
        circles = first_of_circles({key: each.key if each is not None else None for key, each in parents.items()})
        parents |= dict.fromkeys(circles)
        self.is_whole = not circles and not missing
        self._places: dict[SpanKey, _Place] = {}
        for key in sorted(spans):
            self._place(key, parents)

    def _place(self, key: SpanKey, parents: Mapping[SpanKey, Telling | None]) -> None:
        path: list[Telling] = []
        at: Telling | None = self.spans[key]
        while at is not None and at.key not in self._places:
            path.append(at)
            at = parents[at.key]
        for span in reversed(path):
            above = parents[span.key]
            self._places[span.key] = self._inside(span, self._places[above.key] if above is not None else _Place())

    def _inside(self, span: Telling, outside: _Place) -> _Place:
        """Return where the children of a span stand, and note what it is itself."""
        step = span.step
        if step is None or (step.kind == "chain" and outside.run is not None):
            return outside if span.kind == "plain" else outside._replace(direct=None)
        direct = outside.direct
        if direct is not None and _step(direct).is_alike(step) and _teller(direct) != _teller(span):
            self.twins[direct.key].append(span)
            return outside
        self.nodes.append(span)
        self.run_around[span.key], self.node_around[span.key] = outside.run, outside.node
        return _Place(span if step.is_run else outside.run, span, span)

    def add_calls(self, told: Iterable[Telling], call_of: Mapping[str, Inference]) -> None:
        """Note in which run each call is: of several, whose spans stand side by side, in the one that began last."""
        for each in told:
            call, place = call_of.get(each.id), self._places.get(each.key)
            if call is None or place is None or place.run is None or place.node is None:
                continue
            known = self.calls.get(call.id)
            if known is None or _began(known[1]) < _began(place.run):
                self.calls[call.id] = (call, place.run, place.node)

    def around(self, node: Telling | None) -> Iterator[SpanKey]:
        """Yield a run or use and all around it, the innermost first."""
        while node is not None:
            yield node.key
            node = self.node_around[node.key]


def _teller(span: Telling) -> tuple[str, str]:
    return (span.process, span.scope)


def _began(span: Telling) -> tuple[int, SpanKey]:
    return (span.began_us, span.key)


# ---------------------------------------------------------------- what they add up to


def _runs(layout: _Layout, *, incomplete: bool) -> Iterator[AgentRun]:
    """Yield every run, the outer ones first."""
    own, users = defaultdict[SpanKey, list[Inference]](list), defaultdict[SpanKey, set[str]](set)
    for call, run, _ in layout.calls.values():
        own[run.key].append(call)
    uses = defaultdict[SpanKey, list[Telling]](list)
    for node in layout.nodes:
        around = layout.run_around[node.key]
        if around is not None and not _step(node).is_run:
            uses[around.key].append(node)
    runs = [node for node in layout.nodes if _step(node).is_run]
    whole = {run.key: _sums(own[run.key]) for run in runs}
    for run in reversed(runs):
        users[run.key] |= {call.user_id for call in own[run.key] if call.user_id is not None}
        if (outer := layout.run_around[run.key]) is not None:
            whole[outer.key] = whole[outer.key].plus(whole[run.key])
            users[outer.key] |= users[run.key]
    ends = sorted(each.ended_us for each in layout.spans.values())
    user_of: dict[SpanKey, str | None] = {}
    in_loops: set[str] = set()
    for run in runs:
        outer, step = layout.run_around[run.key], _step(run)
        sole = next(iter(users[run.key])) if len(users[run.key]) == 1 else None
        user_of[run.key] = step.user_id or sole or (user_of[outer.key] if outer is not None else None)
        loops = [loop for loop in _groups(layout, uses[run.key]) if len(loop) >= LOOP_USES]
        paid = {call.id: call for call in _paid_for(layout, run, own[run.key], loops) if call.id not in in_loops}
        in_loops |= paid.keys()
        yield AgentRun(
            trace_id=run.trace_id,
            span_id=run.span_id,
            outer_span_id=outer.span_id if outer is not None else "",
            kind=step.kind,
            name=step.name,
            origin=step.origin,
            began_us=run.began_us,
            ended_us=run.ended_us,
            error_type=step.error_type,
            user_id=user_of[run.key],
            incomplete=incomplete or _may_be_forgotten(run, ends),
            own=_sums(own[run.key]),
            whole=whole[run.key],
            uses=len(uses[run.key]),
            compared=sum(_arguments(layout, use) is not None for use in uses[run.key]),
            loops=len(loops),
            repeated=sum(len(loop) - 1 for loop in loops),
            loop_cost_nano_usd=_sums(paid.values()).cost_nano_usd,
        )


def _sums(calls: Iterable[Inference]) -> CallSums:
    sums = CallSums()
    for call in calls:
        sums = sums.plus(
            CallSums(
                1,
                call.error_type is not None,
                call.input_tokens or 0,
                call.output_tokens or 0,
                call.input_tokens is not None,
                call.output_tokens is not None,
                call.cost_usd is not None,
                round((call.cost_usd or 0.0) * instruments.NANO),
            )
        )
    return sums


def _arguments(layout: _Layout, use: Telling) -> str | None:
    told = (use, *sorted(layout.twins.get(use.key, ()), key=lambda twin: twin.key))
    return next((_step(each).arguments for each in told if _step(each).arguments is not None), None)


def _groups(layout: _Layout, uses: Iterable[Telling]) -> list[list[Telling]]:
    """Return uses of the same tool with the same arguments, each group by the time at which they began."""
    groups = defaultdict[tuple[str, str, str], list[Telling]](list)
    for use in sorted(uses, key=_began):
        if (arguments := _arguments(layout, use)) is not None:
            groups[_step(use).kind, _step(use).name, arguments].append(use)
    return list(groups.values())


def _paid_for(
    layout: _Layout, run: Telling, own: Iterable[Inference], loops: Sequence[Sequence[Telling]]
) -> Iterator[Inference]:
    """Yield the calls of a run that asked for the repetitions of loops, and all calls inside of these."""
    repetitions = [use for loop in loops for use in loop[1:]]
    if not repetitions:
        return
    asking = sorted((call for call in own if layout.calls[call.id][2] is run), key=lambda call: (call.ts, call.id))
    ends = [call.ts for call in asking]
    for use in repetitions:
        if before := bisect_right(ends, use.began_us):
            yield asking[before - 1]
    repeated = {use.key for use in repetitions}
    for call, _, node in layout.calls.values():
        if not repeated.isdisjoint(layout.around(node)):
            yield call


def _may_be_forgotten(run: Telling, ends: Sequence[int]) -> bool:
    """Tell whether a run was silent for so long that spans of its beginning may not be remembered."""
    if run.ended_us - run.began_us <= SPANS_KEPT_US:
        return False
    inside = [run.began_us, *(end for end in ends if run.began_us < end < run.ended_us), run.ended_us]
    return any(later - earlier > SPANS_KEPT_US for earlier, later in pairwise(inside))


def _use(span: Telling, run: Telling | None) -> ToolUse:
    step = _step(span)
    return ToolUse(
        span.trace_id,
        span.span_id,
        run.span_id if run is not None else "",
        step.kind,
        step.name,
        step.origin,
        span.began_us,
        span.ended_us,
        step.error_type,
    )
