"""A store that is away when a process begins: it is refused until it is there, and then all of it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeAlias

import pytest

from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.late import LateStore
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Receipt
from otel_measure.store.waiting import looking_again
from tests.facts import event
from tests.store.asking import asked

Told: TypeAlias = tuple[str, tuple[object, ...], dict[str, object]]


class FarPlace:
    """Where a store may be.

    Attributes:
        is_there: whether it can be opened.
        tries: how often somebody tried.
        now_s: the time.
    """

    def __init__(self) -> None:
        self.is_there = False
        self.tries = 0
        self.now_s = 0.0

    def open(self) -> Store:
        """Open it."""
        self.tries += 1
        if not self.is_there:
            raise StoreUnavailable("away", "nobody answers", "wait")
        return SqliteStore(":memory:", definitions=Definitions(timezone="Europe/Paris"))


def late(place: FarPlace) -> LateStore:
    """Return what opens it."""
    return LateStore(place.open, Definitions(timezone="Europe/Paris"), lambda: place.now_s)


def test_a_store_that_is_away_is_tried_again_after_some_seconds() -> None:
    """By who looks again; nobody else waits for it twice, and what costs nothing without it is answered."""
    place = FarPlace()
    store = late(place)
    for now_s, looking, tries in (
        (0.0, nullcontext, 1), (4.9, looking_again, 1), (5.1, nullcontext, 1), (5.1, looking_again, 2),
        (30.2, nullcontext, 2), (35.2, nullcontext, 3),
    ):  # fmt: skip
        place.now_s = now_s
        with pytest.raises(StoreUnavailable, match="nobody answers"), looking():
            store.accept([event("e")])
        assert place.tries == tries
    assert store.definitions.timezone == "Europe/Paris"
    assert (store.is_updating(), store.doubts_clock(), store.is_busy()) == (False, False, False)
    for method in (store.watch, store.before_fork, store.after_fork_in_parent, store.after_fork_in_child, store.close):
        method()
    place.is_there, place.now_s = True, 40.3
    with looking_again():
        store.accept([event("e")])
    assert (place.tries, asked(store, lambda m: m.environments), store.is_updating()) == (4, ["test"], False)
    assert store.alerts.end_silence("none") is False
    store.close()


@pytest.mark.parametrize(
    ("cause", "lookers_s", "others_s"),
    [("away", 5.0, 30.0), ("slow", 0.0, 10.0), ("full", 0.0, 0.0)],
)
def test_nobody_waits_twice_for_a_store_that_went_away(cause: str, lookers_s: float, others_s: float) -> None:
    """Until who looks again has an answer; a store that is full answers questions as before."""
    now_s, asks = [100.0], list[str]()

    class Leaving(SqliteStore):
        def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
            asks.append(cause)
            if len(asks) == 1:
                raise StoreUnavailable(cause, "it is not well", "wait")
            return super().accept(records, durable=durable)

    store = LateStore(lambda: Leaving(":memory:"), Definitions(), lambda: now_s[0])
    with pytest.raises(StoreUnavailable, match="not well"):
        store.accept([event("e")])
    for looking, pause_s in ((looking_again, lookers_s), (nullcontext, others_s)):
        now_s[0] = 100.0 + pause_s - 0.1
        if pause_s:
            with pytest.raises(StoreUnavailable, match="not well"), looking():
                store.accept([event("e")])
    assert len(asks) == 1
    now_s[0] = 100.0 + lookers_s
    with looking_again():
        store.accept([event("e")])
    store.accept([event("f")])
    assert len(asks) == 3
    store.close()


def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    """Which may have been opening the store when the process was copied, and is not there."""
    place = FarPlace()
    place.is_there = True
    store = late(place)
    with store._opening:
        store.after_fork_in_child()
        store.accept([event("e")])
    store.close()


def test_every_call_of_the_protocol_reaches_the_store() -> None:
    """With the arguments that it was given, and what it answers comes back."""
    calls = [
        name
        for name, member in inspect.getmembers(Store)
        if callable(member) and not name.startswith("_") and name != "asking"
    ]
    for name in calls:
        told: list[Told] = []
        store = LateStore(partial(noting, told), Definitions(), lambda: 0.0)
        store._first_opened()
        method = getattr(store, name)
        parameters = inspect.signature(method).parameters.values()
        given = tuple(object() for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
        named = {each.name: object() for each in parameters if each.kind is each.KEYWORD_ONLY}
        answer = method(*given, **named)
        assert told == [(name, given, named)]
        assert answer in (None, name, bool(name)), name


def noting(told: list[Told]) -> Any:
    """Return a store that notes what it is asked, and answers with the name of the call."""

    class NotingStore:
        def __getattr__(self, name: str) -> Callable[..., str]:
            def call(*given: object, **named: object) -> str:
                told.append((name, given, named))
                return name

            return call

    return NotingStore()
