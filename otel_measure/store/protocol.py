"""What a store does: a writer takes in facts and points, a reader answers questions of one moment, an admin keeps it.

What may be asked is told in `questions`. Every method may raise `StoreUnavailable`, and those that are given something
`StoreRejected`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.turn import Turn
from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import Record
from otel_measure.store.questions import Moment
from otel_measure.store.types.alerts import EvaluatorTerm, LateDay
from otel_measure.store.types.backups import Backup, Progress
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.exports import UserExport
from otel_measure.store.types.facts import EVERYTHING, Filter, OutboxBatch, Receipt
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.store.types.quality import Reference
from otel_measure.store.types.services import RegisteredService
from otel_measure.store.types.streams import Ingested, Interpreter, Sender
from otel_measure.store.types.users import Erasure, ErasureState, Link


class Reader(Protocol):
    """Answers questions."""

    def asking(self, where: Filter = EVERYTHING) -> AbstractContextManager[Moment]:
        """Yield the questions of this moment, to be asked by this thread and without a write in between.

        All are about one environment: the one asked for, else that of the settings, else the one that
        `environment_asked` chooses. Narrowed to a service, `users`, and uses, labels and evaluations of models, are of
        what comes from there alone; questions about users then read the facts first and are slower. The others do not
        tell services apart.
        """


class AlertWriter(Protocol):
    """Keeps what comes of evaluating alerts, silences, and what is still to be told. Each call is one transaction."""

    def take_term(self, holder: str, digest: str, now: int, until: int) -> EvaluatorTerm:
        """Take or keep the right to evaluate by the rules of a digest.

        It is refused while another process has it. Once nobody has it, who takes it sets the digest of the store.
        """

    def give_up_term(self, holder: str) -> None:
        """Let another process evaluate, at once."""

    def write_turn(self, term: int, turn: Turn, receivers: Collection[str], now: int) -> bool:
        """Keep what a turn leaves, and note what receivers are to be told, if the term still runs; durable.

        Returns:
            Whether it does: else nothing is written, and another process evaluates.
        """

    def note_late(self, days: Sequence[LateDay], now: int) -> None:
        """Keep how late calls became known, of each subject and day the longest; forget it of days before a week."""

    def note_delivered(self, receiver: str, seqs: Sequence[int], now: int) -> None:
        """Note that a receiver has taken notifications, which wait no longer: it is well."""

    def note_failed(self, receiver: str, now: int, due: int) -> None:
        """Note that a receiver took nothing, and when it is asked again."""

    def add_silence(self, silence: Silence) -> None:
        """Add a silence, or replace the one of its id; durable."""

    def end_silence(self, silence_id: str) -> bool:
        """Remove a silence; return whether there was one."""


class Writer(Protocol):
    """Takes in what happens. Each call is one transaction, and giving the same again changes nothing."""

    @property
    def alerts(self) -> AlertWriter:
        """Keeps what comes of evaluating alerts."""

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit the records not seen before, with roll-ups and totals; `durable` survives power loss."""

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values; what tells of models is given to `interpret`."""

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""

    def set_reference(self, model: ModelKey, reference: Reference, environment: str | None = None) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set).

        It is of one environment, chosen as for an answer where none is given.
        """

    def define_experiment(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""

    def stop_experiment(self, key: str, served: str, now: int) -> Experiment:
        """Count no more for a test that there is: not what happens from now on, or after what was accepted; durable.

        Args:
            key: of the test.
            served: the variant that everybody gets from now on; another one may follow.
            now: microseconds.
        """

    def register_service(self, environment: str, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service of an environment, or set the target of one that is known; durable, and a heartbeat too."""

    def beat(self, environment: str, at: int, watched: Collection[str] = ()) -> None:
        """Note that somebody was there at a time to see an environment, and watched these services of it."""

    def end_watch(self, environment: str, service: str, at: int) -> None:
        """Note that somebody who watched a service until now gives it up; whoever watches it too goes on telling."""

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is a user or another person's."""

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back, with those that were linked to it; return whether it had one."""

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped; then clear bytes for a moment."""

    def note_senders(self, sending: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""

    def note_machine(self, readings: Mapping[str, float], now: int) -> None:
        """Add readings of the machine by their names, taken at one moment; those that are `nan` are not known."""

    def note_arrivals(self, arrived: Mapping[Arrival, int], now: int) -> None:
        """Add what came, by who sent it and what became of it."""

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
