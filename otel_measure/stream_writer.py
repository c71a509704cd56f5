"""From the instruments to the store: what has no fact is written as streams."""

from __future__ import annotations

import time
from typing import Final

from otel_measure.leases import StoreLease
from otel_measure.store.protocol import Store
from otel_measure.store.types.streams import Interpreter
from otel_measure.store.waiting import waiting_until
from otel_measure.telemetry import Telemetry

_ASKED_FOR_S: Final = 0.2


class StreamWriter:
    """Writes readings of the machine, figures of our own and what the application measures; again changes nothing.

    Args:
        store: keeps them.
        telemetry: collects them.
        host: the name of this machine.
        interpret: tells what they mean for models.
        lease: of the processes of this machine one writes the machine's readings.
    """

    def __init__(
        self, store: Store, telemetry: Telemetry, host: str, interpret: Interpreter, lease: StoreLease
    ) -> None:
        self._store = store
        self._telemetry = telemetry
        self._host = host
        self._interpret = interpret
        self._lease = lease

    def write(self) -> None:
        """Write what this process is to write.

        Raises:
            StoreUnavailable: nothing was written.
        """
        leads = self._lease.take()
        points = self._telemetry.points(self._host)
        self._store.ingest((point for point in points if leads or point.scope != "host"), self._interpret)

    def write_all(self) -> None:
        """Write everything, the machine's readings too: who asks now is answered by what is now.

        Raises:
            StoreUnavailable: nothing was written.
        """
        with waiting_until(time.monotonic() + _ASKED_FOR_S):  # whoever asks does not wait for another process
            self._store.ingest(self._telemetry.points(self._host), self._interpret)
