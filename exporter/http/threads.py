"""Threads for requests: writes wait for one no longer than a request may take, and never take those of questions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal, TypeAlias, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from anyio.lowlevel import RunVar

from exporter.http.commit import COMMIT_WITHIN_S
from exporter.http.envelope import HttpError
from exporter.http.types import AnyRoute
from otel_measure.store.waiting import waiting_until

T = TypeVar("T")
Kind: TypeAlias = Literal["read", "write", "large"]
# How long whatever a question has to have written first may wait for the store.
READ_WAITS_S: Final = 0.2
# Threads compute in turns, and the event loop is one of them: more of them answer no faster, and `/healthz` slower.
# Commits take turns anyway; what large bodies become takes memory until it is committed.
_AT_ONCE: Final[dict[Kind, int]] = {"read": 8, "write": 4, "large": 2}
_limiters: Final[RunVar[dict[Kind, CapacityLimiter]]] = RunVar("otel_measure_threads")


def kind_of(route: AnyRoute) -> Kind:
    """Return whose threads a request takes."""
    if route.body_reader is not None:
        return "large"
    return "read" if route.method == "GET" else "write"


async def in_thread(act: Callable[[], T], kind: Kind) -> T:
    """Return what a function returns on a thread; a write waits as long as the request may take, a question hardly.

    Raises:
        HttpError: 503, no thread became free in that time.
    """
    limiter, until_s = _limiter(kind), time.monotonic() + COMMIT_WITHIN_S
    turn = object()

    def act_in_time() -> T:
        with waiting_until(time.monotonic() + READ_WAITS_S if kind == "read" else until_s):
            return act()

    try:
        with fail_after(None if kind == "read" else COMMIT_WITHIN_S):
            await limiter.acquire_on_behalf_of(turn)
    except TimeoutError:
        raise HttpError(503, "too many requests are being answered; try again", ((b"retry-after", b"1"),)) from None
    try:
        return await to_thread.run_sync(act_in_time, limiter=CapacityLimiter(1))
    finally:
        limiter.release_on_behalf_of(turn)


def _limiter(kind: Kind) -> CapacityLimiter:
    try:
        limiters = _limiters.get()
    except LookupError:
        limiters = {each: CapacityLimiter(n) for each, n in _AT_ONCE.items()}
        _limiters.set(limiters)
    return limiters[kind]
