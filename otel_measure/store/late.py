"""A store on a server that may be away: it is opened when it is first needed, and a process begins without it.

Until then every question and every write is refused, as it is whenever the server is away later on: at once, for the
threads of our own look whether it is there again (`looking_again`), and nobody else waits for it twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.protocol import AlertWriter, Store
from otel_measure.store.questions import Moment
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
from otel_measure.store.waiting import looks_again


class _Pauses(NamedTuple):
    """How many seconds nobody asks a store that did not answer: who looks again for all others, and these."""

    lookers_s: float
    others_s: float


# Others wait longer than any looker needs to look again. What was slow may have been one long question: it is looked
# at soon, and any answer ends the pause.
_AWAY: Final = _Pauses(5.0, 30.0)
_PAUSES: Final[Mapping[str, _Pauses]] = {"away": _AWAY, "slow": _Pauses(0.0, 10.0)}


class _Refusal(NamedTuple):
    """Why and until when a store is not asked, seconds of the monotonic clock."""

    error: StoreUnavailable
    lookers_until_s: float
    others_until_s: float


class LateStore:
    """Satisfies `otel_measure.store.protocol.Store`.

    Args:
        open: opens it.
        definitions: by which it is to be counted.
        monotonic: seconds.
    """

    def __init__(self, open: Callable[[], Store], definitions: Definitions, monotonic: Callable[[], float]) -> None:
        self._open = open
        self._definitions = definitions
        self._monotonic = monotonic
        self._opened: Store | None = None
        self._refusal: _Refusal | None = None
        self._opening = threading.Lock()

    @contextmanager
    def _there(self) -> Iterator[Store]:
        """Yield the store, opened.

        Raises:
            StoreUnavailable: it does not answer, or did not some seconds ago.
            StoreError: it is counted by other definitions.
        """
        self._refuse_while_away()
        try:
            yield self._opened or self._first_opened()
        except StoreUnavailable as error:
            if self._opened is not None and error.cause_name in _PAUSES:
                self._pause(error, _PAUSES[error.cause_name])
            raise
        self._refusal = None

    def _pause(self, error: StoreUnavailable, pauses: _Pauses) -> None:
        now_s = self._monotonic()
        self._refusal = _Refusal(error, now_s + pauses.lookers_s, now_s + pauses.others_s)

    def _refuse_while_away(self) -> None:
        refusal, now_s = self._refusal, self._monotonic()
        if refusal is not None and now_s < (refusal.lookers_until_s if looks_again() else refusal.others_until_s):
            raise StoreUnavailable(refusal.error.cause_name, refusal.error.what, refusal.error.way_out)

    def _first_opened(self) -> Store:
        with self._opening:
            if self._opened is None:
                self._refuse_while_away()  # by whoever was at it until now
                try:
                    self._opened = self._open()
                except StoreUnavailable as error:
                    self._pause(error, _AWAY)
                    raise
            return self._opened

    @property
    def definitions(self) -> Definitions:
        """By which definitions this process counts."""
        return self._definitions if self._opened is None else self._opened.definitions

    @property
    def alerts(self) -> AlertWriter:
        """Keeps what comes of evaluating alerts."""
        return (self._opened or self._first_opened()).alerts

    @contextmanager
    def asking(self, where: Filter = EVERYTHING) -> Iterator[Moment]:
        """Yield the questions of this moment."""
        with self._there() as store, store.asking(where) as moment:
            yield moment

    # ------------------------------------------------------------ writing

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit the records not seen before, with roll-ups and totals; `durable` survives power loss."""
        with self._there() as store:
            return store.accept(records, durable=durable)

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values; what tells of models is given to `interpret`."""
        with self._there() as store:
            return store.ingest(points, interpret)

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""
        with self._there() as store:
            store.register_model(model)

    def set_reference(self, model: ModelKey, reference: Reference, environment: str | None = None) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""
        with self._there() as store:
            store.set_reference(model, reference, environment)

    def define_experiment(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""
        with self._there() as store:
            return store.define_experiment(experiment)

    def stop_experiment(self, key: str, served: str, now: int) -> Experiment:
        """Count no more for a test that there is: not what happens from now on, or after what was accepted; durable."""
        with self._there() as store:
            return store.stop_experiment(key, served, now)

    def register_service(self, environment: str, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service of an environment, or set the target of one that is known; durable, and a heartbeat too."""
        with self._there() as store:
            return store.register_service(environment, name, sla_target, now)

    def beat(self, environment: str, at: int, watched: Collection[str] = ()) -> None:
        """Note that somebody was there at a time to see an environment, and watched these services of it."""
        with self._there() as store:
            store.beat(environment, at, watched)

    def end_watch(self, environment: str, service: str, at: int) -> None:
        """Note that somebody who watched a service until now gives it up; whoever watches it too goes on telling."""
        with self._there() as store:
            store.end_watch(environment, service, at)

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is a user or another person's."""
        with self._there() as store:
            return store.identify(anonymous_id, user_id)

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back, with those that were linked to it; return whether it had one."""
        with self._there() as store:
            return store.unlink(anonymous_id)

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped; then clear bytes for a moment."""
        with self._there() as store:
            return store.erase(user_id, now)

    def note_senders(self, sending: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""
        with self._there() as store:
            store.note_senders(sending)

    def note_machine(self, readings: Mapping[str, float], now: int) -> None:
        """Add readings of the machine by their names, taken at one moment; those that are `nan` are not known."""
        with self._there() as store:
            store.note_machine(readings, now)

    def note_arrivals(self, arrived: Mapping[Arrival, int], now: int) -> None:
        """Add what came, by who sent it and what became of it."""
        with self._there() as store:
            store.note_arrivals(arrived, now)

    def take_tellings(self, told: Sequence[Telling]) -> TakenTellings:
        """Take in what tells of single calls; each call counts once, whoever tells of it and in whatever order."""
        with self._there() as store:
            return store.take_tellings(told)

    def count_signals(self, interpret: Interpreter, now: int) -> int:
        """Count what metrics tell beyond the single calls; return how many calls were taken back."""
        with self._there() as store:
            return store.count_signals(interpret, now)

    def remove_sent(self, batch: OutboxBatch) -> None:
        """Remove facts from the outbox."""
        with self._there() as store:
            store.remove_sent(batch)

    def take_lease(self, key: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; `False` while another process holds it."""
        with self._there() as store:
            return store.take_lease(key, holder, now, until)

    # ------------------------------------------------------------ keeping

    def rebuild(self, definitions: Definitions | None = None) -> None:
        """Recompute roll-ups and totals from the facts, by the definitions given, which become this process's own."""
        with self._there() as store:
            store.rebuild(definitions)

    def is_updating(self) -> bool:
        """Tell whether facts waited to be counted by the definitions of the store when this process last asked it."""
        return self._opened is not None and self._opened.is_updating()

    def bring_up_to_date(self, holder: str, now: int) -> bool:
        """Do a part of what is left to count by this process's definitions; return whether there may be more."""
        with self._there() as store:
            return store.bring_up_to_date(holder, now)

    def keep_time(self, now: int) -> bool:
        """Note a heartbeat of this process; return whether its clock is believed (`otel_measure.definitions.clock`)."""
        with self._there() as store:
            return store.keep_time(now)

    def doubts_clock(self) -> bool:
        """Tell whether the last heartbeat that this process knows of came by a clock that is not believed."""
        return self._opened is not None and self._opened.doubts_clock()

    def sweep(self, now: int) -> int:
        """Apply retention and the disk bound where `now` is believed; return the facts removed."""
        with self._there() as store:
            return store.sweep(now)

    def export(self, user_id: str) -> UserExport:
        """Return all that is stored of a person; looks through all facts."""
        with self._there() as store:
            return store.export(user_id)

    def clear_erased(self, now: int) -> bool:
        """Clear a part of the bytes of the erased where any are left; return whether more can be done at once."""
        with self._there() as store:
            return store.clear_erased(now)

    def erasure(self, receipt: int) -> ErasureState | None:
        """Return what became of an erasure, `None` where there was none with this receipt."""
        with self._there() as store:
            return store.erasure(receipt)

    def backup(self, target: Path, progress: Progress) -> Backup:
        """Copy the store as of now, and read the copy again: it is whole, or there is none."""
        with self._there() as store:
            return store.backup(target, progress)

    def check(self) -> None:
        """Raise `StoreUnavailable` when a write would fail now, or when damage was met."""
        with self._there() as store:
            store.check()

    def watch(self) -> None:
        """Look after the store, often and for a short while each time; raise `StoreUnavailable` when it is not well."""
        if self._opened is not None:
            self._opened.watch()

    def is_busy(self) -> bool:
        """Tell whether a write would wait long for another thread of this process."""
        return self._opened is not None and self._opened.is_busy()

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""
        if self._opened is not None:
            self._opened.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._opened is not None:
            self._opened.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process, one of whose threads may have been opening the store."""
        self._opening = threading.Lock()
        if self._opened is not None:
            self._opened.after_fork_in_child()

    def close(self) -> None:
        """Close every connection."""
        if self._opened is not None:
            self._opened.close()
