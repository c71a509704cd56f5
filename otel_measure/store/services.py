"""What a store keeps about watched services: who is registered, what was recorded, and when anybody was there to see.

Transitions are facts (`records.ServiceState`) and taken by `Store.accept`. Heartbeats are kept as unbroken runs: two of
them belong together when they are at most `LONGEST_GAP_US` apart, so the runs depend on the set of heartbeats alone,
not on their order, and repeating one changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

Interval: TypeAlias = tuple[int, int]
# Three times the interval of the heartbeats: one may be late, and one may meet a locked store.
LONGEST_GAP_US: Final = 45_000_000


class StateChange(NamedTuple):
    """One recorded state of a service, microseconds; `event_id` orders those of the same microsecond."""

    at: int
    state: str
    reason: str | None
    event_id: str


class Service(NamedTuple):
    """A registered service: since when (microseconds), and its target in percent."""

    name: str
    registered: int
    sla_target: float


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one service.

    Attributes:
        changes: ascending by (at, event_id), from the last recovery before the start that was asked for; those that
            lie after now come from a clock that was ahead.
        watched: the unbroken runs of heartbeats, ascending.
    """

    service: Service
    changes: tuple[StateChange, ...]
    watched: tuple[Interval, ...]


class Services(Protocol):
    """Every method may raise `StoreUnavailable`."""

    def register(self, name: str, sla_target: float, now: int) -> Service:
        """Add a service, or set the target of one that is known; durable, and a heartbeat too."""

    def services(self) -> list[Service]:
        """Return every service, sorted by name."""

    def histories(self, start: int, name: str | None = None) -> list[History]:
        """Return what tells the state of every service (or one) at any time from `start` on, sorted by name."""

    def beat(self, at: int) -> None:
        """Note that somebody was there to see at a time."""
