"""Facts as instruments: histograms as they come, counters as sums on their grid, added once per batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.instruments import Instrument
from otel_measure.definitions.measurements import Attributes, measurements
from otel_measure.definitions.streams import FACT_SCOPES
from otel_measure.records.kinds import Record
from otel_measure.telemetry.observables import Callback, Observables
from otel_measure.telemetry.proxies import own_meter

_OF_FACTS: Final = tuple(i for i in instruments.INSTRUMENTS if i.scope in FACT_SCOPES)
_HISTOGRAMS: Final = tuple(i for i in _OF_FACTS if i.kind == "histogram")
_COUNTERS: Final = tuple(i for i in _OF_FACTS if i.kind == "counter")


class FactInstruments:
    """The instruments that records are measured by, on one provider at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, dict[Attributes, int]] = {}
        self._counters = Observables()
        self.histograms: dict[str, Histogram] = {}
        self.restart()
        for instrument in _COUNTERS:
            self._counters.meter(instrument.scope).create_observable_counter(
                instrument.name, [self._read(instrument)], instrument.unit, instrument.description
            )

    def attach(self, provider: MeterProvider) -> None:
        """Measure there from now on; what was counted before was another provider's to tell."""
        self.restart()
        self.histograms = {i.name: create_histogram(own_meter(provider, i.scope), i) for i in _HISTOGRAMS}
        self._counters.attach(provider)

    def detach(self) -> None:
        """Show no counters any more."""
        self._counters.detach()

    def restart(self) -> None:
        """Count from nothing."""
        with self._lock:
            self._sums = {instrument.name: {} for instrument in _COUNTERS}

    def record(self, records: Sequence[Record]) -> None:
        """Measure a batch of records."""
        added: dict[tuple[str, Attributes], int] = {}
        for record in records:
            for instrument, value, attributes in measurements(record):
                if instrument.observable:
                    key = (instrument.name, attributes)
                    added[key] = added.get(key, 0) + round(value * instrument.units_per_value)
                else:
                    self.histograms[instrument.name].record(value, dict(attributes))
        self._add(added)

    def _add(self, added: Mapping[tuple[str, Attributes], int]) -> None:
        with self._lock:
            for (name, attributes), units in added.items():
                sums = self._sums[name]
                if attributes not in sums and len(sums) >= instruments.EXPOSED_ATTRIBUTE_SETS:
                    attributes = semconv.OVERFLOW
                sums[attributes] = sums.get(attributes, 0) + units

    def _read(self, instrument: Instrument) -> Callback:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                sums = list(self._sums[instrument.name].items())
            return [Observation(value / instrument.units_per_value, dict(attributes)) for attributes, value in sums]

        return callback

    def after_fork_in_child(self) -> None:
        """Begin at nothing: what the parent counted is the parent's, and so is a lock that its thread holds."""
        self._lock = threading.Lock()
        self.restart()


def create_histogram(meter: Meter, instrument: Instrument) -> Histogram:
    """Create a histogram of ours, in its buckets."""
    return meter.create_histogram(
        instrument.name,
        instrument.unit,
        instrument.description,
        explicit_bucket_boundaries_advisory=list(instrument.buckets),
    )


def gauge_callback(read: Callable[[], float]) -> Callback:
    """Return the callback of a gauge whose value is asked for at each collection."""
    return lambda _: [Observation(read())]
