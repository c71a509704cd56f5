"""How long a write may wait: for the writers before it in this process, for other processes, and for a server.

A request has a time by which it is answered, whatever it does meanwhile; who asks the store for its sake says so once,
for all writes of this thread or task. Who has time looks for all others whether a server is there again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import Final

_until_s: Final[ContextVar[float]] = ContextVar("otel_measure_write_until_s", default=inf)
_looks_again: Final[ContextVar[bool]] = ContextVar("otel_measure_looks_again", default=False)


@contextmanager
def waiting_until(monotonic_s: float) -> Iterator[None]:
    """Let writes of this `with` block wait until a time of the monotonic clock, and no longer than they do anyway."""
    token = _until_s.set(min(monotonic_s, _until_s.get()))
    try:
        yield
    finally:
        _until_s.reset(token)


def wait_s(at_most_s: float) -> float:
    """Return how long a write may wait from now on: this long, or until the time that was set."""
    return max(0.0, min(at_most_s, _until_s.get() - time.monotonic()))


@contextmanager
def looking_again() -> Iterator[None]:
    """Let this `with` block ask a store again that was away just now, and wait for it: nobody waits for the block."""
    token = _looks_again.set(True)
    try:
        yield
    finally:
        _looks_again.reset(token)


def looks_again() -> bool:
    """Tell whether this is one who looks again."""
    return _looks_again.get()
