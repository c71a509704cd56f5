"""Streams: numbers without a fact, kept as the cumulative value each process last said.

Taking a point again changes nothing: a cumulative value replaces what it goes on from, a delta is added once. A counter
that begins anew is a stream of its own, and what is shown of it is the sum over its starts, so it does not fall. What a
point adds to its stream is an `Increment`; the first point of a stream whose start is unknown or long ago adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from math import isfinite
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.conventions.semconv import SCOPE_AI, SCOPE_USERS
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.exposition import MONOTONIC, STALE_US, Sample, added_buckets
from otel_measure.definitions.signals import ModelSeries
from otel_measure.stats.binned import Bin, Exponential, explicit_bins

StreamScope: TypeAlias = Literal["add", "host", "instance", "folded"]
FACT_SCOPES: Final = frozenset({SCOPE_AI, SCOPE_USERS})
"""Instrumentation scopes of ours whose figures are counted from facts: they are no streams."""
# (prefix of the instrument's name, whose reading it is); everything else adds, or is a gauge of its process
_SCOPES: Final[tuple[tuple[str, StreamScope], ...]] = (
    ("system.", "host"),
    ("otel_measure.system.", "host"),
    ("container.", "host"),
    ("otel_measure.container.", "host"),
    ("process.", "instance"),
    ("otel_measure.process.", "instance"),
)
LATEST_DELTA_US: Final = 3_600_000_000
"""A delta that is older than the last one of its stream by more is refused: nobody remembers whether it came before."""
_MINUTE_US: Final = 60_000_000


def stream_scope(name: str, kind: str) -> StreamScope:
    """Return how a stream of this name behaves over several processes."""
    for prefix, scope in _SCOPES:
        if name.startswith(prefix):
            return scope
    return "instance" if kind == "gauge" else "add"


@dataclass(frozen=True, slots=True)
class Point:
    """The value of one stream at one time: since its start, or (`delta`) since the point before.

    Attributes:
        scope: "add" (summed over processes, kept when one ends), "host" (last reading, one per host),
            "instance" (one per process, never added) or "folded" (not shown: only what it says of models counts).
        instance: `service.instance.id` of the process, or the host for scope "host".
        start: when the stream began, microseconds, 0 when unknown; a restart is a new stream. Of a delta: when it did.
        value: the sum of a counter or histogram, the reading of a gauge.
        count, bounds, buckets: of a histogram; `buckets` has one entry more than `bounds`.
        exponential: the buckets of an exponential histogram, from which the explicit ones are counted.
        minimum, maximum: of a histogram, where it says them.
        has_sum: of a histogram, whether it says the sum, which `value` is.
        received_ts: when it came by the receiver's clock, 0 where `ts` is of that clock.
        sender_ts: the time by the clock of a sender that is ahead, 0 elsewhere; `ts` is then when it came.
        ends: it says no value, but that its series has ended; until the next value nothing of it is shown.
        model_series: the calls of a model that it tells of, `None` for none.
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
    has_sum: bool = True
    delta: bool = False
    ends: bool = False
    model_series: ModelSeries | None = None
    sender_ts: int = 0
    received_ts: int = 0

    @property
    def has_unknown_start(self) -> bool:
        """Whether it may go on from any earlier start of its stream: its sender does not say when it began."""
        return self.start == 0 and self.scope == "instance" and self.kind in MONOTONIC


def folded(point: Point) -> Point:
    """Return a point as one that is not shown, under a name that tells its series from others and nothing else.

    What is said of models is counted by the attributes that matter. Those that do not, such as the id of a request,
    make series without end, which are only kept to know by how much each grows.
    """
    return replace(point, labels=sha256(point.labels.encode()).hexdigest(), scope="folded", description="")


@dataclass(frozen=True, slots=True)
class Increment:
    """What a point added to its stream; `bins` (in the unit of the stream) hold the `count` of a histogram.

    Attributes:
        after_us: since when, microseconds: it grew over (after, time of the point].
        cost_comes: whether other series of the same process say what calls of this model cost.
    """

    point: Point
    value: float
    count: int
    bins: tuple[Bin, ...]
    after_us: int = 0
    cost_comes: bool = False


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is kept of a stream."""

    kind: str
    start: int
    ts: int
    value: float
    count: int
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    exponential: Exponential | None


class Taken(NamedTuple):
    """What becomes of a stream that takes a point.

    Attributes:
        kept: the point as it is kept, its buckets explicit.
        begins: it is a stream of its own from here; else it replaces what is kept.
    """

    kept: Point
    begins: bool
    increment: Increment


class PointRefused(Exception):  # noqa: N818 - a verdict
    """A point that is not taken, and why in one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def predecessor(known: StreamState | None, point: Point) -> StreamState | None:
    """Return what a point goes on from, of the same kind and of a time that was; `None` where the known one makes room.

    One of another kind makes room when it was not heard of for long. A last word that lies ahead of our clock is from
    before that was set back: it is older than the point, or nothing would be newer for as long as the step.

    Raises:
        PointRefused: "kind", the series was of another kind before.
    """
    if known is None:
        return None
    if known.ts > (point.received_ts or point.ts) + STALE_US:
        known = replace(known, ts=point.ts - 1)
    if known.kind == point.kind:
        return known
    adds = known.kind in MONOTONIC and point.scope != "host"
    if adds or point.ts - known.ts <= STALE_US:
        raise PointRefused("kind")
    return None


def cumulative(known: StreamState | None, point: Point) -> Taken | None:
    """Return what becomes of a stream that takes a cumulative value; `None` for one that was taken already.

    Raises:
        PointRefused: "out_of_order", older than what the series said already.
    """
    if known is None:
        is_whole = point.start > 0 and point.ts - point.start <= DAY_US
        return Taken(explicit(point), True, increment(point, None) if is_whole else Increment(point, 0.0, 0, ()))
    if point.ts < known.ts:
        raise PointRefused("out_of_order")
    if point.ts == known.ts and (point.value, point.count) == (known.value, known.count):
        return None
    has_fallen = point.kind in MONOTONIC and (point.value < known.value or point.count < known.count)
    if has_fallen and point.ts == known.ts:
        # Nothing begins anew in no time: two values of one time came in the wrong order, or both once more.
        raise PointRefused("out_of_order")
    if has_fallen and point.has_unknown_start:
        # After all its starts, also after one that was said and is no earlier than its last word.
        begun = replace(point, start=max(known.ts, known.start + 1))
        return Taken(explicit(begun), True, increment(begun, None, known.ts))
    before = None if has_fallen else known
    return Taken(explicit(point, before), False, increment(point, before, known.ts))


def added_delta(known: StreamState | None, point: Point) -> Taken:
    """Return what becomes of a stream that takes a delta; whether it was taken before is for the store to know.

    Raises:
        PointRefused: "too_late", "bounds" that are not the stream's, or a sum "too_large".
    """
    whole = replace(point, start=0)
    if known is None:
        return Taken(explicit(whole), True, increment(point, None))
    if point.ts < known.ts - LATEST_DELTA_US:
        raise PointRefused("too_late")
    counted = explicit(whole)
    if known.bounds != counted.bounds and counted.buckets:
        raise PointRefused("bounds")
    value, count = known.value + point.value, known.count + point.count
    if not isfinite(value) or count > LARGEST:
        raise PointRefused("too_large")
    buckets = added_buckets(known.buckets, counted.buckets)
    kept = replace(counted, ts=max(known.ts, point.ts), value=value, count=count, buckets=buckets)
    return Taken(kept, False, increment(point, None))


def explicit(point: Point, before: StreamState | None = None) -> Point:
    """Return a point with explicit buckets: those of an exponential histogram grow by what it grew, and never fall."""
    if point.exponential is None:
        return point
    grown = point.exponential
    kept = before if before is not None and before.exponential is not None and before.bounds == point.bounds else None
    if kept is not None and kept.exponential is not None:
        since = grown.since(kept.exponential)
        kept, grown = (kept, since) if since is not None else (None, grown)
    buckets = tuple(grown.explicit(point.bounds))
    return replace(point, buckets=added_buckets(kept.buckets, buckets) if kept is not None else buckets)


def increment(point: Point, before: StreamState | None, after_us: int = 0) -> Increment:
    """Return what a point adds to what it goes on from, or all that it says; nothing unless it tells of models.

    Args:
        point: what was said.
        before: what it goes on from.
        after_us: the last word before it, where it begins anew.
    """
    if point.model_series is None:
        return Increment(point, 0.0, 0, ())
    if before is None:
        bins = tuple(_bins(point, point.buckets, point.exponential))
        return Increment(point, point.value, point.count, bins, max(_since(point), after_us))
    if point.exponential is not None:
        since = point.exponential.since(before.exponential) if before.exponential is not None else point.exponential
        bins = tuple(_bins(point, (), since or point.exponential))
    elif before.bounds == point.bounds:
        grown = tuple(max(0, a - b) for a, b in zip(point.buckets, before.buckets, strict=True))
        bins = tuple(_bins(point, grown, None))
    else:
        bins = ()
    return Increment(point, point.value - before.value, point.count - before.count, bins, before.ts)


def _since(point: Point) -> int:
    """Return since when a point that goes on from none has grown; a minute where its sender does not say."""
    return point.start if 0 < point.start < point.ts else point.ts - _MINUTE_US


def _bins(point: Point, buckets: tuple[int, ...], exponential: Exponential | None) -> Iterator[Bin]:
    if exponential is not None:
        return exponential.bins()
    return explicit_bins(point.bounds, buckets, point.minimum, point.maximum) if buckets else iter(())


# ---------------------------------------------------------------- streams of ended processes


def pooled(points: Iterable[Point]) -> Iterator[Point]:
    """Yield what streams of ended processes add up to: one stream of nobody for each series, kind, unit and bounds."""
    sums: dict[tuple[object, ...], Point] = {}
    for point in points:
        key = (point.name, point.labels, point.kind, point.unit, point.bounds)
        sums[key] = _plus(sums[key], point) if key in sums else replace(point, instance="")
    taken: set[tuple[str, str, int]] = set()
    for point in sums.values():
        start = point.start
        while (point.name, point.labels, start) in taken:  # an instrument that had other buckets before
            start += 1
        taken.add((point.name, point.labels, start))
        yield replace(point, start=start)


def _plus(known: Point, other: Point) -> Point:
    both = _sample(known).plus(_sample(other))
    ts = max(known.ts, other.ts)
    return replace(known, ts=ts, value=both.value, count=both.count, buckets=both.buckets)


def _sample(point: Point) -> Sample:
    return Sample(point.labels, point.value, point.count, point.buckets)
