"""From the outbox of the store to the receivers: at least once on the wire, and always under the same id.

One notification after the other, in order. A receiver that was away for five minutes is told once, when it is back, how
things stand and what it missed.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from otel_measure.alerting.delivery.http import LONGEST_RETRY_AFTER_S, ReceiverReply
from otel_measure.alerting.messages import Message, Messages
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.alerting.turn import silencing
from otel_measure.leases import StoreLease
from otel_measure.store.protocol import Store
from otel_measure.store.types.alerts import ReceiverState

_log: Final = logging.getLogger("otel_measure")
LEASE_US: Final = 60 * SECOND_US
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
AWAY_US: Final = 300 * SECOND_US
# What lies further ahead was noted before the clock was set back.
LONGEST_WAIT_US: Final = int(max(LONGEST_WAIT_S, LONGEST_RETRY_AFTER_S)) * SECOND_US


class AlertReceiver(Protocol):
    """Somebody who is told of each notification once.

    Attributes:
        name: of the receiver in the store and in what is said of it; never its URL.
    """

    @property
    def name(self) -> str:
        """The name."""

    def send(self, message: Message, now_us: int) -> ReceiverReply:
        """Send it; never raises."""


class Courier:
    """Sends what the outbox holds.

    Args:
        store: whose outbox it is.
        receivers: who is told.
        messages: makes what they are told.
        lease: the right to send, which one of the processes that share the store has at a time.
        clock: microseconds since 1970 UTC.
        uniform: a random number between two; spreads the retries.
    """

    def __init__(
        self,
        store: Store,
        receivers: Sequence[AlertReceiver],
        messages: Messages,
        lease: StoreLease,
        clock: Callable[[], int],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._store = store
        self._receivers = receivers
        self._messages = messages
        self._lease = lease
        self._clock = clock
        self._uniform = uniform

    def deliver(self) -> bool:
        """Send at most one message to each receiver; return whether more can be sent at once.

        Raises:
            MeasureError: the store could not be asked; what is not noted as sent is sent again.
        """
        has_more = [self._deliver(receiver) for receiver in self._receivers]
        return any(has_more)

    def give_up(self) -> None:
        """Let another process send, at once."""
        self._lease.give_up()

    def _deliver(self, receiver: AlertReceiver) -> bool:
        now = self._clock()
        with self._store.asking() as moment:
            known = moment.alerts
            state = known.receivers().get(receiver.name, ReceiverState(receiver.name))
            if now < state.due_us <= now + LONGEST_WAIT_US:
                return False
            waiting = known.waiting(receiver.name)
            is_silenced = silencing(known.silences(now), frozenset(), now)
            firing = [state for state in known.states() if state.phase == "firing" and not is_silenced(state)]
        if not waiting or not self._lease.take():
            return False
        message: Message
        if state.failures and now - state.failing_since_us >= AWAY_US and len(waiting) > 1:
            taken = waiting
            message = self._messages.summary([one.notification for one in taken], firing, state, now)
        else:
            taken = waiting[:1]
            message = self._messages.notification(taken[0].notification)
        reply = receiver.send(message, now)
        if not reply.is_taken:
            self._failed(state, reply, len(waiting))
            return False
        self._store.alerts.note_delivered(receiver.name, [one.seq for one in taken], self._clock())
        if state.failures:
            _log.warning("the alert receiver %s takes notifications again", receiver.name)
        return len(taken) < len(waiting)

    def _failed(self, state: ReceiverState, reply: ReceiverReply, n: int) -> None:
        now = self._clock()
        longest_s = min(FIRST_WAIT_S * 2 ** min(state.failures, 16), LONGEST_WAIT_S)
        wait_s = max(self._uniform(longest_s / 2, longest_s), reply.retry_after_s)
        self._store.alerts.note_failed(state.receiver, now, now + int(wait_s * SECOND_US))
        if not state.failures:
            _log.warning(
                "the alert receiver %s takes nothing: %s; %d wait in the store and are sent again (logged once)",
                state.receiver,
                reply.why,
                n,
            )
