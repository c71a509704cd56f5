"""What the recorded history of a service says: how it changed, and when somebody was there to see."""

from __future__ import annotations

from typing import cast

from otel_measure.definitions.heartbeats import LONGEST_GAP_US
from otel_measure.infrastructure.availability import Interval, State, Transition
from otel_measure.store.types.services import ServiceHistory


def transitions(history: ServiceHistory) -> list[Transition]:
    """Return the recorded changes of a service as what its outages are made of."""
    return [Transition(c.at, cast(State, c.state), c.reason, c.event_id) for c in history.changes]


def watched(history: ServiceHistory, now: int) -> list[Interval]:
    """When somebody looked: any process of ours, until the service is watched, and from then on who watches it."""
    alive = [(first, _until(last, now)) for first, last in history.heartbeats]
    since = history.watched_since
    if since is None:
        return alive
    watches = [(run.first, run.last if run.is_over else _until(run.last, now)) for run in history.watches]
    return [*((first, min(last, since)) for first, last in alive if first < since), *watches]


def _until(last: int, now: int) -> int:
    """Return the end of a run whose last beat this was: now, unless the next one is overdue."""
    return now if last < now <= last + LONGEST_GAP_US else last
