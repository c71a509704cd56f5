"""What an engine is: how stores of one kind are opened, examined, put back and made smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.protocol import Store
from otel_measure.store.types.backups import Progress, Restored
from otel_measure.store.types.findings import Finding, StoreCheck
from otel_measure.store.types.sizes import Compacted


class OpenStore(Protocol):
    """Opens a store of one engine."""

    def __call__(self, settings: Settings, definitions: Definitions | None, *, outbox: bool, reads_only: bool) -> Store:
        """Open the store that the settings name; see `otel_measure.store.engines.open_store`."""


class Engine(NamedTuple):
    """An engine, as whoever opens or examines a store knows it.

    Attributes:
        name: of its library.
        version: of its library.
        library: tells whether that version will do.
        open: opens a store.
        checks: returns what `doctor` is to look at: of the store that the settings name, which need not be there, and
            of the definitions that it is to be counted by.
        restore: puts a backup in the place of the store that the settings name, which nobody uses: all or nothing, and
            without whoever was erased since. Without a backup it makes a store of what a server has restored itself.
        compact: makes the place of a store that is there smaller.
    """

    name: str
    version: str
    library: Callable[[], Finding]
    open: OpenStore
    checks: Callable[[Settings, Definitions], Sequence[StoreCheck]]
    restore: Callable[[Settings, Path | None, int, Progress], Restored]
    compact: Callable[[Settings], Compacted]
