"""The store that is there, opened by a command for what it does: alerts, a backup, a rebuild."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.cli.options import existing_store
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError

if TYPE_CHECKING:
    from otel_measure.store.protocol import Store


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """Yield the store that the settings name, by whatever definitions it is counted.

    Raises:
        ConfigurationError: there is none.
        StoreUnavailable: it cannot be used; the message names cause and way out.
    """
    from otel_measure.store.engines import open_store

    path = existing_store(settings)
    store = open_store(settings, to_rebuild=True)
    if store is None:  # which no path is
        raise ConfigurationError(f"{path} is no store")
    try:
        yield store
    finally:
        store.close()
