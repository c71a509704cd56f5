"""What one process of a store does for all of them: who may, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_measure.store.protocol import Store

LASTS_US: Final = 45_000_000  # three turns of the background: who misses one keeps it


class StoreLease:
    """The right to do something; it ends by itself when its holder is killed.

    Args:
        store: knows who holds it.
        key: what for.
        holder: who asks; another id after a fork.
        clock: microseconds since 1970 UTC.
        lasts_us: how long it lasts, unless it is taken again before.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        holder: Callable[[], str],
        clock: Callable[[], int],
        lasts_us: int = LASTS_US,
    ) -> None:
        self._store = store
        self._key = key
        self._holder = holder
        self._clock = clock
        self._lasts_us = lasts_us

    def take(self) -> bool:
        """Take or keep it; `False` while it is another's."""
        now = self._clock()
        return self._store.take_lease(self._key, self._holder(), now, now + self._lasts_us)

    def give_up(self) -> None:
        """Let another process have it."""
        self._store.take_lease(self._key, self._holder(), self._clock(), 0)
