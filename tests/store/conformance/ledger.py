"""A ledger of calls that really were, and what clients of several kinds say of them: it judges what a store counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from tests.facts import MINUTE, NOON, SECOND
from tests.store.conformance.telling import duration, told

COUNTED_TYPED, COUNTED_INSIDE, SUCCESSES_ONLY = "typed", "inside", "none"
# Instrumentations of which `dialects` knows what their metrics say of failures, and an unknown one.
SCOPES = {
    COUNTED_TYPED: "openlit.otel.metrics",
    COUNTED_INSIDE: "unknown",
    SUCCESSES_ONLY: "opentelemetry.instrumentation.anthropic",
}


@dataclass(frozen=True, slots=True)
class LedgerClient:
    """How a client tells of its calls.

    Attributes:
        spans: the share of its spans that is kept; 1.0 for all, 0.0 for none.
        keeps_failures: failed spans are always kept (tail sampling).
        export_s: how often its metrics are exported, 0 for no metrics.
        failures: what its metrics say of failed calls.
    """

    spans: float
    keeps_failures: bool
    export_s: int
    failures: str

    @property
    def tells_all(self) -> bool:
        """Whether what it says is enough to know every call."""
        if self.spans == 1.0:
            return True
        if not self.export_s or self.failures == COUNTED_INSIDE:
            return bool(self.export_s) and not self.keeps_failures
        return self.failures == COUNTED_TYPED or self.keeps_failures


class TrueCall(NamedTuple):
    """A call that was made."""

    n: int
    began: int
    took_ms: int
    failed: bool

    @property
    def ended(self) -> int:
        """When it ended, microseconds."""
        return self.began + self.took_ms * 1000


def calls_made(random: Random, n: int, failing: float) -> list[TrueCall]:
    """Return calls of some minutes, in order of time."""
    starts = sorted(random.randrange(10 * MINUTE) for _ in range(n))
    return [
        TrueCall(i + 1, NOON + at, random.randrange(50, 3000), random.random() < failing) for i, at in enumerate(starts)
    ]


def messages(client: LedgerClient, calls: list[TrueCall], random: Random) -> list[Telling | Point]:
    """Return what a client says of its calls, in order of time."""
    spans = [
        told(
            1, trace=call.n, began=call.began, took_ms=call.took_ms, scope=SCOPES[client.failures],
            error_type="Timeout" if call.failed else None, response_model=None if call.failed else "m-1",
        )
        for call in calls
        if random.random() < client.spans or (client.keeps_failures and call.failed)
    ]  # fmt: skip
    return [*spans, *(exports(client, calls) if client.export_s else ())]


def exports(client: LedgerClient, calls: list[TrueCall]) -> list[Point]:
    """Return what the metrics of a client have grown by at each export."""
    step = client.export_s * SECOND
    counts: dict[int, Counter[str | None]] = defaultdict(Counter)
    for call in calls:
        if call.failed and client.failures == SUCCESSES_ONLY:
            continue
        kind = "Timeout" if call.failed and client.failures == COUNTED_TYPED else None
        counts[-(-(call.ended - NOON) // step) * step][kind] += 1
    return [
        duration(
            n, NOON + end, after=NOON + end - step, scope=SCOPES[client.failures], error_type=kind,
            answered="m-1" if kind is None else None,
        )
        for end, of_kind in counts.items()
        for kind, n in of_kind.items()
    ]  # fmt: skip
