"""Of each alert of the specification a history in which it fires, and the same one in which all is well.

One world has everything that is wrong, each thing with a subject of its own; another one has nothing of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from tests.exporter.promql.scraped import ScrapedWorld
from tests.infrastructure.fakes import GIB

END: Final = datetime(2026, 2, 16, 12, tzinfo=UTC)  # a Monday
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HOST, EVERYBODY = "", "all users"
"""Subjects of which a world has one; a host has the name of its world."""
LAST: Final = tuple(minutes * MINUTE for minutes in (75, 60, 45, 30, 15, 10, 5, 4, 3, 2, 1, 0))
"""When something happens in the last hours, before the end."""
_BUSY_DAYS: Final = 30  # Prometheus looks at the same weekday four weeks before
_CALLS: Final = 10
_PERSONS: Final = 500
_random: Final = random.Random(13)


class History(NamedTuple):
    """How an alert comes about.

    Attributes:
        rule: which alert it is.
        subject: of whom it tells.
        play: does what happens so long before the end, in the bad case or in the good one.
    """

    rule: str
    subject: str
    play: Callable[[ScrapedWorld, timedelta, bool], None]


def played(name: str, folder: Path, histories: tuple[History, ...], *, is_bad: bool) -> ScrapedWorld:
    """Return a world in which all of it has happened."""
    world = ScrapedWorld(name, END - (_BUSY_DAYS + 1) * DAY, folder)
    for left in (*(days * DAY for days in range(_BUSY_DAYS, 0, -1)), *LAST):
        world.wait_until(END - left)
        for history in histories:
            history.play(world, left, is_bad)
        if left <= DAY or left.days % 7 == 0:  # else nobody asks afterwards
            world.look()
    return world


# ---------------------------------------------------------------- machines and services


def _cpu(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    world.busy_ratio = 0.95 if is_bad else 0.85


def _memory(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    used = 0.95 if is_bad else 0.85
    world.machine.psutil.memory |= {"used": round(8 * GIB * used), "available": round(8 * GIB * (1 - used))}


def _disk(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    used = 95 if is_bad else 85
    world.machine.space = 100 * GIB, used * GIB, (100 - used) * GIB


def _availability(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    infrastructure = world.runtime.infrastructure
    if left == 75 * MINUTE:
        infrastructure.register_service("api")
    if is_bad and left == 60 * MINUTE:
        infrastructure.record_service_down("api", reason="disk full")
    if is_bad and left == 45 * MINUTE:
        infrastructure.record_service_up("api")


# ---------------------------------------------------------------- models


def _latency(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left < DAY:
        for k in range(_CALLS):
            world.runtime.ai.record_inference("slow", "1", 900.0 if is_bad and k < 3 else 100.0)


def _cost(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left < DAY:
        for _ in range(_CALLS):
            world.runtime.ai.record_inference("dear", "1", 100.0, cost_usd=0.06 if is_bad else 0.04)


def _drift(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left == DAY:
        reference = {"age": [_random.gauss(40, 10) for _ in range(1000)]}
        world.runtime.ai.set_drift_reference("drifting", "1", features=reference)
    if left < DAY:
        for _ in range(_CALLS):
            age = _random.gauss(60 if is_bad else 40, 10)
            world.runtime.ai.record_inference("drifting", "1", 100.0, features={"age": age})


def _accuracy(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left < DAY:
        for k in range(_CALLS):
            is_right = k >= (3 if is_bad else 0)
            world.runtime.ai.record_inference("wrong", "1", 100.0, prediction=is_right, ground_truth=True)


def _health(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left < DAY:
        for k in range(_CALLS):
            world.runtime.ai.record_inference("unwell", "1", 100.0, error_type="Timeout" if is_bad and k < 4 else None)


# ---------------------------------------------------------------- users


def _active(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left >= DAY:
        has_dropped = is_bad and left == DAY
        for who in some_persons(left, 90 if has_dropped else 150 + left.days * 7 % 5):
            world.runtime.users.track_event(who, "click", "button")


def _conversions(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left >= DAY:
        has_dropped = is_bad and left <= 7 * DAY
        for who in some_persons(left, 15 if has_dropped else 60):
            world.runtime.users.track_event(who, "conversion", "bought")


def _nps(world: ScrapedWorld, left: timedelta, is_bad: bool) -> None:
    if left == DAY:
        for k in range(40):
            world.runtime.users.record_nps_response(f"p{k}", 3 if is_bad else 9)


def some_persons(left: timedelta, number: int) -> Iterator[str]:
    """Yield some persons; other ones each day, who come again after a while."""
    yield from (f"p{(left.days * 53 + k) % _PERSONS}" for k in range(number))


SEED_HISTORIES: Final = (
    History("host_cpu", HOST, _cpu),
    History("host_memory", HOST, _memory),
    History("host_disk", HOST, _disk),
    History("service_availability", "api", _availability),
    History("model_latency", "slow", _latency),
    History("model_cost", "dear", _cost),
    History("model_accuracy", "wrong", _accuracy),
    History("model_drift", "drifting", _drift),
    History("model_health", "unwell", _health),
    History("users_dau_drop", EVERYBODY, _active),
    History("users_conversion_drop", EVERYBODY, _conversions),
    History("users_nps", EVERYBODY, _nps),
)
