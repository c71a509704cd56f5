"""Watched services: who is registered, what was recorded, and when anybody was there to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Interval: TypeAlias = tuple[int, int]


class StateChange(NamedTuple):
    """One recorded state of a service, microseconds; `event_id` orders those of the same microsecond."""

    at: int
    state: str
    reason: str | None
    event_id: str


class RegisteredService(NamedTuple):
    """A registered service: since when (microseconds), and its target in percent."""

    name: str
    registered: int
    sla_target: float


class WatchRun(NamedTuple):
    """Unbroken time in which somebody watched a service, microseconds; `is_over` where the watch was given up."""

    first: int
    last: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """What is known of one service.

    Attributes:
        changes: ascending by (at, event_id), from the last recovery before the start that was asked for; those that
            lie after now come from a clock that was ahead.
        heartbeats: their unbroken runs, ascending.
        watched_since: when it was watched first; `None` for a service that is only told of.
        watches: the time in which it was watched, ascending.
        planned: the time of its maintenance, in any order.
    """

    service: RegisteredService
    changes: tuple[StateChange, ...]
    heartbeats: tuple[Interval, ...]
    watched_since: int | None = None
    watches: tuple[WatchRun, ...] = ()
    planned: tuple[Interval, ...] = ()
