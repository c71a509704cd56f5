"""What comes of evaluating alerts, written to the log: whose turn it was is decided where all see the same order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.turn import Turn
from otel_measure.store.clickhouse import alert_operations
from otel_measure.store.clickhouse.state import ReplicatedState
from otel_measure.store.types.alerts import EvaluatorTerm, LateDay


class ClickHouseAlertWriter:
    """Satisfies `otel_measure.store.protocol.AlertWriter`.

    Args:
        state: the small state of the store.
    """

    def __init__(self, state: ReplicatedState) -> None:
        self._state = state

    def take_term(self, holder: str, digest: str, now: int, until: int) -> EvaluatorTerm:
        """Take or keep the right to evaluate by the rules of a digest."""
        return self._state.do(alert_operations.TakeTerm(holder, digest, now, until))

    def give_up_term(self, holder: str) -> None:
        """Let another process evaluate, at once."""
        self._state.do(alert_operations.GiveUpTerm(holder))

    def write_turn(self, term: int, turn: Turn, receivers: Collection[str], now: int) -> bool:
        """Keep what a turn leaves, and note what is to be told, if the term still runs; return whether it does."""
        return self._state.do(alert_operations.WriteTurn(term, turn, tuple(receivers), now))

    def note_late(self, days: Sequence[LateDay], now: int) -> None:
        """Keep how late calls became known, of each subject and day the longest; forget it of days before a week."""
        self._state.do(alert_operations.NoteLate(tuple(days), now))

    def note_delivered(self, receiver: str, seqs: Sequence[int], now: int) -> None:
        """Forget notifications that a receiver has taken: it is well."""
        self._state.do(alert_operations.NoteDelivered(receiver, tuple(seqs), now))

    def note_failed(self, receiver: str, now: int, due: int) -> None:
        """Note that a receiver took nothing, and when it is asked again."""
        self._state.do(alert_operations.NoteFailed(receiver, now, due))

    def add_silence(self, silence: Silence) -> None:
        """Add a silence, or replace the one of its id."""
        self._state.do(alert_operations.AddSilence(silence))

    def end_silence(self, silence_id: str) -> bool:
        """Remove a silence; return whether there was one."""
        return self._state.do(alert_operations.EndSilence(silence_id))
