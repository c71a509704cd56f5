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


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """What is known of one service.

    Attributes:
        changes: ascending by (at, event_id), from the last recovery before the start that was asked for; those that
            lie after now come from a clock that was ahead.
        heartbeats: their unbroken runs, ascending.
    """

    service: RegisteredService
    changes: tuple[StateChange, ...]
    heartbeats: tuple[Interval, ...]
