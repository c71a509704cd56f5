"""The embedded store: one SQLite file, no server, several processes at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Final

from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.clock import Heartbeat, KeptClock, believed_us, believes, is_of_doubted_time
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import (
    arrivals,
    clock,
    environments,
    experiments,
    facts,
    growing,
    identity,
    journal,
    judged,
    kept,
    leases,
    links,
    outbox,
    registered_models,
    roll_ups,
    senders,
    services,
    signals,
    streams,
    tellings,
    totals,
)
from otel_measure.store.sqlite.bound import log_pages
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.faults import rejecting
from otel_measure.store.sqlite.kept_uses import KeptUses
from otel_measure.store.sqlite.migrations import migrate
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.read_only import ReadOnlyDatabase
from otel_measure.store.sqlite.recounting import in_place
from otel_measure.store.sqlite.retention import Limits, Sweeper
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.sqlite.updating import Updates
from otel_measure.store.sqlite.upkeep import SqliteUpkeep
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import (
    ACCEPTED,
    ERASED,
    EVERYTHING,
    TOO_OLD,
    Filter,
    OutboxBatch,
    Receipt,
)
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.store.types.quality import Reference
from otel_measure.store.types.services import RegisteredService
from otel_measure.store.types.streams import Ingested, Interpreter, Sender
from otel_measure.store.types.users import Link

_TS: Final = attrgetter("ts")
JOURNALED: Final = Receipt("accepted", "other_definitions")


class SqliteStore(SqliteUpkeep):
    """Facts, roll-ups, totals and streams in one file.

    Args:
        path: a file, or ":memory:" for one process and as long as it lives.
        definitions: those of this process; an existing store's must be the same, `None` takes them.
        durability: "process" or "power", as in `Settings`.
        retention_days, history_days: what `sweep` enforces.
        max_bytes: the bound, which every write of facts and points keeps.
        notes_outbox: note what is accepted as what is to leave by OTLP.
        environment: that answers are about where no question names one.
        monotonic: seconds, also those that a machine sleeps; what the wall clock is compared with.
        reads_only: nothing is written, not even what opening does to a store of an older version, which is refused.

    Raises:
        StoreUnavailable: the file cannot be used; the message names cause and way out.
        StoreError: the store is counted by other definitions, or was written by a newer version.
    """

    def __init__(
        self,
        path: str,
        *,
        definitions: Definitions | None = None,
        durability: str = "process",
        retention_days: int = 400,
        max_bytes: int = 10 * 2**30,
        history_days: int = 30,
        notes_outbox: bool = False,
        environment: str | None = None,
        monotonic: Callable[[], float] = clock.since_boot_s,
        reads_only: bool = False,
    ) -> None:
        self.path, self._environment, self._monotonic = path, environment, monotonic
        self._last_heartbeat: Heartbeat | None = None
        is_safe, pages = durability == "power", log_pages(max_bytes)
        database = ReadOnlyDatabase(path) if reads_only else Database(path, power_safe=is_safe, log_pages=pages)
        super().__init__(database, self._transaction, self._believed_us)
        self._names, self._kept_uses = Names(), KeptUses()
        self._notes_outbox = notes_outbox
        self._state = self._seen = kept.NO_STATE
        self._kept = kept.KeptDefinitions()
        self._updates = Updates(self._database, self._transaction, lambda: self._definitions, self.take_lease)
        self._sweeper = Sweeper(
            self._database,
            self._names,
            Limits(retention_days, max_bytes, history_days),
            self._transaction,
            lambda: self._definitions,
            self._updates.work_off,
        )
        self._bound = self._sweeper.bound
        try:
            migrate(self._database)
            self._definitions = kept.claim(self._database, definitions)
            self._updates.at_once()
        except BaseException:
            self._database.close()
            raise

    @property
    def definitions(self) -> Definitions:
        """By which definitions this process counts."""
        return self._definitions

    # ------------------------------------------------------------ writing

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        """Commit the records not seen before, with roll-ups and totals, in one transaction."""
        if not records:
            return []
        with rejecting(), self._growing(len(records), durable=durable) as transaction:
            records, receipts = self._admitted(records)
            kinds = set(map(type, records))
            new: dict[type[Record], facts.Facts] = {}
            for table in facts.TABLES:
                inserted = facts.take(self._names, table, records, receipts) if table.record in kinds else None
                if inserted is None:
                    continue
                new[table.record] = inserted
                if self._notes_outbox:
                    outbox.note(transaction.connection, table, inserted.stored["id"])
            totals.add(transaction, new)
            if transaction.rolls_up:
                roll_ups.add(transaction, new)
            else:
                journal.note_facts(transaction.connection, new)
        if not transaction.rolls_up and self._definitions.cannot_update(transaction.definitions):
            return [JOURNALED if receipt is ACCEPTED else receipt for receipt in receipts]
        return receipts

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[Transaction]:
        """Yield a write transaction; ids that it gave are forgotten again when it is rolled back."""
        with self._database.write(durable=durable, rolled_back=self._names.clear) as connection:
            self._names.connection = connection
            state = kept.state(connection)
            if state.erasures != self._state.erasures:  # another process may have erased users whom this one knows
                self._names.clear()
            self._state = self._seen = state
            yield self._seen_by(connection, state)

    @contextmanager
    def _growing(self, n: int, *, durable: bool = False) -> Iterator[Transaction]:
        """Yield a write transaction that adds at most `n` rows of facts or points; refused where there is no room."""
        self._bound.let_go_first()
        with self._transaction(durable=durable) as transaction:
            self._bound.look(transaction.connection)
            yield transaction
            self._bound.look(transaction.connection, n)

    def _seen_by(self, connection: sqlite3.Connection, state: kept.StoreState) -> Transaction:
        rolls_up = state.updating is None and state.digest == self._definitions.digest
        return Transaction(connection, self._names, self._kept.of(connection, state.digest), rolls_up)

    def _admitted(self, records: Sequence[Record]) -> tuple[Sequence[Record], list[Receipt]]:
        """Return records as they may be kept, and what is to be said of each: too old, erased, or accepted."""
        receipts, horizon = [ACCEPTED] * len(records), self._state.horizon
        if records and min(map(_TS, records)) < horizon:
            too_old = [each.ts < horizon and not is_of_doubted_time(self._clock, each.ts) for each in records]
            receipts = [TOO_OLD if is_too_old else ACCEPTED for is_too_old in too_old]
        if self._state.erasures is None:
            return records, receipts
        allowed, refused = identity.without_erased(self._names.connection, records)
        for i in refused:
            receipts[i] = ERASED
        return allowed, receipts

    @property
    def _clock(self) -> KeptClock | None:
        """The clock, as this transaction sees it."""
        return clock.parsed(self._state.clock)

    def _believed_us(self, now: int) -> int:
        return believed_us(self._clock, now)

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""
        with self._growing(1, durable=True) as transaction:
            registered_models.register(transaction.connection, transaction.names, model)

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values: repeating a write changes nothing; what tells of models is given to `interpret`."""
        given = list(points)
        with rejecting(), self._growing(len(given)) as transaction:
            ingested, increments = streams.ingest(transaction.connection, given)
            if interpret is not None and increments:
                growing.take(transaction, increments, interpret)
        return ingested

    def set_reference(self, model: ModelKey, reference: Reference, environment: str | None = None) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""
        asked = environment if environment is not None else self._environment
        with self._growing(1, durable=True) as transaction:
            judged.set_reference(transaction, model, reference, environments.chosen(transaction.connection, asked).name)

    def define_experiment(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""
        with self._growing(1, durable=True) as transaction:
            return experiments.define(transaction.connection, experiment)

    def stop_experiment(self, key: str, served: str, now: int) -> Experiment:
        """Count no more for a test that there is, and give everybody one variant."""
        with self._transaction(durable=True) as transaction:
            return experiments.stop(transaction.connection, key, served, self._believed_us(now))

    def register_service(self, environment: str, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service, or set the target of one that is known; durable, and a heartbeat too."""
        with self._growing(1, durable=True) as transaction:
            return services.register(transaction.connection, environment, name, sla_target, self._believed_us(now))

    def beat(self, environment: str, at: int, watched: Collection[str] = ()) -> None:
        """Note that somebody was there to see at a time, and watched these services; a doubted time proves nothing."""
        with self._transaction() as transaction:
            if believes(self._clock, at):
                services.beat(transaction.connection, environment, at, watched)

    def end_watch(self, environment: str, service: str, at: int) -> None:
        """Note that somebody who watched a service until now gives it up."""
        with self._transaction() as transaction:
            services.end_watch(transaction.connection, environment, service, self._believed_us(at))

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is a user or another person's."""
        with self._growing(1, durable=True) as transaction:
            return links.identify(transaction, anonymous_id, user_id)

    def unlink(self, anonymous_id: str) -> bool:
        """Take the link of an id back, with those that were linked to it; return whether it had one."""
        with self._transaction(durable=True) as transaction:
            return links.unlink(transaction, anonymous_id)

    def note_senders(self, sending: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""
        with self._database.write() as connection:
            senders.note_senders(connection, sending)

    def note_arrivals(self, arrived: Mapping[Arrival, int], now: int) -> None:
        """Add what came, by who sent it and what became of it."""
        with self._database.write() as connection:
            arrivals.note(connection, arrived, self._believed_us(now))

    def take_tellings(self, told: Sequence[Telling]) -> TakenTellings:
        """Take in what tells of single calls; each call counts once, whoever tells of it and in whatever order."""
        with rejecting(), self._growing(len(told)) as transaction:
            records = [each.record for each in told if each.record is not None]
            allowed, receipts = self._admitted(records)
            kept, refused = tellings.admitted(told, records, allowed, receipts)
            if self._state.erasures is not None:
                kept = identity.without_erased_steps(transaction.connection, kept)
            taken = signals.take(transaction, kept)
            if self._notes_outbox:
                outbox.note(transaction.connection, facts.INFERENCE, id_keys(taken.new_calls))
        return taken.with_refused(told, refused)

    def count_signals(self, interpret: Interpreter, now: int) -> int:
        """Count what metrics tell beyond the single calls; return how many calls that counters show were taken back."""
        with self._database.read() as connection:
            if not signals.has_changed(connection, self._believed_us(now)):
                return 0
        with self._transaction() as transaction:
            return signals.count(transaction, interpret, self._believed_us(now))

    def remove_sent(self, batch: OutboxBatch) -> None:
        """Remove facts from the outbox."""
        with self._database.write() as connection:
            outbox.remove(connection, batch)

    def take_lease(self, key: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; `False` while another process holds it."""
        with self._transaction() as transaction:
            believed = self._believed_us(now)
            until = until - now + believed if until > now else until
            return leases.take(transaction.connection, key, holder, believed, until)

    # ------------------------------------------------------------ questions

    @contextmanager
    def asking(self, where: Filter = EVERYTHING) -> Iterator[SqliteMoment]:
        """Yield the questions of this moment; see `otel_measure.store.protocol.Reader`."""
        with self._reading() as connection:
            self._seen = state = kept.state(connection)
            where = where.with_default(self._environment)
            moment = SqliteMoment(self._seen_by(connection, state), where, state, self._kept_uses)
            try:
                yield moment
            finally:
                moment.end()

    # ------------------------------------------------------------ upkeep

    def rebuild(self, definitions: Definitions | None = None) -> None:
        """Recompute roll-ups and totals from the facts, by the definitions given, which become this process's own."""
        wanted = definitions or self._definitions
        with self._transaction(durable=True) as transaction:
            in_place(transaction, wanted, with_totals=True)
        self._definitions = wanted

    def is_updating(self) -> bool:
        """Tell whether facts waited to be counted by the definitions of the store when this process last asked it."""
        return self._seen.is_updating

    def bring_up_to_date(self, holder: str, now: int) -> bool:
        """Do a part of what is left to count by this process's definitions; return whether there may be more.

        Args:
            holder: this process, among those that use the store.
            now: microseconds.
        """
        with self._database.read() as connection:
            now = believed_us(clock.kept_clock(connection), now)
        return self._updates.step(holder, now)

    def sweep(self, now: int) -> int:
        """Apply retention and the bound, where `now` is believed; return the facts removed: none not yet rolled up."""
        return self._sweeper.sweep(now)

    def keep_time(self, now: int) -> bool:
        """Note a heartbeat of this process; return whether its clock is believed."""
        beat, before = Heartbeat(now, int(self._monotonic() * 1_000_000)), self._last_heartbeat
        self._last_heartbeat = beat
        return self.note_heartbeat(beat, before)

    def note_heartbeat(self, beat: Heartbeat, before: Heartbeat | None) -> bool:
        """Note a heartbeat of any process; return whether its clock is believed."""
        with self._database.write() as connection:
            kept_now = clock.note(connection, beat, before)
            self._seen = kept.state(connection)
        return not kept_now.is_doubted

    def doubts_clock(self) -> bool:
        """Tell whether the last heartbeat that this process knows of came by a clock that is not believed."""
        known = clock.parsed(self._seen.clock)
        return known is not None and known.is_doubted

    def check(self) -> None:
        """Raise `StoreUnavailable` when a write would fail now."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('checked', '')")
            self._seen = kept.state(connection)
            self._bound.refuse_full(connection)
        self._database.damage.refuse()

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""
        self._updates.before_fork()
        self._database.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._database.after_fork_in_parent()
        self._updates.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""
        self._database.after_fork_in_child()
        self._updates.after_fork_in_child()
        self._bound.reset()
        self._names.clear()

    def close(self) -> None:
        """Close every connection."""
        self._bound.end(5)
        self._updates.close()
        self._database.close()
