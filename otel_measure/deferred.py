"""What a process says of itself when it begins: kept until a store that is away is there, where the host has a spool.

A model, a service, a test: each is said again at every start, and saying it again changes nothing. So a process need
not fail to begin for a server that is away. What is not done when it ends is said by the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from otel_measure.errors import MeasureError, StoreUnavailable

T = TypeVar("T")
_log: Final = logging.getLogger("otel_measure")


class Deferred:
    """Acts that wait for the store.

    Args:
        waits: keep an act for which the store is away; without it who asks is told.
        fault: is told of an act that the store refuses when it is there.
    """

    def __init__(self, *, waits: bool, fault: Callable[[str, str, Exception], None]) -> None:
        self._waits = waits
        self._fault = fault
        self._waiting: dict[Hashable, Callable[[], object]] = {}

    def do(self, key: Hashable, act: Callable[[], T], otherwise: T) -> T:
        """Do something now, or later where the store is away.

        Args:
            key: what it sets: of two that wait for one key the last one is done.
            act: does it; again it changes nothing.
            otherwise: what is returned when it waits.

        Raises:
            StoreUnavailable: the store is away, and nothing waits for it.
        """
        try:
            return act()
        except StoreUnavailable as error:
            if not self._waits:
                raise
            if not self._waiting:
                _log.warning("what is registered waits for the store (said once each time it is away): %s", error)
            self._waiting[key] = act
            return otherwise

    def run(self) -> None:
        """Do what waits.

        Raises:
            StoreUnavailable: the store is away still; it is tried again.
        """
        for key, act in list(self._waiting.items()):
            try:
                act()
            except StoreUnavailable:
                raise
            except MeasureError as error:
                self._fault("deferred", f"what was to be set when the store is back was refused: {error}", error)
            if self._waiting.get(key) is act:
                del self._waiting[key]


def _tell(what: str, message: str, error: Exception) -> None:
    raise error


AT_ONCE: Final = Deferred(waits=False, fault=_tell)
"""Has nothing wait."""
