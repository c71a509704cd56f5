"""Points of streams on the way in, and what a store says of their senders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from otel_measure.definitions.measurements import Measurement
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.streams import Increment
from otel_measure.records.kinds import Origin


class Interpreted(NamedTuple):
    """What growth of foreign series means: calls of a model at a time, and what they add to running totals."""

    ts: int
    origin: Origin
    use: ModelUse
    sums: tuple[Measurement, ...]


class NotInterpreted(Exception):  # noqa: N818 - reads as the answer it is
    """What an interpreter raises that cannot tell it now: what has grown is kept, and asked about again."""


Interpreter: TypeAlias = Callable[[Sequence[Increment]], list[Interpreted]]


class Ingested(NamedTuple):
    """What became of points, in the order given: "accepted", "duplicate", or the reason why one was refused."""

    outcomes: tuple[str, ...]

    @property
    def accepted(self) -> int:
        """How many were taken."""
        return self.outcomes.count("accepted")

    @property
    def duplicate(self) -> int:
        """How many were known already."""
        return self.outcomes.count("duplicate")

    @property
    def refused(self) -> Counter[str]:
        """How many were refused, by reason."""
        return Counter(outcome for outcome in self.outcomes if outcome not in ("accepted", "duplicate"))


class HostReading(NamedTuple):
    """The last value of a stream of a host, container or process, and the one some minutes before, if any."""

    name: str
    labels: str
    instance: str
    ts: int
    value: float
    before: float | None = None


class StreamGrowth(NamedTuple):
    """By how much a stream of some labels has grown."""

    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Sender:
    """A process that sends telemetry: the attributes of its resource, when it was last heard of."""

    service: str
    environment: str
    instance: str
    attributes: Mapping[str, str]
    ts: int
