"""Everything that `/metrics` shows: totals and streams from the store, and what is computed from reports."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final, Literal, TypeAlias

from otel_measure.ai.service import AiModelService
from otel_measure.conventions.instruments import EXPOSED_ATTRIBUTE_SETS, OTEL_MEASURE_AI_HEALTH_SCORE
from otel_measure.definitions.exposition import Family
from otel_measure.errors import NoStore
from otel_measure.experiments.service import ExperimentService
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.judging import gauges
from otel_measure.recorder import Recorder
from otel_measure.store.protocol import Store
from otel_measure.users.service import UserAnalyticsService

Scope: TypeAlias = Literal["infrastructure"]
_INFRASTRUCTURE: Final = (
    "system.", "process.", "container.", "otel_measure.system.", "otel_measure.process.", "otel_measure.container.",
    "otel_measure.service.",
)  # fmt: skip


class Exposition:
    """The series of all processes that share a store.

    Args:
        store: has totals and streams; without one there is nothing to show.
        recorder: commits what waits before it is shown.
        write_streams: writes what has no fact before it is shown.
        senders: says who sends by OTLP.
        infrastructure, ai, users, experiments: report what gauges show.
        clock: microseconds since 1970 UTC.
    """

    def __init__(
        self,
        store: Store | None,
        recorder: Recorder,
        write_streams: Callable[[], None],
        senders: Callable[[], list[Family]],
        infrastructure: InfrastructureService,
        ai: AiModelService,
        users: UserAnalyticsService,
        experiments: ExperimentService,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._write_streams = write_streams
        self._senders = senders
        self._infrastructure = infrastructure
        self._ai = ai
        self._users = users
        self._experiments = experiments
        self._clock = clock

    def families(self, scope: Scope | None = None) -> list[Family]:
        """Return every family, sorted by name; `scope="infrastructure"` leaves models and users out.

        Raises:
            NoStore: there is none; `telemetry.prometheus_text()` has what this process knows.
            StoreUnavailable: it cannot be read.
        """
        if self._store is None:
            raise NoStore("the exposition of all processes")
        self._recorder.settle()
        self._write_streams()
        services = gauges.families(gauges.service_values(self._infrastructure))
        with self._store.asking() as moment:
            stored = moment.streams.families(self._clock())
            alerts = gauges.families(gauges.alert_values(moment.alerts.states(), moment.alerts.last_evaluation()))
        families = stored + services + alerts + self._senders()
        if scope == "infrastructure":
            families = [family for family in families if family.name.startswith(_INFRASTRUCTURE)]
        else:
            families += self._derived()
        return sorted(families, key=lambda family: family.name)

    def _derived(self) -> list[Family]:
        """Return the gauges of models, users and experiments, from the same reports as the JSON."""
        models, beyond = self._ai.first_judged(EXPOSED_ATTRIBUTE_SETS)
        return gauges.families(
            chain(
                gauges.model_values(models),
                gauges.user_values(self._users.get_users_overview()),
                gauges.experiment_values(self._experiments.list_ab_tests()),
            ),
            {OTEL_MEASURE_AI_HEALTH_SCORE: beyond},
        )
