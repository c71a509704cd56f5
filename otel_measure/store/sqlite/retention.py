"""What goes from a store: by retention, and to make room. What facts added to the totals stays."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from math import ceil
from typing import Final, NamedTuple

from otel_measure.definitions.clock import believes
from otel_measure.definitions.days import day_start
from otel_measure.definitions.exposition import STALE_US
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.totals import summed
from otel_measure.definitions.windows import LEVELS_S
from otel_measure.errors import StoreError
from otel_measure.store.sqlite import (
    agents,
    arrivals,
    call_changes,
    facts,
    journal,
    kept,
    machine,
    models,
    quality,
    roll_ups,
    senders,
    services,
    signals,
    streams,
    totals,
)
from otel_measure.store.sqlite.bound import Bound
from otel_measure.store.sqlite.chunks import change_in, chunks
from otel_measure.store.sqlite.clock import kept_clock
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.facts import HOUR_US
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.transaction import Transaction

# After a doubt, until every stream that goes on has said something by the right clock.
_SETTLES_US: Final = 2 * STALE_US
# Facts that came together need not go together: each may be on a page of its own, all of which the log has to hold.
_AT_ONCE: Final = 200


class Limits(NamedTuple):
    """How long facts and the minutes of streams are kept, and how large the store may be."""

    retention_days: int
    max_bytes: int
    history_days: int


class Sweeper:
    """Removes what is too old or too much, where the clock is believed.

    Args:
        database: the store.
        names: of the process.
        limits: what is too old or too much.
        writing: opens a write transaction.
        definitions: of the process.
        work_off: rolls up what is not yet; returns whether all is.

    Attributes:
        bound: whoever takes in facts has it look.
    """

    def __init__(
        self,
        database: Database,
        names: Names,
        limits: Limits,
        writing: Callable[[], AbstractContextManager[Transaction]],
        definitions: Callable[[], Definitions],
        work_off: Callable[[], bool],
    ) -> None:
        self._database = database
        self._names = names
        self._limits = limits
        self._writing = writing
        self._definitions = definitions
        self._work_off = work_off
        self.bound: Final = Bound(database.path, limits.max_bytes, self._make_room_now)

    def sweep(self, now: int, limits: Limits | None = None) -> int:
        """Apply retention and the bound where `now` is believed; return the facts removed.

        Args:
            now: microseconds.
            limits: of another process, whose turn it is; `None` for those of this one.
        """
        retention_days, _, history_days = limits or self._limits
        with self._database.write() as connection:
            clock = kept_clock(connection)
            if not believes(clock, now):
                return 0
            if clock is None or now - clock.since >= _SETTLES_US:
                streams.sweep(connection, now, history_days)
                senders.sweep(connection, now, history_days)
                arrivals.sweep(connection, now)
                machine.sweep(connection, now, history_days)
                signals.sweep(connection, now)
        definitions = self._definitions()
        oldest_day = definitions.day_of(now) - retention_days
        return self._purge(day_start(oldest_day, definitions.zone)) + self._make_room(now)

    # ------------------------------------------------------------ the bound

    def _make_room_now(self) -> None:
        """Make room by the time of the last heartbeat; raises nothing, since the next write meets it as well."""
        with suppress(StoreError):
            with self._database.read() as connection:
                clock = kept_clock(connection)
            self._make_room(None if clock is None or clock.is_doubted else clock.last)

    def _make_room(self, now: int | None) -> int:
        """Have the oldest facts go until there is room; without a believed time none goes. Return how many went."""
        went = 0
        while n := self._make_some_room(now):
            went += n
        return went

    def _make_some_room(self, now: int | None) -> int:
        with self._database.read() as connection:
            excess = self.bound.excess(connection)
        if not excess:
            return 0
        hours = by_hour(self._database)
        horizon = None if now is None else _end_of_oldest(hours, excess, now - HOUR_US)
        went = 0 if horizon is None else self._purge(horizon)
        with self._database.read() as connection:
            why = "" if went else _why_nothing_went(connection, hours.total(), now, horizon)
            self.bound.went(connection, went, why)
        return went

    # ------------------------------------------------------------ removing

    def _purge(self, horizon: int) -> int:
        """Remove the facts before a time, and refuse them from now on; facts that are not rolled up yet stay."""
        self._work_off()
        with self._writing() as transaction:
            connection = transaction.connection
            if not transaction.rolls_up or journal.has_regroupings(connection):
                return 0
            if horizon < kept.state(connection).horizon:
                return 0
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (kept.HORIZON, str(horizon)))
        return purge(self._database, self._names, horizon, lambda: self.bound.is_ended) if self._work_off() else 0


def _why_nothing_went(connection: sqlite3.Connection, n: int, now: int | None, horizon: int | None) -> str:
    if now is None:
        return "no fact goes while the clock is doubted: see `otel-measure doctor`"
    if horizon is not None:
        return "no fact goes before all are rolled up, which the background does"
    rows = roll_ups.personal_rows(connection)
    return f"it is filled by {n:,} facts, none of them older than an hour, and {rows:,} rows of roll-ups of persons"


def by_hour(database: Database) -> Counter[int]:
    """Return how many facts there are of each hour since 1970, but for states of services: those of an outage stay."""
    hours = Counter[int]()
    for table in facts.TABLES:
        if table is facts.SERVICE_STATE:
            continue
        last: bytes | str | None = None
        while True:
            with database.read() as connection:  # one for all would keep the log from beginning anew
                some, last = facts.by_hour(connection, table, last)
            if last is None:
                break
            hours.update(some)
    return hours


def _end_of_oldest(hours: Mapping[int, int], share: float, latest: int) -> int | None:
    """Return when the last of the oldest hours ends that together have this share of the facts, `None` for none.

    Args:
        hours: facts by hour since 1970.
        share: of the facts, from 0 to 1.
        latest: no hour that ends later is among them, microseconds.
    """
    end, left = None, ceil(share * sum(hours.values()))
    for hour in sorted(hours):
        if left <= 0 or (hour + 1) * HOUR_US > latest:
            break
        end, left = (hour + 1) * HOUR_US, left - hours[hour]
    return end


def purge(database: Database, names: Names, horizon: int, is_ended: Callable[[], bool] = lambda: False) -> int:
    """Remove the facts before `horizon`, some hundred at a time, and keep what they added to the totals.

    Every step is a transaction of its own that leaves totals and facts in agreement, so a crash loses nothing.

    Returns:
        The number of facts removed.
    """
    removed = _remove_states(database, names, horizon)
    for table in facts.TABLES:
        if table is facts.SERVICE_STATE:
            continue
        for keys in _keys_before(database, table, horizon):
            if is_ended():
                return removed
            with _writing(database, names) as connection:
                removed += _remove(connection, names, table, keys)
    with database.write() as connection:
        services.forget_heartbeats(connection, horizon)
        agents.forget_before(connection, horizon)
        call_changes.forget_before(connection, horizon)
        levels = (*models.LEVELS_S.items(), *((cells, LEVELS_S) for cells in quality.CELLS))
        for cells, seconds in ((cells, seconds) for cells, lengths in levels for seconds in lengths):
            connection.execute(
                f"DELETE FROM {cells} WHERE seconds = ?1 AND start + ?1 * 1000000 <= ?2", (seconds, horizon)
            )
    return removed


def _keys_before(database: Database, table: facts.Table, horizon: int) -> Iterator[list[bytes | str]]:
    """Yield the ids of the facts before `horizon`, some hundred at a time."""
    last: bytes | str | None = None
    while True:
        with database.read() as connection:
            keys = facts.before(connection, table, horizon, last)
        if not keys:
            return
        yield from chunks(keys, _AT_ONCE)
        last = keys[-1]


def _remove_states(database: Database, names: Names, horizon: int) -> int:
    """Remove states of services but the beginnings of outages that last, which need all that there are to be told."""
    with _writing(database, names) as connection:
        lasting = services.lasting(connection, horizon)
        rows = connection.execute(f"SELECT id FROM {facts.SERVICE_STATE.name} WHERE ts < ?", (horizon,))
        keys = [key for (key,) in rows if key not in lasting]
        return _remove(connection, names, facts.SERVICE_STATE, keys)


@contextmanager
def _writing(database: Database, names: Names) -> Iterator[sqlite3.Connection]:
    with database.write(rolled_back=names.clear) as connection:
        names.connection = connection
        yield connection


def _remove(connection: sqlite3.Connection, names: Names, table: facts.Table, keys: Sequence[bytes | str]) -> int:
    records = list(facts.read_by_id(connection, table, keys))
    totals.merge(connection, names, summed(records), into="total_base")
    change_in(connection, f"DELETE FROM {table.name} WHERE id IN", keys)
    return len(records)
