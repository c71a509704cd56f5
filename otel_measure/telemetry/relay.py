"""Observable instruments that outlive who reads them out.

The SDK keeps the callbacks of the first observable instrument of a name for as long as its provider lives and ignores
those of a second one. A process that is configured anew after `shutdown()` meets the provider it has made before: so
what is registered there, once per name, asks whoever is there now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Histogram,
    Meter,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    Observation,
    UpDownCounter,
)

Callback: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]
T = TypeVar("T")
Known: TypeAlias = dict[str, tuple[object, list[Callback]]]  # an instrument, and who is asked for its values
_known: Final[WeakKeyDictionary[MeterProvider, Known]] = WeakKeyDictionary()


class Relay:
    """The callbacks of one owner on a provider that others had before and will have afterwards."""

    def __init__(self, provider: MeterProvider) -> None:
        self._provider = provider
        self._known = _known.setdefault(provider, {})
        self._own: list[tuple[str, Callback]] = []

    def meter(self, scope: str) -> Meter:
        """Return a meter whose observable instruments end with this relay."""
        return RelayedMeter(scope, self._provider.get_meter(scope), self)

    def register(
        self, create: Callable[..., T], name: str, callbacks: Iterable[Callback] | None, unit: str, description: str
    ) -> T:
        """Have an instrument read by callbacks from now on, and return it."""
        known = self._known.get(name)
        if known is None:
            asked: list[Callback] = []
            known = self._known[name] = (create(name, [_all_of(asked)], unit, description), asked)
        for callback in callbacks or ():
            known[1].append(callback)
            self._own.append((name, callback))
        return cast(T, known[0])

    def close(self) -> None:
        """Read nothing out any more."""
        for name, callback in self._own:
            self._known[name][1].remove(callback)
        self._own.clear()


def _all_of(callbacks: Sequence[Callback]) -> Callback:
    return lambda options: [observation for callback in tuple(callbacks) for observation in callback(options)]


class RelayedMeter(Meter):
    """A meter that hands its observable instruments to a relay, and everything else through."""

    def __init__(self, name: str, meter: Meter, relay: Relay) -> None:
        super().__init__(name)
        self._meter = meter
        self._relay = relay

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """Create it as the meter does."""
        return self._meter.create_counter(name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> UpDownCounter:
        """Create it as the meter does."""
        return self._meter.create_up_down_counter(name, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        """Create it as the meter does."""
        return self._meter.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory
        )

    def create_observable_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableCounter:
        """Create it, or join those whom it asks already."""
        create = self._meter.create_observable_counter
        return self._relay.register(create, name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableUpDownCounter:
        """Create it, or join those whom it asks already."""
        create = self._meter.create_observable_up_down_counter
        return self._relay.register(create, name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
    ) -> ObservableGauge:
        """Create it, or join those whom it asks already."""
        create = self._meter.create_observable_gauge
        return self._relay.register(create, name, callbacks, unit, description)
