"""The questions of one moment: every group of them looks through the same read transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.machine_cells import MachineCell
from otel_measure.definitions.runs import AgentActivity
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite import (
    agents,
    arrivals,
    environments,
    erasures,
    final_calls,
    kept_elsewhere,
    links,
    machine,
    senders,
    streams,
    totals,
    users,
)
from otel_measure.store.sqlite.alerts import SqliteAlertQuestions
from otel_measure.store.sqlite.call_facts import SqliteCallFactQuestions
from otel_measure.store.sqlite.call_times import SqliteCallTimeQuestions
from otel_measure.store.sqlite.calls import SqliteCallQuestions
from otel_measure.store.sqlite.erasures import ErasedUsers
from otel_measure.store.sqlite.experiments import SqliteExperimentQuestions
from otel_measure.store.sqlite.judged import SqliteQualityQuestions
from otel_measure.store.sqlite.kept import StoreState
from otel_measure.store.sqlite.kept_uses import KeptUses
from otel_measure.store.sqlite.models import SqliteRecordedModels
from otel_measure.store.sqlite.outbox import SqliteOutboxQuestions
from otel_measure.store.sqlite.services import SqliteServiceQuestions
from otel_measure.store.sqlite.spending import SqliteSpendingQuestions
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.sqlite.users import SqliteUserQuestions
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.streams import HostReading, Sender, StreamGrowth


class SqliteMoment:
    """Satisfies `otel_measure.store.questions.Moment`.

    Args:
        transaction: a read transaction.
        where: narrows what can be narrowed; without an environment the one that the rule chooses.
        seen: the state of the store.
        kept: what this process keeps of the uses of models.
    """

    def __init__(self, transaction: Transaction, where: Filter, seen: StoreState, kept: KeptUses) -> None:
        self._transaction = transaction
        self._seen = seen
        self._is_narrowed = False
        connection = transaction.connection
        self._environment = environments.chosen(connection, where.environment)
        self._where = where = where._replace(environment=self._environment.name)
        self.models = SqliteRecordedModels(connection, where, seen, transaction.definitions.rules, kept)
        self.calls = SqliteCallQuestions(connection, where, transaction.definitions.rules)
        self.call_times = SqliteCallTimeQuestions(connection, where)
        self.quality = SqliteQualityQuestions(connection, where, seen)
        self.call_facts = SqliteCallFactQuestions(connection, where)
        self.spending = SqliteSpendingQuestions(connection, where)
        self.experiments = SqliteExperimentQuestions(connection, self._environment, seen)
        self.services = SqliteServiceQuestions(connection, self._environment.name)
        self.streams = SqliteStreamQuestions(connection)
        self.outbox = SqliteOutboxQuestions(connection)
        self.alerts = SqliteAlertQuestions(connection)

    @cached_property
    def users(self) -> SqliteUserQuestions:
        """Persons, sessions, conversions, answers; of one service, their roll-ups are made of the facts that match."""
        if users.leaves_out(self._transaction.connection, self._where):
            self._is_narrowed = True
            users.narrow(self._transaction, self._where)
        return SqliteUserQuestions(self._transaction, self._environment, self._seen, is_narrowed=self._is_narrowed)

    def agents(self, start: int, end: int) -> AgentActivity:
        """Return the runs that ended in [start, end), by their end, and the uses of tools, by kind and name."""
        return agents.activity(self._transaction.connection, self._where, start, end)

    @property
    def environments(self) -> list[str]:
        """Every environment that facts are from or that services are registered in, as they were first seen."""
        rows = self._transaction.connection.execute("SELECT name FROM environment ORDER BY id")
        return [name for (name,) in rows]

    @property
    def origins(self) -> list[Origin]:
        """Every service and environment that facts are from, sorted by environment and service."""
        rows = self._transaction.connection.execute("SELECT service, environment FROM origin ORDER BY 2, 1")
        return [Origin(*row) for row in rows]

    @property
    def merged_users(self) -> dict[str, str]:
        """The person of each user id that is another's, as that person's own id."""
        return links.merged(self._transaction.connection)

    @property
    def erased_times(self) -> str | None:
        """How often somebody was erased, `None` for never."""
        return self._seen.erasures

    def erasures(self) -> tuple[ErasedUsers, ...]:
        """Return whom erasures were of, as tombstones, the first one first."""
        return erasures.all_of(self._transaction.connection)

    @property
    def removals(self) -> list[str]:
        """The keys of removals of facts elsewhere that have begun and not ended."""
        return kept_elsewhere.removals(self._transaction.connection)

    @property
    def final_calls(self) -> int:
        """The last batch of calls that others told of which lies among the facts elsewhere; 0 for none."""
        return final_calls.last_batch(self._transaction.connection)

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""
        return self._seen.horizon

    def end(self) -> None:
        """Leave the connection as it was."""
        if self._is_narrowed:
            users.widen(self._transaction.connection)


class SqliteStreamQuestions:
    """Satisfies `otel_measure.store.questions.StreamQuestions`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def families(self, now: int, beside: Mapping[TotalKey, Sum] | None = None) -> list[Family]:
        """Return all that `/metrics` shows from the store, instruments and labels sorted.

        Args:
            now: microseconds.
            beside: what facts that are kept elsewhere add; series without a name are left out.
        """
        families = totals.families(self._connection, beside) + streams.families(self._connection, now)
        return sorted(families, key=lambda family: family.name)

    def unnamed(self, keys: Iterable[TotalKey]) -> list[TotalKey]:
        """Return those of some series of facts that have no name yet."""
        return totals.unnamed(self._connection, keys)

    def readings(self, prefixes: Sequence[str], since: int) -> list[HostReading]:
        """Return the last values of streams whose names begin so, per host, process and labels."""
        return streams.readings(self._connection, prefixes, since)

    def growth(self, name: str, since: int) -> list[StreamGrowth]:
        """Return by how much each stream of a counter has grown since then, to the minute, where it was heard of."""
        return streams.growth(self._connection, name, since)

    def machine(self, steps: Steps) -> dict[int, MachineCell]:
        """Return how the machine of the store was in each step of a series; steps without a reading are left out."""
        return machine.by_step(self._connection, steps)

    def senders(self, since: int) -> list[Sender]:
        """Return who has sent since then, sorted."""
        return senders.senders(self._connection, since)

    def arrived(self, since: int) -> dict[Arrival, int]:
        """Return how many items came since then, to five minutes."""
        return arrivals.arrived(self._connection, since)

    def last_arrivals(self, since: int) -> dict[Origin, int]:
        """Return when the last five minutes begin in which anything came by OTLP since then, by who sent it."""
        return arrivals.last_arrivals(self._connection, since)
