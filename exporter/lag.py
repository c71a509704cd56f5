"""How late the event loop runs: a timer asks to be woken at a certain time and notes when it really is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from otel_measure.conventions import instruments

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

    from otel_measure.telemetry import Telemetry

INTERVAL_S: Final = 0.5


class LoopLag:
    """Measures the worst lateness of an event loop since it was last read.

    Args:
        loop: the event loop; the timer is set on its thread.
        interval_s: between two wake-ups.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float = INTERVAL_S) -> None:
        self._loop = loop
        self._interval_s = interval_s
        self._worst_s = 0.0
        self._set()

    def _set(self) -> None:
        self._due_s = self._loop.time() + self._interval_s
        self._loop.call_at(self._due_s, self._wake)

    def _wake(self) -> None:
        self._worst_s = max(self._worst_s, self._late_s())
        self._set()

    def _late_s(self) -> float:
        return max(0.0, self._loop.time() - self._due_s)

    def read_s(self) -> float | None:
        """Return how late the loop ran at worst, also while it still hangs; `None` for one that runs no more."""
        if not self._loop.is_running():
            return None
        worst_s, self._worst_s = max(self._worst_s, self._late_s()), 0.0
        return worst_s

    def expose(self, telemetry: Telemetry) -> None:
        """Register the lateness as an observable gauge of this process."""
        from opentelemetry.metrics import Observation

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            late_s = self.read_s()
            return [] if late_s is None else [Observation(late_s)]

        instrument = instruments.OTEL_MEASURE_PROCESS_EVENT_LOOP_LAG
        telemetry.meter(instrument.scope).create_observable_gauge(
            instrument.name, [observe], instrument.unit, instrument.description
        )
