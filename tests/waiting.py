"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(is_so: Callable[[], bool], *, within_s: float = 60.0) -> None:
    """Wait until it is so; fail when it is not within a time that a busy machine needs as well."""
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.01)
