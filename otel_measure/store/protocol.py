"""What a store does: a writer takes in facts and points, a reader answers questions of one moment, an admin keeps it.

A method says what only a store can know; what its answers mean is told in `definitions/`, what is made of them in the
reports. Every method may raise `StoreUnavailable`, and those that are given something `StoreRejected`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from otel_measure.definitions.days import Days
from otel_measure.definitions.drift_windows import HourCount
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.same_calls import Telling
from otel_measure.definitions.streams import Point
from otel_measure.definitions.windows import CountedBy
from otel_measure.records.kinds import Record
from otel_measure.store.types.backups import Backup, Progress
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest
from otel_measure.store.types.exports import UserExport
from otel_measure.store.types.facts import EVERYTHING, Filter, OutboxBatch, Receipt
from otel_measure.store.types.models import Model, ModelKey, Spent
from otel_measure.store.types.quality import Evaluated, GroupedLabels, JudgedRecord, Labels, RecordPosition, Reference
from otel_measure.store.types.services import RegisteredService, ServiceHistory
from otel_measure.store.types.streams import HostReading, Ingested, Interpreter, Sender
from otel_measure.store.types.users import Cohort, ConversionTotals, Erasure, ErasureState, Link, SessionTotals

# ---------------------------------------------------------------- questions


class UserQuestions(Protocol):
    """What reports about users ask; counts are of persons, exact."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def first_day(self) -> int | None:
        """Return the day on which the second person was first seen: one wrong clock does not move it, an import does.

        Of one person alone it is theirs, `None` without anybody; of one service it is not before the facts left.
        """

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
        """Return what the sessions that start on these days add up to; those still open at `now` are in no bounce."""

    def conversions(self, days: Days, event: str) -> ConversionTotals | None:
        """Return who converted by events of a type or name; `None` of no key event where facts of the days are gone."""

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""


class RecordedModels(Protocol):
    """What reports over models ask; the in-memory reader of a process without a store answers them as well."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), sorted by name and version."""


class QualityQuestions(Protocol):
    """What models are judged by: predictions with their truths, evaluations, and records against references.

    The records of a model that have a prediction or features stand in the order of their positions, (ts, id).
    """

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""

    def grouped_labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, GroupedLabels]:
        """Return the predictions of [start, end) that are about groups, and their truths, per model."""

    def evaluations(self, start: int, end: int) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""

    def model_of(self, inference_id: str) -> ModelKey | None:
        """Return the model of a call, `None` for a call that is not known."""

    def references(self, only: ModelKey | None = None) -> Mapping[ModelKey, Reference]:
        """Return the references kept for models."""

    def judged_counts(
        self, start: int, end: int, only: ModelKey | None = None, after: RecordPosition | None = None
    ) -> Mapping[ModelKey, int]:
        """Return how many records of [start, end), whole hours, each model has; those after a position only.

        Up to the position records are walked: let them be few.
        """

    def judged_hours(self, model: ModelKey, start: int, end: int) -> list[HourCount]:
        """Return how many records of [start, end), whole hours, a model has in each hour that has any, in order."""

    def newest(
        self, model: ModelKey, start: int, end: int, limit: int, after: RecordPosition | None = None
    ) -> list[JudgedRecord]:
        """Return the last records of [start, end) that come after a position, at most `limit`, in order."""

    def oldest(self, model: ModelKey, limit: int) -> list[JudgedRecord]:
        """Return the first records of a model, at most `limit`, in order."""


class SpendingQuestions(Protocol):
    """What calls cost by whom and what they were made for."""

    def spent(self, start: int, end: int, by: Sequence[str]) -> list[Spent]:
        """Return what calls of [start, end) cost by "user", "repository", "model", "version"; the dearest first."""


class ExperimentQuestions(Protocol):
    """What is known of experiments."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def experiments(self, key: str | None = None) -> list[Experiment]:
        """Return every definition (or that of one key, if there is one), the oldest first."""

    def hours(self, key: str) -> list[ArmHour]:
        """Return what each hour added to the arms of an experiment, sorted by hour and variant."""

    def person_in_test(self, key: str, user_id: str) -> PersonInTest:
        """Return the person behind a user id, as a test knows them."""


class ServiceQuestions(Protocol):
    """What is known of watched services."""

    def histories(self, start: int, name: str | None = None) -> list[ServiceHistory]:
        """Return what tells the state of every service (or one) at any time from `start` on, sorted by name."""


class StreamQuestions(Protocol):
    """What is known of streams and totals, and of who sends them."""

    def families(self, now: int) -> list[Family]:
        """Return all that `/metrics` shows from the store, instruments and labels sorted."""

    def readings(self, prefixes: Sequence[str], since: int) -> list[HostReading]:
        """Return the last values of streams whose names begin so, per host, process and labels."""

    def senders(self, since: int) -> list[Sender]:
        """Return who has sent since then, sorted."""


class OutboxQuestions(Protocol):
    """Accepted facts that are to leave by OTLP, in the order in which they were accepted."""

    def length(self) -> int:
        """Return how many facts wait."""

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""


class Moment(Protocol):
    """What a store knew at one moment: every question sees the same facts, whatever is written meanwhile."""

    @property
    def users(self) -> UserQuestions:
        """Persons, sessions, conversions, answers."""

    @property
    def models(self) -> RecordedModels:
        """What models did."""

    @property
    def quality(self) -> QualityQuestions:
        """How good models are."""

    @property
    def spending(self) -> SpendingQuestions:
        """What calls cost that name a user or a repository."""

    @property
    def experiments(self) -> ExperimentQuestions:
        """Definitions and arms of experiments."""

    @property
    def services(self) -> ServiceQuestions:
        """States of services, and when anybody was there to see."""

    @property
    def streams(self) -> StreamQuestions:
        """The exposition, the readings of hosts, and senders."""

    @property
    def outbox(self) -> OutboxQuestions:
        """What is to leave by OTLP."""

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""


# ---------------------------------------------------------------- reader, writer, admin


class Reader(Protocol):
    """Answers questions."""

    def asking(self, where: Filter = EVERYTHING) -> AbstractContextManager[Moment]:
        """Yield the questions of this moment, to be asked by this thread and without a write in between.

        All are about one environment: the one asked for, else that of the settings, else the one that
        `environment_asked` chooses. Narrowed to a service, `users`, and uses, labels and evaluations of models, are of
        what comes from there alone; questions about users then read the facts first and are slower. The others do not
        tell services apart.
        """


class Writer(Protocol):
    """Takes in what happens. Each call is one transaction, and giving the same again changes nothing."""

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit the records not seen before, with roll-ups and totals; `durable` survives power loss."""

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values; what tells of models is given to `interpret`."""

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""

    def set_reference(self, model: ModelKey, reference: Reference) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""

    def define_experiment(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""

    def stop_experiment(self, key: str, served: str, now: int) -> Experiment:
        """Count no more for a test that there is: not what happens from now on, or after what was accepted; durable.

        Args:
            key: of the test.
            served: the variant that everybody gets from now on; another one may follow.
            now: microseconds.
        """

    def register_service(self, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service, or set the target of one that is known; durable, and a heartbeat too."""

    def beat(self, at: int, watched: Collection[str] = ()) -> None:
        """Note that somebody was there to see at a time, and watched these services."""

    def end_watch(self, service: str, at: int) -> None:
        """Note that somebody who watched a service until now gives it up; whoever watches it too goes on telling."""

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is a user or another person's."""

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back, with those that were linked to it; return whether it had one."""

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped; then clear bytes for a moment."""

    def note_senders(self, sending: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""

    def take_tellings(self, told: Sequence[Telling]) -> TakenTellings:
        """Take in what tells of single calls; each call counts once, whoever tells of it and in whatever order."""

    def count_signals(self, interpret: Interpreter, now: int) -> int:
        """Count what metrics tell beyond the single calls, where something came; return how many calls were taken back.

        Metrics of processes of whose calls nothing else tells are counted when they come.
        """

    def remove_sent(self, batch: OutboxBatch) -> None:
        """Remove facts from the outbox."""

    def take_lease(self, key: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; `False` while another process holds it."""


class Admin(Protocol):
    """Keeps a store, and the process's connections to it."""

    @property
    def definitions(self) -> Definitions:
        """By which definitions this process counts."""

    def rebuild(self, definitions: Definitions | None = None) -> None:
        """Recompute roll-ups and totals from the facts, by the definitions given, which become this process's own."""

    def is_updating(self) -> bool:
        """Tell whether facts waited to be counted by the definitions of the store when this process last asked it."""

    def bring_up_to_date(self, holder: str, now: int) -> bool:
        """Do a part of what is left to count by this process's definitions; return whether there may be more.

        Args:
            holder: this process, among those that use the store.
            now: microseconds.
        """

    def keep_time(self, now: int) -> bool:
        """Note a heartbeat of this process; return whether its clock is believed (`otel_measure.definitions.clock`)."""

    def doubts_clock(self) -> bool:
        """Tell whether the last heartbeat that this process knows of came by a clock that is not believed."""

    def sweep(self, now: int) -> int:
        """Apply retention and the disk bound where `now` is believed; return the facts removed."""

    def export(self, user_id: str) -> UserExport:
        """Return all that is stored of a person; looks through all facts."""

    def clear_erased(self, now: int) -> bool:
        """Clear a part of the bytes of the erased where any are left; return whether more can be done at once."""

    def erasure(self, receipt: int) -> ErasureState | None:
        """Return what became of an erasure, `None` where there was none with this receipt."""

    def backup(self, target: Path, progress: Progress) -> Backup:
        """Copy the store as of now, whoever writes meanwhile, and read the copy again: it is whole, or there is none.

        Raises:
            StoreUnavailable: `target` is there already, or cannot be written.
        """

    def check(self) -> None:
        """Raise `StoreUnavailable` when a write would fail now, or when damage was met."""

    def watch(self) -> None:
        """Look after the store, often and for a short while each time; raise `StoreUnavailable` when it is not well."""

    def is_busy(self) -> bool:
        """Tell whether a write would wait long for another thread of this process."""

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""

    def close(self) -> None:
        """Close every connection."""


class Store(Reader, Writer, Admin, Protocol):
    """A place for facts."""
