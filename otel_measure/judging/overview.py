"""What the domains say at one moment: read once, and all that is judged, shown or told of it comes from there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from otel_measure.ai.judged import KpiModels
from otel_measure.definitions.windows import CountedBy, counted_together
from otel_measure.errors import NoStore
from otel_measure.infrastructure.availability import Availability
from otel_measure.users.reports import UsersOverview


@dataclass(frozen=True, slots=True)
class Overview:
    """The reports of every domain.

    Attributes:
        machine: the machine at a glance, as `get_metrics_summary()` returns it.
        observed_s: how much of the last 5 minutes was seen of the machine.
        services: the availability of every registered service.
        models: what every model is judged by.
        users: everything about users; `None` without a store.
        timestamp: when the reading ended.
    """

    machine: dict[str, Any]
    observed_s: float
    services: tuple[Availability, ...]
    models: KpiModels
    users: UsersOverview | None
    timestamp: datetime

    @property
    def environment(self) -> str:
        """The one that services, models and users are of."""
        return self.models.window.environment

    @property
    def definitions(self) -> CountedBy:
        """By which definitions the windows of the reports are counted, all taken together."""
        windows = [self.models.window]
        if self.users is not None:
            summary = self.users.summary
            windows += [summary.engagement.window, summary.retention.window]
        return counted_together(window.definitions for window in windows)


class MachineReports(Protocol):
    """Who answers about the machine and its services."""

    def get_metrics_summary(self, *, environment: str | None = None) -> dict[str, Any]:
        """Return the machine at a glance, and how many services of an environment are down."""

    def list_availability(self, *, environment: str | None = None) -> Iterable[Availability]:
        """Return the availability of every registered service of one environment."""

    def observed_seconds(self) -> float:
        """Return how much of the last 5 minutes was seen."""


class UserReports(Protocol):
    """Who answers about users."""

    def get_users_overview(self, *, environment: str | None = None) -> UsersOverview:
        """Return everything that users of one environment are judged by."""


def overview(
    machine: MachineReports, models: KpiModels, users: UserReports, now: datetime, environment: str | None = None
) -> Overview:
    """Ask each domain once; without a store there are no services and no users.

    Args:
        machine: the infrastructure service.
        models: what every model is judged by, of that environment.
        users: the user service.
        now: the time that it is dated with.
        environment: of services, models and users, chosen as for every answer where none is asked for.
    """
    return Overview(
        machine.get_metrics_summary(environment=environment),
        machine.observed_seconds(),
        _services(machine, environment),
        models,
        _users(users, environment),
        now,
    )


def _services(machine: MachineReports, environment: str | None) -> tuple[Availability, ...]:
    try:
        return tuple(machine.list_availability(environment=environment))
    except NoStore:
        return ()


def _users(users: UserReports, environment: str | None) -> UsersOverview | None:
    try:
        return users.get_users_overview(environment=environment)
    except NoStore:
        return None
