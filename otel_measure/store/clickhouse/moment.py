"""The questions of one moment: what the small state tells, and what is asked of the facts beside it."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.runs import AgentActivity
from otel_measure.records.kinds import Origin
from otel_measure.store.clickhouse.columns import user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.model_questions import (
    CallFactQuestions,
    CallQuestions,
    CallTimeQuestions,
    QualityQuestions,
    SpendingQuestions,
    StoredModels,
)
from otel_measure.store.questions import (
    AlertQuestions,
    ExperimentQuestions,
    OutboxQuestions,
    ServiceQuestions,
    StreamQuestions,
)
from otel_measure.store.sqlite.moment import SqliteMoment
from otel_measure.store.types.facts import Filter


class StoredFacts(NamedTuple):
    """Where the facts of a store are, and what is needed to read them.

    Attributes:
        definitions: by which they were written.
        key: of the numbers of users.
    """

    database: ClickHouseDatabase
    definitions: Definitions
    key: bytes


class ClickHouseMoment:
    """Satisfies `otel_measure.store.questions.Moment`.

    Args:
        facts: of the store.
        state: the questions that the small state answers, of one environment; calls that only metrics or spans of
            others tell of are in it as well.
        where: narrows what can be narrowed.
    """

    def __init__(self, facts: StoredFacts, state: SqliteMoment, where: Filter) -> None:
        self._facts = facts
        self._state = state
        self._where = where._replace(environment=state.services.environment)

    @cached_property
    def users(self) -> ClickHouseUserQuestions:
        """Persons, sessions, conversions, answers."""
        database, definitions, key = self._facts
        merged = {user_number(key, user): user_number(key, person) for user, person in self._merged.items()}
        return ClickHouseUserQuestions(database, definitions, merged, self.environment, self._where.service)

    @cached_property
    def _merged(self) -> dict[str, str]:
        return self._state.merged_users

    @property
    def environment(self) -> str:
        """The one that answers are about."""
        return self._state.services.environment

    @property
    def models(self) -> StoredModels:
        """What models did."""
        raise NotImplementedError("h5")

    @property
    def calls(self) -> CallQuestions:
        """Calls of models, counted."""
        raise NotImplementedError("h5")

    @property
    def call_times(self) -> CallTimeQuestions:
        """When models were called."""
        raise NotImplementedError("h5")

    @property
    def quality(self) -> QualityQuestions:
        """How good models are."""
        raise NotImplementedError("h6")

    def agents(self, start: int, end: int) -> AgentActivity:
        """Return the runs that ended in [start, end), by their end, and the uses of tools, by kind and name."""
        return self._state.agents(start, end)

    @property
    def call_facts(self) -> CallFactQuestions:
        """Single calls."""
        raise NotImplementedError("h5")

    @property
    def spending(self) -> SpendingQuestions:
        """What calls cost that name a user or a repository."""
        raise NotImplementedError("h5")

    @property
    def experiments(self) -> ExperimentQuestions:
        """Definitions and arms of experiments."""
        raise NotImplementedError("h6")

    @property
    def services(self) -> ServiceQuestions:
        """States of services, and when anybody was there to see."""
        return self._state.services

    @property
    def streams(self) -> StreamQuestions:
        """The exposition, the readings of hosts, and senders."""
        return self._state.streams  # h7: and the totals of facts

    @property
    def outbox(self) -> OutboxQuestions:
        """What is to leave by OTLP."""
        return self._state.outbox  # h7: and facts

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
