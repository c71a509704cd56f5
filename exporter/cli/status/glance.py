"""Everything that the screen shows, read at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import nan
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from otel_measure.ai.reports import Models
from otel_measure.definitions.series import Series
from otel_measure.definitions.verdicts import host_status
from otel_measure.infrastructure.ledger import Service
from otel_measure.infrastructure.summary import ENOUGH_FOR_A_STATUS_S
from otel_measure.judging.overview import Overview
from otel_measure.judging.status import Status
from otel_measure.stats.ab_test import AbTest
from otel_measure.store.protocol import Store

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime


READ_WITHIN_S: Final = 1.0
_LOOKED_BACK: Final = "5m"


@dataclass(frozen=True, slots=True)
class Glance:
    """How everything is.

    Attributes:
        status: the worst in a sentence, and what fires.
        overview: the reports of every domain.
        models: every one of them.
        services: and their states.
        experiments: what every test says.
        zone: of the store.
        now: in that zone.
    """

    status: Status
    overview: Overview
    models: Models
    services: tuple[Service, ...]
    experiments: tuple[AbTest, ...]
    zone: ZoneInfo
    now: datetime

    @property
    def is_empty(self) -> bool:
        """Whether nobody has recorded anything."""
        users = self.overview.users
        return not (
            self.models.models or (users is not None and users.summary.total_users) or self.services or self.experiments
        )


def glance(runtime: Runtime, store: Store, environment: str | None) -> Glance:
    """Return how everything is now.

    Args:
        runtime: answers.
        store: of it.
        environment: of services, models and users, chosen as for every answer where none is asked for.
    """
    runtime.sampler.fresh(wait_s=READ_WITHIN_S)  # rates need two readings, and a busy machine its time
    history = runtime.infrastructure.get_machine_series(_LOOKED_BACK, step="10s")
    overview = with_history(runtime.overview(environment=environment), history)
    zone = ZoneInfo(store.definitions.timezone)
    return Glance(
        runtime.status(overview),
        overview,
        runtime.ai.list_models(environment=overview.environment),
        runtime.infrastructure.list_services(environment=overview.environment).services,
        tuple(runtime.experiments.list_ab_tests(environment=overview.environment).experiments),
        zone,
        datetime.fromtimestamp(runtime.clock() / 1_000_000, zone),
    )


def with_history(overview: Overview, history: Series) -> Overview:
    """Return an overview whose machine is judged by what its server has noted of it in the last 5 minutes.

    This process has just begun to look: by itself it would judge its own start. What was seen for less than 5 s is
    unknown.

    Args:
        overview: with the averages of what this process saw.
        history: of the last 5 minutes, empty where nobody notes readings.
    """
    averages = {name: _known(history.columns[f"{name}_percent"]) for name in ("cpu", "memory")}
    noted_s = float(len(averages["cpu"]) * history.step_seconds)
    if noted_s <= overview.observed_s:
        noted_s = overview.observed_s
        averages = {name: [overview.machine[name]["average_percent"]] for name in averages}
    if noted_s < ENOUGH_FOR_A_STATUS_S:
        averages["cpu"] = []
    machine = _judged(overview.machine, {name: _mean(values) for name, values in averages.items()}, noted_s)
    return replace(overview, machine=machine, observed_s=noted_s)


def _judged(machine: Mapping[str, Any], averages: Mapping[str, float], observed_s: float) -> dict[str, Any]:
    parts = {name: {**machine[name], "average_percent": average} for name, average in averages.items()}
    state = host_status(averages["cpu"], averages["memory"], machine["disk"]["used_percent"], observed_s)
    return {**machine, **parts, "status": state.value}


def _known(values: tuple[float, ...]) -> list[float]:
    return [value for value in values if value == value]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else nan
