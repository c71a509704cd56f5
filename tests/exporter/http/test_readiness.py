from __future__ import annotations

import asyncio
import threading
import time
from typing import cast

import pytest

from exporter.http.readiness import NOT_BACK, Readiness, State
from otel_measure.errors import StoreUnavailable
from otel_measure.store.protocol import Store


class HangingStore:
    """Is looked at, as often as it counts; hangs and fails as told."""

    def __init__(self) -> None:
        self.looks = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails_with: Exception | None = None

    def check(self) -> None:
        self.looks += 1
        self.go_on.wait(60)
        if self.fails_with is not None:
            raise self.fails_with

    def is_updating(self) -> bool:
        return True

    def doubts_clock(self) -> bool:
        return True


def readiness_of(store: HangingStore, answer_within_s: float = 5.0) -> Readiness:
    """Return what answers of a store."""
    return Readiness(cast("Store", store), answer_within_s)


def test_without_a_store() -> None:
    """There is nothing to wait for."""
    assert asyncio.run(Readiness(None).state()) == State()


def test_what_a_look_has_found() -> None:
    """That it takes writes, is behind, doubts the clock; or the cause for which it does not take any."""
    store = HangingStore()
    readiness = readiness_of(store)
    assert asyncio.run(readiness.state()) == State(is_updating=True, doubts_clock=True)
    store.fails_with = StoreUnavailable("full", "x.db is full", "make room")
    assert asyncio.run(readiness.state()) == State("full")
    store.fails_with = KeyError("a bug")
    with pytest.raises(KeyError):
        asyncio.run(readiness.state())


def test_a_store_that_hangs_holds_one_thread() -> None:
    """Whoever asks is answered in time, and all of them wait for the one look that is under way."""
    store = HangingStore()
    store.go_on.clear()
    readiness = readiness_of(store, 0.1)

    async def ask() -> list[State]:
        return await asyncio.gather(*(readiness.state() for _ in range(100)))

    began_s = time.monotonic()
    assert asyncio.run(ask()) == [State(NOT_BACK)] * 100
    assert asyncio.run(readiness.state()) == State(NOT_BACK)
    assert time.monotonic() - began_s < 9  # a wait for each that asks would take 10
    assert store.looks == 1
    store.go_on.set()
    while asyncio.run(readiness.state()) == State(NOT_BACK):
        pass
    assert asyncio.run(readiness.state()) == State(is_updating=True, doubts_clock=True)
