"""Whatever can be done to the small state of a store: each operation, what it carries, and how it is applied.

To apply one is to call the store that every process has in its memory (`state.py`), whose code is the one definition of
what it means. It depends on nothing but that state and what the operation carries: no clock, no chance, no setting. A
name stands in logs for ever; what an operation carries may only gain fields that have a default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.turn import Turn
from otel_measure.definitions.arrivals import Arrival
from otel_measure.definitions.clock import Heartbeat
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.errors import StoreError, StoreRejected
from otel_measure.records.ids import id_key, id_text
from otel_measure.records.kinds import Maintenance, Origin, ServiceState
from otel_measure.stats.cells import Cells
from otel_measure.store.clickhouse.fact_operations import FACT_OPERATIONS
from otel_measure.store.clickhouse.operation import Operation, StateOperation
from otel_measure.store.clickhouse.upkeep_operations import UPKEEP_OPERATIONS
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.alerts import EvaluatorTerm, LateDay
from otel_measure.store.types.calls import TakenTellings
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import Receipt
from otel_measure.store.types.models import Model
from otel_measure.store.types.quality import RecordPosition, Reference, ReferenceSource
from otel_measure.store.types.services import RegisteredService
from otel_measure.store.types.streams import Ingested, Sender
from otel_measure.store.types.users import Link

# ---------------------------------------------------------------- what was seen in facts


class SeeNames(StateOperation, frozen=True):
    """Services, environments and models that facts name for the first time."""

    origins: tuple[Origin, ...]
    models: tuple[tuple[str, str], ...]

    def apply(self, replica: Replica) -> None:
        """Let the replica know them, in this order."""
        replica.see(self.origins, self.models)


class AcceptStates(StateOperation, frozen=True):
    """States and maintenance of services: facts, of which there are few."""

    states: tuple[ServiceState, ...]
    maintenance: tuple[Maintenance, ...]

    def apply(self, replica: Replica) -> list[Receipt]:
        """Accept those that are new."""
        return replica.accept([*self.states, *self.maintenance])


# ---------------------------------------------------------------- models and experiments


class RegisterModel(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.register_model`."""

    model: Model

    def apply(self, replica: Replica) -> None:
        """Register it."""
        replica.register_model(self.model)


class SetReference(StateOperation, frozen=True):
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


class DefineExperiment(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.define_experiment`."""

    experiment: Experiment

    def apply(self, replica: Replica) -> Experiment:
        """Define it."""
        return replica.define_experiment(self.experiment)


class StopExperiment(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.stop_experiment`."""

    key: str
    served: str
    now: int

    def apply(self, replica: Replica) -> Experiment:
        """Stop it."""
        return replica.stop_experiment(self.key, self.served, self.now)


# ---------------------------------------------------------------- services


class RegisterService(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.register_service`."""

    environment: str
    name: str
    sla_target: float
    now: int

    def apply(self, replica: Replica) -> RegisteredService:
        """Register it."""
        return replica.register_service(self.environment, self.name, self.sla_target, self.now)


class Beat(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.beat`."""

    environment: str
    at: int
    watched: tuple[str, ...]

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.beat(self.environment, self.at, self.watched)


class EndWatch(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.end_watch`."""

    environment: str
    service: str
    at: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.end_watch(self.environment, self.service, self.at)


# ---------------------------------------------------------------- persons


class IdentifyUser(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.identify`."""

    anonymous_id: str
    user_id: str

    def apply(self, replica: Replica) -> Link:
        """Link them."""
        return replica.identify(self.anonymous_id, self.user_id)


class UnlinkUser(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.unlink`."""

    anonymous_id: str

    def apply(self, replica: Replica) -> bool:
        """Take the link back."""
        return replica.unlink(self.anonymous_id)


# ---------------------------------------------------------------- streams, senders, the machine


class Ingest(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.ingest`."""

    points: tuple[Point, ...]

    def apply(self, replica: Replica) -> Ingested:
        """Take them in."""
        return replica.ingest(self.points)


class NoteSenders(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.note_senders`."""

    sending: tuple[Sender, ...]

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.note_senders(self.sending)


class NoteArrivals(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.note_arrivals`."""

    arrived: tuple[tuple[Arrival, int], ...]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.note_arrivals(dict(self.arrived), self.now)


class NoteMachine(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.note_machine`."""

    readings: Mapping[str, float]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.note_machine(self.readings, self.now)


class TakeTellings(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.take_tellings`."""

    told: tuple[Telling, ...]

    def apply(self, replica: Replica) -> TakenTellings:
        """Take them in."""
        return replica.take_tellings(self.told)


# ---------------------------------------------------------------- leases, time, alerts


class TakeLease(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.Writer.take_lease`."""

    key: str
    holder: str
    now: int
    until: int

    def apply(self, replica: Replica) -> bool:
        """Take it, unless another one holds it."""
        return replica.take_lease(self.key, self.holder, self.now, self.until)


class KeepTime(StateOperation, frozen=True):
    """A heartbeat of a process, and the one before it of the same process."""

    beat: Heartbeat
    before: Heartbeat | None

    def apply(self, replica: Replica) -> bool:
        """Note it, and return whether its clock is believed."""
        return replica.note_heartbeat(self.beat, self.before)


class TakeTerm(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.take_term`."""

    holder: str
    digest: str
    now: int
    until: int

    def apply(self, replica: Replica) -> EvaluatorTerm:
        """Take it, unless another one has it."""
        return replica.alerts.take_term(self.holder, self.digest, self.now, self.until)


class GiveUpTerm(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.give_up_term`."""

    holder: str

    def apply(self, replica: Replica) -> None:
        """Let others have it."""
        replica.alerts.give_up_term(self.holder)


class WriteTurn(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.write_turn`."""

    term: int
    turn: Turn
    receivers: tuple[str, ...]
    now: int

    def apply(self, replica: Replica) -> bool:
        """Keep it where the term still runs."""
        return replica.alerts.write_turn(self.term, self.turn, self.receivers, self.now)


class NoteLate(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.note_late`."""

    days: tuple[LateDay, ...]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.alerts.note_late(self.days, self.now)


class NoteDelivered(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.note_delivered`."""

    receiver: str
    seqs: tuple[int, ...]

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.alerts.note_delivered(self.receiver, self.seqs)


class NoteFailed(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.note_failed`."""

    receiver: str
    now: int
    due: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.alerts.note_failed(self.receiver, self.now, self.due)


class AddSilence(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.add_silence`."""

    silence: Silence

    def apply(self, replica: Replica) -> None:
        """Add it."""
        replica.alerts.add_silence(self.silence)


class EndSilence(StateOperation, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.end_silence`."""

    silence_id: str

    def apply(self, replica: Replica) -> bool:
        """Remove it."""
        return replica.alerts.end_silence(self.silence_id)


# ---------------------------------------------------------------- in the log

OPERATIONS: Final[tuple[type[msgspec.Struct], ...]] = (
    SeeNames, AcceptStates, RegisterModel, SetReference, DefineExperiment, StopExperiment, RegisterService, Beat,
    EndWatch, IdentifyUser, UnlinkUser, Ingest, NoteSenders, NoteArrivals, NoteMachine, TakeTellings, TakeLease,
    KeepTime, TakeTerm, GiveUpTerm, WriteTurn, NoteLate, NoteDelivered, NoteFailed, AddSilence, EndSilence,
    *FACT_OPERATIONS, *UPKEEP_OPERATIONS,
)  # fmt: skip

_any_operation: Any = reduce(or_, OPERATIONS)
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], Operation[object]]] = msgspec.msgpack.Decoder(_any_operation).decode


def encoded(operation: Operation[object]) -> bytes:
    """Return an operation as it stands in the log.

    Raises:
        StoreRejected: it carries what cannot be read again.
    """
    try:
        text = _encode(operation)
        _decode(text)
    except (msgspec.MsgspecError, ArithmeticError, TypeError, ValueError) as fault:
        raise StoreRejected(f"cannot be kept: {fault!r}") from fault
    return text


def decoded(text: bytes) -> Operation[object]:
    """Return the operation that stands in the log.

    Raises:
        StoreError: a newer version has written it.
    """
    try:
        return _decode(text)
    except msgspec.MsgspecError as fault:
        raise StoreError(f"the store was written by a newer version: {fault}; update otel-measure") from fault
