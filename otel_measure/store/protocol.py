"""What a store does: it accepts facts once, takes in stream points, and answers the questions reports ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from otel_measure.config import Settings
from otel_measure.definitions.days import Days
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.streams import Point
from otel_measure.records.kinds import Inference, Record
from otel_measure.store.types.experiments import Cell, Experiment
from otel_measure.store.types.facts import EVERYTHING, Filter, OutboxBatch, Receipt
from otel_measure.store.types.findings import Finding, StoreCheck
from otel_measure.store.types.models import Model, ModelKey, ModelUse
from otel_measure.store.types.quality import Evaluated, Judged, Labels, Place, Reference
from otel_measure.store.types.services import RegisteredService, ServiceHistory
from otel_measure.store.types.streams import HostReading, Ingested, Interpreter, Sender, Waiting
from otel_measure.store.types.users import Cohort, ConversionTotals, Erasure, Link, SessionTotals, Totals


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


class UserQuestions(Protocol):
    """What reports about users ask; counts are of persons, exact, and as of the moment of the question."""

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to."""

    def conversions(self, days: Days, event: str) -> ConversionTotals:
        """Return who converted; `event` is the type or the name of what counts."""

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""

    def totals(self) -> Totals:
        """Return what the whole store holds."""


class Users(Protocol):
    """The users of a store."""

    def asking(self, where: Filter = EVERYTHING) -> AbstractContextManager[UserQuestions]:
        """Yield what answers questions, all of one moment; narrowed, it reads the facts first and is slower."""

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is another person's."""

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped."""


class Experiments(Protocol):
    """The experiments of a store. Every method may raise `StoreUnavailable`."""

    def define(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, and return the one that is kept."""

    def experiment(self, key: str) -> Experiment | None:
        """Return a definition."""

    def experiments(self) -> list[Experiment]:
        """Return every definition, the oldest first."""

    def cells(self, key: str) -> list[Cell]:
        """Return what each hour added, sorted by hour and variant."""


class JudgedRecords(Protocol):
    """The records of one model that drift looks at, all methods as of one moment; ordered by (ts, id)."""

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""

    def last_before(self, end: int) -> int | None:
        """Return the time of the last record before `end`."""

    def count(self, start: int, end: int) -> int:
        """Return the records of [start, end); both are whole hours."""

    def count_to(self, start: int, last: Place) -> int:
        """Return the records from `start` up to and including the place; they are walked, so let them be few."""

    def newest(self, start: int, end: int, after: Place | None, limit: int) -> list[Judged]:
        """Return the last records of [start, end) that come after a place, at most `limit`, in order."""

    def oldest(self, limit: int) -> list[Judged]:
        """Return the first records of the model, at most `limit`, in order."""


class QualityStore(Protocol):
    """What is known of predictions and drift. Every method may raise `StoreUnavailable`."""

    def evaluations(self, start: int, end: int, where: Filter = EVERYTHING) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""

    def labels(
        self, start: int, end: int, only: ModelKey | None = None, where: Filter = EVERYTHING
    ) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""

    def judged_models(self, start: int, at_least: int) -> Sequence[ModelKey]:
        """Return the models with at least so many records to judge from `start` on."""

    def judged(self, name: str, version: str) -> AbstractContextManager[JudgedRecords]:
        """Open the records of a model for reading, as of one moment."""

    def reference(self, name: str, version: str) -> Reference | None:
        """Return the reference kept for a model."""

    def references(self) -> Mapping[ModelKey, Reference]:
        """Return every reference kept."""

    def set_reference(self, name: str, version: str, reference: Reference) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""


class ServiceStore(Protocol):
    """Every method may raise `StoreUnavailable`."""

    def register(self, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service, or set the target of one that is known; durable, and a heartbeat too."""

    def services(self) -> list[RegisteredService]:
        """Return every service, sorted by name."""

    def histories(self, start: int, name: str | None = None) -> list[ServiceHistory]:
        """Return what tells the state of every service (or one) at any time from `start` on, sorted by name."""

    def beat(self, at: int) -> None:
        """Note that somebody was there to see at a time."""


class Store(Series, Protocol):
    """A place for facts. Every method may raise `StoreUnavailable`."""

    @property
    def definitions(self) -> Definitions:
        """By which definitions this process counts."""

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
    def services(self) -> ServiceStore:
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

    def rebuild(self, definitions: Definitions | None = None) -> None:
        """Recompute roll-ups and totals from the facts, by the definitions given, which become this process's own."""

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


class OpenStore(Protocol):
    """Opens a store of one engine."""

    def __call__(self, settings: Settings, definitions: Definitions | None, *, outbox: bool) -> Store:
        """Open the store that the settings name; see `otel_measure.store.engines.open_store`."""


class Engine(NamedTuple):
    """An engine, as whoever opens or examines a store knows it.

    Attributes:
        name: of its library.
        version: of its library.
        library: tells whether that version will do.
        open: opens a store.
        checks: returns what `doctor` is to look at: of the store that the settings name, which need not be there, and
            of the definitions that it is to be counted by.
    """

    name: str
    version: str
    library: Callable[[], Finding]
    open: OpenStore
    checks: Callable[[Settings, Definitions], Sequence[StoreCheck]]
