"""The questions of one moment: what the small state tells, and what is asked of the facts beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial

from otel_measure.definitions.runs import AgentActivity
from otel_measure.records.kinds import Origin
from otel_measure.store.clickhouse.call_changes import CallPartChanges
from otel_measure.store.clickhouse.call_facts import ClickHouseCallFactQuestions
from otel_measure.store.clickhouse.call_times import ClickHouseCallTimeQuestions
from otel_measure.store.clickhouse.calls import ClickHouseCallQuestions
from otel_measure.store.clickhouse.chosen_calls import CallTable
from otel_measure.store.clickhouse.columns import WrittenBy, person_numbers, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.experiments import ClickHouseExperimentQuestions
from otel_measure.store.clickhouse.models import ClickHouseModelQuestions
from otel_measure.store.clickhouse.outbox import ClickHouseOutboxQuestions
from otel_measure.store.clickhouse.quality import ClickHouseQualityQuestions
from otel_measure.store.clickhouse.spending import ClickHouseSpendingQuestions
from otel_measure.store.clickhouse.totals import FactTotals
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.questions import AlertQuestions, OutboxQuestions, ServiceQuestions, StreamQuestions
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.types.facts import Filter


class ClickHouseMoment:
    """Satisfies `otel_measure.store.questions.Moment`.

    Each question of facts sees those that are stored when it is asked: the server has no transaction over several.

    Args:
        database: where the facts are.
        by: what decided how they were written.
        totals: what they add to running totals.
        changes: of which times calls among them changed.
        state: the questions that the small state answers, of one environment; calls that only metrics or spans of
            others tell of are in it as well.
        where: narrows what can be narrowed.
    """

    def __init__(
        self,
        database: ClickHouseDatabase,
        by: WrittenBy,
        totals: FactTotals,
        changes: CallPartChanges,
        state: SqliteMoment,
        where: Filter,
    ) -> None:
        self._database = database
        self._by = by
        self._totals = totals
        self._changes = changes
        self._state = state
        self._where = where._replace(environment=self.environment)
        self._calls = CallTable(by.definitions, self._where, state.final_calls)

    @property
    def environment(self) -> str:
        """The one that answers are about."""
        return self._state.services.environment

    @cached_property
    def users(self) -> ClickHouseUserQuestions:
        """Persons, sessions, conversions, answers."""
        service = self._where.service if self._is_narrowed else None
        rules = self._by.definitions
        return ClickHouseUserQuestions(
            self._database,
            rules,
            dict(self._merged),
            self.environment,
            service,
            self._state.horizon,
            self._state.users.counted_by,
        )

    @property
    def _is_narrowed(self) -> bool:
        """Whether there is anything in the environment that is of another service."""
        services = {each.service for each in self._state.origins if each.environment == self.environment}
        return not services <= {self._where.service}

    @cached_property
    def _merged(self) -> Mapping[int, int]:
        return person_numbers(self._by, self._state.merged_users)

    @cached_property
    def models(self) -> ClickHouseModelQuestions:
        """What models did."""
        return ClickHouseModelQuestions(self._database, self._calls, self._state.models, self._changes)

    @cached_property
    def calls(self) -> ClickHouseCallQuestions:
        """Calls of models, counted."""
        return ClickHouseCallQuestions(self._database, self._calls, self._state.calls)

    @cached_property
    def call_times(self) -> ClickHouseCallTimeQuestions:
        """When models were called."""
        return ClickHouseCallTimeQuestions(self._database, self._calls.of_all_services(), self._state.call_times)

    @cached_property
    def quality(self) -> ClickHouseQualityQuestions:
        """How good models are."""
        return ClickHouseQualityQuestions(
            self._database, self._by.definitions, self._where, self._state.quality, self._state.final_calls
        )

    def agents(self, start: int, end: int) -> AgentActivity:
        """Return the runs that ended in [start, end), by their end, and the uses of tools, by kind and name."""
        return self._state.agents(start, end)

    @cached_property
    def call_facts(self) -> ClickHouseCallFactQuestions:
        """Single calls."""
        return ClickHouseCallFactQuestions(self._database, self._calls, self._state.call_facts)

    @cached_property
    def spending(self) -> ClickHouseSpendingQuestions:
        """What calls cost that name a user or a repository."""
        return ClickHouseSpendingQuestions(self._database, self._calls, self._state.spending)

    @cached_property
    def experiments(self) -> ClickHouseExperimentQuestions:
        """Definitions and arms of experiments."""
        return ClickHouseExperimentQuestions(
            self._database, self._by.definitions, self._merged, self._state.experiments, partial(user_number, self._by)
        )

    @property
    def services(self) -> ServiceQuestions:
        """States of services, and when anybody was there to see."""
        return self._state.services

    @property
    def streams(self) -> StreamQuestions:
        """The exposition, the readings of hosts, and senders."""
        return self._totals.questions(self._state)

    @property
    def outbox(self) -> OutboxQuestions:
        """What is to leave by OTLP."""
        return ClickHouseOutboxQuestions(self._database, self._state.outbox)

    @property
    def alerts(self) -> AlertQuestions:
        """How alerts stand, and what is still to be told of them."""
        return self._state.alerts

    @property
    def environments(self) -> list[str]:
        """Every environment that facts are from or that services are registered in, as they were first seen."""
        return self._state.environments

    @property
    def origins(self) -> list[Origin]:
        """Every service and environment that facts are from, sorted by environment and service."""
        return self._state.origins

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""
        return self._state.horizon
