"""Who sent an item and what became of it, counted until the store is told: what the list of senders is made of."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from otel_measure.conventions import semconv
from otel_measure.definitions.arrivals import MAX_REASON_CHARS, OTHERS, Arrival, ArrivalSource, Outcome, Signal
from otel_measure.errors import StoreUnavailable
from otel_measure.otlp.receive.senders import Resource
from otel_measure.store.protocol import Store

K = TypeVar("K", bound=Hashable)
_MAX_SCOPE_CHARS: Final = 256
_MAX_KINDS: Final = 2000  # of items between two words to the store


def source_of(resource: Resource, scope: str) -> ArrivalSource:
    """Return who sends: a service in a language, and which instrumentation of it."""
    language = resource.attributes.get(semconv.ATTR_TELEMETRY_SDK_LANGUAGE, "")
    return ArrivalSource(
        resource.origin.service, resource.origin.environment, language[:_MAX_SCOPE_CHARS], scope[:_MAX_SCOPE_CHARS]
    )


class Turned(NamedTuple):
    """An item that became nothing: whose it was, and why."""

    source: ArrivalSource
    outcome: Outcome
    reason: str


def by_reason(turned: Mapping[Turned, int], outcome: Outcome) -> Counter[str]:
    """Return how many items became nothing in one way, by the reason."""
    reasons: Counter[str] = Counter()
    for each, n in turned.items():
        if each.outcome == outcome:
            reasons[each.reason] += n
    return reasons


def counted(made: Iterable[K], turn: Callable[[K], Turned]) -> Counter[Turned]:
    """Return how many items became what; what is made of equal ones is asked once."""
    became: Counter[Turned] = Counter()
    for key, n in Counter(made).items():
        became[turn(key)] += n
    return became


class Arrivals:
    """Counts items by what became of them, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: Counter[Arrival] = Counter()

    def add(self, signal: Signal, became: Counter[Turned]) -> None:
        """Count items of a signal."""
        with self._lock:
            for (source, outcome, reason), n in became.items():
                arrival = Arrival(source, signal, outcome, reason[:MAX_REASON_CHARS])
                if len(self._counted) >= _MAX_KINDS and arrival not in self._counted:
                    arrival = Arrival(OTHERS, signal, outcome, "")
                self._counted[arrival] += n

    def tell(self, store: Store, now: int) -> None:
        """Tell the store what was counted since the last time; what it cannot take now it is told again."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
        if not counted:
            return
        try:
            store.note_arrivals(counted, now)
        except StoreUnavailable:
            with self._lock:
                self._counted.update(counted)
            raise
