"""Whether a write would be committed now: found out beside the requests, so that whoever asks waits for no store.

All who ask at one time share one look. A store that hangs (a disk that does not answer) holds that thread and no other.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import Final, NamedTuple

from otel_measure.errors import StoreUnavailable
from otel_measure.store.protocol import Store
from otel_measure.store.waiting import waiting_until

LOOK_FOR_S: Final = 0.5
ANSWER_WITHIN_S: Final = 0.6
NOT_BACK: Final = "slow"


class State(NamedTuple):
    """What is known of the store.

    Attributes:
        fault: the cause for which a write would fail, "" for none.
        is_updating: whether there are facts that it does not count yet by its definitions.
        doubts_clock: whether nothing is removed, for the clock is not believed.
    """

    fault: str = ""
    is_updating: bool = False
    doubts_clock: bool = False


class Readiness:
    """Answers whether the store takes writes.

    Args:
        store: `None` where there is none, and nothing to wait for.
        answer_within_s: how long whoever asks waits for a look to come back.
    """

    def __init__(self, store: Store | None, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._store = store
        self._answer_within_s = answer_within_s
        self._starting = threading.Lock()
        self._look: Future[State] | None = None

    async def state(self) -> State:
        """Return what a look has found; one that is not back in time is a fault of its own."""
        if self._store is None:
            return State()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._looking(self._store)), self._answer_within_s)
        except TimeoutError:
            return State(NOT_BACK)

    def _looking(self, store: Store) -> Future[State]:
        """Return the look that is under way, or begin one."""
        with self._starting:
            look = self._look
            if look is None or look.done():
                look = self._look = Future()
                look.set_running_or_notify_cancel()  # who waits no longer does not cancel it for the others
                threading.Thread(target=_find_out, args=(store, look), name="otel-measure-ready", daemon=True).start()
            return look


def _find_out(store: Store, look: Future[State]) -> None:
    try:
        with waiting_until(time.monotonic() + LOOK_FOR_S):
            store.check()
        look.set_result(State(is_updating=store.is_updating(), doubts_clock=store.doubts_clock()))
    except StoreUnavailable as fault:
        look.set_result(State(fault.cause_name))
    except BaseException as fault:
        look.set_exception(fault)
