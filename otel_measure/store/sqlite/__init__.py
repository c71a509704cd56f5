"""The embedded store: one SQLite file, no server, several processes at once."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Final

from otel_measure.definitions.days import day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.same_calls import Telling
from otel_measure.definitions.streams import Point
from otel_measure.errors import StoreRejected
from otel_measure.records.ids import id_keys
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import (
    experiments,
    facts,
    growing,
    identity,
    journal,
    judged,
    kept,
    maintenance,
    models,
    outbox,
    roll_ups,
    senders,
    services,
    signals,
    streams,
    tellings,
    totals,
)
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.migrations import migrate
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.recounting import in_place
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.sqlite.updating import Updates
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import (
    ACCEPTED,
    DUPLICATE,
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
from otel_measure.store.types.users import Erasure, Link

_TS: Final = attrgetter("ts")
JOURNALED: Final = Receipt("accepted", "other_definitions")


class SqliteStore:
    """Facts, roll-ups, totals and streams in one file.

    Args:
        path: a file, or ":memory:" for one process and as long as it lives.
        definitions: those of this process; an existing store's must be the same, `None` takes them.
        durability: "process" or "power", as in `Settings`.
        retention_days, max_bytes, history_days: what `sweep` enforces.
        notes_outbox: note what is accepted as what is to leave by OTLP.

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
    ) -> None:
        self.path = path
        self._retention_days = retention_days
        self._max_bytes = max_bytes
        self._history_days = history_days
        self._database = Database(path, power_safe=durability == "power")
        self._names = Names()
        self._notes_outbox = notes_outbox
        self._state = self._seen = kept.NO_STATE
        self._kept = kept.KeptDefinitions()
        self._updates = Updates(self._database, self._transaction, lambda: self._definitions, self.take_lease)
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
        with _rejecting(), self._transaction(durable=durable) as transaction:
            records, receipts = self._admitted(records)
            kinds = set(map(type, records))
            new: dict[type[Record], facts.Facts] = {}
            for table in facts.TABLES:
                inserted = self._insert(table, records, receipts) if table.record in kinds else None
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

    def _seen_by(self, connection: sqlite3.Connection, state: kept.StoreState) -> Transaction:
        rolls_up = state.updating is None and state.digest == self._definitions.digest
        return Transaction(connection, self._names, self._kept.of(connection, state.digest), rolls_up)

    def _admitted(self, records: Sequence[Record]) -> tuple[Sequence[Record], list[Receipt]]:
        """Return records as they may be kept, and what is to be said of each."""
        receipts = [ACCEPTED] * len(records)
        if records:
            self._refuse_too_old(records, receipts)
        return self._refuse_erased(records, receipts), receipts

    def _refuse_erased(self, records: Sequence[Record], receipts: list[Receipt]) -> Sequence[Record]:
        """Refuse what an erasure has removed; return the records as they may be kept."""
        if self._state.erasures is None:
            return records
        allowed, refused = identity.without_erased(self._names.connection, records)
        for i in refused:
            receipts[i] = ERASED
        return allowed

    def _refuse_too_old(self, records: Sequence[Record], receipts: list[Receipt]) -> None:
        horizon = self._state.horizon
        if min(map(_TS, records)) < horizon:
            receipts[:] = [TOO_OLD if record.ts < horizon else ACCEPTED for record in records]

    def _insert(self, table: facts.Table, records: Sequence[Record], receipts: list[Receipt]) -> facts.Facts | None:
        """Insert the facts of one table and return the new ones, `None` for none."""
        kind = table.record
        found = [i for i, record in enumerate(records) if type(record) is kind and receipts[i] is ACCEPTED]
        if not found:
            return None
        given = facts.facts_of(table, [records[i] for i in found], self._names)
        duplicates = facts.insert_new(self._names.connection, table, given)
        for j in duplicates:
            receipts[found[j]] = DUPLICATE
        if len(duplicates) == len(found):
            return None
        return given.without(duplicates) if duplicates else given

    def register_model(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""
        with self._transaction(durable=True) as transaction:
            models.register(transaction.connection, transaction.names, model)

    def ingest(self, points: Iterable[Point], interpret: Interpreter | None = None) -> Ingested:
        """Take in stream values: repeating a write changes nothing; what tells of models is given to `interpret`."""
        with _rejecting(), self._transaction() as transaction:
            ingested, increments = streams.ingest(transaction.connection, points)
            if interpret is not None and increments:
                growing.take(transaction, increments, interpret)
        return ingested

    def set_reference(self, model: ModelKey, reference: Reference) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""
        with self._transaction(durable=True) as transaction:
            judged.set_reference(transaction, model, reference)

    def define_experiment(self, experiment: Experiment) -> Experiment:
        """Keep a definition unless its key has one, whose coverage it may raise; return the one that is kept."""
        with self._database.write(durable=True) as connection:
            return experiments.define(connection, experiment)

    def stop_experiment(self, key: str, served: str, now: int) -> Experiment:
        """Count no more for a test that there is, and give everybody one variant."""
        with self._database.write(durable=True) as connection:
            return experiments.stop(connection, key, served, now)

    def register_service(self, name: str, sla_target: float, now: int) -> RegisteredService:
        """Add a service, or set the target of one that is known; durable, and a heartbeat too."""
        with self._database.write(durable=True) as connection:
            return services.register(connection, name, sla_target, now)

    def beat(self, at: int, watched: Collection[str] = ()) -> None:
        """Note that somebody was there to see at a time, and watched these services."""
        with self._database.write() as connection:
            services.beat(connection, at, watched)

    def end_watch(self, service: str, at: int) -> None:
        """Note that somebody who watched a service until now gives it up."""
        with self._database.write() as connection:
            services.end_watch(connection, service, at)

    def identify(self, anonymous_id: str, user_id: str) -> Link:
        """Make two ids one person: "known" when they are, "refused" when the first is another person's."""
        with self._transaction(durable=True) as transaction:
            return identity.identify(transaction, anonymous_id, user_id)

    def erase(self, user_id: str, now: int) -> Erasure:
        """Remove a person, and remember a keyed hash so that a replay is dropped."""
        with self._transaction(durable=True) as transaction:
            return identity.erase(transaction, user_id, now)

    def note_senders(self, sending: Iterable[Sender]) -> None:
        """Note who sends, and with which resource attributes."""
        with self._database.write() as connection:
            senders.note_senders(connection, sending)

    def take_tellings(self, told: Sequence[Telling]) -> TakenTellings:
        """Take in what tells of single calls; each call counts once, whoever tells of it and in whatever order."""
        with _rejecting(), self._transaction() as transaction:
            records = [each.record for each in told if each.record is not None]
            allowed, receipts = self._admitted(records)
            kept, refused = tellings.admitted(told, records, allowed, receipts)
            taken = tellings.take(transaction, kept)
            if self._notes_outbox:
                outbox.note(transaction.connection, facts.INFERENCE, id_keys(taken.new_calls))
        return taken.with_refused(told, refused)

    def count_signals(self, interpret: Interpreter, now: int) -> int:
        """Count what metrics tell beyond the single calls, where something came; return how many calls were taken back.

        Args:
            interpret: tells what growth of series means.
            now: microseconds.
        """
        with self._database.read() as connection:
            if not signals.has_changed(connection, now):
                return 0
        with self._transaction() as transaction:
            return signals.count(transaction, interpret, now)

    def remove_sent(self, batch: OutboxBatch) -> None:
        """Remove facts from the outbox."""
        with self._database.write() as connection:
            outbox.remove(connection, batch)

    def take_lease(self, key: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; `False` while another process holds it."""
        # One that lies further ahead than two of its length was taken before the clock was set back: its holder may be
        # gone, and it would last for as long as the step.
        set_back = until + max(until - now, 0)
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO lease VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE"
                " SET holder = excluded.holder, until = excluded.until"
                " WHERE holder = excluded.holder OR until < ? OR (until > ? AND excluded.until > ?)",
                (key, holder, until, now, set_back, now),
            )
            row = connection.execute("SELECT holder FROM lease WHERE key = ?", (key,)).fetchone()
        return bool(row[0] == holder)

    # ------------------------------------------------------------ questions

    @contextmanager
    def asking(self, where: Filter = EVERYTHING) -> Iterator[SqliteMoment]:
        """Yield the questions of this moment; see `otel_measure.store.protocol.Reader`."""
        with self._database.read() as connection:
            self._seen = state = kept.state(connection)
            moment = SqliteMoment(self._seen_by(connection, state), where, state)
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
        return self._updates.step(holder, now)

    def sweep(self, now: int) -> int:
        """Apply retention and the disk bound; return the facts removed. Facts that are not rolled up yet stay."""
        with self._database.write() as connection:
            streams.sweep(connection, now, self._history_days)
            senders.sweep(connection, now, self._history_days)
            signals.sweep(connection, now)
        removed = self._purge_before(self._definitions.day_of(now) - self._retention_days)
        while (oldest := self._oldest_day_if_too_large()) is not None and oldest < self._definitions.day_of(now):
            removed += self._purge_before(oldest + 1)
        return removed

    def _oldest_day_if_too_large(self) -> int | None:
        with self._database.read() as connection:
            if maintenance.used_bytes(connection) <= self._max_bytes:
                return None
            oldest = maintenance.oldest_fact(connection)
        return None if oldest is None else self._definitions.day_of(oldest)

    def _purge_before(self, day: int) -> int:
        horizon = day_start(day, self._definitions.zone)
        with self._transaction() as transaction:
            if not transaction.rolls_up or horizon < self._state.horizon:
                return 0
            transaction.connection.execute("INSERT OR REPLACE INTO meta VALUES ('horizon', ?)", (str(horizon),))
        return maintenance.purge(self._database, self._names, horizon) if self._updates.work_off() else 0

    def is_busy(self) -> bool:
        """Tell whether a write would wait long for another thread of this process."""
        return self._database.is_busy()

    def check(self) -> None:
        """Raise `StoreUnavailable` when a write would fail now."""
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('checked', '')")
            self._seen = kept.state(connection)
        self._database.damage.refuse()

    def watch(self) -> None:
        """Raise `StoreUnavailable` when the file or its log was taken away, or when damage was met."""
        self._database.watch()

    def before_fork(self) -> None:
        """Let no transaction be half-way while the process is copied."""
        self._database.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._database.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Let go of what belongs to the parent process."""
        self._database.after_fork_in_child()
        self._updates.after_fork_in_child()
        self._names.clear()

    def close(self) -> None:
        """Close every connection."""
        self._updates.close()
        self._database.close()


@contextmanager
def _rejecting() -> Iterator[None]:
    """Say in the words of the protocol that something given cannot be kept, such as a number that no column holds."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as fault:
        raise StoreRejected(f"cannot be kept: {fault!r}") from fault
