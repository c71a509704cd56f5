"""Points of streams on the way in, and what a store says of their senders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.definitions.measurements import Measurement
from otel_measure.definitions.signals import ModelSeries
from otel_measure.records.kinds import Inference, Origin
from otel_measure.stats.binned import Bin, Exponential
from otel_measure.store.types.models import ModelUse

StreamScope: TypeAlias = Literal["add", "host", "instance"]
STALE_US: Final = 5 * 60 * 1_000_000  # after so long without a word a reading is not shown any more


@dataclass(frozen=True, slots=True)
class Point:
    """The value of one stream at one time: since its start, or (`delta`) since the point before.

    Attributes:
        scope: "add" (summed over processes, kept when one ends), "host" (last reading, one per host) or
            "instance" (one per process, never added).
        instance: `service.instance.id` of the process, or the host for scope "host".
        start: when the stream began, microseconds, 0 when unknown; a restart is a new stream. Of a delta: when it did.
        value: the sum of a counter or histogram, the reading of a gauge.
        count, bounds, buckets: of a histogram; `buckets` has one entry more than `bounds`.
        exponential: the buckets of an exponential histogram, from which the explicit ones are counted.
        minimum, maximum: of a histogram, where it says them.
        came: when it came by the receiver's clock, 0 where `ts` is of that clock.
        said: the time that a sender says whose clock is ahead, 0 elsewhere; `ts` is then when it came.
        means: what it tells of calls of a model.
    """

    name: str
    kind: str
    unit: str
    description: str
    labels: str
    scope: StreamScope
    instance: str
    start: int
    ts: int
    value: float
    count: int = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()
    exponential: Exponential | None = None
    minimum: float | None = None
    maximum: float | None = None
    delta: bool = False
    means: ModelSeries | None = None
    said: int = 0
    came: int = 0


@dataclass(frozen=True, slots=True)
class Increment:
    """What a point added to its stream; `bins` (in the unit of the stream) hold the `count` of a histogram.

    Attributes:
        cost_comes: whether other series of the same process say what calls of this model cost.
    """

    point: Point
    value: float
    count: int
    bins: tuple[Bin, ...]
    cost_comes: bool = False


class Interpreted(NamedTuple):
    """What growth of foreign series means: calls of a model at a time, and what they add to running totals."""

    ts: int
    origin: Origin
    use: ModelUse
    sums: tuple[Measurement, ...]


Interpreter: TypeAlias = Callable[[Sequence[Increment]], list[Interpreted]]


class Ingested(NamedTuple):
    """What became of points: how many were taken, were known already, and were refused by reason."""

    accepted: int
    duplicate: int
    refused: Mapping[str, int]


class Waiting(NamedTuple):
    """A call of a model that only a span tells of: it counts unless metrics of the same process tell of it too.

    Attributes:
        source: the process, as in `ModelSeries`.
        parent: the id that the enclosing span would have as an inference: a call inside a call is one call.
    """

    source: str
    inference: Inference
    parent: str | None = None


class HostReading(NamedTuple):
    """The last value of a stream of a host, container or process, and the one some minutes before, if any."""

    name: str
    labels: str
    instance: str
    ts: int
    value: float
    before: float | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """A process that sends telemetry: the attributes of its resource, when it was last heard of."""

    service: str
    environment: str
    instance: str
    attributes: Mapping[str, str]
    ts: int
