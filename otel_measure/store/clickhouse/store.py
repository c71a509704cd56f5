"""A store on a ClickHouse server, which any number of processes and hosts use at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from otel_measure.config import Settings
from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.clock import Heartbeat
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import EvaluationResult, Inference, Maintenance, Origin, Record, ServiceState
from otel_measure.store.clickhouse import alert_operations, operations
from otel_measure.store.clickhouse.alerts import ClickHouseAlertWriter
from otel_measure.store.clickhouse.call_changes import CallPartChanges
from otel_measure.store.clickhouse.columns import WrittenBy
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.experiments import latest_in_test
from otel_measure.store.clickhouse.fact_operations import RemoveSent
from otel_measure.store.clickhouse.log import OperationLog
from otel_measure.store.clickhouse.moment import ClickHouseMoment
from otel_measure.store.clickhouse.outbox import LeavingFacts
from otel_measure.store.clickhouse.restored import refuse_restored
from otel_measure.store.clickhouse.snapshots import Snapshots
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.clickhouse.told_calls import ToldCalls
from otel_measure.store.clickhouse.totals import FactTotals
from otel_measure.store.clickhouse.upkeep import DEFAULT_DAYS, Admitted, ClickHouseUpkeep, KeptDays
from otel_measure.store.clickhouse.upkeep_operations import receipt_of
from otel_measure.store.clickhouse.writing import (
    FactWriter,
    create,
    first_definitions,
    kept_definitions,
    store_key,
    sync_facts,
)
from otel_measure.store.sqlite.clock import since_boot_s
from otel_measure.store.sqlite.faults import rejecting
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.backups import Backup, Progress
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import EVERYTHING, Filter, OutboxBatch, Receipt
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.store.types.quality import Reference
from otel_measure.store.types.services import RegisteredService
from otel_measure.store.types.streams import Ingested, Interpreter, Sender
from otel_measure.store.types.users import Link

_IN_STATE: Final = (ServiceState, Maintenance)


def _now_us() -> int:
    return time.time_ns() // 1000


class ClickHouseStore(ClickHouseUpkeep):
    """Satisfies `otel_measure.store.protocol.Store`.

    Args:
        database: of the store, created.
        definitions: by which it is counted; the database keeps the same. Rebuilt by others, it is by these.
        environment: that answers are about where no question names one.
        notes_outbox: note what is accepted as what is to leave by OTLP.
        now_us: the wall clock, microseconds: who of two that write the same id at the same time was the first.
        monotonic: seconds, also those that a machine sleeps; what the wall clock is compared with.
        limits: how long facts are kept.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        definitions: Definitions,
        *,
        environment: str | None = None,
        notes_outbox: bool = False,
        now_us: Callable[[], int] = _now_us,
        monotonic: Callable[[], float] = since_boot_s,
        limits: KeptDays = DEFAULT_DAYS,
    ) -> None:
        self._environment = environment
        self._monotonic = monotonic
        self._last_heartbeat: Heartbeat | None = None
        self._doubts_clock = False
        key, snapshots = store_key(database), Snapshots(database)
        replica = Replica(first_definitions(database), key)
        state = ReplicatedState(OperationLog(database.prompt), replica, snapshots, monotonic)
        self._call_changes = CallPartChanges(database, definitions)
        self._accepting = FactWriter(database.prompt, definitions, now_us)
        writer = FactWriter(database, definitions, now_us)
        super().__init__(database, state, WrittenBy(definitions, key), writer, snapshots, limits)
        self._told = ToldCalls(database, state)
        self._seen: set[Origin | ModelKey] = set()
        self._now_us = now_us
        self._totals = FactTotals(database, state)
        self._leaving = LeavingFacts(database, state) if notes_outbox else None
        self.alerts: Final = ClickHouseAlertWriter(self._state)

    @classmethod
    def of_settings(cls, settings: Settings, definitions: Definitions | None, *, notes_outbox: bool) -> ClickHouseStore:
        """Connect to the store that the settings name, which is created where it is not there.

        Args:
            settings: where it is.
            definitions: by which it is to be counted; `None` takes those that it keeps.
            notes_outbox: see above.

        Raises:
            ConfigurationError: there can be no store at such a place, or the client is not installed.
            StoreError: it is counted by other definitions, or is being moved there; it is not there and `definitions`
                is `None`.
            StoreUnavailable: the server does not answer, or does not let us do it.
        """
        database = ClickHouseDatabase.of_url(str(settings.store))
        try:
            if definitions is None:
                refuse_restored(database)
                definitions = kept_definitions(database)
            else:
                create(database, definitions)
                if settings.durability == "power":
                    sync_facts(database)
            limits = KeptDays(settings.retention_days, settings.history_days)
            return cls(
                database,
                definitions,
                environment=settings.environment or None,
                notes_outbox=notes_outbox,
                limits=limits,
            )
        except BaseException:
            database.close()
            raise

    @property
    def definitions(self) -> Definitions:
        """By which definitions this process counts."""
        return self._by.definitions

    # ------------------------------------------------------------ facts

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Keep the records not seen before; what is returned is stored.

        Whether facts survive a loss of power is a setting of their tables (`sync_facts`), for all processes at once.
        """
        if not records:
            return []
        with rejecting():
            admitted = self.admitted(records)
            if admitted.accepted:
                self._accept(admitted)
        return admitted.receipts

    def _accept(self, admitted: Admitted) -> None:
        records = admitted.records
        accepted = [records[i] for i in admitted.accepted]
        self._see(accepted)
        self._totals.name(accepted)
        token = None if self._leaving is None else self._leaving.expect(accepted, self._now_us())
        in_tables = [i for i in admitted.accepted if not isinstance(records[i], _IN_STATE)]
        write = partial(self._accepting.accept, epochs=admitted.epochs)
        written = self._told.accept([records[i] for i in in_tables], write)
        receipts = dict(zip(in_tables, written, strict=True)) | self._accept_states(records)
        for i, receipt in receipts.items():
            admitted.receipts[i] = receipt
        if self._leaving is not None and token is not None:
            self._leaving.note(token, records, admitted.receipts)

    def _accept_states(self, records: Sequence[Record]) -> dict[int, Receipt]:
        states = {i: record for i, record in enumerate(records) if isinstance(record, ServiceState)}
        maintenance = {i: record for i, record in enumerate(records) if isinstance(record, Maintenance)}
        if not states and not maintenance:
            return {}
        accepted = self._state.do(operations.AcceptStates(tuple(states.values()), tuple(maintenance.values())))
        return dict(zip([*states, *maintenance], accepted, strict=True))

    def _see(self, records: Sequence[Record]) -> None:
        """Let everybody know which services, environments and models there are, before facts of them are stored."""
        origins = {record.origin: None for record in records if record.origin not in self._seen}
        named = {(each.model, each.version): None for each in records if isinstance(each, Inference | EvaluationResult)}
        models = [key for key in named if key[0] and key not in self._seen]
        if origins or models:
            self._state.do(operations.SeeNames(tuple(origins), tuple(models)))
            self._seen.update(origins, models)

    # ------------------------------------------------------------ small state

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""
        self._state.do(operations.RegisterModel(model))

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values: repeating a write changes nothing."""
        return self._told.ingest(points, interpret)

    def set_reference(self, model: ModelKey, reference: Reference, environment: str | None = None) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""
        asked = environment if environment is not None else self._environment
        self._state.do(operations.set_reference(model, reference, asked))

    def define_experiment(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""
        return self._state.do(operations.DefineExperiment(experiment))

    def stop_experiment(self, key: str, served: str, now: int) -> Experiment:
        """Count no more for a test that there is, and give everybody one variant; after all that was accepted of it."""
        latest = latest_in_test(self._database, self.definitions, key)
        return self._state.do(operations.StopExperiment(key, served, now if latest is None else max(now, latest + 1)))

    def register_service(self, environment: str, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service, or set the target of one that is known; a heartbeat too."""
        return self._state.do(operations.RegisterService(environment, name, sla_target, now))

    def beat(self, environment: str, at: int, watched: Collection[str] = ()) -> None:
        """Note that somebody was there to see at a time, and watched these services; a doubted time proves nothing."""
        self._state.do(operations.Beat(environment, at, tuple(watched)))

    def end_watch(self, environment: str, service: str, at: int) -> None:
        """Note that somebody who watched a service until now gives it up."""
        self._state.do(operations.EndWatch(environment, service, at))

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is a user or another person's."""
        return self._state.do(operations.IdentifyUser(anonymous_id, user_id))

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back, with those that were linked to it; return whether it had one."""
        return self._state.do(operations.UnlinkUser(anonymous_id))

    def note_senders(self, sending: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""
        self._state.do(operations.NoteSenders(tuple(sending)))

    def note_machine(self, readings: Mapping[str, float], now: int) -> None:
        """Add readings of the machine by their names, taken at one moment."""
        self._state.do(operations.NoteMachine(readings, now))

    def note_arrivals(self, arrived: Mapping[Arrival, int], now: int) -> None:
        """Add what came, by who sent it and what became of it."""
        self._state.do(operations.NoteArrivals(tuple(arrived.items()), now))

    def take_tellings(self, told: Sequence[Telling]) -> TakenTellings:
        """Take in what tells of single calls; each call counts once, whoever tells of it and in whatever order."""
        self._follow()
        with rejecting():
            taken = self._told.take(told)
        if self._leaving is not None:
            self._leaving.note_calls(taken.new_calls)
        return taken

    def count_signals(self, interpret: Interpreter, now: int) -> int:
        """Count what metrics tell beyond the single calls; return how many calls that counters show were taken back."""
        return self._told.count(interpret, now)

    def remove_sent(self, batch: OutboxBatch) -> None:
        """Remove facts from the outbox."""
        self._state.do(RemoveSent(batch.seqs))

    def take_lease(self, key: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; `False` while another process holds it."""
        return self._state.do(alert_operations.TakeLease(key, holder, now, until))

    # ------------------------------------------------------------ questions

    @contextmanager
    def asking(self, where: Filter = EVERYTHING) -> Iterator[ClickHouseMoment]:
        """Yield the questions of this moment; see `otel_measure.store.protocol.Reader`."""
        where = where.with_default(self._environment)
        self._totals.name_missing()
        with self._state.asking(where) as state:
            self._follow()
            by = self.written_by(state)
            hides = any(receipt_of(key) is not None for key in state.removals)
            database = self._database.hiding if hides else self._database
            yield ClickHouseMoment(database, by, self._totals, self._call_changes, state, where)

    # ------------------------------------------------------------ upkeep

    def _count_by(self, definitions: Definitions) -> None:
        super()._count_by(definitions)
        self._accepting.count_by(definitions)
        self._call_changes.count_by(definitions)

    def is_updating(self) -> bool:
        """Tell that nothing is: days that are not settled are read from facts."""
        return False

    def keep_time(self, now: int) -> bool:
        """Note a heartbeat of this process; return whether its clock is believed."""
        beat, before = Heartbeat(now, int(self._monotonic() * 1_000_000)), self._last_heartbeat
        self._last_heartbeat = beat
        is_believed = self._state.do(alert_operations.KeepTime(beat, before))
        self._doubts_clock = not is_believed
        if self._leaving is not None and is_believed:
            self._leaving.recover(now)
        return is_believed

    def doubts_clock(self) -> bool:
        """Tell whether the last heartbeat of this process came by a clock that is not believed."""
        return self._doubts_clock

    def backup(self, target: Path, progress: Progress) -> Backup:
        """Refuse: the server has backups of its own, which hold everything.

        Raises:
            StoreUnavailable: always.
        """
        raise StoreUnavailable(
            "clickhouse",
            f"a copy of {self._database.name} does not fit into a file of ours",
            f"use the server's own, BACKUP DATABASE `{self._database.name}` TO …; docs/scale.md has the way back",
        )

    def check(self) -> None:
        """Raise `StoreUnavailable` when a write would fail now; after one that did, write and see."""
        self._follow()
        self._database.prompt.check()
        if self._database.prompt.has_refused:
            self._state.do(operations.SeeNames((), ()))

    def watch(self) -> None:
        """Do nothing: a server looks after its files itself."""

    def is_busy(self) -> bool:
        """Tell that a write waits for the network, always: nobody does so on an event loop."""
        return True

    def before_fork(self) -> None:
        """Let no operation be half-way while the process is copied."""
        self._state.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._state.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Let go of the parent's connections."""
        self._database.after_fork_in_child()
        self._state.after_fork_in_child()
        self._totals.after_fork_in_child()
        self._call_changes.after_fork_in_child()

    def close(self) -> None:
        """Close every connection."""
        self._state.close()
        self._database.close()
