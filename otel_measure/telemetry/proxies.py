"""The MeterProvider of ours that is the global one until the application sets its own, and what it hands out.

An application that sets its provider after us would find the instruments that it, or a library, has got in between
bound to ours for good. So ours hands out proxies, as the API does before any provider is set: when the application's
comes, each is bound to it, and goes on counting there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, CallbackT, Counter, Histogram, Meter, Observation, UpDownCounter
from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import Attributes

Create: TypeAlias = Callable[[Meter], Any]


class Proxy(Protocol):
    """An instrument that can be bound to the meter of another provider."""

    def bind(self, meter: Meter) -> None:
        """Go on there."""


class ProxyCounter(Counter):
    """A counter of whichever meter it is bound to."""

    def __init__(self, create: Create) -> None:
        self._create: Final = create

    def bind(self, meter: Meter) -> None:
        """Count there from now on."""
        self._real: Counter = self._create(meter)

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Count."""
        self._real.add(amount, attributes, context)


class ProxyUpDownCounter(UpDownCounter):
    """A sum that may fall, of whichever meter it is bound to."""

    def __init__(self, create: Create) -> None:
        self._create: Final = create

    def bind(self, meter: Meter) -> None:
        """Count there from now on."""
        self._real: UpDownCounter = self._create(meter)

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Count up or down."""
        self._real.add(amount, attributes, context)


class ProxyHistogram(Histogram):
    """A histogram of whichever meter it is bound to."""

    def __init__(self, create: Create) -> None:
        self._create: Final = create

    def bind(self, meter: Meter) -> None:
        """Record there from now on."""
        self._real: Histogram = self._create(meter)

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Record a value."""
        self._real.record(amount, attributes, context)


class ProxyGauge:
    """A gauge of whichever meter it is bound to."""

    def __init__(self, create: Create) -> None:
        self._create: Final = create

    def bind(self, meter: Meter) -> None:
        """Set there from now on."""
        self._real = self._create(meter)

    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Set the value."""
        self._real.set(amount, attributes, context)


class ProxyObservable:
    """An observable instrument: each meter it is bound to asks its callbacks until it is bound to the next."""

    def __init__(self, create: Callable[[Meter, list[CallbackT]], Any], callbacks: Sequence[CallbackT]) -> None:
        self._create: Final = create
        self._callbacks: Final = [_function(callback) for callback in callbacks]
        self._bound = 0

    def bind(self, meter: Meter) -> None:
        """Be read out there from now on."""
        self._bound = mine = self._bound + 1

        def while_bound(options: CallbackOptions) -> Iterable[Observation]:
            if self._bound == mine:
                for callback in self._callbacks:
                    yield from callback(options)

        self.real = self._create(meter, [while_bound])


def _function(callback: CallbackT) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Return a callback as a function: a generator can be started only once, however often it is registered."""
    if not isinstance(callback, Generator):
        return callback
    next(callback)

    def send(options: CallbackOptions) -> Iterable[Observation]:
        try:
            return callback.send(options)
        except StopIteration:
            return []

    return send


class ProxyMeter(Meter):
    """A meter whose instruments can be bound to the meter of another provider."""

    def __init__(self, real: Meter) -> None:
        super().__init__(real.name, real.version, real.schema_url)
        self._real = real
        # Held for an assignment only: the SDK is never called under it, since a collection may call back.
        self._binding = threading.Lock()
        self._handed_out: dict[tuple[object, ...], Any] = {}

    def bind(self, meter: Meter) -> None:
        """Bind every instrument there."""
        with self._binding:
            self._real = meter
            proxies = tuple(self._handed_out.values())
        for proxy in proxies:
            proxy.bind(meter)

    def _proxy(self, key: tuple[object, ...], make: Callable[[], Proxy]) -> Any:
        while key not in self._handed_out:
            real, proxy = self._real, make()
            proxy.bind(real)
            with self._binding:
                if self._real is real:
                    self._handed_out.setdefault(key, proxy)
        return self._handed_out[key]

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        """Create a counter."""
        key = ("counter", name, unit, description)
        return self._proxy(key, lambda: ProxyCounter(lambda meter: meter.create_counter(*key[1:])))

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> Any:
        """Create a sum that may fall."""
        key = ("up_down_counter", name, unit, description)
        return self._proxy(key, lambda: ProxyUpDownCounter(lambda meter: meter.create_up_down_counter(*key[1:])))

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        """Create a gauge."""
        key = ("gauge", name, unit, description)
        return self._proxy(key, lambda: ProxyGauge(lambda meter: meter.create_gauge(*key[1:])))

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Any:
        """Create a histogram."""
        bounds = explicit_bucket_boundaries_advisory

        def create(meter: Meter) -> Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)

        key = ("histogram", name, unit, description, None if bounds is None else tuple(bounds))
        return self._proxy(key, lambda: ProxyHistogram(create))

    def create_observable_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        """Create a counter that is read when it is collected."""
        return self._observable("create_observable_counter", name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        """Create a sum that may fall, read when it is collected."""
        return self._observable("create_observable_up_down_counter", name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> Any:
        """Create a gauge that is read when it is collected."""
        return self._observable("create_observable_gauge", name, callbacks, unit, description)

    def _observable(
        self, create: str, name: str, callbacks: Sequence[CallbackT] | None, unit: str, description: str
    ) -> Any:
        """Create one; as in the SDK, a second one of the same name is the first, and its callbacks are not asked."""

        def on(meter: Meter, asked: list[CallbackT]) -> Any:
            return getattr(meter, create)(name, asked, unit, description)

        return self._proxy((create, name, unit, description), lambda: ProxyObservable(on, callbacks or ())).real


class OwnMeterProvider(MeterProvider):
    """Ours: what others get from it follows them to the provider that the application sets later."""

    def __init__(self, readers: Sequence[MetricReader], resource: Resource) -> None:
        # Before the SDK's own, which may ask for a meter.
        self._binding = threading.Lock()
        self._handed_out: dict[tuple[object, ...], tuple[ProxyMeter, Callable[[AnyMeterProvider], Meter]]] = {}
        self._successor: AnyMeterProvider | None = None
        super().__init__(
            metric_readers=readers,
            resource=resource,
            # Facts are measured on the recorder's thread, where no span is current: an exemplar is never found.
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> Meter:
        """Return a meter that follows to the provider that comes after this one."""

        def on(provider: AnyMeterProvider) -> Meter:
            return provider.get_meter(name, version, schema_url, attributes)

        key = (name, version, schema_url, repr(attributes))
        with self._binding:
            if key not in self._handed_out:
                successor = self._successor
                real = self.real_meter(name, version, schema_url, attributes) if successor is None else on(successor)
                self._handed_out[key] = (ProxyMeter(real), on)
            return self._handed_out[key][0]

    def real_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> Meter:
        """Return a meter that stays here."""
        return super().get_meter(name, version, schema_url, attributes)

    def hand_over(self, successor: AnyMeterProvider) -> None:
        """Bind everything that was handed out to another provider."""
        with self._binding:
            self._successor = successor
            handed_out = tuple(self._handed_out.values())
        for meter, on in handed_out:
            meter.bind(on(successor))


def own_meter(provider: AnyMeterProvider, scope: str) -> Meter:
    """Return a meter for our own instruments, which know by themselves when to move."""
    return provider.real_meter(scope) if isinstance(provider, OwnMeterProvider) else provider.get_meter(scope)
