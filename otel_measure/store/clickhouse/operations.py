"""Whatever can be done to the small state of a store: each operation, what it carries, and how it is applied.

`log_entries.py` has the list of them, `alert_operations.py` those of alerts and leases.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.records.ids import id_key, id_text
from otel_measure.records.kinds import Maintenance, Origin, ServiceState
from otel_measure.stats.cells import Cells
from otel_measure.store.clickhouse.interpreting import Meaning, interpreter_of
from otel_measure.store.clickhouse.operation import OperationStruct
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import Receipt
from otel_measure.store.types.models import Model
from otel_measure.store.types.quality import RecordPosition, Reference, ReferenceSource
from otel_measure.store.types.services import RegisteredService
from otel_measure.store.types.streams import Ingested, Sender
from otel_measure.store.types.users import Link

# ---------------------------------------------------------------- what was seen in facts


class SeeNames(OperationStruct, frozen=True):
    """Services, environments and models that facts name for the first time."""

    origins: tuple[Origin, ...]
    models: tuple[tuple[str, str], ...]

    def apply(self, replica: Replica) -> None:
        """Let the replica know them, in this order."""
        replica.see(self.origins, self.models)


class AcceptStates(OperationStruct, frozen=True):
    """States and maintenance of services: facts, of which there are few."""

    states: tuple[ServiceState, ...]
    maintenance: tuple[Maintenance, ...]

    def apply(self, replica: Replica) -> list[Receipt]:
        """Accept those that are new."""
        return replica.accept([*self.states, *self.maintenance])


# ---------------------------------------------------------------- models and experiments


class RegisterModel(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.register_model`."""

    model: Model

    def apply(self, replica: Replica) -> None:
        """Register it."""
        replica.register_model(self.model)


class SetReference(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.set_reference`; the ids of records are text."""

    model: tuple[str, str]
    environment: str | None
    source: ReferenceSource
    cells: Mapping[str, Cells]
    not_judged: Mapping[str, str]
    first: tuple[int, str] | None
    last: tuple[int, str] | None

    def apply(self, replica: Replica) -> None:
        """Keep it."""
        first, last = (None if at is None else RecordPosition(at[0], id_key(at[1])) for at in (self.first, self.last))
        replica.set_reference(
            self.model, Reference(self.source, self.cells, first, last, self.not_judged), self.environment
        )


def set_reference(model: tuple[str, str], reference: Reference, environment: str | None) -> SetReference:
    """Return the operation that keeps a reference."""
    first, last = (None if at is None else (at.ts, id_text(at.id)) for at in (reference.first, reference.last))
    return SetReference(model, environment, reference.source, reference.cells, reference.not_judged, first, last)


class DefineExperiment(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.define_experiment`."""

    experiment: Experiment

    def apply(self, replica: Replica) -> Experiment:
        """Define it."""
        return replica.define_experiment(self.experiment)


class StopExperiment(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.stop_experiment`."""

    key: str
    served: str
    now: int

    def apply(self, replica: Replica) -> Experiment:
        """Stop it."""
        return replica.stop_experiment(self.key, self.served, self.now)


# ---------------------------------------------------------------- services


class RegisterService(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.register_service`."""

    environment: str
    name: str
    sla_target: float
    now: int

    def apply(self, replica: Replica) -> RegisteredService:
        """Register it."""
        return replica.register_service(self.environment, self.name, self.sla_target, self.now)


class Beat(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.beat`."""

    environment: str
    at: int
    watched: tuple[str, ...]

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.beat(self.environment, self.at, self.watched)


class EndWatch(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.end_watch`."""

    environment: str
    service: str
    at: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.end_watch(self.environment, self.service, self.at)


# ---------------------------------------------------------------- persons


class IdentifyUser(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.identify`."""

    anonymous_id: str
    user_id: str

    def apply(self, replica: Replica) -> Link:
        """Link them."""
        return replica.identify(self.anonymous_id, self.user_id)


class UnlinkUser(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.unlink`."""

    anonymous_id: str

    def apply(self, replica: Replica) -> bool:
        """Take the link back."""
        return replica.unlink(self.anonymous_id)


# ---------------------------------------------------------------- streams, senders, the machine


class Ingest(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.ingest`."""

    points: tuple[Point, ...]
    meanings: dict[bytes, Meaning | None] | None = None

    def apply(self, replica: Replica) -> Ingested:
        """Take them in; what tells of models means what whoever wrote them said."""
        return replica.ingest(self.points, None if self.meanings is None else interpreter_of(self.meanings))


class NoteSenders(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.note_senders`."""

    sending: tuple[Sender, ...]

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.note_senders(self.sending)


class NoteArrivals(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.note_arrivals`."""

    arrived: tuple[tuple[Arrival, int], ...]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.note_arrivals(dict(self.arrived), self.now)


class NoteMachine(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.note_machine`."""

    readings: Mapping[str, float]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.note_machine(self.readings, self.now)


class CountSignals(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.count_signals`."""

    now: int
    meanings: dict[bytes, Meaning | None]

    def apply(self, replica: Replica) -> int:
        """Count them; what metrics have grown by means what whoever wrote it said."""
        return replica.count_signals(interpreter_of(self.meanings), self.now)


class TakeTellings(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.take_tellings`."""

    told: tuple[Telling, ...]
    final_calls: int | None = None

    def apply(self, replica: Replica) -> TakenTellings | None:
        """Take them in; do nothing where calls have gone to the facts since it was looked whether these are there."""
        if self.final_calls is not None and self.final_calls != replica.final_calls:
            return None
        return replica.take_tellings(self.told)
