"""Operations of leases, of time, and of what comes of evaluating alerts; `operations.py` has all others."""

from __future__ import annotations

from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.turn import Turn
from otel_measure.definitions.clock import Heartbeat
from otel_measure.store.clickhouse.operation import OperationStruct
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.alerts import EvaluatorTerm, LateDay


class TakeLease(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.Writer.take_lease`."""

    key: str
    holder: str
    now: int
    until: int

    def apply(self, replica: Replica) -> bool:
        """Take it, unless another one holds it."""
        return replica.take_lease(self.key, self.holder, self.now, self.until)


class KeepTime(OperationStruct, frozen=True):
    """A heartbeat of a process, and the one before it of the same process."""

    beat: Heartbeat
    before: Heartbeat | None

    def apply(self, replica: Replica) -> bool:
        """Note it, and return whether its clock is believed."""
        return replica.note_heartbeat(self.beat, self.before)


class TakeTerm(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.take_term`."""

    holder: str
    digest: str
    now: int
    until: int

    def apply(self, replica: Replica) -> EvaluatorTerm:
        """Take it, unless another one has it."""
        return replica.alerts.take_term(self.holder, self.digest, self.now, self.until)


class GiveUpTerm(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.give_up_term`."""

    holder: str

    def apply(self, replica: Replica) -> None:
        """Let others have it."""
        replica.alerts.give_up_term(self.holder)


class WriteTurn(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.write_turn`."""

    term: int
    turn: Turn
    receivers: tuple[str, ...]
    now: int

    def apply(self, replica: Replica) -> bool:
        """Keep it where the term still runs."""
        return replica.alerts.write_turn(self.term, self.turn, self.receivers, self.now)


class NoteLate(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.note_late`."""

    days: tuple[LateDay, ...]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note them."""
        replica.alerts.note_late(self.days, self.now)


class NoteDelivered(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.note_delivered`."""

    receiver: str
    seqs: tuple[int, ...]
    now: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.alerts.note_delivered(self.receiver, self.seqs, self.now)


class NoteFailed(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.note_failed`."""

    receiver: str
    now: int
    due: int

    def apply(self, replica: Replica) -> None:
        """Note it."""
        replica.alerts.note_failed(self.receiver, self.now, self.due)


class AddSilence(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.add_silence`."""

    silence: Silence

    def apply(self, replica: Replica) -> None:
        """Add it."""
        replica.alerts.add_silence(self.silence)


class EndSilence(OperationStruct, frozen=True):
    """See `otel_measure.store.protocol.AlertWriter.end_silence`."""

    silence_id: str

    def apply(self, replica: Replica) -> bool:
        """Remove it."""
        return replica.alerts.end_silence(self.silence_id)
