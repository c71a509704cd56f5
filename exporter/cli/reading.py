"""The store, read by a command: beside whoever uses it, and without writing anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.cli.options import existing_store
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError
from otel_measure.store.protocol import Store

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime


@contextmanager
def reading(settings: Settings) -> Iterator[tuple[Runtime, Store]]:
    """Yield what answers from the store that the settings name, by the definitions that it keeps, and the store.

    Raises:
        ConfigurationError: there is no store.
        StoreUnavailable: it cannot be read: it is none of ours, damaged, or of another version.
    """
    path = existing_store(settings)
    from otel_measure.runtime import Runtime

    runtime = Runtime(settings, reads_only=True)
    if runtime.store is None:  # which no path is
        raise ConfigurationError(f"{path} is no store")
    try:
        yield runtime, runtime.store
    finally:
        runtime.sampler.stop()
        runtime.store.close()
