"""A ledger of runs of agents that really were, and the spans that instrumentations send of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from otel_measure.definitions.tellings import Telling
from tests.facts import NOON, SECOND
from tests.store.conformance.telling import agent, told, tool


@dataclass(slots=True)
class TrueRun:
    """A run: what its own calls cost, in nano-dollars, its uses of tools, and the runs inside it, by their spans."""

    name: str
    calls: list[int] = field(default_factory=list)
    uses: int = 0
    inner: list[str] = field(default_factory=list)


class AgentLedger:
    """What agents did in one trace.

    Attributes:
        runs: by span id.
        spans: what is sent of it: framework and client both tell of calls, two instrumentations of some runs, and both
            ends of some tools.
    """

    def __init__(self, random: Random, trace: int) -> None:
        self._random = random
        self._trace = trace
        self._n = 0
        self.runs: dict[str, TrueRun] = {}
        self.spans: list[Telling] = []
        self._run(self._plain(None), depth=0)

    def cost_of(self, span_id: str) -> int:
        """Return what a run cost with all that is inside, nano-dollars."""
        run = self.runs[span_id]
        return sum(run.calls) + sum(map(self.cost_of, run.inner))

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _began(self) -> int:
        return NOON + self._n * SECOND

    def _plain(self, parent: int | None) -> int | None:
        if self._random.random() < 0.5:
            return parent
        n = self._next()
        self.spans.append(told(n, kind="plain", parent=parent, trace=self._trace, began=self._began()))
        return n

    def _run(self, parent: int | None, depth: int) -> str:
        n, name = self._next(), self._random.choice(["planner", "writer"])
        span = agent(n, name, parent=parent, trace=self._trace, began=self._began())
        run = self.runs[span.span_id] = TrueRun(name)
        self.spans.append(span)
        if self._random.random() < 0.3:
            parent, n = n, self._next()
            self.spans.append(agent(n, name, parent=parent, trace=self._trace, scope="other", began=self._began()))
        for _ in range(self._random.randrange(4)):
            if self._random.random() < 0.6:
                self._call(self._plain(n), run)
            else:
                self._tool(self._plain(n), run, depth)
        return span.span_id

    def _call(self, parent: int | None, run: TrueRun) -> None:
        """Call a model, perhaps through a framework, perhaps twice."""
        at: dict[str, Any] = {"trace": self._trace, "began": self._began()}
        if self._random.random() < 0.5:
            n = self._next()
            self.spans.append(told(n, parent=parent, scope="wrapper", took_ms=9000.0, **at))
            parent = n
        for _ in range(self._random.choice([1, 1, 2])):
            cost = self._random.randrange(10**7)
            run.calls.append(cost)
            self.spans.append(told(self._next(), parent=parent, cost_usd=cost / 10**9, **at))

    def _tool(self, parent: int | None, run: TrueRun, depth: int) -> None:
        n = self._next()
        run.uses += 1
        self.spans.append(tool(n, parent=parent, trace=self._trace, began=self._began()))
        if self._random.random() < 0.3:
            parent, n = n, self._next()
            self.spans.append(tool(n, parent=parent, trace=self._trace, instance="mcp", began=self._began()))
        if depth < 2 and self._random.random() < 0.5:
            run.inner.append(self._run(n, depth + 1))
