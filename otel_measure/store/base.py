"""What a store is: it accepts facts once, takes in stream points, and answers the questions reports ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

from otel_measure.definitions.measurements import Measurement
from otel_measure.definitions.signals import ModelSeries
from otel_measure.records.kinds import Inference, Json, Origin, Record
from otel_measure.stats.binned import Bin, Binned, Exponential
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.experiments import Experiments
from otel_measure.store.services import Services

if TYPE_CHECKING:
    from otel_measure.store.quality import QualityStore
    from otel_measure.store.users import Users

Outcome: TypeAlias = Literal["accepted", "duplicate", "rejected"]
StreamScope: TypeAlias = Literal["add", "host", "instance"]


class Receipt(NamedTuple):
    """What became of one record."""

    outcome: Outcome
    reason: str | None = None


STALE_US: Final = 5 * 60 * 1_000_000  # after so long without a word a reading is not shown any more
ACCEPTED = Receipt("accepted")
DUPLICATE = Receipt("duplicate")


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


@dataclass(frozen=True, slots=True)
class Sample:
    """One exposed series: escaped labels without braces, and a value or (histograms) sum, count and bucket counts."""

    labels: str
    value: float
    count: int = 0
    buckets: tuple[int, ...] = ()


class Family(NamedTuple):
    """All exposed series of one instrument; names and units are OpenTelemetry's."""

    name: str
    kind: str
    unit: str
    description: str
    bounds: tuple[float, ...]
    samples: list[Sample]


class Filter(NamedTuple):
    """Narrow an answer to one service or environment; `None` is all."""

    service: str | None = None
    environment: str | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything is left out."""
        return self.service is not None or self.environment is not None


EVERYTHING = Filter()


class Model(NamedTuple):
    """A registered model."""

    name: str
    version: str
    type: str = "other"
    metadata: dict[str, Json] | None = None
    targets: dict[str, float] | None = None


@dataclass(slots=True)
class ModelUse:
    """What one model did in a window: everything here adds.

    Attributes:
        input_known, output_known: calls whose token count is known.
        priced, priced_tokens: calls with a cost, and their tokens.
        sources: calls by the source of their cost.
        latency: in units of `latency_unit_ms` milliseconds.
        binned: latencies of calls that only histograms of others tell of.
    """

    model: str
    version: str
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    input_known: int = 0
    output_tokens: int = 0
    output_known: int = 0
    cost_nano_usd: int = 0
    priced: int = 0
    priced_tokens: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    latency: ExponentialHistogram | None = None
    latency_unit_ms: float = 1.0
    binned: Binned | None = None


class Series(Protocol):
    """What reports over models need; a store and the in-memory reader both satisfy it."""

    def models(self) -> list[Model]:
        """Return every model, sorted by name and version."""

    def model(self, name: str, version: str) -> Model | None:
        """Return one model, `None` for one that was neither registered nor recorded."""

    def model_use(
        self, start: int, end: int, only: tuple[str, str] | None = None, where: Filter = EVERYTHING
    ) -> list[ModelUse]:
        """Return what models did in [start, end), sorted by name and version."""


class OutboxBatch(NamedTuple):
    """Facts that leave together: the rows of the outbox, and what is still there of them."""

    seqs: tuple[int, ...]
    records: list[Record]


class Outbox(Protocol):
    """Accepted facts that are to leave by OTLP, in the order in which they were accepted."""

    def length(self) -> int:
        """Return how many facts wait."""

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""

    def done(self, batch: OutboxBatch) -> None:
        """Forget that facts are to leave."""


class Received(Protocol):
    """Of each process and model one signal counts: facts of our own, else metrics, else spans."""

    def heard_of(self, senders: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""

    def senders(self, since: int) -> list[Sender]:
        """Return who was heard of since then, sorted."""

    def has_facts(self, pairs: Iterable[tuple[str, str]], now: int) -> None:
        """Note that (source, model) record facts of our own: neither their metrics nor their spans count from now."""

    def wait(self, calls: Sequence[Waiting], now: int, until: int) -> Sequence[Inference]:
        """Keep what only spans tell of `until` metrics had time to come; return what need not wait."""

    def due(self, now: int) -> list[Inference]:
        """Return the calls for which no metrics came; they are given again until `settled`."""

    def model_of(self, inference_id: str) -> tuple[str, str] | None:
        """Return model and version of a call, `None` for one that is not known."""

    def settled(self, inferences: Sequence[Inference]) -> None:
        """Forget calls that were accepted."""

    def readings(self, prefixes: Sequence[str], since: int) -> list[HostReading]:
        """Return the last values of streams whose names begin so, per host, process and labels."""


class Store(Series, Protocol):
    """A place for facts. Every method may raise `StoreUnavailable`."""

    @property
    def users(self) -> Users:
        """Questions about users, and what is done to them."""

    @property
    def experiments(self) -> Experiments:
        """Definitions and roll-ups of experiments."""

    @property
    def quality(self) -> QualityStore:
        """Predictions, their truths, and the references of drift."""

    @property
    def services(self) -> Services:
        """Watched services, and when anybody was there to see."""

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit the records not seen before, with roll-ups and totals, in one transaction."""

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values: repeating a write changes nothing; what tells of models is given to `interpret`."""

    @property
    def outbox(self) -> Outbox:
        """What is to leave by OTLP."""

    @property
    def received(self) -> Received:
        """What senders of OTLP are, and which of their signals count."""

    def families(self, now: int) -> list[Family]:
        """Return all that `/metrics` shows from the store, instruments and labels sorted."""

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""

    def rebuild(self, timezone: str | None = None) -> None:
        """Recompute roll-ups and totals from the facts, in this or another time zone."""

    def sweep(self, now: int) -> int:
        """Apply retention and the disk bound; return the facts removed."""

    def holds_lease(self, key: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; `False` while another process holds it."""

    def is_busy(self) -> bool:
        """Tell whether a write would wait long for another thread of this process."""

    def check(self) -> None:
        """Raise `StoreUnavailable` when a write would fail now."""

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""

    def close(self) -> None:
        """Close every connection."""
