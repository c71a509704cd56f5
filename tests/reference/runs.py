"""Runs of agents, slowly: each call, use and run is looked for in all that stands around it, one parent at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import Inference


class ReferenceRun(NamedTuple):
    """What a run adds up to: costs in nano-dollars."""

    outer: str
    own_calls: int
    own_cost: int
    calls: int
    cost: int
    uses: int
    loops: int
    incomplete: bool


def reference_runs(tellings: Iterable[Telling], call_of: Mapping[str, Inference]) -> dict[str, ReferenceRun]:
    """Return the runs of a trace without circles, by span id."""
    told = list(tellings)
    spans = {each.span_id: each for each in told if each.kind != "fact"}

    def above(span: Telling) -> list[Telling]:
        chain = []
        while span.parent_id in spans:
            span = spans[span.parent_id]
            chain.append(span)
        return chain

    def is_node(span: Telling) -> bool:
        if span.step is None or (span.step.kind == "chain" and run_around(span) is not None):
            return False
        for each in above(span):
            if is_node(each):
                same = each.step is not None and each.step.is_alike(span.step)
                return not same or (each.process, each.scope) == (span.process, span.scope)
            if each.kind != "plain" and not is_twin(each):
                return True
        return True

    def is_twin(span: Telling) -> bool:
        return span.step is not None and span.step.kind != "chain" and not is_node(span)

    def is_run(span: Telling) -> bool:
        return span.step is not None and span.step.is_run and is_node(span)

    def run_around(span: Telling) -> Telling | None:
        return next((each for each in above(span) if is_run(each)), None)

    runs = {each.span_id: each for each in spans.values() if is_run(each)}
    calls: dict[str, tuple[int, Telling]] = {}
    for each in told:
        call = call_of.get(each.id)
        span = spans.get(each.span_id)
        if call is not None and span is not None and (run := span if is_run(span) else run_around(span)) is not None:
            calls[call.id] = (round((call.cost_usd or 0) * 10**9), run)
    uses = [each for each in spans.values() if each.step and not each.step.is_run and is_node(each)]
    missing = any(each.parent_id and each.parent_id not in spans for each in spans.values()) or any(
        each.span_id and each.span_id not in spans for each in told
    )

    def arguments(use: Telling) -> str | None:
        twins = [each for each in spans.values() if is_twin(each) and next(filter(is_node, above(each))) is use]
        known = [each.step.arguments for each in (use, *sorted(twins, key=lambda twin: twin.key)) if each.step]
        return next((each for each in known if each is not None), None)

    def of(run: Telling) -> ReferenceRun:
        own = [cost for cost, its in calls.values() if its is run]
        whole = [cost for cost, its in calls.values() if its is run or run in above(its)]
        mine = [use for use in uses if run_around(use) is run]
        said = [(use.step and use.step.name, said) for use in mine if (said := arguments(use)) is not None]
        outer = run_around(run)
        return ReferenceRun(
            outer.span_id if outer else "", len(own), sum(own), len(whole), sum(whole), len(mine),
            sum(said.count(each) >= 3 for each in set(said)), missing,
        )  # fmt: skip

    return {span_id: of(run) for span_id, run in runs.items()}
