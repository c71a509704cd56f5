"""Models as a store knows them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.records.kinds import Json
from otel_measure.stats.means import Moments

ModelKey: TypeAlias = tuple[str, str]
CallOrder: TypeAlias = Literal["latency", "cost"]
"""By what single calls are chosen, the largest first."""
GroupBy: TypeAlias = Literal["model", "version", "provider", "service"]
"""What uses of models are told apart by; a version is one of its model's."""
SeriesGroupBy: TypeAlias = Literal[GroupBy, "error_type"]
"""What a series tells apart; by the type of an error its errors alone."""
GroupKey: TypeAlias = tuple[str, ...]
"""Which group it is: a model, a model and its version, a provider, or a service; empty where nothing is told apart."""


SLOT_US: Final = 300_000_000
"""How long the times are of which a store tells that calls in them changed, microseconds."""


class ModelChoice(NamedTuple):
    """Models that a question is about: all, all versions of one, or one version."""

    name: str | None = None
    version: str | None = None


ALL_MODELS: Final = ModelChoice()


class CallChanges(NamedTuple):
    """Of which times what models did is not what it was.

    Attributes:
        last: the last change there is, with which to ask the next time.
        slots: when the five minutes begin that changed since (microseconds), ascending; `None` where all may have.
    """

    last: int
    slots: Sequence[int] | None

    def touch(self, start: int, end: int) -> bool:
        """Tell whether anything in [start, end) may have changed."""
        if self.slots is None:
            return True
        return bisect_right(self.slots, start - SLOT_US) < bisect_left(self.slots, end)


class CallCount(NamedTuple):
    """How many calls a cell had that begins at `start` (microseconds), and how many of them failed."""

    start: int
    requests: int
    errors: int


class TimedCount(NamedTuple):
    """How many calls of a cell are timed, and how many of them took longer than asked about; `start` as above."""

    start: int
    timed: int
    slow: int


class ServiceModel(NamedTuple):
    """A service, and a model that it calls in whatever version."""

    service: str
    model: str


class CallTotals(NamedTuple):
    """What calls of a model add up to; `priced` are those with a cost."""

    requests: int
    errors: int
    priced: int
    cost_nano_usd: int


class FailedCalls(NamedTuple):
    """The failed calls of one type: how many, when the first and the last was (microseconds), and a trace of one."""

    error_type: str
    calls: int
    first: int
    last: int
    trace_id: str | None


class CallMoments(NamedTuple):
    """What single calls cost and how many tokens they had, of those that say so."""

    cost_usd: Moments
    input_tokens: Moments
    output_tokens: Moments


class Spent(NamedTuple):
    """What calls cost that have something in common.

    Attributes:
        keys: what they have in common, in the order asked for; `None` where a call does not say it.
        priced: calls with a cost.
    """

    keys: tuple[str | None, ...]
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cost_nano_usd: int
    priced: int


class SpentRows(NamedTuple):
    """What calls cost by what they have in common, all of it or a page.

    Attributes:
        rows: in their order.
        total: how many there are in all.
        requests: calls of all of them.
        cost_nano_usd: what all of them cost.
        priced: calls with a cost of all of them.
    """

    rows: list[Spent]
    total: int
    requests: int
    cost_nano_usd: int
    priced: int


class Model(NamedTuple):
    """A registered model."""

    name: str
    version: str
    type: str = "other"
    metadata: dict[str, Json] | None = None
    targets: dict[str, float] | None = None
