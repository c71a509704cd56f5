"""Which environments there are to ask about, and which services are in each."""

from __future__ import annotations

from dataclasses import dataclass

from otel_measure.definitions.environments import environment_asked
from otel_measure.store.protocol import Store


@dataclass(frozen=True, slots=True)
class EnvironmentServices:
    """An environment, by its `deployment.environment.name`, and the services that facts in it are from, sorted."""

    name: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Environments:
    """Every environment of a store, sorted, and the one that an answer is about where none is asked for."""

    environments: tuple[EnvironmentServices, ...]
    environment: str


def environments(store: Store | None) -> Environments:
    """Return the environments of a store; without a store there are none.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    if store is None:
        return Environments((), environment_asked(None, []))
    with store.asking() as known:
        names, origins = known.environments, known.origins
    services = {name: [origin.service for origin in origins if origin.environment == name] for name in sorted(names)}
    told = tuple(EnvironmentServices(name, tuple(filter(None, of_it))) for name, of_it in services.items())
    return Environments(told, environment_asked(None, names))
