"""Which engine keeps a store: the one place that knows any, and imports it when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError
from otel_measure.store.protocol import Store


class Engine(Protocol):
    """Opens the stores of one kind."""

    def __call__(self, settings: Settings, *, outbox: bool, keeps_zone: bool) -> Store:
        """Open the store that the settings name; see `open_store`."""


def _sqlite() -> Engine:
    from otel_measure.store.sqlite import open_sqlite

    return open_sqlite


# The scheme of `Settings.store` → its engine; a path and ":memory:" have none.
ENGINES: Final[Mapping[str, Callable[[], Engine]]] = {"": _sqlite}


def open_store(settings: Settings, *, outbox: bool = False, keeps_zone: bool = False) -> Store | None:
    """Return the store that the settings name, opened; `None` where they want none.

    Args:
        settings: where it is, and what it keeps.
        outbox: note of what is accepted that it is to leave by OTLP.
        keeps_zone: take the days of the store as they are, whatever time zone the settings say; for a rebuild.

    Raises:
        ConfigurationError: there is no engine for such a place.
        StoreUnavailable: it cannot be used; the message names cause and way out.
        StoreError: it keeps its days in another zone, or was written by a newer version.
    """
    if settings.store is None:
        return None
    scheme = settings.store.partition("://")[0] if "://" in settings.store else ""
    if scheme not in ENGINES:
        raise ConfigurationError(
            f'store must be a path, ":memory:" or None, not {settings.store!r}: SQLite is the only engine so far'
        )
    return ENGINES[scheme]()(settings, outbox=outbox, keeps_zone=keeps_zone)
