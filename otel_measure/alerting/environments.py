"""Which environments are judged: every one that a store has facts of, each by itself."""

from __future__ import annotations

from otel_measure.store.protocol import Store


def environments_of(store: Store) -> list[str]:
    """Return the environments that facts of a store are from."""
    with store.asking() as known:
        return known.environments
