"""What may be asked of a store, by domain: all answers of a `Moment` are of the same facts.

A method says what only a store can know; what its answers mean is told in `definitions/`, what is made of them in the
reports. Every method may raise `StoreUnavailable`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from otel_measure.definitions.alerting.incidents import AlertIncident
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.states import AlertChange, AlertState
from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.days import Days
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.heartbeats import Run
from otel_measure.definitions.machine_cells import MachineCell
from otel_measure.definitions.runs import AgentActivity
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import CountedBy
from otel_measure.records.kinds import Origin
from otel_measure.store.model_questions import (
    CallFactQuestions,
    CallQuestions,
    CallTimeQuestions,
    QualityQuestions,
    SpendingQuestions,
    StoredModels,
)
from otel_measure.store.types.alerts import AlertDelivery, LastEvaluation, LateDay, ReceiverState, WaitingNotification
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest
from otel_measure.store.types.facts import OutboxBatch
from otel_measure.store.types.services import ServiceHistory
from otel_measure.store.types.streams import HostReading, Sender, StreamGrowth
from otel_measure.store.types.users import Cohort, ConversionTotals, SessionTotals


class UserQuestions(Protocol):
    """What reports about users ask; counts are of persons, exact."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def expect(self, active: Iterable[Days], steps: Iterable[Days] = ()) -> None:
        """Be told what is about to be asked, so that it can be found at once; answers are the same without.

        Args:
            active: of which days, who was active.
            steps: of which days, everything else that is counted in steps: sessions, conversions, scores.
        """

    def first_day(self) -> int | None:
        """Return the day on which the second person was first seen: one wrong clock does not move it, an import does.

        Of one person alone it is theirs, `None` without anybody; of one service it is not before the facts left.
        """

    def active(self, days: Days) -> int:
        """Return the persons active on these days."""

    def active_by_day(self, days: Days) -> dict[int, int]:
        """Return the persons active on each of them; days without any are left out."""

    def first_seen(self, days: Days) -> int:
        """Return the persons whose first active day is one of these."""

    def back_after(self, days: Days, gap: int) -> int:
        """Return the persons who came back on one of these days after `gap` days or more."""

    def frequent(self, days: Days, at_least: int, lately: Days) -> int:
        """Return the persons active on at least so many of these days, the last of them among `lately`."""

    def sessions(self, days: Days, now: int) -> SessionTotals:
        """Return what the sessions that start on these days add up to; those still open at `now` are in no bounce."""

    def conversions(self, days: Days, event: str) -> ConversionTotals | None:
        """Return who converted by events of a type or name; `None` of no key event where facts of the days are gone."""

    def cohorts(self, days: Days, offsets: tuple[int, ...]) -> list[Cohort]:
        """Return the cohorts first seen on these days, ascending."""

    def scores(self, days: Days, survey: str | None = None) -> Counter[int]:
        """Return how many gave each score with their last answer in these days."""


class ExperimentQuestions(Protocol):
    """What is known of experiments."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def experiments(self, key: str | None = None) -> list[Experiment]:
        """Return every definition (or that of one key, if there is one), the oldest first."""

    def hours(self, key: str) -> list[ArmHour]:
        """Return what each hour added to the arms of an experiment, sorted by hour and variant."""

    def person_in_test(self, key: str, user_id: str) -> PersonInTest:
        """Return the person behind a user id, as a test knows them."""


class ServiceQuestions(Protocol):
    """What is known of watched services."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def histories(self, start: int, name: str | None = None) -> list[ServiceHistory]:
        """Return what tells the state of every service (or one) at any time from `start` on, sorted by name."""


class StreamQuestions(Protocol):
    """What is known of streams and totals, and of who sends them."""

    def families(self, now: int) -> list[Family]:
        """Return all that `/metrics` shows from the store, instruments and labels sorted."""

    def readings(self, prefixes: Sequence[str], since: int) -> list[HostReading]:
        """Return the last values of streams whose names begin so, per host, process and labels."""

    def growth(self, name: str, since: int) -> list[StreamGrowth]:
        """Return by how much each stream of a counter has grown since then, to the minute, where it was heard of."""

    def machine(self, steps: Steps) -> dict[int, MachineCell]:
        """Return how the machine of the store was in each step of a series; steps without a reading are left out."""

    def senders(self, since: int) -> list[Sender]:
        """Return who has sent since then, sorted."""

    def arrived(self, since: int) -> Mapping[Arrival, int]:
        """Return how many items came since then, to five minutes."""

    def last_arrivals(self, since: int) -> dict[Origin, int]:
        """Return when the last five minutes begin in which anything came by OTLP since then, by who sent it."""


class OutboxQuestions(Protocol):
    """Accepted facts that are to leave by OTLP, in the order in which they were accepted."""

    def length(self) -> int:
        """Return how many facts wait."""

    def next(self, limit: int) -> OutboxBatch | None:
        """Return the oldest facts that wait, at most `limit` unless one transaction had more; `None` for none."""


class AlertQuestions(Protocol):
    """Alerts of all environments: how they stand, what happened, silences, and what is still to be told."""

    def last_evaluation(self) -> LastEvaluation | None:
        """Return who evaluated last, by which rules and when; `None` where nobody ever did."""

    def watched(self, since: int) -> list[Run]:
        """Return when somebody evaluated, from `since` on, ascending: the first and the last turn of unbroken runs.

        Turns belong to one run that are at most a term, or three minutes, apart.
        """

    def late_days(self, environment: str) -> list[LateDay]:
        """Return how late calls of an environment became known, by subject and day."""

    def states(self) -> list[AlertState]:
        """Return every alert that is not inactive, sorted by rule and subject."""

    def incidents(self) -> list[AlertIncident]:
        """Return the incidents that are open, the oldest first."""

    def history(self, since: int, limit: int) -> list[AlertChange]:
        """Return what fired and was resolved since then, the newest first, at most `limit`."""

    def silences(self, now: int) -> list[Silence]:
        """Return the silences that have not ended, sorted by their end."""

    def deliveries(self, since: int) -> list[AlertDelivery]:
        """Return who was to be told of what since then, and when they took it, the oldest first."""

    def waiting(self, receiver: str) -> list[WaitingNotification]:
        """Return what a receiver has not taken yet, the oldest first."""

    def receivers(self) -> dict[str, ReceiverState]:
        """Return how it goes with each receiver that ever failed, by name."""


class Moment(Protocol):
    """What a store knew at one moment: every question sees the same facts, whatever is written meanwhile."""

    @property
    def users(self) -> UserQuestions:
        """Persons, sessions, conversions, answers."""

    @property
    def models(self) -> StoredModels:
        """What models did."""

    @property
    def calls(self) -> CallQuestions:
        """Calls of models, counted."""

    @property
    def call_times(self) -> CallTimeQuestions:
        """When models were called."""

    @property
    def quality(self) -> QualityQuestions:
        """How good models are."""

    def agents(self, start: int, end: int) -> AgentActivity:
        """Return the runs that ended in [start, end), by their end, and the uses of tools, by kind and name."""

    @property
    def call_facts(self) -> CallFactQuestions:
        """Single calls."""

    @property
    def spending(self) -> SpendingQuestions:
        """What calls cost that name a user or a repository."""

    @property
    def experiments(self) -> ExperimentQuestions:
        """Definitions and arms of experiments."""

    @property
    def services(self) -> ServiceQuestions:
        """States of services, and when anybody was there to see."""

    @property
    def streams(self) -> StreamQuestions:
        """The exposition, the readings of hosts, and senders."""

    @property
    def outbox(self) -> OutboxQuestions:
        """What is to leave by OTLP."""

    @property
    def alerts(self) -> AlertQuestions:
        """How alerts stand, and what is still to be told of them."""

    @property
    def environments(self) -> list[str]:
        """Every environment that facts are from or that services are registered in, as they were first seen."""

    @property
    def origins(self) -> list[Origin]:
        """Every service and environment that facts are from, sorted by environment and service."""

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""
