"""Everything that the screen shows, read at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from otel_measure.infrastructure.ledger import Service
from otel_measure.judging.overview import Overview
from otel_measure.judging.status import Status
from otel_measure.stats.ab_test import AbTest
from otel_measure.store.protocol import Store

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime


READ_WITHIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Glance:
    """How everything is.

    Attributes:
        status: the worst in a sentence, and what fires.
        overview: the reports of every domain.
        services: and their states.
        experiments: what every test says.
        zone: of the store.
        now: in that zone.
    """

    status: Status
    overview: Overview
    services: tuple[Service, ...]
    experiments: tuple[AbTest, ...]
    zone: ZoneInfo
    now: datetime

    @property
    def is_empty(self) -> bool:
        """Whether nobody has recorded anything."""
        users = self.overview.users
        return not (
            self.overview.models.total_models
            or (users is not None and users.summary.total_users)
            or self.services
            or self.experiments
        )


def glance(runtime: Runtime, store: Store, environment: str | None) -> Glance:
    """Return how everything is now.

    Args:
        runtime: answers.
        store: of it.
        environment: of services, models and users, chosen as for every answer where none is asked for.
    """
    runtime.sampler.fresh(wait_s=READ_WITHIN_S)  # rates need two readings, and a busy machine its time
    overview = runtime.overview(environment=environment)
    zone = ZoneInfo(store.definitions.timezone)
    return Glance(
        runtime.status(overview),
        overview,
        runtime.infrastructure.list_services(environment=overview.environment).services,
        tuple(runtime.experiments.list_ab_tests(environment=overview.environment).experiments),
        zone,
        datetime.fromtimestamp(runtime.clock() / 1_000_000, zone),
    )
