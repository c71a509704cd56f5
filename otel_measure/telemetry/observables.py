"""Observable instruments that outlive who reads them out, and follow their owner from one provider to the next.

The SDK keeps the callbacks of the first observable instrument of a name for as long as its provider lives and ignores
those of a second one. A process that is configured anew after `shutdown()` meets the provider it has made before: so
what is registered there, once per name, asks whoever is there now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otel_measure.telemetry.proxies import own_meter

Callback: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]
ObservableKind: TypeAlias = Literal["counter", "up_down_counter", "gauge"]
# Of each provider: whom each instrument asks, by its name.
_asked: Final[WeakKeyDictionary[MeterProvider, dict[str, list[Callback]]]] = WeakKeyDictionary()


class ObservableMeter(Protocol):
    """What creates observable instruments: a meter of OpenTelemetry, or `Observables.meter()`."""

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Callback], unit: str = "", description: str = ""
    ) -> object:
        """Create a counter that is read when it is collected."""

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Callback], unit: str = "", description: str = ""
    ) -> object:
        """Create a sum that may fall, read when it is collected."""

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Callback], unit: str = "", description: str = ""
    ) -> object:
        """Create a gauge that is read when it is collected."""


class Declaration(NamedTuple):
    """One observable instrument of an owner."""

    scope: str
    kind: ObservableKind
    name: str
    callback: Callback
    unit: str
    description: str


class Observables:
    """The observable instruments of one owner, read out on the provider that they are attached to."""

    def __init__(self) -> None:
        self._declared: list[Declaration] = []
        self._provider: MeterProvider | None = None
        self._registered: list[tuple[list[Callback], Callback]] = []

    def meter(self, scope: str) -> ScopedObservables:
        """Return what creates instruments of a scope."""
        return ScopedObservables(self, scope)

    def declare(self, declaration: Declaration) -> None:
        """Have an instrument read out from now on, here and on every later provider."""
        self._declared.append(declaration)
        if self._provider is not None:
            self._register(self._provider, declaration)

    def attach(self, provider: MeterProvider) -> None:
        """Have every instrument read out on a provider, and no more on the one before."""
        self.detach()
        self._provider = provider
        for declaration in self._declared:
            self._register(provider, declaration)

    def detach(self) -> None:
        """Have nothing read out any more."""
        for callbacks, callback in self._registered:
            callbacks.remove(callback)
        self._registered.clear()
        self._provider = None

    def _register(self, provider: MeterProvider, declaration: Declaration) -> None:
        asked = _asked.setdefault(provider, {})
        callbacks = asked.get(declaration.name)
        if callbacks is None:
            callbacks = asked[declaration.name] = []
            create = getattr(own_meter(provider, declaration.scope), f"create_observable_{declaration.kind}")
            create(declaration.name, [all_of(callbacks)], declaration.unit, declaration.description)
        callbacks.append(declaration.callback)
        self._registered.append((callbacks, declaration.callback))


def all_of(callbacks: Sequence[Callback]) -> Callback:
    """Return a callback that asks all of them that are there when it is asked."""
    return lambda options: [observation for callback in tuple(callbacks) for observation in callback(options)]


class ScopedObservables:
    """Creates the observable instruments of one scope for their owner."""

    def __init__(self, owner: Observables, scope: str) -> None:
        self._owner = owner
        self._scope = scope

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Callback], unit: str = "", description: str = ""
    ) -> None:
        """Create a counter that is read when it is collected."""
        self._declare("counter", name, callbacks, unit, description)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Callback], unit: str = "", description: str = ""
    ) -> None:
        """Create a sum that may fall, read when it is collected."""
        self._declare("up_down_counter", name, callbacks, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Callback], unit: str = "", description: str = ""
    ) -> None:
        """Create a gauge that is read when it is collected."""
        self._declare("gauge", name, callbacks, unit, description)

    def _declare(
        self, kind: ObservableKind, name: str, callbacks: Sequence[Callback], unit: str, description: str
    ) -> None:
        for callback in callbacks:
            self._owner.declare(Declaration(self._scope, kind, name, callback, unit, description))
