"""The machine over time: its readings are noted every ten seconds, so that a chart is full after a reload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from otel_measure.definitions.machine_cells import MACHINE_LADDER, mean_of, most_of
from otel_measure.definitions.series import Columns, Compare, EarlierSeries, Series, check_compare
from otel_measure.definitions.steps import SeriesWindow, Steps, earlier, series_span, step_for, steps
from otel_measure.errors import NoStore
from otel_measure.infrastructure import rates, reports
from otel_measure.infrastructure.readings import NEVER_READ, MachineSnapshot
from otel_measure.store.protocol import Store
from otel_measure.store.questions import StreamQuestions

_LONGEST_S: Final = 60.0
READINGS: Final = (
    "cpu_percent", "load_average_1m", "memory_percent", "memory_used_bytes", "swap_percent", "disk_percent",
    "disk_read_bytes_per_second", "disk_write_bytes_per_second",
    "network_sent_bytes_per_second", "network_received_bytes_per_second",
)  # fmt: skip
"""What is kept of a machine; in a container CPU and memory are of its own limits."""


def readings_of(snapshot: MachineSnapshot) -> dict[str, float]:
    """Return what is kept of a snapshot, `nan` where it is not known."""
    cpu, memory, network = reports.cpu(snapshot), reports.memory(snapshot), reports.network(snapshot)
    disk = reports.disk(snapshot, "", lies_on="")  # no filesystem in particular: the traffic of all devices
    told = (
        cpu.usage_percent, cpu.load_average_1m, memory.used_percent, memory.used_bytes, memory.swap_percent,
        rates.fullest_percent(snapshot.now.filesystems), disk.read_bytes_per_second, disk.write_bytes_per_second,
        network.sent_bytes_per_second, network.received_bytes_per_second,
    )  # fmt: skip
    return dict(zip(READINGS, told, strict=True))


class MachineHistory:
    """Notes readings of the machine, and tells how they were.

    Args:
        fresh: returns the machine as it is.
        store: keeps them; `None` keeps none.
        now_us: the clock.
        timezone: of windows.
    """

    def __init__(
        self, fresh: Callable[[], MachineSnapshot], store: Store | None, now_us: Callable[[], int], timezone: str
    ) -> None:
        self._fresh = fresh
        self._store = store
        self._now_us = now_us
        self._timezone = timezone
        self._last = NEVER_READ

    def note(self) -> None:
        """Note how the machine is: shares and rates are those of all the time since it was noted before.

        Raises:
            StoreUnavailable: it was not noted.
        """
        snapshot, last = self._fresh(), self._last
        elapsed_s = snapshot.now.cpu.monotonic_s - last.now.cpu.monotonic_s
        if self._store is None or snapshot is NEVER_READ or elapsed_s == 0:
            return
        since_last = replace(snapshot, before=last.now, cpu_since=last.now.cpu)
        self._last = snapshot
        self._store.note_machine(readings_of(since_last if 0 < elapsed_s <= _LONGEST_S else snapshot), self._now_us())

    def series(self, asked: SeriesWindow, step: str | None, compare: Compare | None) -> Series:
        """Return the mean and the largest of each reading, step by step.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NoStore: there is none that keeps them.
        """
        if self._store is None:
            raise NoStore("get_machine_series")
        check_compare(compare)
        now_us = self._now_us()
        span = series_span(asked, now_us, self._timezone, "24h")
        step = step or step_for(span, MACHINE_LADDER)
        made = steps(span, now_us, step, MACHINE_LADDER)
        before = earlier(span)
        with self._store.asking() as moment:
            columns, previous = _columns(moment.streams, made), None
            if compare is not None:
                made_before = steps(before, now_us, step, MACHINE_LADDER)
                previous = EarlierSeries(made_before.starts, _columns(moment.streams, made_before), before.window)
        return Series(made.starts, made.seconds, made.partial, columns, (), previous, span.window)


def _columns(ask: StreamQuestions, made: Steps) -> Columns:
    cells = ask.machine(made)
    each = [cells.get(step, {}) for step in range(len(made.edges) - 1)]
    means = {name: tuple(mean_of(cell, name) for cell in each) for name in READINGS}
    largest = {f"{name}_max": tuple(most_of(cell, name) for cell in each) for name in READINGS}
    return means | largest
